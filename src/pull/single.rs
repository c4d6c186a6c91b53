//! The value of the only row of a query, as an aggregate function of DataFusion.

use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::outside;
use crate::error::Error;
use crate::types::SqlType;

/// Gives the value of the only row, or NULL if there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Single {
    of: DataType,
    signature: Signature,
}

impl Single {
    /// The function for values of a type.
    pub(super) fn function(sql_type: &SqlType) -> AggregateUDF {
        let of = sql_type.arrow();
        let signature = Signature::exact(vec![of.clone()], Volatility::Immutable);
        AggregateUDF::new_from_impl(Single { of, signature })
    }
}

impl Hash for Single {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

impl AggregateUDFImpl for Single {
    fn name(&self) -> &str {
        "single"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.of.clone())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Only { value: ScalarValue::try_from(&self.of)?, rows: 0 }))
    }
}

/// The rows so far.
#[derive(Debug)]
struct Only {
    value: ScalarValue,
    rows: usize,
}

impl Accumulator for Only {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values] = values else { return not_impl_err!("several values of one row") };
        self.rows += values.len();
        if self.rows > 1 {
            let error = Error::invalid("a query that stands for a value has more than one row");
            return Err(outside(error.hint("aggregate its rows, or use LIMIT 1")));
        }
        if !values.is_empty() {
            self.value = ScalarValue::try_from_array(values, 0)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("states of parts of a query")
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        not_impl_err!("states of parts of a query")
    }
}

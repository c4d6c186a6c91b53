//! Our expressions as scalar functions of DataFusion.
//!
//! A function computes one bound expression from the columns that it reads, which are its arguments. So an expression
//! gives here what it gives in a continuous query. A row in which it fails has NULL.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::Limits;
use super::lower::column;
use crate::expr::{ColumnId, Compiled, Expr, Input, Kind, in_parts};
use crate::types::SqlType;

/// An expression as a function of the columns that it reads.
pub(super) struct Evaluate {
    /// Tells this function from all others.
    number: u64,
    /// The expression.
    pub expr: Expr,
    /// The columns that it reads, in the order of the arguments.
    pub reads: Vec<ColumnId>,
    compiled: Compiled,
    signature: Signature,
    limits: Limits,
}

/// Numbers the functions.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Where an expression stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It makes a column. DataFusion must not put the expression in the place of the column: that would compute it again
    /// and again, and lets conditions on constants slip below what they judge.
    Column,
    /// It judges rows.
    Condition,
}

/// Makes functions of expressions.
pub(super) struct Calls<'a> {
    /// Name and type of each column.
    pub types: &'a [(String, SqlType)],
    /// What the query may take.
    pub limits: &'a Limits,
}

impl Calls<'_> {
    /// An expression as one of DataFusion. It reads `anchor` too if it reads no column.
    pub(super) fn call(&self, expr: &Expr, place: Place, anchor: Option<ColumnId>) -> datafusion::logical_expr::Expr {
        if let (Kind::Column(id), Place::Column) = (&expr.kind, place) {
            return column(*id);
        }
        let mut reads = Vec::new();
        expr.columns(&mut reads);
        reads.sort_unstable();
        reads.dedup();
        if reads.is_empty() {
            reads.extend(anchor);
        }
        let is_volatile = expr.is_fresh() || place == Place::Column;
        let volatility = if is_volatile { Volatility::Volatile } else { Volatility::Immutable };
        let args: Vec<DataType> = reads.iter().map(|id| self.types[*id as usize].1.arrow()).collect();
        let signature =
            if args.is_empty() { Signature::nullary(volatility) } else { Signature::exact(args, volatility) };
        let args = reads.iter().map(|id| column(*id)).collect();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (compiled, expr, limits) = (expr.compile(&reads), expr.clone(), self.limits.clone());
        ScalarUDF::new_from_impl(Evaluate { number, expr, reads, compiled, signature, limits }).call(args)
    }
}

impl fmt::Debug for Evaluate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evaluate {}", self.number)
    }
}

impl PartialEq for Evaluate {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Evaluate {}

impl Hash for Evaluate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl ScalarUDFImpl for Evaluate {
    fn name(&self) -> &str {
        "evaluate"
    }

    /// Unlike the name, it differs for each expression: DataFusion takes expressions of one name for the same.
    fn schema_name(&self, _: &[datafusion::logical_expr::Expr]) -> Result<String> {
        Ok(format!("evaluate {}", self.number))
    }

    fn display_name(&self, args: &[datafusion::logical_expr::Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.expr.result_type().arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.limits.check().map_err(super::outside)?;
        let columns: Vec<ArrayRef> =
            args.args.iter().map(|arg| arg.to_array(args.number_rows)).collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(evaluate(&self.compiled, &columns, args.number_rows)?))
    }
}

/// The values of an expression for all rows.
fn evaluate(compiled: &Compiled, columns: &[ArrayRef], count: usize) -> Result<ArrayRef> {
    let parts = in_parts(count, &mut |part| {
        let columns: Vec<ArrayRef> = columns.iter().map(|column| column.slice(part.start, part.len())).collect();
        Ok(compiled.eval(&Input::all(&columns, part.len()))?.values)
    });
    match parts.map_err(super::outside)?.as_slice() {
        [] => exec_err!("an expression was evaluated for no row"),
        [one] => Ok(one.clone()),
        several => {
            let several: Vec<&dyn arrow::array::Array> = several.iter().map(AsRef::as_ref).collect();
            Ok(concat(&several)?)
        }
    }
}

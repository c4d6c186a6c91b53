//! `TOPK`: the largest values.

use super::collection::{Collect, Collection, number};
use super::fold::Folds;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param, variadic};
use crate::types::{SqlType, StructField, Value};

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind), variadic("others", T::Object)],
            constants: &[param("k", T::Int)],
            returns: |args, _| Ok(SqlType::array(item(args))),
            create: |args, constants| {
                let most = number(constants, 0).and_then(|n| usize::try_from(n).ok());
                let top = Top { most: most.unwrap_or(usize::MAX), fields: args.len() };
                Folds::boxed(Collection { collect: top, item: item(args) }, args)
            },
        }
    };
}

pub const FUNCTION: Aggregate = Aggregate {
    name: "TOPK",
    shown: "TOPK",
    summary: "The k largest values, the largest first; of equal ones the earlier. With further columns a STRUCT of each.",
    examples: &[],
    undo: false,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double), overload!(String)],
};

/// The type of an entry: the value, or a struct of it with the further columns.
fn item(args: &[SqlType]) -> SqlType {
    let [sort, others @ ..] = args else { return SqlType::String };
    if others.is_empty() {
        return sort.clone();
    }
    let names = std::iter::once("sort_col".to_owned()).chain((0..others.len()).map(|i| format!("col{i}")));
    let fields = names.zip(args).map(|(name, sql_type)| StructField { name, sql_type: sql_type.clone() });
    SqlType::Struct(fields.collect())
}

struct Top {
    most: usize,
    /// The number of arguments; with one an entry is the value itself.
    fields: usize,
}

fn sorted_by(entry: &Value) -> &Value {
    match entry {
        Value::Struct(fields) => &fields[0].1,
        value => value,
    }
}

impl Collect for Top {
    fn value(&self, mut args: Vec<Value>) -> Value {
        if self.fields == 1 || args[0].is_null() {
            return args.swap_remove(0);
        }
        let names = std::iter::once("sort_col".to_owned()).chain((0..).map(|i| format!("col{i}")));
        Value::Struct(names.zip(args).collect())
    }

    fn add(&self, list: &mut Vec<Value>, value: Value) {
        if value.is_null() {
            return;
        }
        let at = list.partition_point(|kept| sorted_by(kept).compare(sorted_by(&value)).is_ge());
        if at < self.most {
            list.insert(at, value);
            list.truncate(self.most);
        }
    }
}

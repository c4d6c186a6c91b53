//! `TOPK`: the largest values.

use super::collection::{Collect, Collections, item_type, number};
use super::kept::Kept;
use super::stored;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param, variadic};
use crate::types::{SqlType, StructField, View, row};

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind), variadic("others", T::Object)],
            constants: &[param("k", T::Int)],
            returns: |args, _| Ok(SqlType::array(item(args))),
            create: |args, constants| {
                let most = number(constants, 0).and_then(|n| usize::try_from(n).ok());
                let sorted_by = item_type(args).clone();
                Collections::boxed(Top { most: most.unwrap_or(usize::MAX), fields: args.len(), sorted_by })
            },
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "TOPK",
    shown: "TOPK",
    summary: "The k largest values, the largest first; of equal ones the earlier. With further columns a STRUCT of each.",
    examples: &[],
    undo: false,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double), overload!(String)],
};

/// The type of an entry: the value, or a struct of it with the further columns.
///
/// The fields are `sort_col` and then `col0`, `col1` …, ksqlDB's names for them.
fn item(args: &[SqlType]) -> SqlType {
    let [sort, others @ ..] = args else { return SqlType::String };
    if others.is_empty() {
        return sort.clone();
    }
    let names = std::iter::once("sort_col".to_owned()).chain((0..others.len()).map(|i| format!("col{i}")));
    let fields = names.zip(args).map(|(name, sql_type)| StructField { name, sql_type: sql_type.clone() });
    SqlType::Struct(fields.collect())
}

/// Items are kept sorted in descending order, at most `most` of them. A new value costs a binary search over parts
/// and a look through one part; a value below the last of a full list costs one comparison.
struct Top {
    most: usize,
    /// The number of arguments; with one an item is the value itself.
    fields: usize,
    sorted_by: SqlType,
}

impl Top {
    /// The value by which an item is sorted; in a struct it is the first field.
    ///
    /// In a struct the byte before it says that the struct itself is there.
    fn value<'a>(&self, item: &'a [u8]) -> &'a [u8] {
        if self.fields == 1 { item } else { &item[1..] }
    }
}

impl Collect for Top {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) -> bool {
        if self.fields > 1 {
            row::encode_struct(args, row, item);
        } else {
            row::encode(args, row, item);
        }
        !args[0].is_null(row)
    }

    fn add(&self, kept: &mut Kept, item: &[u8]) {
        let compare = |kept: &[u8]| stored::compare(self.value(kept), self.value(item), &self.sorted_by);
        if kept.items.len() >= self.most && kept.items.back().is_none_or(|last| compare(last).is_ge()) {
            return;
        }
        let place = kept.items.partition_point(|kept| compare(kept).is_lt());
        kept.items.insert(place, item);
        if kept.items.len() > self.most {
            kept.items.pop_back();
        }
    }
}

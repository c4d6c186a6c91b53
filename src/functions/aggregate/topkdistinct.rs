//! `TOPKDISTINCT`: the largest values, each once.

use super::collection::{Collect, Collections, item_type, number};
use super::kept::Kept;
use super::stored;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, View, row};

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[param("k", T::Int)],
            returns: |args, _| Ok(SqlType::array(args[0].clone())),
            create: |args, constants| {
                let most = number(constants, 0).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
                Collections::boxed(Top { most, sql_type: item_type(args).clone() })
            },
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "TOPKDISTINCT",
    shown: "TOPKDISTINCT",
    summary: "The k largest different values, the largest first.",
    examples: &[],
    undo: false,
    limit: None,
    overloads: &[
        overload!(Int),
        overload!(Bigint),
        overload!(Double),
        overload!(String),
        overload!(Decimal),
        overload!(Date),
        overload!(Time),
        overload!(Timestamp),
        overload!(Bytes),
    ],
};

/// Sorted in descending order, no two items equal. Equality is that of the order: two DECIMALs of one type with one
/// value are equal.
struct Top {
    most: usize,
    sql_type: SqlType,
}

impl Collect for Top {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) -> bool {
        row::encode(args, row, item);
        !args[0].is_null(row)
    }

    fn add(&self, kept: &mut Kept, item: &[u8]) {
        let compare = |kept: &[u8]| stored::compare(kept, item, &self.sql_type);
        if kept.items.len() >= self.most && kept.items.back().is_none_or(|last| compare(last).is_ge()) {
            return;
        }
        let place = kept.items.partition_point(|kept| compare(kept).is_le());
        if place.is_some_and(|place| compare(kept.items.get(place)).is_eq()) {
            return;
        }
        kept.items.insert(place, item);
        if kept.items.len() > self.most {
            kept.items.pop_back();
        }
    }
}

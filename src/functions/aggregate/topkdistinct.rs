//! `TOPKDISTINCT`: the largest values, each once.

use super::collection::{Collect, Collection, number};
use super::fold::Folds;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[param("k", T::Int)],
            returns: |args, _| Ok(SqlType::array(args[0].clone())),
            create: |args, constants| {
                let most = number(constants, 0).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
                Folds::boxed(Collection { collect: Top { most }, item: args[0].clone() }, args)
            },
        }
    };
}

pub const FUNCTION: Aggregate = Aggregate {
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

struct Top {
    most: usize,
}

impl Collect for Top {
    fn add(&self, list: &mut Vec<Value>, value: Value) {
        if value.is_null() {
            return;
        }
        let at = list.partition_point(|kept| kept.compare(&value).is_gt());
        if at < self.most && list.get(at) != Some(&value) {
            list.insert(at, value);
            list.truncate(self.most);
        }
    }
}

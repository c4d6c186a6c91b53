//! `COUNT_DISTINCT`: how many different values there are.

use super::collection::{Collect, Collections, item_type};
use super::kept::{Identity, Kept};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::call::Put;
use crate::functions::signature::{T, param};
use crate::types::{Builder, SqlType, View, row};

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "COUNT_DISTINCT",
    shown: "COUNT_DISTINCT",
    summary: "The number of different values that are not NULL.",
    examples: &[("2, NULL, 1, 2", "2")],
    undo: false,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |_, _| Ok(SqlType::Bigint),
        create: |args, _| Collections::boxed(Distinct { identity: Identity::new(item_type(args), 0) }),
    }],
};

/// Exact: every different value is kept, so memory grows with their number. There is no estimate by sketches.
struct Distinct {
    identity: Identity,
}

impl Collect for Distinct {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) -> bool {
        row::encode(&args[..1], row, item);
        !args[0].is_null(row)
    }

    fn add(&self, kept: &mut Kept, item: &[u8]) {
        if kept.find(item, &self.identity).is_none() {
            kept.push(item, &self.identity);
        }
    }

    fn result(&self, kept: &Kept, out: &mut Builder) -> Result<()> {
        (kept.items.len() as i64).put(out);
        Ok(())
    }

    fn result_bytes(&self, _: &Kept) -> usize {
        size_of::<i64>()
    }
}

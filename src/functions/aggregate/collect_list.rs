//! `COLLECT_LIST`: all values as an array.

use super::collection::{Collect, Collections, item_type, limit};
use super::kept::{Identity, Kept};
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::SqlType;

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "COLLECT_LIST",
    shown: "COLLECT_LIST",
    summary: "All values, NULLs too, in the order in which they came.",
    examples: &[("1, NULL, 1", "[1, null, 1]")],
    undo: true,
    limit: Some("ksql.functions.collect_list.limit"),
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |args, _| Ok(SqlType::array(args[0].clone())),
        create: |args, constants| {
            let identity = Identity::new(item_type(args), 0);
            Collections::boxed(List { most: limit(constants), identity })
        },
    }],
};

/// Values beyond the limit are dropped and not counted anywhere, as in ksqlDB; after one was taken back there is room
/// for a new one. Taking back searches from the end, which takes O(items).
struct List {
    most: usize,
    identity: Identity,
}

impl Collect for List {
    fn add(&self, kept: &mut Kept, item: &[u8]) {
        if kept.items.len() < self.most {
            kept.items.push(item);
        }
    }

    fn undo(&self, kept: &mut Kept, item: &[u8]) {
        let wanted = self.identity.canonical(item);
        if let Some(place) = kept.items.rfind(|kept| self.identity.canonical(kept) == wanted) {
            kept.items.remove(place);
        }
    }
}

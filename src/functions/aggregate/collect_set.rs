//! `COLLECT_SET`: every value once, as an array.

use super::collection::{Collect, Collections, item_type, limit};
use super::kept::{Identity, Kept};
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::SqlType;

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "COLLECT_SET",
    shown: "collect_set",
    summary: "Every value once, NULL too, in the order in which they first came.",
    examples: &[("2, NULL, 1, 2", "[2, null, 1]")],
    undo: false,
    limit: Some("ksql.functions.collect_set.limit"),
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |args, _| Ok(SqlType::array(args[0].clone())),
        create: |args, constants| {
            let identity = Identity::new(item_type(args), 0);
            Collections::boxed(Set { most: limit(constants), identity })
        },
    }],
};

/// A value beyond the limit is dropped. Not undoable, since how often each value came is not kept.
struct Set {
    most: usize,
    identity: Identity,
}

impl Collect for Set {
    fn add(&self, kept: &mut Kept, item: &[u8]) {
        if kept.items.len() < self.most && kept.find(item, &self.identity).is_none() {
            kept.push(item, &self.identity);
        }
    }
}

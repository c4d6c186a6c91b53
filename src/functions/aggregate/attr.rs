//! `ATTR`: the value that all rows of a group have in common.

use super::collection::{Collections, item_type};
use super::counted::{COUNT_BYTES, Counted, Summary};
use super::kept::{Identity, Kept, put_item};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::signature::{T, param};
use crate::types::{Builder, View, row};

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "ATTR",
    shown: "ATTR",
    summary: "The value that all rows have; NULL if there are several, a NULL being one.",
    examples: &[("2, 2", "2"), ("2, NULL", "null")],
    undo: true,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |args, _| Ok(args[0].clone()),
        create: |args, _| {
            let identity = Identity::new(item_type(args), COUNT_BYTES);
            Collections::boxed(Counted { identity, most: usize::MAX, summary: Common })
        },
    }],
};

/// Keeps all different values, so that rows can be taken back.
///
/// A single value and its count would do for streams; a table needs all of them, since the taking back of one value
/// can leave another as the common one. Memory grows with the number of different values.
struct Common;

impl Summary for Common {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) {
        row::encode(&args[..1], row, item);
    }

    fn result(&self, kept: &Kept, out: &mut Builder) -> Result<()> {
        match kept.items.front() {
            Some(item) if kept.items.len() == 1 => put_item(item, out).map(drop),
            _ => {
                out.null();
                Ok(())
            }
        }
    }

    fn result_bytes(&self, kept: &Kept) -> usize {
        if kept.items.len() == 1 { kept.items.bytes() } else { 0 }
    }
}

//! `HISTOGRAM`: how often each text came.

use super::collection::{Collections, item_type};
use super::counted::{COUNT_BYTES, Counted, Summary, count};
use super::kept::{Identity, Kept, put_item};
use super::{Aggregate, AggregateOverload};
use crate::error::{Error, Result};
use crate::functions::call::Put;
use crate::functions::signature::{T, param};
use crate::types::build::Values;
use crate::types::{Builder, SqlType, Value, View, array_of, row};

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "HISTOGRAM",
    shown: "histogram",
    summary: "A map from each text to how often it came; at most 1,000 texts are counted.",
    examples: &[("'a', 'b', 'a'", "{a=2, b=1}")],
    undo: true,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::String)],
        constants: &[],
        returns: |_, _| Ok(map()),
        create: |args, _| {
            let identity = Identity::new(item_type(args), COUNT_BYTES);
            Collections::boxed(Counted { identity, most: MOST, summary: Histogram { null: null_text() } })
        },
    }],
};

/// The most texts that are counted.
///
/// ksqlDB's limit. Texts beyond it are not counted, those that are in the map still are.
const MOST: usize = 1000;

fn map() -> SqlType {
    SqlType::map(SqlType::String, SqlType::Bigint)
}

/// The map's entries stand in the order in which the texts first came.
struct Histogram {
    /// What a NULL is counted as.
    null: Vec<u8>,
}

/// ksqlDB counts NULL as the text that Java prints for it.
fn null_text() -> Vec<u8> {
    let array = array_of(&[Value::String("null".to_owned())], &SqlType::String);
    let mut bytes = Vec::new();
    row::encode(&[View::new(array.as_ref(), &SqlType::String)], 0, &mut bytes);
    bytes
}

impl Summary for Histogram {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) {
        match args[0].is_null(row) {
            true => item.extend_from_slice(&self.null),
            false => row::encode(&args[..1], row, item),
        }
    }

    fn result(&self, kept: &Kept, out: &mut Builder) -> Result<()> {
        let Values::Map { offsets, keys, values, .. } = out.values() else {
            return Err(Error::bug("the result of a histogram is a map"));
        };
        for (_, item) in kept.items.iter() {
            put_item(item, keys)?;
            count(item).put(values);
        }
        offsets.push(keys.len());
        out.valid();
        Ok(())
    }

    fn result_bytes(&self, kept: &Kept) -> usize {
        kept.items.bytes()
    }
}

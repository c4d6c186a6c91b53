//! `COUNT`: how many rows, or how many values that are not NULL.

use super::{Aggregate, AggregateOverload, States};
use crate::error::{Error, Result};
use crate::functions::call::Put;
use crate::functions::signature::{T, param};
use crate::types::build::Values;
use crate::types::row::Input;
use crate::types::{Builder, SqlType, View, grow};

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "COUNT",
    shown: "COUNT",
    summary: "The number of rows, or of those in which the argument is not NULL.",
    examples: &[("1, NULL, 3", "2")],
    undo: true,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::Object)],
        constants: &[],
        returns: |_, _| Ok(SqlType::Bigint),
        create: |_, _| Box::new(Counts(Vec::new())),
    }],
};

/// One count per group, saved as an i64, little-endian. It never falls below 0 as long as only rows that were counted
/// are taken back.
struct Counts(Vec<i64>);

impl States for Counts {
    fn grow(&mut self, groups: usize) {
        grow::resize(&mut self.0, groups, 0);
    }

    fn address(&self, group: u32) -> *const u8 {
        self.0.as_ptr().wrapping_add(group as usize).cast()
    }

    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], after: Option<&mut Builder>) -> Result<()> {
        let value = &args[0];
        let counts = groups.iter().zip(rows).map(|(group, row)| {
            let count = &mut self.0[*group as usize];
            *count += i64::from(!value.is_null(*row as usize));
            *count
        });
        match after {
            None => counts.for_each(drop),
            Some(out) => {
                let Values::Bigint(to) = out.values() else { return Err(Error::bug("a count is a BIGINT")) };
                to.extend(counts);
                out.valid_rows(rows.len());
            }
        }
        Ok(())
    }

    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        self.0[group as usize] -= i64::from(!args[0].is_null(row as usize));
        Ok(())
    }

    fn merge(&mut self, into: u32, from: u32) -> Result<()> {
        self.0[into as usize] += self.0[from as usize];
        Ok(())
    }

    fn result(&self, group: u32, out: &mut Builder) -> Result<()> {
        self.0[group as usize].put(out);
        Ok(())
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0[group as usize].to_le_bytes());
    }

    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()> {
        self.0[group as usize] = input.i64()?;
        Ok(())
    }

    fn memory(&self) -> usize {
        self.0.capacity() * size_of::<i64>()
    }
}

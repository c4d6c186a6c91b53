//! NONE: no bytes at all, where there are no columns.

use super::{Decoded, Decoder, Encoder, Format, Layout, Wrapping};
use crate::error::{Error, Result};
use crate::types::{Column, View};

/// The format NONE.
pub(super) struct Nothing;

impl Format for Nothing {
    fn name(&self) -> &'static str {
        "NONE"
    }

    fn wrapping(&self) -> Wrapping {
        Wrapping::Never
    }

    fn check(&self, columns: &[Column]) -> Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = columns.iter().map(Column::to_string).collect();
        let message =
            format!("The 'NONE' format can only be used when no columns are defined. Got: [{}]", shown.join(", "));
        Err(Error::invalid(message))
    }

    fn decoder(&self, _: &[Column], _: &[bool], _: Layout) -> Box<dyn Decoder> {
        Box::new(NoDecoder)
    }

    fn encoder(&self, _: &[Column], _: Layout) -> Box<dyn Encoder> {
        Box::new(NoEncoder)
    }
}

struct NoDecoder;

impl Decoder for NoDecoder {
    fn decode(&mut self, _: &[Option<&[u8]>]) -> Decoded {
        Decoded::nothing()
    }
}

struct NoEncoder;

impl Encoder for NoEncoder {
    fn encode(&mut self, _: &[View], _: usize, _: &mut Vec<u8>) -> bool {
        false
    }
}

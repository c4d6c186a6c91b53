//! NONE: no bytes at all, where there are no columns.

use super::{Asked, Codec, Decoded, Decoder, Encoder, Format};
use crate::error::{Error, Result};
use crate::types::{Column, View};

/// The format NONE.
pub(super) struct Nothing;

impl Format for Nothing {
    fn name(&self) -> &'static str {
        "NONE"
    }

    fn bind(&self, asked: &Asked) -> Result<Box<dyn Codec>> {
        if asked.columns.is_empty() {
            return Ok(Box::new(NoCodec));
        }
        let shown: Vec<String> = asked.columns.iter().map(Column::to_string).collect();
        let message =
            format!("The 'NONE' format can only be used when no columns are defined. Got: [{}]", shown.join(", "));
        Err(Error::invalid(message))
    }
}

struct NoCodec;

impl Codec for NoCodec {
    fn decoder(&self, _: &[bool]) -> Box<dyn Decoder> {
        Box::new(NoDecoder)
    }

    fn encoder(&self) -> Box<dyn Encoder> {
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

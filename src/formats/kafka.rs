//! KAFKA: one bare column, as Kafka's own serialisers write it.

use super::{Asked, Codec, Decoded, Decoder, Encoder, Format, Rows};
use crate::error::{Error, Result};
use crate::types::build::Values;
use crate::types::view::ViewValues;
use crate::types::{Builder, Column, SqlType, View};

/// The format KAFKA.
pub(super) struct Kafka;

impl Format for Kafka {
    fn name(&self) -> &'static str {
        "KAFKA"
    }

    fn joins(&self) -> bool {
        false
    }

    fn bind(&self, asked: &Asked) -> Result<Box<dyn Codec>> {
        if asked.columns.len() > 1 {
            let names: Vec<String> = asked.columns.iter().map(Column::to_string).collect();
            let message = format!("The 'KAFKA' format only supports a single field. Got: [{}]", names.join(", "));
            return Err(Error::invalid(message));
        }
        let sql_type = asked.columns.first().map(|c| c.sql_type.clone());
        match &sql_type {
            None | Some(SqlType::Integer | SqlType::Bigint | SqlType::Double | SqlType::String | SqlType::Bytes) => {
                Ok(Box::new(KafkaCodec(sql_type)))
            }
            Some(other) => {
                Err(Error::invalid(format!("The 'KAFKA' format does not support type '{}'", other.base_name())))
            }
        }
    }
}

/// KAFKA with a column of this type, or none.
struct KafkaCodec(Option<SqlType>);

impl Codec for KafkaCodec {
    fn decoder(&self, needed: &[bool]) -> Box<dyn Decoder> {
        let needed = needed.first().copied().unwrap_or(false);
        Box::new(KafkaDecoder { sql_type: self.0.clone(), needed })
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(KafkaEncoder)
    }
}

struct KafkaDecoder {
    sql_type: Option<SqlType>,
    needed: bool,
}

impl Decoder for KafkaDecoder {
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded {
        let Some(sql_type) = &self.sql_type else { return Decoded::nothing() };
        let mut builders = [Builder::new(sql_type, payloads.len())];
        let mut rows = Rows::default();
        for payload in payloads {
            rows.next(*payload, &mut builders, |bytes, _, [builder]| append(bytes, builder));
        }
        let [builder] = builders;
        Decoded { columns: if self.needed { vec![builder.finish()] } else { Vec::new() }, failed: rows.failed }
    }
}

fn append(bytes: &[u8], builder: &mut Builder) -> Result<(), String> {
    let wrong = |width: usize| format!("{} bytes where {width} are expected", bytes.len());
    match builder.values() {
        Values::Integer(to) => to.push(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong(4))?)),
        Values::Bigint(to) => to.push(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong(8))?)),
        Values::Double(to) => to.push(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong(8))?)),
        // Java reads bytes that are not UTF-8 too, and puts the replacement character in their place.
        Values::String(texts) => match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => texts.push(text),
            Err(_) => texts.push(&String::from_utf8_lossy(bytes)),
        },
        Values::Bytes(blobs) => blobs.push(bytes),
        _ => return Err("the KAFKA format does not hold this type".to_owned()),
    }
    builder.valid();
    Ok(())
}

struct KafkaEncoder;

impl Encoder for KafkaEncoder {
    fn encode(&mut self, columns: &[View], row: usize, out: &mut Vec<u8>) -> bool {
        let Some(column) = columns.first().filter(|c| !c.is_null(row)) else { return false };
        match &column.values {
            ViewValues::Integer(v) => out.extend_from_slice(&v[row].to_be_bytes()),
            ViewValues::Bigint(v) => out.extend_from_slice(&v[row].to_be_bytes()),
            ViewValues::Double(v) => out.extend_from_slice(&v[row].to_be_bytes()),
            ViewValues::String(texts) => out.extend_from_slice(texts.get(row)),
            ViewValues::Bytes(slices) => out.extend_from_slice(slices.get(row)),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Value, array_of};

    #[test]
    fn values_survive_and_wrong_lengths_are_set_aside() {
        let codec = KafkaCodec(Some(SqlType::Integer));
        let array = array_of(&[Value::Integer(-2), Value::Null], &SqlType::Integer);
        let views = [View::new(array.as_ref(), &SqlType::Integer)];
        let mut encoder = codec.encoder();
        let mut bytes = Vec::new();
        assert!(encoder.encode(&views, 0, &mut bytes));
        assert!(!encoder.encode(&views, 1, &mut Vec::new()));
        let decoded = codec.decoder(&[true]).decode(&[Some(&bytes), None, Some(b"abc")]);
        assert_eq!(Value::at(&decoded.columns[0], 0, &SqlType::Integer), Value::Integer(-2));
        assert_eq!(decoded.failed, [(2, "3 bytes where 4 are expected".to_owned())]);
    }
}

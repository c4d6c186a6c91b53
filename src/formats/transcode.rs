//! Keys and values between JSON text, which people type and read, and the format in which a topic keeps them.

use super::json::scan::{Scan, Start};
use super::json::{JsonCodec, compact};
use super::{Codec, Decoder, Encoder, Encoding};
use crate::types::parse::base64_bytes;
use crate::types::{Column, SqlType, View};

/// How a part of a topic's records is kept, as far as anybody has said it.
#[derive(Clone, Copy)]
pub struct Declared<'a> {
    /// How the topic keeps the part.
    pub encoding: &'a Encoding,
    /// The columns of the part; with none, the part counts as not declared.
    pub columns: &'a [Column],
}

/// JSON text to the bytes of a record.
pub enum FromJson {
    /// Nobody has said what the bytes are: a string is its characters, everything else its JSON text.
    Plain,
    /// The text as it is.
    Json,
    /// One value in the form of Kafka's serialisers.
    Bare(SqlType),
    /// Columns in the declared format, read from JSON and encoded.
    Columns(Box<Transcoder>),
}

impl FromJson {
    /// The way to a part that was declared, or was not.
    pub fn new(declared: Option<Declared>) -> FromJson {
        let Some(declared) = declared.filter(|d| !d.columns.is_empty()) else { return FromJson::Plain };
        match declared.encoding.format.name() {
            "JSON" => FromJson::Json,
            "KAFKA" => FromJson::Bare(declared.columns[0].sql_type.clone()),
            _ => FromJson::Columns(Box::new(Transcoder::from_json(declared))),
        }
    }

    /// Appends the bytes for one valid JSON text without blanks around it; whether there are any, which `null` has not.
    pub fn encode(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<bool, String> {
        if text == b"null" {
            return Ok(false);
        }
        match self {
            FromJson::Plain => plain(text, out)?,
            FromJson::Json => out.extend_from_slice(text),
            FromJson::Bare(sql_type) => bare(text, sql_type, out)?,
            FromJson::Columns(transcoder) => return transcoder.one(text, out),
        }
        Ok(true)
    }
}

/// A string as its characters, everything else as its text.
fn plain(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut scan = Scan::of_bytes(text)?;
    if scan.start()? == Start::String {
        scan.string()?.each_piece(|piece| out.extend_from_slice(piece.as_bytes()));
    } else {
        out.extend_from_slice(text);
    }
    Ok(())
}

/// A value as Kafka's serialisers write it. Nothing is bent to fit: what would read back as something else is refused.
fn bare(text: &[u8], sql_type: &SqlType, out: &mut Vec<u8>) -> Result<(), String> {
    let shown = String::from_utf8_lossy(text);
    let refused = |_| format!("{shown} is no {sql_type}");
    match sql_type {
        SqlType::Integer => out.extend(shown.parse::<i32>().map_err(|_| refused(()))?.to_be_bytes()),
        SqlType::Bigint => out.extend(shown.parse::<i64>().map_err(|_| refused(()))?.to_be_bytes()),
        SqlType::Double if !matches!(text.first(), Some(b'-' | b'0'..=b'9')) => return Err(refused(())),
        SqlType::Double => out.extend(shown.parse::<f64>().map_err(|_| refused(()))?.to_be_bytes()),
        SqlType::Bytes => {
            let mut scan = Scan::of_bytes(text)?;
            let encoded = if scan.start()? == Start::String { base64_bytes(&scan.string()?.text()) } else { None };
            out.extend(encoded.ok_or(()).map_err(|()| format!("{shown} is no base64 text"))?);
        }
        _ => plain(text, out)?,
    }
    Ok(())
}

/// The bytes of records to JSON text.
pub enum ToJson {
    /// Nobody has said what the bytes are.
    Guess,
    /// They are JSON already.
    Json,
    /// Columns of the declared format, decoded and written as JSON.
    Columns(Box<Transcoder>),
}

impl ToJson {
    /// The way from a part that was declared, or was not.
    pub fn new(declared: Option<Declared>) -> ToJson {
        match declared.filter(|d| !d.columns.is_empty()) {
            None => ToJson::Guess,
            Some(declared) if declared.encoding.format.name() == "JSON" => ToJson::Json,
            Some(declared) => ToJson::Columns(Box::new(Transcoder::to_json(declared))),
        }
    }

    /// One JSON text, on one line, for each payload. Bytes that are not what was declared are guessed.
    pub fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Vec<Vec<u8>> {
        match self {
            ToJson::Guess | ToJson::Json => {
                payloads.iter().map(|p| p.map_or_else(|| b"null".to_vec(), guessed)).collect()
            }
            ToJson::Columns(transcoder) => transcoder.many(payloads),
        }
    }
}

/// Bytes of which nobody has said what they are: JSON, text, a number of Kafka's serialisers, or none of these.
///
/// Four or eight bytes that are letters are taken for text, since numbers that look like letters are rare.
fn guessed(bytes: &[u8]) -> Vec<u8> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        if let Some(json) = compact(bytes) {
            return json;
        }
        if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            return raw(bytes);
        }
    }
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return i32::from_be_bytes(four).to_string().into_bytes();
    }
    if let Ok(eight) = <[u8; 8]>::try_from(bytes) {
        return i64::from_be_bytes(eight).to_string().into_bytes();
    }
    raw(bytes)
}

/// Bytes as they are: text in quotes, or an object with their base64.
pub fn raw(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    if simdutf8::basic::from_utf8(bytes).is_ok() {
        super::json::encode::put_string(bytes, &mut out);
    } else {
        out.extend_from_slice(format!("{{\"base64\":\"{}\"}}", crate::types::parse::base64_text(bytes)).as_bytes());
    }
    out
}

/// Payloads of one format to another, by way of columns.
pub struct Transcoder {
    decoder: Box<dyn Decoder>,
    encoder: Box<dyn Encoder>,
    types: Vec<SqlType>,
}

impl Transcoder {
    fn from_json(declared: Declared) -> Transcoder {
        let Declared { columns, encoding } = declared;
        Transcoder {
            decoder: Transcoder::json(declared).decoder(&vec![true; columns.len()]),
            encoder: encoding.encoder(),
            types: columns.iter().map(|c| c.sql_type.clone()).collect(),
        }
    }

    fn to_json(declared: Declared) -> Transcoder {
        let Declared { columns, encoding } = declared;
        Transcoder {
            decoder: encoding.decoder(&vec![true; columns.len()]),
            encoder: Transcoder::json(declared).encoder(),
            types: columns.iter().map(|c| c.sql_type.clone()).collect(),
        }
    }

    /// The columns as people write them: a single one stands bare.
    fn json(declared: Declared) -> JsonCodec {
        JsonCodec { columns: declared.columns.to_vec(), wrapped: declared.columns.len() > 1 }
    }

    fn one(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<bool, String> {
        let mut decoded = self.decoder.decode(&[Some(text)]);
        if let Some((_, reason)) = decoded.failed.pop() {
            return Err(reason);
        }
        let views: Vec<View> = decoded.columns.iter().zip(&self.types).map(|(c, t)| View::new(c.as_ref(), t)).collect();
        Ok(self.encoder.encode(&views, 0, out))
    }

    fn many(&mut self, payloads: &[Option<&[u8]>]) -> Vec<Vec<u8>> {
        let decoded = self.decoder.decode(payloads);
        let views: Vec<View> = decoded.columns.iter().zip(&self.types).map(|(c, t)| View::new(c.as_ref(), t)).collect();
        let mut failed = decoded.failed.iter().map(|(row, _)| *row as usize).peekable();
        let encode = |(row, payload): (usize, &Option<&[u8]>)| {
            let mut out = Vec::new();
            match payload {
                None => out.extend_from_slice(b"null"),
                Some(bytes) if failed.next_if_eq(&row).is_some() => out = guessed(bytes),
                Some(_) if !self.encoder.encode(&views, row, &mut out) => out.extend_from_slice(b"null"),
                Some(_) => {}
            }
            out
        };
        payloads.iter().enumerate().map(encode).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::find;

    fn bound(format: &str, sql_type: SqlType) -> (Encoding, [Column; 1]) {
        let columns = [Column::key("K", sql_type)];
        (Encoding::of_key(find(format).expect("a format"), &columns).expect("a column that fits"), columns)
    }

    fn there_and_back(declared: Option<Declared>, text: &str) -> String {
        let mut bytes = Vec::new();
        let there = FromJson::new(declared).encode(text.as_bytes(), &mut bytes);
        match there {
            Ok(some) => {
                let payload = some.then_some(bytes.as_slice());
                String::from_utf8(ToJson::new(declared).decode(&[payload]).remove(0)).expect("UTF-8")
            }
            Err(reason) => reason,
        }
    }

    #[test]
    fn what_was_typed_is_what_is_read() {
        let there_and_back = |format, sql_type, text| {
            let (encoding, columns) = bound(format, sql_type);
            there_and_back(Some(Declared { encoding: &encoding, columns: &columns }), text)
        };
        for (sql_type, text) in [
            (SqlType::Integer, "-7"),
            (SqlType::Bigint, "9007199254740993"),
            (SqlType::Double, "1.5"),
            (SqlType::String, r#""a \"b\" ä""#),
            (SqlType::String, "null"),
            (SqlType::Bytes, r#""AQID""#),
        ] {
            assert_eq!(there_and_back("KAFKA", sql_type, text), text);
        }
        assert_eq!(there_and_back("KAFKA", SqlType::String, "17"), r#""17""#);
        assert_eq!(there_and_back("KAFKA", SqlType::Integer, "1.5"), "1.5 is no INTEGER");
        assert_eq!(there_and_back("KAFKA", SqlType::Integer, r#""7""#), r#""7" is no INTEGER"#);
        assert_eq!(there_and_back("JSON", SqlType::Integer, r#""x""#), r#""x""#);
    }

    #[test]
    fn what_nobody_declared_is_guessed() {
        assert_eq!(there_and_back(None, r#""hello""#), r#""hello""#);
        assert_eq!(there_and_back(None, r#"{"a":1.50}"#), r#"{"a":1.50}"#);
        let guess = |bytes: &[u8]| String::from_utf8(guessed(bytes)).expect("UTF-8");
        assert_eq!(guess(b"abcd"), r#""abcd""#);
        assert_eq!(guess(&[0, 0, 0, 7]), "7");
        assert_eq!(guess(&[0, 0, 0, 0, 0, 0, 1, 0]), "256");
        assert_eq!(guess(&[0xFF, 0xFE, 1]), r#"{"base64":"//4B"}"#);
        assert_eq!(guess(b"{\"a\" :\n [1, \"x y\"] }"), r#"{"a":[1,"x y"]}"#);
    }
}

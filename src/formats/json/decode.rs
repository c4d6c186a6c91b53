//! JSON payloads to columns: the fields' order of the last message is what the next one is tried against first.

use super::read::{Set, check, find, read};
use super::scan::{Scan, Scanned};
use crate::formats::{Decoded, Decoder};
use crate::types::{Builder, Column, SqlType};

/// A decoder of objects whose fields are the columns.
pub struct ObjectDecoder {
    columns: Vec<Column>,
    /// The place among the built columns, for those that are needed.
    built: Vec<Option<usize>>,
    /// What the fields were called in the last message, in their order.
    template: Vec<Field>,
    found: Set,
    /// About how many bytes of strings a row has had in each built column.
    text_bytes: Vec<usize>,
}

/// A field as it was seen: `"name":` and what it means.
struct Field {
    text: Vec<u8>,
    meaning: Option<(usize, bool)>,
}

impl ObjectDecoder {
    /// A decoder of these columns, which builds the needed ones.
    pub fn new(columns: &[Column], needed: &[bool]) -> Self {
        let mut next = 0..;
        let built: Vec<Option<usize>> = needed.iter().map(|needed| if *needed { next.next() } else { None }).collect();
        ObjectDecoder {
            columns: columns.to_vec(),
            text_bytes: vec![0; built.iter().flatten().count()],
            built,
            template: Vec::new(),
            found: Set::new(columns.len()),
        }
    }

    fn row(&mut self, payload: &[u8], row: usize, builders: &mut [Builder]) -> Scanned<()> {
        let mut scan = text_of(payload)?;
        scan.expect(b'{')?;
        self.found.clear();
        if scan.take(b'}') {
            return Ok(());
        }
        for position in 0.. {
            let meaning = self.field(&mut scan, position)?;
            match meaning {
                Some((place, exact)) if self.found.take(place, exact) => {
                    let sql_type = &self.columns[place].sql_type;
                    let start = scan.at();
                    let read = match self.built[place] {
                        Some(built) => {
                            builders[built].truncate_to(row);
                            read(&mut scan, sql_type, &mut builders[built])
                        }
                        None => check(&mut scan, sql_type),
                    };
                    if let Err(reason) = read {
                        self.passed_over(&mut scan, start, (place, exact))
                            .ok_or_else(|| format!("{reason}, path: $.{}", self.columns[place].name))?;
                        self.built[place].into_iter().for_each(|built| builders[built].truncate(row));
                    }
                }
                _ => scan.skip()?,
            }
            if !scan.take(b',') {
                break;
            }
        }
        scan.expect(b'}')
    }

    /// Steps over a value that cannot be read, if a later field of the object takes its place.
    #[cold]
    fn passed_over(&self, scan: &mut Scan, start: usize, (place, exact): (usize, bool)) -> Option<()> {
        let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        scan.back_to(start);
        scan.skip().ok()?;
        let behind = scan.at();
        let mut replaced = false;
        while scan.take(b',') {
            let name = scan.string().ok()?.text();
            scan.expect(b':').ok()?;
            replaced |= find(&names, &name).is_some_and(|(p, e)| p == place && e >= exact);
            scan.skip().ok()?;
        }
        scan.back_to(behind);
        replaced.then_some(())
    }

    /// Steps over the next field's name and colon; what it means.
    #[inline]
    fn field(&mut self, scan: &mut Scan, position: usize) -> Scanned<Option<(usize, bool)>> {
        scan.peek();
        if let Some(field) = self.template.get(position)
            && scan.take_exactly(&field.text)
        {
            return Ok(field.meaning);
        }
        self.unexpected_field(scan, position)
    }

    #[cold]
    fn unexpected_field(&mut self, scan: &mut Scan, position: usize) -> Scanned<Option<(usize, bool)>> {
        let start = scan.at();
        let name = scan.string()?.text();
        scan.expect(b':')?;
        let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        let meaning = find(&names, &name);
        let field = Field { text: scan.since(start).to_vec(), meaning };
        match self.template.get_mut(position) {
            Some(old) => *old = field,
            None if position < MOST_FIELDS => self.template.push(field),
            None => {}
        }
        Ok(meaning)
    }
}

/// How many fields of a message are remembered.
const MOST_FIELDS: usize = 256;

impl Decoder for ObjectDecoder {
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded {
        let needed = self.columns.iter().zip(&self.built).filter(|(_, built)| built.is_some());
        let mut builders: Vec<Builder> = needed.map(|(c, _)| Builder::new(&c.sql_type, payloads.len())).collect();
        builders.iter_mut().zip(&self.text_bytes).for_each(|(b, bytes)| b.reserve_text(bytes * payloads.len()));
        let mut failed = Vec::new();
        for (row, payload) in payloads.iter().enumerate() {
            if let Some(payload) = payload
                && let Err(reason) = self.row(payload, row, &mut builders)
            {
                failed.push((row as u32, reason.into()));
                builders.iter_mut().for_each(|b| b.truncate(row));
            }
            builders.iter_mut().filter(|b| b.len() == row).for_each(Builder::null);
        }
        let rows = payloads.len().max(1);
        self.text_bytes.iter_mut().zip(&builders).for_each(|(bytes, b)| *bytes = b.text_bytes().div_ceil(rows));
        Decoded { columns: builders.into_iter().map(Builder::finish).collect(), failed }
    }
}

/// A decoder of one bare value.
pub struct BareDecoder {
    sql_type: Option<SqlType>,
    needed: bool,
}

impl BareDecoder {
    /// A decoder of at most one column.
    pub fn new(columns: &[Column], needed: &[bool]) -> Self {
        BareDecoder {
            sql_type: columns.first().map(|c| c.sql_type.clone()),
            needed: needed.first().copied().unwrap_or(false),
        }
    }
}

impl Decoder for BareDecoder {
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded {
        let Some(sql_type) = &self.sql_type else { return Decoded { columns: Vec::new(), failed: Vec::new() } };
        let mut builder = Builder::new(sql_type, payloads.len());
        let mut failed = Vec::new();
        for (row, payload) in payloads.iter().enumerate() {
            let result = match payload {
                // A payload without a value is the empty string where a string is expected, and nothing else.
                Some(blank) if *sql_type == SqlType::String && blank.trim_ascii().is_empty() => {
                    builder.push(&crate::types::Value::String(String::new()));
                    continue;
                }
                Some(payload) => text_of(payload).and_then(|mut scan| read(&mut scan, sql_type, &mut builder)),
                None => Ok(()),
            };
            if let Err(reason) = result {
                failed.push((row as u32, reason.into()));
                builder.truncate(row);
            }
            if builder.len() == row {
                builder.null();
            }
        }
        let columns = if self.needed { vec![builder.finish()] } else { Vec::new() };
        Decoded { columns, failed }
    }
}

/// A scan of a payload, if that is text.
fn text_of(payload: &[u8]) -> Scanned<Scan<'_>> {
    match simdutf8::basic::from_utf8(payload) {
        Ok(_) => Ok(Scan::new(payload)),
        Err(_) => Err("the payload is not UTF-8".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Value;

    fn decode(columns: &[(&str, SqlType)], payloads: &[&str]) -> Vec<String> {
        let columns: Vec<Column> = columns.iter().map(|(n, t)| Column::value(*n, t.clone())).collect();
        let mut decoder = ObjectDecoder::new(&columns, &vec![true; columns.len()]);
        let payloads: Vec<Option<&[u8]>> = payloads.iter().map(|p| Some(p.as_bytes())).collect();
        let decoded = decoder.decode(&payloads);
        (0..payloads.len())
            .map(|row| match decoded.failed.iter().find(|(r, _)| *r as usize == row) {
                Some((_, reason)) => reason.clone(),
                None => {
                    let values = columns.iter().zip(&decoded.columns);
                    values.map(|(c, a)| Value::at(a, row, &c.sql_type).to_text()).collect::<Vec<_>>().join(" ")
                }
            })
            .collect()
    }

    #[test]
    fn a_bad_row_is_set_aside_and_the_others_stay() {
        let columns = [("A", SqlType::Integer), ("B", SqlType::array(SqlType::String)), ("c", SqlType::Boolean)];
        let rows = decode(
            &columns,
            &[
                r#"{"a":1,"b":["x",null,2],"c":true,"d":{"e":[]}}"#,
                r#"{"a":2,"b":["y","#,
                r#"{"b":["z"],"a":"3"}"#,
                r#"{"a":true}"#,
                r#"{"a":1,"A":2,"a":3,"C":false}"#,
                r#"[]"#,
                r#" {} tail"#,
                "{\"a\":4,\"b\":[]}",
            ],
        );
        assert_eq!(rows[0], "1 [x, null, 2] true");
        assert!(rows[1].contains("expected"), "{}", rows[1]);
        assert_eq!(rows[2], "3 [z] null");
        assert_eq!(rows[3], "Can't convert type. sourceType: BooleanNode, requiredType: INTEGER, path: $.A");
        assert_eq!(rows[4], "2 null null");
        assert!(rows[5].contains("'{' expected"));
        assert_eq!(rows[6], "null null null");
        assert_eq!(rows[7], "4 [] null");
    }

    #[test]
    fn values_are_converted_as_ksqldb_converts_them() {
        let one =
            |sql_type: SqlType, json: &str| decode(&[("V", sql_type)], &[&format!(r#"{{"V":{json}}}"#)]).remove(0);
        assert_eq!(one(SqlType::Integer, "1.9"), "1");
        assert_eq!(one(SqlType::Integer, "4294967297"), "1");
        assert_eq!(one(SqlType::Bigint, "1e3"), "1000");
        assert_eq!(one(SqlType::Double, r#"" 1.5 ""#), "1.5");
        assert_eq!(one(SqlType::Double, "-0.0"), "0.0");
        assert_eq!(one(SqlType::decimal(4, 2), "1.5"), "1.50");
        assert!(one(SqlType::decimal(4, 2), "1.555").contains("without rounding"));
        assert_eq!(one(SqlType::String, r#"{"b":[1E5,"x"],"a":null}"#), r#"{"b":[1E+5,"x"],"a":null}"#);
        assert_eq!(one(SqlType::String, r#"[1,"x",[null]]"#), "[1, x, [null]]");
        assert_eq!(one(SqlType::map(SqlType::String, SqlType::Integer), r#"{"k":1,"k":2}"#), "{k=2}");
        assert_eq!(one(SqlType::structure([("A", SqlType::Integer)]), r#"{"a":1,"A":2,"x":3}"#), "Struct{A=2}");
        assert!(one(SqlType::Bytes, r#""AQ""#).contains("base64"));
        assert!(one(SqlType::Time, "86400001").contains("time of day"));
    }
}

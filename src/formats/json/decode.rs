//! JSON payloads to columns.

use super::fields::Fields;
use super::read::Reader;
use super::scan::Scan;
use crate::formats::{Decoded, Decoder, Rows};
use crate::types::{Builder, Column, SqlType};

/// A decoder of objects whose fields are the columns.
pub(super) struct ObjectDecoder {
    /// The types of the columns that are built.
    built: Vec<SqlType>,
    fields: Fields,
    /// About how many bytes of strings a row has had in each built column.
    text_bytes: Vec<usize>,
}

impl ObjectDecoder {
    /// A decoder of these columns, which builds the needed ones.
    pub(super) fn new(columns: &[Column], needed: &[bool]) -> Self {
        let all = || columns.iter().zip(needed);
        let built: Vec<SqlType> = all().filter(|(_, needed)| **needed).map(|(c, _)| c.sql_type.clone()).collect();
        ObjectDecoder {
            text_bytes: vec![0; built.len()],
            built,
            fields: Fields::of_record(all().map(|(c, needed)| (c.name.as_str(), &c.sql_type, *needed))),
        }
    }
}

impl Decoder for ObjectDecoder {
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded {
        let mut builders: Vec<Builder> = self.built.iter().map(|t| Builder::new(t, payloads.len())).collect();
        let most = payloads.iter().flatten().map(|payload| payload.len()).sum();
        let room = |row_bytes: usize| text_room(row_bytes, payloads.len(), most);
        builders.iter_mut().zip(&self.text_bytes).for_each(|(b, bytes)| b.reserve_text(room(*bytes)));
        let mut rows = Rows::default();
        for payload in payloads {
            rows.next(*payload, &mut builders, |payload, row, builders| {
                self.fields.read(&mut Scan::of_bytes(payload)?, row, builders)
            });
        }
        let count = payloads.len().max(1);
        self.text_bytes.iter_mut().zip(&builders).for_each(|(bytes, b)| *bytes = b.text_bytes().div_ceil(count));
        Decoded { columns: builders.into_iter().map(Builder::finish).collect(), failed: rows.failed }
    }
}

/// The bytes to reserve for the texts of a column that had `row_bytes` in each row of the last batch. It is never more than the
/// payloads have, so that few large records do not reserve as much for many small ones.
fn text_room(row_bytes: usize, rows: usize, payload_bytes: usize) -> usize {
    row_bytes.saturating_mul(rows).min(payload_bytes)
}

/// A decoder of one bare value.
pub(super) struct BareDecoder {
    /// The type of the value and its reader; nothing if there is no column.
    value: Option<(SqlType, Reader)>,
    needed: bool,
}

impl BareDecoder {
    /// A decoder of at most one column.
    pub(super) fn new(columns: &[Column], needed: &[bool]) -> Self {
        BareDecoder {
            value: columns.first().map(|c| (c.sql_type.clone(), Reader::new(&c.sql_type))),
            needed: needed.first().copied().unwrap_or(false),
        }
    }
}

impl Decoder for BareDecoder {
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded {
        let Some((sql_type, reader)) = &mut self.value else { return Decoded::nothing() };
        let mut builders = [Builder::new(sql_type, payloads.len())];
        let mut rows = Rows::default();
        for payload in payloads {
            rows.next(*payload, &mut builders, |payload, _, [builder]| {
                // A payload without a value is the empty string where a string is expected, and nothing else.
                if *sql_type == SqlType::String && payload.trim_ascii().is_empty() {
                    builder.push(&crate::types::Value::String(String::new()));
                    return Ok(());
                }
                reader.read(&mut Scan::of_bytes(payload)?, builder)
            });
        }
        let [builder] = builders;
        Decoded { columns: if self.needed { vec![builder.finish()] } else { Vec::new() }, failed: rows.failed }
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
        assert_eq!(one(SqlType::Integer, "-2147483648.9"), "-2147483648");
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

    /// The reason for which each of these is refused, built and only checked.
    fn refused(sql_type: &SqlType, json: &str) -> String {
        let columns = [Column::value("V", sql_type.clone())];
        let payload = format!(r#"{{"V":{json}}}"#);
        let decode = |needed| ObjectDecoder::new(&columns, &[needed]).decode(&[Some(payload.as_bytes())]).failed;
        let (built, checked) = (decode(true), decode(false));
        assert_eq!(built, checked, "{sql_type} {json}");
        built.into_iter().next().map_or_else(|| panic!("{sql_type} {json} is read"), |(_, reason)| reason)
    }

    #[test]
    fn numbers_out_of_the_range_of_their_column_are_undecodable_and_never_wrap() {
        let long = "9".repeat(77);
        for sql_type in [SqlType::Integer, SqlType::Date, SqlType::Bigint, SqlType::Timestamp, SqlType::Time] {
            for json in
                ["9223372036854775808", "-9223372036854775809", "1e30", "-1E+400", "18446744073709551617", &long]
            {
                let reason = refused(&sql_type, json);
                assert!(reason.contains("out of the range of") && reason.ends_with("path: $.V"), "{reason}");
                let in_list = refused(&SqlType::array(sql_type.clone()), &format!("[1,{json}]"));
                assert!(in_list.contains("out of the range of"), "{in_list}");
                let in_map = refused(&SqlType::map(SqlType::String, sql_type.clone()), &format!(r#"{{"k":{json}}}"#));
                assert!(in_map.contains("out of the range of"), "{in_map}");
                let structure = SqlType::structure([("A", sql_type.clone())]);
                let in_struct = refused(&structure, &format!(r#"{{"a":{json}}}"#));
                assert!(in_struct.contains("out of the range of"), "{in_struct}");
                refused(&sql_type, &format!("\"{json}\""));
            }
        }
        for json in ["3000000000", "2147483648", "-2147483649", "\"3000000000\"", "214748364799e-1"] {
            refused(&SqlType::Integer, json);
            refused(&SqlType::Date, json);
        }
        assert_eq!(refused(&SqlType::Integer, "3000000000"), "3000000000 is out of the range of INTEGER, path: $.V");
        assert!(refused(&SqlType::decimal(76, 0), &long).contains("more digits than a DECIMAL can hold"));
    }

    #[test]
    fn of_values_of_one_field_the_last_counts_even_if_earlier_ones_cannot_be_read() {
        let columns = [
            ("A", SqlType::Integer),
            ("M", SqlType::map(SqlType::String, SqlType::Integer)),
            ("S", SqlType::structure([("X", SqlType::Integer), ("Y", SqlType::array(SqlType::Integer))])),
        ];
        let rows = decode(
            &columns,
            &[
                r#"{"a":"x","a":true,"a":7}"#,
                r#"{"a":7,"a":"x"}"#,
                r#"{"A":7,"a":"x"}"#,
                r#"{"m":{"k":"x","l":1,"k":2}}"#,
                r#"{"m":{"k":2,"l":1,"k":"x"}}"#,
                r#"{"s":{"x":"x","y":[1,true],"Y":[2],"x":3}}"#,
                r#"{"s":{"x":"x"},"s":{"x":5}}"#,
                r#"{"a":"x","a":tru,"a":7}"#,
            ],
        );
        assert_eq!(rows[0], "7 null null");
        assert!(rows[1].contains("text: 'x', path: $.A"), "{}", rows[1]);
        assert_eq!(rows[2], "7 null null");
        assert_eq!(rows[3], "null {l=1, k=2} null");
        assert!(rows[4].ends_with("path: $.M"), "{}", rows[4]);
        assert_eq!(rows[5], "null null Struct{X=3,Y=[2]}");
        assert_eq!(rows[6], "null null Struct{X=5}");
        assert!(rows[7].ends_with("path: $.A"), "{}", rows[7]);
    }

    #[test]
    fn a_name_means_both_the_field_of_its_own_and_that_of_its_upper_case() {
        let columns = [("x", SqlType::Integer), ("X", SqlType::Integer)];
        let rows = decode(&columns, &[r#"{"x":1}"#, r#"{"X":2}"#, r#"{"x":1,"X":2}"#, r#"{"X":2,"x":1}"#]);
        assert_eq!(rows, ["1 1", "null 2", "1 2", "1 2"]);
    }

    /// How long a text takes to decode, once it was decoded before.
    fn time_of(columns: &[(&str, SqlType)], json: &str) -> std::time::Duration {
        let start = std::time::Instant::now();
        decode(columns, &[json]);
        start.elapsed()
    }

    #[test]
    fn what_stands_in_a_record_many_times_costs_linear_time() {
        let map = SqlType::map(SqlType::String, SqlType::map(SqlType::String, SqlType::Integer));
        let columns = [("A", SqlType::Integer), ("M", map), ("V", SqlType::String)];
        let text = |count: usize, piece: &dyn Fn(usize) -> String, (open, close): (&str, &str)| {
            let pieces: Vec<String> = (0..count).map(piece).collect();
            format!("{open}{}{close}", pieces.join(","))
        };
        let object = ("{", "}");
        let kinds: [(&str, &dyn Fn(usize) -> String, (&str, &str)); 7] = [
            ("a field that fails", &|_| r#""a":"x""#.into(), object),
            ("fields that are not declared", &|i| format!(r#""u{i}":1"#), object),
            ("a field that comes again", &|i| format!(r#""a":{i}"#), object),
            ("keys of a map", &|i| format!(r#""k{i}":null"#), (r#"{"m":{"#, "}}")),
            ("keys of a map that come twice", &|i| format!(r#""k{}":null"#, i / 2), (r#"{"m":{"#, "}}")),
            ("values of a map that fail", &|i| format!(r#""k{}":1"#, i / 2), (r#"{"m":{"#, "}}")),
            ("names in a text", &|i| format!(r#""k{}":1"#, i / 2), (r#"{"v":{"#, "}}")),
        ];
        for (kind, piece, around) in kinds {
            let (small, large) = (text(2_000, piece, around), text(64_000, piece, around));
            let small = (0..3).map(|_| time_of(&columns, &small)).min().unwrap_or_default();
            let large = time_of(&columns, &large);
            assert!(large < small * 32 * 8, "{kind}: {small:?} for 2,000, {large:?} for 64,000");
        }
    }

    #[test]
    fn values_of_any_depth_are_read_or_stepped_over() {
        let depth = 200_000;
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        let columns = [("V", SqlType::String), ("M", SqlType::map(SqlType::String, SqlType::Integer))];
        for deep in [&deep, &objects] {
            assert_eq!(decode(&columns, &[&format!(r#"{{"v":{deep},"u":{deep}}}"#)])[0], format!("{deep} null"));
            assert!(decode(&columns, &[&format!(r#"{{"m":{{"k":{deep}}}}}"#)])[0].contains("Can't convert type"));
        }
        let endless = format!(r#"{{"v":{}"#, "[".repeat(depth));
        assert!(decode(&columns, &[&endless])[0].contains("a value expected"));
    }

    #[test]
    fn a_large_record_does_not_reserve_as_much_for_each_small_one() {
        assert_eq!(text_room(4 << 20, 8192, 100_000), 100_000);
        assert_eq!(text_room(2, 8192, 100_000), 16_384);
    }

    /// They take a moment; if a row cost more the more rows are before it, they would take many minutes.
    #[test]
    fn maps_of_many_rows_with_a_duplicate_each_cost_linear_time() {
        let columns = [("M", SqlType::map(SqlType::String, SqlType::Integer))];
        let payloads = vec![r#"{"m":{"a":1,"b":2,"a":3}}"#; 200_000];
        assert!(decode(&columns, &payloads).iter().all(|row| row == "{a=3, b=2}"));
    }
}

//! The kept statements as one script, which makes the same things in another engine.
//!
//! They come in the order in which they were executed. Properties that a statement was executed with are set before it
//! and taken back when one is executed without them. Statements of which nothing is left are not among them, so the
//! queries get other numbers elsewhere: where a statement names a query by its number, it gets the new one.

use std::collections::BTreeMap;

use crate::engine::Record;
use crate::sql::words::{Ident, string_literal};

/// The script; empty if there are no statements.
pub fn export(records: &[Record]) -> String {
    let mut out = String::new();
    let mut set: BTreeMap<&str, &str> = BTreeMap::new();
    let started = records.iter().filter_map(|record| record.ids.query);
    let numbers: BTreeMap<String, usize> = started.enumerate().map(|(new, old)| (old.to_string(), new)).collect();
    for record in records {
        let wanted: BTreeMap<&str, &str> = record.properties.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        for name in set.keys().filter(|name| !wanted.contains_key(*name)) {
            out.push_str(&format!("UNSET {};\n", string_literal(name)));
        }
        for (name, value) in wanted.iter().filter(|(name, value)| set.get(*name) != Some(value)) {
            out.push_str(&format!("SET {}={};\n", string_literal(name), string_literal(value)));
        }
        set = wanted;
        let text = renumbered(record.text.trim(), &numbers);
        out.push_str(&text);
        out.push_str(if text.ends_with(';') { "\n" } else { ";\n" });
    }
    out
}

/// A statement that names a query by its number, with the new one; any other as it is.
fn renumbered(text: &str, numbers: &BTreeMap<String, usize>) -> String {
    let words: Vec<&str> = text.trim_end_matches(';').split_whitespace().collect();
    let names_query =
        |verb: &str| ["PAUSE", "RESUME", "TERMINATE"].iter().any(|known| known.eq_ignore_ascii_case(verb));
    if let [verb, id] = words.as_slice()
        && names_query(verb)
        && let Some((prefix, number)) = id.trim_matches('`').rsplit_once('_')
        && let Some(new) = numbers.get(number)
    {
        let prefix = if id.starts_with('`') { prefix.to_owned() } else { prefix.to_uppercase() };
        return format!("{verb} {};", Ident::new(format!("{prefix}_{new}")));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_set_where_they_change() {
        let record = |text: &str, properties: &[(&str, &str)]| Record {
            text: text.to_owned(),
            properties: properties.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            ..Record::default()
        };
        let records = [
            record("CREATE TYPE a AS INT;", &[("x", "1")]),
            record("CREATE TYPE b AS INT;", &[("x", "1"), ("y", "it's")]),
            record("CREATE TYPE c AS INT", &[]),
        ];
        assert_eq!(
            export(&records),
            "SET 'x'='1';\nCREATE TYPE a AS INT;\nSET 'y'='it''s';\nCREATE TYPE b AS INT;\nUNSET 'x';\nUNSET 'y';\n\
             CREATE TYPE c AS INT;\n"
        );
    }

    #[test]
    fn queries_are_named_by_the_numbers_that_they_will_have() {
        let numbers = [("3".to_owned(), 0), ("7".to_owned(), 1)].into();
        assert_eq!(renumbered("PAUSE CTAS_T_7;", &numbers), "PAUSE CTAS_T_1;");
        assert_eq!(renumbered("terminate insertquery_3 ;", &numbers), "terminate INSERTQUERY_0;");
        assert_eq!(renumbered("PAUSE my_query;", &numbers), "PAUSE my_query;");
        assert_eq!(renumbered("PAUSE ALL;", &numbers), "PAUSE ALL;");
        assert_eq!(
            renumbered("CREATE STREAM a_7 AS SELECT * FROM s;", &numbers),
            "CREATE STREAM a_7 AS SELECT * FROM s;"
        );
    }
}

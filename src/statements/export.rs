//! The kept statements as one script, which makes the same things in another engine.
//!
//! They come in the order in which they were executed. Properties that a statement was executed with are set before it
//! and taken back when one is executed without them.

use std::collections::BTreeMap;

use crate::engine::Record;
use crate::sql::words::string_literal;

/// The script; empty if there are no statements.
pub fn export(records: &[Record]) -> String {
    let mut out = String::new();
    let mut set: BTreeMap<&str, &str> = BTreeMap::new();
    for record in records {
        let wanted: BTreeMap<&str, &str> = record.properties.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        for name in set.keys().filter(|name| !wanted.contains_key(*name)) {
            out.push_str(&format!("UNSET {};\n", string_literal(name)));
        }
        for (name, value) in wanted.iter().filter(|(name, value)| set.get(*name) != Some(value)) {
            out.push_str(&format!("SET {}={};\n", string_literal(name), string_literal(value)));
        }
        set = wanted;
        let text = record.text.trim();
        out.push_str(text);
        out.push_str(if text.ends_with(';') { "\n" } else { ";\n" });
    }
    out
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
}

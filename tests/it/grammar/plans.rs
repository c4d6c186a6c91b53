//! Plans, by example: what EXPLAIN says of queries, where they write, and which of them are refused.

use tidemill::catalog::{Catalog, Source};
use tidemill::config::Properties;
use tidemill::statements::Session;

use super::{bench, cases, refusals};

/// Where a query writes: the topic, the formats, and what else decides how records look.
fn sink(source: &Source, catalog: &Catalog) -> String {
    let Source { name, topic, key, value, .. } = source;
    let partitions = catalog.topic(topic).map_or(0, |t| t.partitions);
    let (key, value) = (key.format.name(), value.format.name());
    let columns: Vec<String> = source.schema.columns().iter().map(ToString::to_string).collect();
    let window = source.window.map_or_else(String::new, |window| format!(", windows {window}"));
    let time = source.timestamp.as_ref().map_or_else(String::new, |t| format!(", time {}", t.column));
    format!(
        "writes {} {name} ({})\n  topic '{topic}' of {partitions} partitions, key {key}, value {value}{window}{time}",
        source.kind.name(),
        columns.join(", ")
    )
}

/// What the statements of a case show and where their queries write, or their refusals.
fn outcome(text: &str) -> String {
    let engine = bench::engine("8192");
    let mut session = Session::new(&engine, Properties::default());
    match bench::execute(&mut session, text) {
        Ok(mut shown) => {
            let catalog = engine.catalog();
            for query in catalog.queries() {
                let source = catalog.source(&query.sink).expect("the sink of a query");
                shown.push(format!("{} {}", query.id, sink(source, &catalog)));
            }
            shown.join("\n")
        }
        Err(errors) => refusals(&errors),
    }
}

#[test]
fn plans_are_explained_and_bad_queries_are_refused() {
    cases::check("plans", &outcome);
}

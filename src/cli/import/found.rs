//! What a ksqlDB has, as the statements that made it, in the order in which they can be executed.
//!
//! Types come first; their parts are written out, so their order does not matter. Then the streams and tables that were
//! declared over topics, then queries: each after those that make what it reads and writes, and else in the order of
//! their numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::cli::failure::Failure;
use crate::cli::made::{Made, made};
use crate::cli::remote::Remote;
use crate::config::OFFSET_RESET;
use crate::error::Error;
use crate::sql::lexer::lex;
use crate::sql::words::quote_if_needed;
use crate::statements::Session;

/// What is asked of the server.
const QUESTIONS: &str = "LIST TYPES; DESCRIBE STREAMS; DESCRIBE TABLES; LIST QUERIES EXTENDED; LIST PROPERTIES;";

/// A statement of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub text: String,
    /// The properties that it was executed with.
    pub properties: Vec<(String, String)>,
    /// The topic of a declared stream or table, and how many partitions it has.
    pub topic: Option<(String, u64)>,
    /// Why it cannot be taken over, if that is known already.
    pub refused: Option<String>,
    /// Whether it is a query that is paused.
    pub is_paused: bool,
}

/// A query of the server.
struct Query {
    found: Found,
    /// The place among all queries.
    number: u64,
    reads: Vec<String>,
    writes: Vec<String>,
    /// Whether what it writes must be there before it.
    is_insert: bool,
}

/// The statements that made what the server has.
///
/// # Errors
/// The server does not answer, or with something that is none of its answers.
pub(super) fn statements(remote: &Remote, session: &Session) -> Result<Vec<Found>, Failure> {
    Ok(of(&remote.ask(session, QUESTIONS)?)?)
}

/// The same of the entities that the server has answered.
fn of(entities: &[Json]) -> Result<Vec<Found>, Error> {
    let queries = queries(entities)?;
    let written: BTreeSet<&String> = queries.iter().filter(|q| !q.is_insert).flat_map(|q| &q.writes).collect();
    let mut present = BTreeSet::new();
    let mut all = types(entities)?;
    // What a query writes comes with it.
    let is_declared = |description: &&Json| text(description, "name").map_or(true, |name| !written.contains(&name));
    let mut declared: Vec<&Json> = all_of(entities, "sourceDescriptions").filter(is_declared).collect();
    // Of several over one topic, the one that made the topic comes first.
    declared.sort_by_key(|description| !description["statement"].as_str().is_some_and(|text| says(text, "PARTITIONS")));
    for description in declared {
        present.insert(text(description, "name")?);
        all.push(source(description)?);
    }
    all.extend(ordered(queries, present));
    Ok(all)
}

/// A stream or table that no query writes.
fn source(description: &Json) -> Result<Found, Error> {
    let statement = text(description, "statement")?;
    let is_query = matches!(made(&statement)?, Made::Source { is_query: true, .. });
    let reason = "its query was ended on the server; declare it over its topic".to_owned();
    let partitions = description["partitions"].as_u64().unwrap_or(1);
    Ok(Found {
        text: statement,
        topic: Some((text(description, "topic")?, partitions)),
        refused: is_query.then_some(reason),
        ..Found::default()
    })
}

/// Whether a word stands in a statement, outside of texts and comments.
fn says(statement: &str, word: &str) -> bool {
    lex(statement).lexemes.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case(word))
}

/// The queries, each after what it needs.
fn ordered(mut queries: Vec<Query>, mut present: BTreeSet<String>) -> Vec<Found> {
    queries.sort_by_key(|query| query.number);
    let mut ordered = Vec::new();
    while !queries.is_empty() {
        let is_ready = |query: &Query| {
            let needs = query.reads.iter().chain(query.writes.iter().filter(|_| query.is_insert));
            needs.into_iter().all(|name| present.contains(name))
        };
        // If none is ready, the server has told too little; the dry run says what is missing.
        let next = queries.remove(queries.iter().position(is_ready).unwrap_or_default());
        present.extend(next.writes);
        ordered.push(next.found);
    }
    ordered
}

/// The queries that write something.
fn queries(entities: &[Json]) -> Result<Vec<Query>, Error> {
    let mut queries = Vec::new();
    let reset = reset(entities);
    for description in all_of(entities, "queryDescriptions") {
        let id = text(description, "id")?;
        let writes = names(&description["sinks"]);
        // The query of a CREATE SOURCE TABLE writes nothing, and neither do queries that show rows.
        if writes.is_empty() || id.starts_with("CST_") || description["queryType"].as_str() != Some("PERSISTENT") {
            continue;
        }
        let statement = text(description, "statementText")?;
        let number = id.rsplit_once('_').and_then(|(_, number)| number.parse().ok()).unwrap_or(u64::MAX);
        let overridden = description["overriddenProperties"].as_object().into_iter().flatten();
        let mut properties: BTreeMap<String, String> = overridden.map(|(name, v)| (name.clone(), plain(v))).collect();
        properties.entry(OFFSET_RESET.to_owned()).or_insert_with(|| reset.clone());
        queries.push(Query {
            number,
            reads: names(&description["sources"]),
            writes,
            is_insert: matches!(made(&statement)?, Made::Insert(_)),
            found: Found {
                text: statement,
                properties: properties.into_iter().collect(),
                is_paused: is_paused(description),
                ..Found::default()
            },
        });
    }
    Ok(queries)
}

/// Whether a query is paused on a host; its `state` does not tell.
fn is_paused(description: &Json) -> bool {
    let hosts = description["ksqlHostQueryStatus"].as_object();
    hosts.is_some_and(|hosts| hosts.values().any(|status| status == "PAUSED"))
}

/// Where queries start to read of which nothing else is said; a server that was told nothing does not list it.
fn reset(entities: &[Json]) -> String {
    let is_reset = |name: &str| name.strip_prefix("ksql.streams.").unwrap_or(name) == OFFSET_RESET;
    let mut properties = all_of(entities, "properties");
    let found = properties.find(|property| property["name"].as_str().is_some_and(is_reset));
    found.map(|property| plain(&property["value"])).unwrap_or_else(|| "latest".to_owned())
}

/// A value of a property as a text.
fn plain(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// The custom types.
fn types(entities: &[Json]) -> Result<Vec<Found>, Error> {
    let types = entities.iter().filter_map(|entity| entity["types"].as_object()).flatten();
    let statement = |(name, info): (&String, &Json)| {
        let text = format!("CREATE TYPE {} AS {};", quote_if_needed(name), type_text(info)?);
        Ok(Found { text, ..Found::default() })
    };
    let mut all: Vec<Found> = types.map(statement).collect::<Result<_, Error>>()?;
    all.sort_by(|a, b| a.text.cmp(&b.text));
    Ok(all)
}

/// A type as statements write it.
fn type_text(info: &Json) -> Result<String, Error> {
    let base = text(info, "type")?;
    Ok(match base.as_str() {
        "ARRAY" => format!("ARRAY<{}>", type_text(&info["memberSchema"])?),
        "MAP" => format!("MAP<STRING, {}>", type_text(&info["memberSchema"])?),
        "DECIMAL" => format!("DECIMAL({}, {})", info["parameters"]["precision"], info["parameters"]["scale"]),
        "STRUCT" => {
            let field = |field: &Json| {
                Ok(format!("{} {}", quote_if_needed(&text(field, "name")?), type_text(&field["schema"])?))
            };
            let fields = info["fields"].as_array().into_iter().flatten().map(field);
            format!("STRUCT<{}>", fields.collect::<Result<Vec<_>, Error>>()?.join(", "))
        }
        _ => base,
    })
}

fn text(json: &Json, field: &str) -> Result<String, Error> {
    let missing = || Error::backend(format!("an answer of the server lacks '{field}'; is it one of ksqlDB?"));
    json[field].as_str().map(str::to_owned).ok_or_else(missing)
}

fn names(json: &Json) -> Vec<String> {
    json.as_array().into_iter().flatten().filter_map(|name| name.as_str()).map(str::to_owned).collect()
}

/// The elements of a field of all entities.
fn all_of<'a>(entities: &'a [Json], field: &'a str) -> impl Iterator<Item = &'a Json> {
    entities.iter().filter_map(move |entity| entity[field].as_array()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn queries_come_after_what_they_need_and_else_by_their_numbers() {
        let query = |id: &str, text: &str, reads: &str, writes: &str| {
            json!({ "id": id, "statementText": text, "sources": [reads], "sinks": [writes], "queryType": "PERSISTENT",
                "overriddenProperties": { "n": 1 }, "ksqlHostQueryStatus": { "a:1": "PAUSED" } })
        };
        let entities = [
            json!({ "types": { "t": { "type": "ARRAY", "memberSchema": { "type": "DECIMAL",
                "parameters": { "precision": 4, "scale": 2 } } } } }),
            json!({ "sourceDescriptions": [
                { "name": "L", "statement": "CREATE STREAM L WITH (KAFKA_TOPIC='s');", "topic": "s", "partitions": 3 },
                { "name": "S", "statement": "CREATE STREAM S (A INT) WITH (PARTITIONS=3);", "topic": "s", "partitions": 3 },
                { "name": "B", "statement": "CREATE STREAM B AS SELECT * FROM A;", "topic": "B", "partitions": 3 },
                { "name": "OLD", "statement": "CREATE STREAM OLD AS SELECT * FROM S;", "topic": "OLD", "partitions": 3 },
            ] }),
            json!({ "queryDescriptions": [
                query("INSERTQUERY_1", "INSERT INTO B SELECT * FROM S;", "S", "B"),
                query("CSAS_B_5", "CREATE STREAM B AS SELECT * FROM A;", "A", "B"),
                query("CSAS_A_9", "CREATE STREAM A AS SELECT * FROM S;", "S", "A"),
            ] }),
            json!({ "properties": [{ "name": "ksql.streams.auto.offset.reset", "value": "earliest" }] }),
        ];
        let all = of(&entities).expect("statements");
        let texts: Vec<&str> = all.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "CREATE TYPE `t` AS ARRAY<DECIMAL(4, 2)>;",
                "CREATE STREAM S (A INT) WITH (PARTITIONS=3);",
                "CREATE STREAM L WITH (KAFKA_TOPIC='s');",
                "CREATE STREAM OLD AS SELECT * FROM S;",
                "CREATE STREAM A AS SELECT * FROM S;",
                "CREATE STREAM B AS SELECT * FROM A;",
                "INSERT INTO B SELECT * FROM S;",
            ]
        );
        assert_eq!(all[1].topic, Some(("s".to_owned(), 3)));
        assert!(all[3].refused.as_deref().is_some_and(|reason| reason.contains("was ended")));
        assert!(all[4].is_paused && !all[1].is_paused);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(all[4].properties, [pair("auto.offset.reset", "earliest"), pair("n", "1")]);
    }
}

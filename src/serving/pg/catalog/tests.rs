//! Queries as psql and drivers send them, over a catalog of two relations.

use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;
use crate::engine::{Engine, Settings as EngineSettings, Store};
use crate::statements::{self, Session};

/// The rows of a query as text.
fn rows(text: &str) -> Vec<String> {
    let settings = EngineSettings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
    let engine = Engine::open(settings).expect("an engine");
    let made = "CREATE STREAM orders (id INT KEY, price DECIMAL(8, 2), tags ARRAY<STRING>, more MAP<STRING, INT>)
        WITH (KAFKA_TOPIC='o', PARTITIONS=1, VALUE_FORMAT='JSON');
        CREATE TABLE `Mixed` (k STRING PRIMARY KEY, v BIGINT)
        WITH (KAFKA_TOPIC='m', PARTITIONS=1, VALUE_FORMAT='JSON');";
    let mut session = Session::new(&engine, Default::default());
    for statement in statements::parse(made).expect("statements") {
        session.run(&statement).map(drop).expect("made");
    }
    let (settings, cancelled, catalog) = (Settings::default(), AtomicBool::new(false), engine.catalog());
    let cx = Cx { catalog: &catalog, settings: &settings, user: "ann", cancelled: &cancelled };
    let table = Query { text, parameters: &[], with_rows: true }.run(&cx).unwrap_or_else(|e| panic!("{text}\n{e:?}"));
    let shown = |(value, field): (&Value, &Field)| match value {
        Value::Null => "NULL".to_owned(),
        value => super::super::values::text_of(value, field.oid),
    };
    let row = |row: &Vec<Value>| row.iter().zip(&table.fields).map(shown).collect::<Vec<_>>().join("|");
    let head = table.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join("|");
    std::iter::once(head).chain(table.rows.iter().map(row)).collect()
}

#[test]
fn questions_without_a_table_are_answered() {
    assert_eq!(rows("SELECT 1"), ["?column?", "1"]);
    assert_eq!(rows("SELECT 1, 1, 'a' AS b, current_user"), ["?column?|?column?|b|current_user", "1|1|a|ann"]);
    assert_eq!(rows("select version()")[1], format!("PostgreSQL {}", super::super::settings::VERSION));
    assert_eq!(
        rows("SELECT pg_catalog.current_schema(), current_schemas(true)")[1],
        "public|[\"pg_catalog\",\"public\"]"
    );
    assert_eq!(rows("SELECT 'public'::regnamespace::oid, 1247::regclass"), ["oid|regclass", "2200|pg_type"]);
}

#[test]
fn psql_lists_and_describes_relations() {
    let listed = rows(
        "SELECT n.nspname as \"Schema\", c.relname as \"Name\",
          CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as \"Type\",
          pg_catalog.pg_get_userbyid(c.relowner) as \"Owner\"
        FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
        WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast'
          AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2;",
    );
    assert_eq!(listed, ["Schema|Name|Type|Owner", "public|Mixed|table|tidemill", "public|orders|table|tidemill"]);
    let found = rows(
        "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default
          AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;",
    );
    let oid = found[1].split('|').next().expect("an oid");
    let described = rows(&format!(
        "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
          (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d
           WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef),
          a.attnotnull,
          (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t
           WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation,
          a.attidentity, a.attgenerated
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = '{oid}' AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum;"
    ));
    assert_eq!(
        described[1..],
        [
            "id|integer|NULL|f|NULL||",
            "price|numeric(8,2)|NULL|f|NULL||",
            "tags|text[]|NULL|f|NULL||",
            "more|json|NULL|f|NULL||",
        ]
    );
}

#[test]
fn types_with_their_schema_and_items_of_columns_are_taken() {
    let types = "SELECT 0::pg_catalog.regtype::pg_catalog.text, '7'::pg_catalog.int4 + 1 AS eight";
    assert_eq!(rows(types), ["text|eight", "???|8"]);
    let statistics = "SELECT oid, (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ')
          FROM pg_catalog.unnest(stxkeys) s(attnum)
          JOIN pg_catalog.pg_attribute a ON (stxrelid = a.attrelid AND a.attnum = s.attnum)) AS columns
        FROM pg_catalog.pg_statistic_ext stat WHERE stxrelid = '1'";
    assert_eq!(rows(statistics), ["oid|columns"]);
    let options = "SELECT array_to_string(c.reloptions || array(
          SELECT 'toast.' || x FROM pg_catalog.unnest(tc.reloptions) x), ', ')
        FROM pg_class c LEFT JOIN pg_class tc ON (c.reltoastrelid = tc.oid) WHERE c.relname = 'orders'";
    assert_eq!(rows(options), ["array_to_string", "NULL"]);
    let policies = "SELECT pol.polname, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(
          array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END AS roles
        FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '1' ORDER BY 1";
    assert_eq!(rows(policies), ["polname|roles"]);
}

#[test]
fn drivers_find_tables_and_columns() {
    let columns = rows(
        "SELECT column_name, data_type, udt_name FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'orders' ORDER BY ordinal_position",
    );
    assert_eq!(columns[1..], ["id|integer|int4", "price|numeric|numeric", "tags|ARRAY|_text", "more|json|json"]);
    let by_name =
        rows("SELECT attname FROM pg_attribute WHERE attrelid = '\"Mixed\"'::regclass AND attnum = ANY('{2,3}')");
    assert_eq!(by_name, ["attname", "v"]);
    let gathered = rows(
        "SELECT relname,
          array_to_string(ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid), ',') AS all
        FROM pg_class c WHERE relname = 'Mixed'",
    );
    assert_eq!(gathered, ["relname|all", "Mixed|k,v"]);
}

#[test]
fn a_query_of_the_catalog_does_not_run_for_ever() {
    let catalog = Catalog::default();
    let (settings, cancelled) = (Settings::default(), AtomicBool::new(true));
    let cx = Cx { catalog: &catalog, settings: &settings, user: "ann", cancelled: &cancelled };
    let text = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";
    let refused = Query { text, parameters: &[], with_rows: true }.run(&cx).expect_err("cancelled");
    assert!(format!("{refused:?}").contains("cancelled"), "{refused:?}");
}

//! The tables of `information_schema`.

use super::cells::{Cell, Listed};
use super::relations::SCHEMAS;
use super::{Cx, functions};
use crate::catalog::Source;
use crate::serving::pg::settings::DATABASE;
use crate::serving::pg::types::{self, folded};
use crate::types::{Column, SqlType};

const COLUMNS: &str = "table_catalog:t table_schema:t table_name:t column_name:t ordinal_position:4 column_default:n \
    is_nullable:t data_type:t character_maximum_length:n character_octet_length:n numeric_precision:n \
    numeric_precision_radix:n numeric_scale:n datetime_precision:n interval_type:n character_set_name:n \
    collation_name:n domain_name:n udt_catalog:t udt_schema:t udt_name:t is_identity:t is_generated:t \
    generation_expression:n is_updatable:t";

/// Tables that are empty here, with their columns.
const EMPTY: &[(&str, &str)] = &[
    (
        "constraint_column_usage",
        "table_catalog:t table_schema:t table_name:t column_name:t constraint_catalog:t constraint_schema:t \
         constraint_name:t",
    ),
    (
        "key_column_usage",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t \
         column_name:t ordinal_position:4 position_in_unique_constraint:4",
    ),
    (
        "parameters",
        "specific_catalog:t specific_schema:t specific_name:t ordinal_position:4 parameter_mode:t data_type:t",
    ),
    (
        "referential_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t unique_constraint_catalog:t \
         unique_constraint_schema:t unique_constraint_name:t match_option:t update_rule:t delete_rule:t",
    ),
    (
        "routines",
        "specific_catalog:t specific_schema:t specific_name:t routine_catalog:t routine_schema:t routine_name:t \
         routine_type:t data_type:t",
    ),
    ("sequences", "sequence_catalog:t sequence_schema:t sequence_name:t data_type:t"),
    (
        "table_constraints",
        "constraint_catalog:t constraint_schema:t constraint_name:t table_catalog:t table_schema:t table_name:t \
         constraint_type:t is_deferrable:t initially_deferred:t enforced:t",
    ),
    ("table_privileges", "grantor:t grantee:t table_catalog:t table_schema:t table_name:t privilege_type:t"),
    ("triggers", "trigger_catalog:t trigger_schema:t trigger_name:t event_object_schema:t event_object_table:t"),
    ("views", "table_catalog:t table_schema:t table_name:t view_definition:t check_option:t is_updatable:t"),
];

/// All tables of the schema.
pub(super) fn tables(cx: &Cx) -> Vec<Listed> {
    let listed = |name, columns| Listed::new("information_schema", name, columns);
    let mut all = vec![
        listed("schemata", "catalog_name:t schema_name:t schema_owner:t default_character_set_name:n sql_path:n").rows(
            SCHEMAS.map(|(_, name)| {
                let owner = functions::OWNER_NAME.into();
                vec![("catalog_name", DATABASE.into()), ("schema_name", name.into()), ("schema_owner", owner)]
            }),
        ),
        listed("tables", "table_catalog:t table_schema:t table_name:t table_type:t is_insertable_into:t is_typed:t")
            .rows(cx.catalog.sources().map(|source| {
                let rest = [
                    ("table_type", "BASE TABLE".into()),
                    ("is_insertable_into", "NO".into()),
                    ("is_typed", "NO".into()),
                ];
                place(source).into_iter().chain(rest).collect()
            })),
        listed("columns", COLUMNS).rows(cx.catalog.sources().flat_map(|source| {
            let columns = source.schema.columns().iter().enumerate();
            columns
                .map(|(at, column)| place(source).into_iter().chain(described(at, column)).collect())
                .collect::<Vec<_>>()
        })),
    ];
    all.extend(EMPTY.iter().map(|(name, columns)| listed(name, columns)));
    all
}

/// Where a stream or table stands.
fn place(source: &Source) -> [(&'static str, Cell); 3] {
    [("table_catalog", DATABASE.into()), ("table_schema", "public".into()), ("table_name", folded(&source.name).into())]
}

fn described(at: usize, column: &Column) -> Vec<(&'static str, Cell)> {
    let oid = types::of(&column.sql_type);
    let (name, standard) = match (types::find(oid), types::item(oid)) {
        (Some(known), _) => (known.name.to_owned(), known.standard),
        (None, Some(item)) => (format!("_{}", item.name), "ARRAY"),
        (None, None) => (String::new(), ""),
    };
    let mut all: Vec<(&'static str, Cell)> = vec![
        ("column_name", folded(&column.name).into()),
        ("ordinal_position", (at as i64 + 1).into()),
        ("is_nullable", "YES".into()),
        ("data_type", standard.into()),
        ("udt_catalog", DATABASE.into()),
        ("udt_schema", "pg_catalog".into()),
        ("udt_name", name.into()),
        ("is_identity", "NO".into()),
        ("is_generated", "NEVER".into()),
        ("is_updatable", "NO".into()),
    ];
    if let SqlType::Decimal { precision, scale } = column.sql_type {
        all.push(("numeric_precision", precision.to_string().into()));
        all.push(("numeric_scale", scale.to_string().into()));
    }
    all
}

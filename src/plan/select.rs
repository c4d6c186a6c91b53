//! The projection: what SELECT's items are called, and which of them are the key.

use std::collections::BTreeSet;

use super::node::OutputColumn;
use super::scope::{QueryScope, Relation, RelationColumn};
use crate::catalog::PSEUDO_COLUMNS;
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind};
use crate::expr::{ColumnId, Expr, Kind};
use crate::sql::ast::{self, Node};
use crate::sql::query::SelectItem;
use crate::types::{Column, Role, SqlType, quoted};

/// An item of the projection, with its name.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    /// The alias, or the name that an item without one gets.
    pub name: String,
    /// The bound expression.
    pub expr: Expr,
}

impl Selected {
    /// The column, if the item is one and nothing else.
    pub(super) fn column(&self) -> Option<ColumnId> {
        if let Kind::Column(id) = self.expr.kind { Some(id) } else { None }
    }
}

/// Whether names that only transient queries can use are refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// The result has a topic: pseudo columns need an alias.
    Persistent,
    /// The result is shown.
    Transient,
}

/// The names that are taken, and the next number of `KSQL_COL_n`.
struct Names {
    /// All columns of all sources.
    sources: BTreeSet<String>,
    given: BTreeSet<String>,
    next: u32,
}

/// Binds and names all items; `names` looks up what an item's own columns mean.
///
/// # Errors
/// An item cannot be bound, or uses a name that is reserved.
pub(super) fn select(items: &[SelectItem], scope: &QueryScope, names: &dyn Scope) -> Result<Vec<Selected>> {
    let offered = scope.relations.iter().flat_map(|r| r.columns.iter().map(|c| c.name.clone()));
    let mut taken = Names { sources: offered.collect(), given: BTreeSet::new(), next: 0 };
    let mut selected = Vec::new();
    for item in items {
        match item {
            SelectItem::All(_) => {
                if let Some((name, id)) = scope.join_key {
                    selected.push(Selected { name: name.to_owned(), expr: scope.columns.expr(id) });
                }
                scope.relations.iter().for_each(|r| selected.extend(all_of(r, scope)));
            }
            SelectItem::AllOf(source) => selected.extend(all_of(scope.relation(source)?, scope)),
            SelectItem::Fields(base) => selected.extend(fields_of(base, names)?),
            SelectItem::Expr { expr, alias } => {
                let bound = bind(expr, names)?;
                if bound.sql_type.is_none() {
                    let message = "Can't infer a type of null. Please explicitly cast it to a required type";
                    return Err(Error::invalid(message).at(expr.span).hint("e.g. CAST(NULL AS STRING)"));
                }
                let name = match alias {
                    Some(alias) => alias.name.clone(),
                    None => default_name(expr, scope, &mut taken),
                };
                selected.push(Selected { name, expr: bound });
            }
        }
    }
    Ok(selected)
}

/// The items that `*` stands for: the declared columns of a source.
fn all_of<'a>(relation: &'a Relation, scope: &'a QueryScope) -> impl Iterator<Item = Selected> + 'a {
    let joined = scope.relations.len() > 1;
    relation.declared().map(move |column| Selected {
        name: if joined { qualified(relation, column) } else { column.name.clone() },
        expr: scope.columns.expr(column.id),
    })
}

/// The items that `base->*` stands for: the fields of a struct.
fn fields_of(base: &ast::Expr, names: &dyn Scope) -> Result<Vec<Selected>> {
    let bound = bind(base, names)?;
    let Some(SqlType::Struct(fields)) = bound.sql_type.clone() else {
        return Err(Error::invalid(format!("{base} is no STRUCT, so ->* has nothing to take")).at(base.span));
    };
    let field = |(index, field): (usize, &crate::types::StructField)| Selected {
        name: field.name.clone(),
        expr: Expr {
            kind: Kind::Field { base: Box::new(bound.clone()), index },
            sql_type: Some(field.sql_type.clone()),
        },
    };
    Ok(fields.iter().enumerate().map(field).collect())
}

/// `ALIAS_COLUMN`.
pub(super) fn qualified(relation: &Relation, column: &RelationColumn) -> String {
    format!("{}_{}", relation.called, column.name)
}

/// The name of a column where several sources may have one of that name.
pub(super) fn plain_or_qualified(relations: &[Relation], relation: &Relation, column: &RelationColumn) -> String {
    let owners = relations.iter().filter(|r| r.column(&column.name).is_some()).count();
    if owners > 1 { qualified(relation, column) } else { column.name.clone() }
}

/// The name of an item without alias.
fn default_name(expr: &ast::Expr, scope: &QueryScope, taken: &mut Names) -> String {
    if let Some(name) = column_name(expr, scope) {
        return name;
    }
    let Node::Field { field, .. } = &*expr.node else { return generated(taken) };
    let numbered = (1..).map(|n| format!("{}_{n}", field.name));
    let free = |name: &String| !taken.sources.contains(name) && !taken.given.contains(name);
    let name = std::iter::once(field.name.clone()).chain(numbered).find(free).unwrap_or_default();
    taken.given.insert(name.clone());
    name
}

/// The next free name `KSQL_COL_n`.
fn generated(taken: &mut Names) -> String {
    loop {
        let name = format!("KSQL_COL_{}", taken.next);
        taken.next += 1;
        if !taken.sources.contains(&name) {
            return name;
        }
    }
}

/// Refuses names that are kept for pseudo columns, in the items as they are written.
pub(super) fn check_reserved(items: &[SelectItem], scope: &QueryScope, strictness: Strictness) -> Result<()> {
    let is_pseudo = |n: &str| PSEUDO_COLUMNS.contains(&n);
    for item in items {
        let SelectItem::Expr { expr, alias } = item else { continue };
        let own = match &*expr.node {
            Node::Column { name, .. } => Some(name.name.as_str()),
            _ => None,
        };
        if let Some(alias) = alias.as_ref().filter(|a| is_pseudo(&a.name) && own != Some(a.name.as_str())) {
            let name = quoted(&alias.name);
            let message = format!("{name} is a reserved column name. You cannot use it as an alias for a column.");
            return Err(Error::invalid(message).at(expr.span));
        }
        let Some(own) = own.filter(|own| is_pseudo(own) && strictness == Strictness::Persistent) else { continue };
        let given = match alias {
            Some(alias) => alias.name.clone(),
            None => column_name(expr, scope).unwrap_or_default(),
        };
        if own.eq_ignore_ascii_case(&given) {
            let message =
                format!("Reserved column name in select: {}. Please remove or alias the column.", quoted(own));
            return Err(Error::invalid(message).at(expr.span));
        }
    }
    Ok(())
}

/// The name of a column as an item without alias.
fn column_name(expr: &ast::Expr, scope: &QueryScope) -> Option<String> {
    let Node::Column { source, name } = &*expr.node else { return None };
    Some(match scope.find(source.as_ref(), name) {
        Ok((relation, column)) => plain_or_qualified(scope.relations, relation, column),
        // A name that no source has: a window's bound, or the key of a join.
        Err(_) => name.name.clone(),
    })
}

/// A column that must be in the projection, since it is (part of) the key of the result.
pub(super) struct KeyColumn {
    /// The columns that can stand for it; the first that is selected does.
    pub candidates: Vec<ColumnId>,
    /// The column that holds the key.
    pub id: ColumnId,
    /// The type of the column.
    pub sql_type: SqlType,
    /// As it was written.
    pub shown: String,
    /// The name of the column in the rows after sources and joins.
    pub called: String,
}

/// The columns of the result: the key's, in the order of `keys`, then the values in the order of the projection.
///
/// `added` is what a missing key is called where it may be added; else it is refused with `what` naming the kind of key.
pub(super) fn output(
    selected: &[Selected],
    keys: &[KeyColumn],
    sink: &str,
    what: &str,
    added: Option<&str>,
) -> Result<Vec<OutputColumn>> {
    let mut key_items: Vec<Option<usize>> = Vec::new();
    let mut missing = Vec::new();
    for key in keys {
        let matching = |candidate: ColumnId| -> Vec<usize> {
            (0..selected.len()).filter(|i| selected[*i].column() == Some(candidate)).collect()
        };
        let found = key.candidates.iter().map(|c| matching(*c)).find(|found| !found.is_empty()).unwrap_or_default();
        match found.as_slice() {
            [] => missing.push(key.shown.clone()),
            [_] => {}
            several => return Err(twice(&key.called, several.iter().map(|i| selected[*i].name.as_str()))),
        }
        key_items.push(found.first().copied());
    }
    if !missing.is_empty() && added.is_none() {
        return Err(missing_keys(sink, what, &missing));
    }
    let mut out: Vec<OutputColumn> = Vec::new();
    for (key, item) in keys.iter().zip(&key_items) {
        let name = item.map_or_else(|| added.unwrap_or(&key.shown), |i| &selected[i].name);
        out.push(OutputColumn { id: key.id, column: Column::key(name, key.sql_type.clone()) });
    }
    let values = (0..selected.len()).filter(|i| !key_items.contains(&Some(*i)));
    for i in values {
        let item = &selected[i];
        let id = item.column().ok_or_else(|| Error::bug("an item of the projection has no column yet"))?;
        out.push(OutputColumn { id, column: Column::value(item.name.clone(), item.expr.result_type()) });
    }
    check_names(&out)?;
    Ok(out)
}

/// The refusal of a key that is selected more than once.
fn twice<'a>(key: &str, aliases: impl Iterator<Item = &'a str>) -> Error {
    let aliases: Vec<String> = aliases.map(quoted).collect();
    let message = format!(
        "The projection contains a key column ({}) more than once, aliased as: {}.\n\
         Each key column must only be in the projection once.",
        quoted(key),
        aliases.join(" and ")
    );
    Error::invalid(message).hint("use AS_VALUE to copy a key column into the value")
}

/// The refusal of a projection that lacks columns of the key.
fn missing_keys(sink: &str, what: &str, missing: &[String]) -> Error {
    let (plural, list) = if missing.len() > 1 { ("s", missing.join(" and ")) } else { ("", missing.concat()) };
    let message = format!(
        "Key{plural} missing from projection (ie, SELECT).\nThe query used to build {} must include the {what}{plural} \
         {list} in its projection (eg, SELECT {}...).",
        quoted(sink),
        missing.join(", ")
    );
    Error::invalid(message)
}

/// Refuses names that occur twice, and results without values.
fn check_names(columns: &[OutputColumn]) -> Result<()> {
    let values: Vec<&Column> = columns.iter().map(|c| &c.column).filter(|c| c.role == Role::Value).collect();
    let keys: Vec<&Column> = columns.iter().map(|c| &c.column).filter(|c| c.role == Role::Key).collect();
    let repeated = |all: &[&Column]| {
        let again = all.iter().enumerate().find(|(i, c)| all[..*i].iter().any(|e| e.name == c.name));
        again.map(|(_, c)| c.to_string())
    };
    if let Some(column) = repeated(&keys) {
        return Err(Error::invalid(format!("Duplicate key columns found in schema: {column}")));
    }
    if let Some(column) = repeated(&values) {
        return Err(
            Error::invalid(format!("Duplicate value columns found in schema: {column}")).hint("give it an alias")
        );
    }
    if let Some(value) = values.iter().find(|v| keys.iter().any(|k| k.name == v.name)) {
        let schema: Vec<String> = columns.iter().map(|c| c.column.to_string()).collect();
        let clash = quoted(&value.name);
        let message = format!("Value columns clash with key columns: {clash}\nSchema: {}", schema.join(", "));
        return Err(Error::invalid(message).hint("give one of them an alias"));
    }
    if values.is_empty() {
        return Err(Error::invalid("The projection contains no value columns."));
    }
    Ok(())
}

//! Joins: what the ON condition pairs, where the rows must go for it, and what the key of the result is.

use super::node::{Node, StreamJoinNode};
use super::scope::{QueryScope, Relation, RelationColumn};
use super::select::{KeyColumn, plain_or_qualified, qualified};
use super::{KeyInfo, Planner};
use crate::catalog::SourceKind;
use crate::error::{Error, Result};
use crate::expr::bind::bind;
use crate::expr::{ColumnId, Expr, Kind};
use crate::formats::{Encoding, json::Json};
use crate::sql::ast::{self, CompareOp, Node as Ast};
use crate::sql::query::{Join, JoinKind};
use crate::state::OperatorKind;
use crate::types::{Column, SqlType};

/// The node of a join, and what is known of its key.
pub(super) struct Joined {
    /// The node.
    pub node: Node,
    /// The key of the joined rows.
    pub key: KeyInfo,
    /// The name and column of a key that is a column of neither side.
    pub synthetic: Option<(String, ColumnId)>,
}

/// One side of the ON condition.
struct Side<'a> {
    relation: &'a Relation,
    written: &'a ast::Expr,
    bound: Expr,
    /// The column, if the side is one and nothing else.
    column: Option<&'a RelationColumn>,
}

/// Plans a join of two sources.
///
/// # Errors
/// ON is no equality of the two sources, the sources cannot be joined, or their topics are partitioned differently.
pub(super) fn plan<'a>(planner: &Planner<'a>, join: &'a Join) -> Result<Joined> {
    let [left_relation, right_relation] = planner.relations else {
        return Err(Error::bug("a join of other than two sources"));
    };
    check_kinds(left_relation, right_relation, join)?;
    let (left, right) = criteria(planner, join)?;
    let (left_type, right_type) = (left.bound.result_type(), right.bound.result_type());
    if left_type != right_type {
        let message =
            format!("Invalid join condition: types don't match. Key types differ: {left_type} vs {right_type}");
        return Err(Error::invalid(message).at(join.on.span).hint("CAST one side to the other's type"));
    }
    check_partitions(planner, left_relation, right_relation)?;
    let Some(within) = &join.within else {
        let message = "Stream-Stream joins must have a WITHIN clause specified. None was provided.";
        return Err(Error::invalid(message).at(join.span).hint("e.g. WITHIN 1 HOUR, before ON"));
    };
    let key_type = left_type;
    let key = planner.columns.add("join key", key_type.clone());
    let (encoding, (left_node, left_key), (right_node, right_key)) = sides(planner, &left, &right, &key_type)?;
    let node = Node::StreamJoin(StreamJoinNode {
        id: planner.columns.operator(OperatorKind::Join),
        left: Box::new(left_node),
        right: Box::new(right_node),
        kind: join.kind,
        before_ms: within.before.ms(),
        after_ms: within.after.ms(),
        grace_ms: within.grace.map(|g| g.ms()),
        left_key,
        right_key,
        key,
        encoding,
    });
    let (key, synthetic) = key_info(planner, join.kind, [&left, &right], key, key_type);
    Ok(Joined { node, key, synthetic })
}

/// Refuses self joins, sources with the same name, and kinds of sources that cannot be joined this way.
fn check_kinds(left: &Relation, right: &Relation, join: &Join) -> Result<()> {
    let (l, r) = (left.source(), right.source());
    if l.name == r.name {
        let message = format!("Can not join '{0}' to '{0}': self joins are not yet supported.", l.name);
        return Err(Error::invalid(message).at(join.right.name.span));
    }
    if left.called == right.called {
        let message = format!("two sources are called `{}`", left.called);
        return Err(Error::invalid(message).at(join.right.name.span).hint("give one of them another alias"));
    }
    if l.kind == SourceKind::Table && r.kind == SourceKind::Stream {
        let message = format!(
            "Invalid join order: table-stream joins are not supported; only stream-table joins. Got {} {} {}.",
            l.name,
            join.kind.name(),
            r.name
        );
        return Err(Error::invalid(message).at(join.span));
    }
    if r.kind == SourceKind::Table {
        return Err(Error::unsupported("joins with tables")
            .at(join.span)
            .hint("a stream that is declared over the topic of the table can be joined"));
    }
    for source in [l, r] {
        if !source.value.format.joins() {
            let message = format!(
                "Source(s) {} are using the '{}' value format. This format does not yet support JOIN.",
                source.name,
                source.value.format.name()
            );
            return Err(Error::invalid(message).at(join.span).hint(super::group::COPY_AS_JSON));
        }
    }
    Ok(())
}

/// The two sides of ON, the one of the left source first.
fn criteria<'a>(planner: &Planner<'a>, join: &'a Join) -> Result<(Side<'a>, Side<'a>)> {
    let on = &join.on;
    let (left, right) = match &*on.node {
        Ast::Compare { op: CompareOp::Equal, left, right } => (left, right),
        Ast::Compare { op: CompareOp::NotDistinct | CompareOp::Distinct, .. } => {
            return Err(Error::invalid(format!("Unsupported join expression: {on}")).at(on.span));
        }
        Ast::Compare { .. } => {
            return Err(Error::invalid(format!("Only equality join criteria is supported. Got {on}")).at(on.span));
        }
        Ast::And(_) | Ast::Or(_) => {
            let message =
                format!("Invalid join condition: joins on multiple conditions are not yet supported. Got {on}.");
            return Err(Error::invalid(message).at(on.span));
        }
        _ => return Err(Error::invalid(format!("Unsupported join expression: {on}")).at(on.span)),
    };
    let scope = planner.scope("JOIN ON");
    let (first, second) = (side(left, &scope, on)?, side(right, &scope, on)?);
    if std::ptr::eq(first.relation, second.relation) {
        let called = crate::types::quoted(&first.relation.called);
        let message = format!(
            "Each side of the join must reference exactly one source and not the same source. \
             Left side references {called} and right references {called}"
        );
        return Err(Error::invalid(message).at(on.span));
    }
    let in_order = std::ptr::eq(first.relation, &planner.relations[0]);
    Ok(if in_order { (first, second) } else { (second, first) })
}

/// Binds one side of ON, which may only use columns of one source.
fn side<'a>(written: &'a ast::Expr, scope: &QueryScope<'a>, on: &ast::Expr) -> Result<Side<'a>> {
    let mut owners: Vec<&Relation> = Vec::new();
    for (source, name) in super::free_columns(written) {
        let (relation, _) = scope.find(source, name)?;
        if !owners.iter().any(|o| std::ptr::eq(*o, relation)) {
            owners.push(relation);
        }
    }
    let [relation] = owners.as_slice() else {
        let message = format!(
            "Invalid comparison expression '{}' in join '{}'. Each side of the join comparision must contain \
             references from exactly one source.",
            written.parenthesized(),
            on.parenthesized()
        );
        return Err(Error::invalid(message).at(written.span));
    };
    let relation = *relation;
    let bound = bind(written, scope)?;
    let column = match bound.kind {
        Kind::Column(id) => relation.columns.iter().find(|c| c.id == id),
        _ => None,
    };
    Ok(Side { relation, written, bound, column })
}

/// Refuses topics that are partitioned differently: rows with equal keys would not meet.
fn check_partitions(planner: &Planner, left: &Relation, right: &Relation) -> Result<()> {
    let partitions = |r: &Relation| {
        let topic = planner.catalog.topic(&r.source().topic);
        topic.map(|t| t.partitions).ok_or_else(|| Error::missing(format!("unknown topic: {}", r.source().topic)))
    };
    let (l, r) = (partitions(left)?, partitions(right)?);
    if l == r {
        return Ok(());
    }
    let (a, b) = (crate::types::quoted(&left.source().name), crate::types::quoted(&right.source().name));
    let message = format!(
        "Can't join {a} with {b} since the number of partitions don't match. {a} partitions = {l}; {b} partitions = {r}. \
         Please repartition either one so that the number of partitions match."
    );
    Err(Error::invalid(message))
}

/// How the key stands in records, and both inputs with the column of their key, each row at the task of its key.
fn sides(
    planner: &Planner,
    left: &Side,
    right: &Side,
    key_type: &SqlType,
) -> Result<(Encoding, (Node, ColumnId), (Node, ColumnId))> {
    let name = match left.column {
        Some(column) => qualified(left.relation, column),
        None => left.written.to_string(),
    };
    let column = Column::key(name, key_type.clone());
    super::group::check_key_type(&column)?;
    let (left_keyed, right_keyed) = (is_keyed(left), is_keyed(right));
    let (left_source, right_source) = (left.relation.source(), right.relation.source());
    // Rows that stay where their topic has them decide where the others go.
    let (model, left_stays, right_stays) = match (left_keyed, right_keyed) {
        (true, true) => (left_source, true, left_source.key == right_source.key),
        (true, false) => (left_source, true, false),
        (false, true) => (right_source, false, true),
        (false, false) => (left_source, false, false),
    };
    let columns = std::slice::from_ref(&column);
    let encoding = Encoding::of_key(model.key.format, columns).or_else(|_| Encoding::of_key(&Json, columns))?;
    let side = |side: &Side, stays: bool| {
        let mut node = side.relation.node();
        let id = match side.bound.kind {
            Kind::Column(id) => id,
            _ => {
                let id = planner.columns.add(side.written.to_string(), key_type.clone());
                node = node.compute(vec![(id, side.bound.clone())]);
                id
            }
        };
        if !stays {
            node = node.exchange(vec![id], encoding.clone());
        }
        (node, id)
    };
    let (left, right) = (side(left, left_stays), side(right, right_stays));
    Ok((encoding, left, right))
}

/// Whether the rows of the side's topic are cut by the side's expression: it is the source's single key column.
fn is_keyed(side: &Side) -> bool {
    let mut keys = side.relation.keys();
    let first = keys.next().map(|k| k.id);
    first.is_some() && keys.next().is_none() && side.column.map(|c| c.id) == first
}

/// The key of the joined rows, and the name and column of a synthetic key if neither side's column can be it.
fn key_info(
    planner: &Planner,
    kind: JoinKind,
    sides: [&Side; 2],
    key: ColumnId,
    sql_type: SqlType,
) -> (KeyInfo, Option<(String, ColumnId)>) {
    // After a FULL JOIN the column of either side may be NULL, so neither is the key.
    let of_key: Vec<(&Relation, &RelationColumn)> = match kind {
        JoinKind::Full => Vec::new(),
        _ => sides.iter().filter_map(|side| side.column.map(|column| (side.relation, column))).collect(),
    };
    let mut candidates: Vec<ColumnId> = of_key.iter().map(|(_, column)| column.id).collect();
    let shown: Vec<String> = sides.iter().map(|s| s.written.to_string()).collect();
    let mut synthetic = None;
    let plain = of_key.first().map(|(relation, column)| plain_or_qualified(planner.relations, relation, column));
    let added = plain.unwrap_or_else(|| {
        let taken = |n: &str| planner.relations.iter().any(|r| r.column(n).is_some());
        let numbered = (1..).map(|n| format!("ROWKEY_{n}"));
        let free = std::iter::once("ROWKEY".to_owned()).chain(numbered).find(|n| !taken(n));
        let free = free.unwrap_or_default();
        synthetic = Some((free.clone(), key));
        candidates.push(key);
        free
    });
    let shown = if synthetic.is_some() { added.clone() } else { shown.join(" or ") };
    let called = of_key.first().map_or_else(|| added.clone(), |(relation, column)| qualified(relation, column));
    let columns = vec![KeyColumn { candidates, id: key, sql_type, shown, called }];
    (KeyInfo { columns, what: "join expression", added: Some(added) }, synthetic)
}

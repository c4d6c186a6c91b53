//! `INSERT INTO … SELECT`: a plan whose result fits an existing stream.

use super::node::{Plan, Sink};
use crate::catalog::{Catalog, Source, SourceKind};
use crate::error::{Error, Result, Span};
use crate::expr::{ColumnId, Expr, Kind};
use crate::types::{Column, Role, Schema, SqlType};

/// The stream that can be inserted into by this name, written at `span`.
///
/// # Errors
/// There is no such stream, or it cannot be written to.
pub fn target<'a>(name: &str, span: Span, catalog: &'a Catalog) -> Result<&'a Source> {
    let fits = |s: &Source| s.kind == SourceKind::Stream && !has_headers(s) && !s.read_only;
    let source = catalog.source(name).ok_or_else(|| catalog.no_source_that(name, fits).at(span))?;
    let refused = |message: String| Err(Error::invalid(message).at(span));
    if source.kind == SourceKind::Table {
        return refused(format!("INSERT INTO can only be used to insert into a stream. {name} is a table."));
    }
    if has_headers(source) {
        return refused(format!("Cannot insert into {name} because it has header columns"));
    }
    if source.read_only {
        return refused(format!("Cannot insert into read-only stream: {name}"));
    }
    Ok(source)
}

/// Whether the stream has columns of headers, which cannot be written.
fn has_headers(source: &Source) -> bool {
    source.schema.columns().iter().any(|c| matches!(c.role, Role::Headers(_)))
}

/// A plan that writes into `source`, and its sink. Columns are converted to the stream's types where that loses
/// nothing.
///
/// # Errors
/// The columns of the result do not fit those of the stream.
pub fn fit(plan: Plan, source: &Source, span: Span, catalog: &Catalog) -> Result<(Plan, Sink)> {
    if plan.window.is_some() != source.window.is_some() {
        return Err(Error::invalid("Into can't change windowing").at(span));
    }
    let result = Schema::new(plan.output.iter().map(|c| c.column.clone()));
    let (made, wanted) = (result.columns(), source.schema.columns());
    let same = |(made, wanted): (&Column, &Column)| {
        made.name == wanted.name && made.role == wanted.role && fits(&made.sql_type, &wanted.sql_type)
    };
    if made.len() != wanted.len() || !made.iter().zip(wanted).all(same) {
        let message = format!(
            "Incompatible schema between results and sink.\nResult schema is {result}\nSink schema is {}",
            source.schema
        );
        let hint = "the columns must be the stream's, in its order; AS gives them names, CAST gives them types";
        return Err(Error::invalid(message).at(span).hint(hint));
    }
    let topic = catalog.topic(&source.topic).ok_or_else(|| catalog.no_topic(&source.topic))?;
    // Readers of the stream take the time from its column; the records keep the time of their rows.
    let sink = Source { timestamp: None, ..source.clone() };
    Ok((widened(plan, &source.schema), Sink { source: sink, partitions: topic.partitions, timestamp: None }))
}

/// Whether every value of the first type is one of the second.
fn fits(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (SqlType::Decimal { precision, scale }, SqlType::Decimal { precision: most, scale: finest }) => {
            scale <= finest && precision - scale <= most - finest
        }
        _ => from == to,
    }
}

/// The plan with each column cast to the type that the stream declares.
fn widened(mut plan: Plan, schema: &Schema) -> Plan {
    let mut casts: Vec<(ColumnId, Expr)> = Vec::new();
    for (output, column) in plan.output.iter_mut().zip(schema.columns()) {
        let (from, to) = (&output.column.sql_type, &column.sql_type);
        if from != to {
            let id = plan.columns.len() as ColumnId;
            plan.columns.push((column.name.clone(), to.clone()));
            let value = Box::new(Expr::column(output.id, from.clone()));
            casts.push((id, Expr { kind: Kind::Cast { value, to: to.clone() }, sql_type: Some(to.clone()) }));
            output.id = id;
        }
        output.column = column.clone();
    }
    Plan { root: plan.root.compute(casts), ..plan }
}

//! `SELECT`: a look at a table as it is, or with EMIT CHANGES at rows as they come.
//!
//! Without EMIT the statement is a pull query and ends with its last row. With EMIT CHANGES it is a push query: it
//! goes on until LIMIT rows are shown or the client leaves, and keeps nothing when it ends.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Until};
use crate::catalog::SourceKind;
use crate::error::Result;
use crate::plan::pull::{self, Pull};
use crate::plan::{self, Target, pull_rules, table};
use crate::sql::print::layout;
use crate::sql::query::{Query, parse_query};

pub(super) const KIND: Kind = Kind {
    name: "SELECT",
    summary: "Shows a table as of its last commit, or with EMIT CHANGES rows as they come.",
    example: "SELECT service_name, error_count FROM error_counts WHERE service_name = 'a' EMIT CHANGES LIMIT 3;",
    begins: &["SELECT", "WITH"],
    needs: Right::Read,
    parse: |cursor| Ok(Some(Box::new(Select(parse_query(cursor)?)))),
};

#[derive(Debug, PartialEq)]
struct Select(Query);

impl fmt::Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| self.0.print(p)))
    }
}

impl Statement for Select {
    /// Without EMIT, a stream is read from its start to where it ends now. EMIT FINAL is left to the planner, which says where it is possible.
    ///
    /// # Errors
    /// Those of planning: missing names, types that do not fit, clauses that a pull or push query does not have.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let query = &self.0;
        let reads_stream = |query: &Query| {
            let source = cx.catalog.source(&query.from.first.name.name);
            source.is_some_and(|source| source.kind == SourceKind::Stream)
        };
        if query.emit.is_none() && !(reads_stream(query) && pull::is_look(query)) {
            pull_rules::refuse_source_table(query, cx.catalog)?;
            let pull = pull::plan(query, cx.catalog, cx.properties).map_err(|error| match error.parts() {
                [] => error,
                // The rows of a table are computed where they are kept, and the error comes back with the statement.
                _ => error.in_part(|| cx.text.to_owned()),
            })?;
            match &pull {
                Pull::Table(look) => pull_rules::check_scan(query, &look.source, cx.properties)?,
                Pull::Relations(relations) => pull_rules::check_relations(query, &relations.root, cx.properties)?,
            }
            return Ok(Action::Pull(Box::new(pull)));
        }
        if query.emit.is_none() {
            table::refuse_clauses(query)?;
            pull_rules::refuse_record_columns(query)?;
            pull_rules::check_stream(query, cx.properties)?;
        }
        let plan = plan::plan(query, cx.catalog, cx.properties, Target::Push)?;
        let until = Until { rows: query.limit.map(|limit| limit as usize), is_at_ends: query.emit.is_none() };
        Ok(Action::Push(Box::new(plan), until))
    }
}

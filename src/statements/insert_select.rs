//! `INSERT INTO … SELECT`: a query that writes into a stream that is there already.
//!
//! Several queries may write into one stream, which is how streams are united. The query's id is `INSERTQUERY_n`,
//! unless WITH names another. The selected columns must be the stream's, in its order; dropping the stream is refused
//! as long as the query exists.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Touched};
use crate::config;
use crate::engine::{Change, Effect, NewId, NewQuery};
use crate::error::{Error, Result};
use crate::plan::{self, Target, insert, with};
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::query::{Query, is_query, parse_query};
use crate::sql::words::Ident;
use crate::types::quoted;

pub(super) const KIND: Kind = Kind {
    name: "INSERT INTO SELECT",
    summary: "Starts a query that writes into a stream that is there already.",
    example: "INSERT INTO all_orders WITH (query_id='web') SELECT * FROM web_orders;",
    begins: &["INSERT"],
    needs: Right::Admin,
    parse: |cursor| {
        let mark = cursor.mark();
        cursor.expect("INSERT INTO")?;
        let target = cursor.source_name()?;
        let with = parse_with(cursor)?;
        if !is_query(cursor) {
            if !with.is_empty() {
                cursor.expect("SELECT")?;
            }
            cursor.take_none("SELECT");
            cursor.reset(mark);
            return Ok(None);
        }
        Ok(Some(Box::new(InsertSelect { target, with, query: parse_query(cursor)? })))
    },
};

#[derive(Debug, PartialEq)]
struct InsertSelect {
    target: Ident,
    with: Properties,
    query: Query,
}

impl fmt::Display for InsertSelect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("INSERT INTO {}", self.target));
            self.with.print(p);
            p.line();
            self.query.print(p);
        }))
    }
}

impl Statement for InsertSelect {
    /// # Errors
    /// Those of planning; the target cannot be written to; the columns are not the target's; or a conflict if the id
    /// of WITH is taken.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let (name, span) = (&self.target.name, self.target.span);
        let target = insert::target(name, span, cx.catalog)?;
        let id = with::query_id(&self.with)?;
        if let Some(id) = id.as_ref().filter(|id| cx.catalog.query(id).is_some()) {
            return Err(Error::conflict(format!("Query ID '{id}' already exists.")).at(self.with.span));
        }
        let plan = plan::plan(&self.query, cx.catalog, cx.properties, Target::Existing { name })?;
        let (mut plan, sink) = insert::fit(plan, target, span, cx.catalog)?;
        let id = id.map_or(NewId::Numbered("INSERTQUERY".to_owned()), NewId::Given);
        let message = format!("Created query with ID {}", id.of(cx.catalog.next_query()));
        let warnings = std::mem::take(&mut plan.warnings);
        let query = NewQuery {
            id,
            plan,
            sink,
            makes_sink: false,
            dead_letters: cx.properties.flag(config::DEAD_LETTERS),
            statement: cx.text.to_owned(),
            text: cx.text.to_owned(),
        };
        let effects = vec![Effect::StartQuery(Box::new(query))];
        let command = format!("stream/{}/create", quoted(name));
        Ok(Action::Change(Box::new(Change { warnings, ..Change::new(command, effects, message) })))
    }

    fn touches(&self) -> Touched {
        Touched::default().with_query("INSERTQUERY_".to_owned())
    }
}

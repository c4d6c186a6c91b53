//! Relations to a logical plan of DataFusion, node by node.
//!
//! Not by way of text or a syntax tree: names, types and expressions are bound already, and DataFusion's planner would
//! bind them anew by its own rules. A column is called by its id, so no name is ever ambiguous; expressions and aggregates
//! are functions that stand for ours.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{DataFusionError, Result, ScalarValue, plan_datafusion_err};
use datafusion::datasource::provider_as_source;
use datafusion::functions_window::all_default_window_functions;
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, JoinType, LogicalPlan, LogicalPlanBuilder, Union, WindowFrame, WindowFrameBound,
    WindowFrameUnits, WindowFunctionDefinition, cast, col,
};

use super::Limits;
use super::evaluate::{Calls, Place};
use super::fold::Fold;
use super::single::Single;
use super::source::{Rows, SourceTable};
use crate::expr::ColumnId;
use crate::plan::pull::{OverArg, OverCall, OverFunction, Rel, SortBy};
use crate::sql::over::{Distance, Frame, FrameBound};
use crate::sql::query::JoinKind;
use crate::types::{SqlType, array_of};

/// What a column is called.
pub(super) fn column_name(id: ColumnId) -> String {
    format!("c{id}")
}

/// The column that is called so.
pub(super) fn column_id(name: &str) -> Option<ColumnId> {
    name.strip_prefix('c')?.parse().ok()
}

/// A column as an expression.
pub(super) fn column(id: ColumnId) -> Expr {
    col(column_name(id))
}

/// Makes logical plans.
pub(super) struct Lower<'a> {
    /// Name and type of each column.
    pub types: &'a [(String, SqlType)],
    /// What each source is read from, by its name.
    pub rows: &'a HashMap<String, Arc<Rows>>,
    /// What the query may take.
    pub limits: &'a Limits,
}

impl Lower<'_> {
    /// The plan of a relation.
    ///
    /// # Errors
    /// A bug: DataFusion refuses what the planner has accepted.
    pub(super) fn plan(&self, rel: &Rel) -> Result<LogicalPlan> {
        self.builder(rel)?.build()
    }

    fn builder(&self, rel: &Rel) -> Result<LogicalPlanBuilder> {
        match rel {
            Rel::Source { source, columns } => {
                let rows = self.rows.get(&source.name).cloned();
                let rows = rows.ok_or_else(|| plan_datafusion_err!("{} is not read", source.name))?;
                let table = SourceTable::new(source, rows, columns, self.types, self.limits.clone());
                // Columns are not called by their table.
                let scan = LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(table)), None)?;
                scan.project(
                    columns.iter().map(|(id, _)| col(format!("t.{}", column_name(*id))).alias(column_name(*id))),
                )
            }
            Rel::Filter { input, conditions } => {
                let input = self.builder(input)?;
                // A condition without columns must not slip below a group without keys, which has a row all the same.
                let anchor = input.schema().fields().last().and_then(|field| column_id(field.name()));
                match self.all(conditions, anchor) {
                    Some(all) => input.filter(all),
                    None => Ok(input),
                }
            }
            Rel::Compute { input, columns } => {
                let input = self.builder(input)?;
                let own: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
                let more = columns.iter().map(|(id, expr)| self.made(*id, expr));
                input.project(own.into_iter().chain(more))
            }
            Rel::Project { input, columns } => {
                self.builder(input)?.project(columns.iter().map(|(id, expr)| self.made(*id, expr)))
            }
            Rel::Join { left, right, kind, equal, conditions } => {
                let (left, right) = (self.builder(left)?, self.plan(right)?);
                let (own, others): (Vec<_>, Vec<_>) =
                    equal.iter().map(|(own, other)| (column_name(*own), column_name(*other))).unzip();
                let filter = self.all(conditions, None);
                let kind = match kind {
                    JoinKind::Inner => JoinType::Inner,
                    JoinKind::Left => JoinType::Left,
                    JoinKind::Right => JoinType::Right,
                    JoinKind::Full => JoinType::Full,
                };
                match (own.is_empty(), filter) {
                    (true, None) => left.cross_join(right),
                    (true, Some(filter)) => left.join_on(right, kind, [filter]),
                    (_, filter) => left.join(right, kind, (own, others), filter),
                }
            }
            Rel::Group { input, keys, calls } => {
                let call = |call: &crate::plan::node::AggregateCall| {
                    let args = call.args.iter().map(|id| column(*id)).collect();
                    Fold::function(&call.function, self.limits).call(args).alias(column_name(call.id))
                };
                self.builder(input)?.aggregate(keys.iter().map(|id| column(*id)), calls.iter().map(call))
            }
            Rel::Over { input, calls } => self.over(self.builder(input)?, calls),
            Rel::Distinct { input } => self.builder(input)?.distinct(),
            Rel::Union { inputs } => {
                let plans = inputs.iter().map(|input| self.plan(input).map(Arc::new)).collect::<Result<Vec<_>>>()?;
                let union = LogicalPlan::Union(Union::try_new(plans)?);
                // A limit that is never reached has one partition, as everything here; a union has one for each input.
                LogicalPlanBuilder::from(union).limit(0, Some(i64::MAX as usize))
            }
            Rel::Sort { input, by } => self.builder(input)?.sort(by.iter().map(sort)),
            Rel::Single { input, value, id } => {
                let only = Single::function(&self.types[*value as usize].1).call(vec![column(*value)]);
                self.builder(input)?.aggregate(Vec::<Expr>::new(), [only.alias(column_name(*id))])
            }
            Rel::Limit { input, skip, most } => self.builder(input)?.limit(*skip, *most),
        }
    }

    /// A column that an expression makes.
    fn made(&self, id: ColumnId, expr: &crate::expr::Expr) -> Expr {
        self.calls().call(expr, Place::Column, None).alias(column_name(id))
    }

    /// Whether all conditions are true; `None` without a condition.
    fn all(&self, conditions: &[crate::expr::Expr], anchor: Option<ColumnId>) -> Option<Expr> {
        let calls = self.calls();
        let mut all: Vec<Expr> =
            conditions.iter().map(|condition| calls.call(condition, Place::Condition, anchor)).collect();
        // In halves: a long list of conditions must not nest deeply.
        while all.len() > 1 {
            all = all.chunks(2).map(|pair| pair.iter().cloned().reduce(Expr::and).expect("one or two")).collect();
        }
        all.pop()
    }

    fn calls(&self) -> Calls<'_> {
        Calls { types: self.types, limits: self.limits }
    }

    /// Rows with the results of functions over the rows around each.
    fn over(&self, input: LogicalPlanBuilder, calls: &[OverCall]) -> Result<LogicalPlanBuilder> {
        let own: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        let made: Vec<Expr> = calls.iter().map(|call| self.over_call(call)).collect::<Result<_>>()?;
        let with = LogicalPlanBuilder::from(LogicalPlanBuilder::window_plan(input.build()?, made.clone())?);
        let named = calls.iter().zip(made).map(|(call, made)| {
            let result = Expr::Column(made.schema_name().to_string().into());
            // The ranks are unsigned there.
            cast(result, self.types[call.id as usize].1.arrow()).alias(column_name(call.id))
        });
        with.project(own.into_iter().chain(named))
    }

    fn over_call(&self, call: &OverCall) -> Result<Expr> {
        let function = match &call.function {
            OverFunction::Aggregate(bound) => {
                WindowFunctionDefinition::AggregateUDF(Arc::new(Fold::function(bound, self.limits)))
            }
            OverFunction::Ordered(name) => {
                let known =
                    all_default_window_functions().into_iter().find(|known| known.name().eq_ignore_ascii_case(name));
                let known = known.ok_or_else(|| plan_datafusion_err!("there is no function {name}"))?;
                WindowFunctionDefinition::WindowUDF(known)
            }
        };
        let arg = |arg: &OverArg| match arg {
            OverArg::Column(id) => Ok(column(*id)),
            OverArg::Constant(value, sql_type) => {
                Ok(Expr::Literal(ScalarValue::try_from_array(&array_of([value], sql_type), 0)?, None))
            }
        };
        let args = call.args.iter().map(arg).collect::<Result<_>>()?;
        let order_by: Vec<Sort> = call.order_by.iter().map(sort).collect();
        let frame = match &call.frame {
            Some(frame) => bounds(frame, call.order_by.first().map(|by| &self.types[by.column as usize].1))?,
            None => WindowFrame::new((!order_by.is_empty()).then_some(false)),
        };
        let partition_by = call.partition_by.iter().map(|id| column(*id)).collect();
        let expr = Expr::from(WindowFunction::new(function, args));
        expr.partition_by(partition_by).order_by(order_by).window_frame(frame).build()
    }
}

fn sort(by: &SortBy) -> Sort {
    column(by.column).sort(!by.descending, by.nulls_first)
}

/// The rows around each row; `sql_type` is that of the column by which they are ordered.
fn bounds(frame: &Frame, sql_type: Option<&SqlType>) -> Result<WindowFrame> {
    let number = |number: i64| match sql_type.filter(|_| frame.is_range) {
        None => Ok(ScalarValue::UInt64(Some(number.unsigned_abs()))),
        // A distance has the type of what it is added to.
        Some(sql_type) => ScalarValue::Int64(Some(number)).cast_to(&sql_type.arrow()),
    };
    let distance = |distance: Distance| match distance {
        Distance::Unbounded if frame.is_range => Ok(ScalarValue::Null),
        Distance::Unbounded => Ok(ScalarValue::UInt64(None)),
        Distance::Count(count) => number(count),
        Distance::Time(duration) => number(duration.ms()),
    };
    let bound = |bound: FrameBound| {
        Ok::<_, DataFusionError>(match bound {
            FrameBound::CurrentRow => WindowFrameBound::CurrentRow,
            FrameBound::Preceding(far) => WindowFrameBound::Preceding(distance(far)?),
            FrameBound::Following(far) => WindowFrameBound::Following(distance(far)?),
        })
    };
    let units = if frame.is_range { WindowFrameUnits::Range } else { WindowFrameUnits::Rows };
    let end = frame.end.unwrap_or(FrameBound::CurrentRow);
    Ok(WindowFrame::new_bounds(units, bound(frame.start)?, bound(end)?))
}

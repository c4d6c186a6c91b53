//! Tables and streams as tables of DataFusion.
//!
//! A table is read from a snapshot that was taken before the query began, by key where the conditions leave a few, else by
//! a walk. A stream is read by a query of its own, to where it ends when the reading begins.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, plan_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::evaluate::Evaluate;
use super::lower::{column_id, column_name};
use super::{Limits, outside, table};
use crate::catalog::{Source, SourceKind};
use crate::config::{self, Properties};
use crate::engine::{PushQuery, StreamReads, TableReader, TableSnapshot};
use crate::error;
use crate::expr::ColumnId;
use crate::locks::lock;
use crate::operators::table::WindowRange;
use crate::plan::node::{Node, OutputColumn, Plan, SourceColumn, SourceNode};
use crate::plan::pull::Offered;
use crate::plan::table::{Narrowed, Narrowing};
use crate::types::{Batch, Column, SqlType};

/// How long a reader of a stream waits for its next rows before it looks whether it is to end.
const MOMENT: Duration = Duration::from_millis(20);

/// What the rows of a source are read from.
pub(super) enum Rows {
    /// A table as of a commit.
    Table(TableSnapshot),
    /// A stream.
    Stream(StreamReads),
}

impl Rows {
    /// The same once more.
    fn again(&self) -> error::Result<Rows> {
        Ok(match self {
            Rows::Table(table) => Rows::Table(table.again()?),
            Rows::Stream(reads) => Rows::Stream(reads.clone()),
        })
    }
}

/// A table or stream in a query.
pub(super) struct SourceTable {
    source: Arc<Source>,
    rows: Arc<Rows>,
    /// What it offers, each with its type.
    columns: Vec<(ColumnId, Offered, SqlType)>,
    schema: SchemaRef,
    limits: Limits,
}

impl SourceTable {
    /// A source that offers these columns; `types` has the name and type of every column of the query.
    pub(super) fn new(
        source: &Arc<Source>,
        rows: Arc<Rows>,
        columns: &[(ColumnId, Offered)],
        types: &[(String, SqlType)],
        limits: Limits,
    ) -> SourceTable {
        let column = |(id, offered): &(ColumnId, Offered)| (*id, *offered, types[*id as usize].1.clone());
        let columns: Vec<_> = columns.iter().map(column).collect();
        let field =
            |(id, _, sql_type): &(ColumnId, Offered, SqlType)| Field::new(column_name(*id), sql_type.arrow(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        SourceTable { source: source.clone(), rows, columns, schema, limits }
    }

    /// The keys and windows to which conditions narrow the rows.
    fn narrowed(&self, filters: &[Expr]) -> Narrowed {
        let mut narrowing = Narrowing::new(&self.source);
        for filter in filters {
            let Some((evaluate, args)) = evaluated(filter) else { continue };
            for (read, id) in evaluate.reads.iter().zip(args) {
                let Some((_, offered, sql_type)) = self.columns.iter().find(|(own, ..)| *own == id) else { continue };
                let column = crate::expr::Expr::column(*read, sql_type.clone());
                match offered {
                    Offered::Declared(place) => narrowing.key(*place, &evaluate.expr, &column),
                    Offered::WindowStart => narrowing.window_start(&evaluate.expr, &column),
                    Offered::WindowEnd => narrowing.window_end(&evaluate.expr, &column),
                    Offered::RowTime | Offered::RowPartition | Offered::RowOffset => {}
                }
            }
        }
        narrowing.finish()
    }
}

/// The expression of ours that a filter is, and the columns that it is called with; `None` if it is something else.
fn evaluated(filter: &Expr) -> Option<(&Evaluate, Vec<ColumnId>)> {
    let Expr::ScalarFunction(call) = filter else { return None };
    let evaluate = call.func.inner().downcast_ref::<Evaluate>()?;
    let id = |arg: &Expr| match arg {
        Expr::Column(column) => column_id(&column.name),
        _ => None,
    };
    Some((evaluate, call.args.iter().map(id).collect::<Option<_>>()?))
}

impl fmt::Debug for SourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceTable({})", self.source.name)
    }
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Conditions on a table are given to [`TableProvider::scan`], which may find keys in them. They are still
    /// evaluated for every row.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let supported = match *self.rows {
            Rows::Table(_) => TableProviderFilterPushDown::Inexact,
            Rows::Stream(_) => TableProviderFilterPushDown::Unsupported,
        };
        Ok(vec![supported; filters.len()])
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let places = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(places)?);
        let columns: Vec<_> = places.iter().map(|place| self.columns[*place].clone()).collect();
        let (source, limits) = (self.source.clone(), self.limits.clone());
        let narrowed = self.narrowed(filters);
        let rows = Mutex::new(Some(self.rows.again().map_err(outside)?));
        let stream = Arc::new(Scan { source, rows, columns, schema: schema.clone(), narrowed, limits });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![stream], None, None, false, limit)?))
    }
}

/// The reading of a source.
struct Scan {
    source: Arc<Source>,
    /// Taken when the reading begins, so that a snapshot goes when it was read.
    rows: Mutex<Option<Rows>>,
    columns: Vec<(ColumnId, Offered, SqlType)>,
    schema: SchemaRef,
    narrowed: Narrowed,
    limits: Limits,
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({})", self.source.name)
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match self.begin() {
            Ok(reading) => Box::new(reading),
            Err(error) => Box::new(std::iter::once(Err(outside(error)))),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures_util::stream::iter(batches)))
    }
}

impl Scan {
    fn begin(&self) -> error::Result<Reading> {
        let rows = lock(&self.rows).take().ok_or_else(|| error::Error::bug("a source is read twice"))?;
        let from = match (rows, &self.narrowed.keys) {
            (Rows::Table(snapshot), Some(keys)) => {
                From::Found(snapshot.look_up(&WindowRange { starts: self.narrowed.starts.clone() }, keys)?)
            }
            (Rows::Table(snapshot), None) => {
                let windows = WindowRange { starts: self.narrowed.starts.clone() };
                From::Table(TableReader::new(snapshot, windows))
            }
            (Rows::Stream(reads), _) => {
                let mut own = Properties::default();
                own.set(config::OFFSET_RESET, "earliest")?;
                let text = format!("SELECT * FROM {};", crate::types::quoted(&self.source.name));
                From::Stream(reads.read(&text, &self.stream_plan(), &own)?)
            }
        };
        let (source, columns) = (self.source.clone(), self.columns.clone());
        Ok(Reading {
            from,
            source,
            columns,
            schema: self.schema.clone(),
            limits: self.limits.clone(),
            ready: Vec::new(),
        })
    }

    /// The plan of a query that reads the wanted columns of a stream.
    fn stream_plan(&self) -> Plan {
        let column = |(at, (_, offered, _)): (usize, &(ColumnId, Offered, SqlType))| {
            let column = match offered {
                Offered::Declared(place) => SourceColumn::Declared(*place),
                Offered::RowPartition => SourceColumn::RowPartition,
                Offered::RowOffset => SourceColumn::RowOffset,
                // A stream in a pull query has no windows.
                Offered::RowTime | Offered::WindowStart | Offered::WindowEnd => SourceColumn::RowTime,
            };
            (at as ColumnId, column)
        };
        let node =
            SourceNode { source: self.source.clone(), columns: self.columns.iter().enumerate().map(column).collect() };
        let name = |(id, _, sql_type): &(ColumnId, Offered, SqlType)| (column_name(*id), sql_type.clone());
        let columns: Vec<(String, SqlType)> = self.columns.iter().map(name).collect();
        let output = |(id, (name, sql_type)): (usize, &(String, SqlType))| OutputColumn {
            id: id as ColumnId,
            column: Column::value(name.clone(), sql_type.clone()),
        };
        let output = columns.iter().enumerate().map(output).collect();
        let (kind, window, rekey, warnings) = (SourceKind::Stream, None, None, Vec::new());
        Plan { root: Node::Source(node), columns, kind, output, window, rekey, warnings }
    }
}

/// A source that is being read.
struct Reading {
    from: From,
    source: Arc<Source>,
    columns: Vec<(ColumnId, Offered, SqlType)>,
    schema: SchemaRef,
    limits: Limits,
    /// Batches that were read and not handed on, the next one last.
    ready: Vec<Batch>,
}

/// Where the next rows come from.
enum From {
    Found(Vec<Batch>),
    Table(TableReader),
    Stream(PushQuery<Batch>),
}

impl Iterator for Reading {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.read().map_err(outside).transpose().map(|batch| batch.and_then(|batch| self.record_batch(batch)))
    }
}

impl Reading {
    /// The next rows; `None` after the last.
    fn read(&mut self) -> error::Result<Option<Batch>> {
        loop {
            self.limits.check()?;
            if let Some(batch) = self.ready.pop() {
                return Ok(Some(batch));
            }
            let mut more: Vec<Batch> = match &mut self.from {
                From::Found(found) if found.is_empty() => return Ok(None),
                From::Found(found) => std::mem::take(found),
                From::Table(reader) => match reader.read()? {
                    Some(batches) => batches,
                    None => {
                        self.from = From::Found(Vec::new());
                        return Ok(None);
                    }
                },
                From::Stream(query) => {
                    let batches = query.rows(MOMENT)?;
                    if batches.is_empty() && (query.has_read_all() || query.is_over()) {
                        return Ok(None);
                    }
                    // A record without a value is no row of a stream.
                    batches.into_iter().map(Batch::present).collect::<error::Result<_>>()?
                }
            };
            more.reverse();
            self.ready = more;
        }
    }

    /// A batch as DataFusion has it.
    fn record_batch(&self, batch: Batch) -> Result<RecordBatch> {
        let rows = batch.rows();
        let columns = match self.from {
            From::Stream(_) => batch.columns,
            From::Found(_) | From::Table(_) => {
                let all = table::columns(&self.source, batch).map_err(outside)?;
                let declared = self.source.schema.columns().len();
                let column = |(_, offered, _): &(ColumnId, Offered, SqlType)| {
                    let place = match offered {
                        Offered::Declared(place) => *place,
                        Offered::WindowStart => declared,
                        Offered::WindowEnd => declared + 1,
                        _ => all.len() - 1,
                    };
                    all.get(place).cloned().ok_or_else(|| plan_datafusion_err!("a column that the table lacks"))
                };
                self.columns.iter().map(column).collect::<Result<Vec<ArrayRef>>>()?
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

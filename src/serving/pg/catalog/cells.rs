//! Tables of the catalog, written down row by row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    UInt32Array, new_null_array,
};
use arrow::datatypes::{DataType, Field, Int16Type, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Cell>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Cell {
        Cell::Int(value.into())
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Int(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Cell {
        Cell::Int(value.into())
    }
}

impl Cell {
    /// A text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        if let Cell::Text(text) = self { Some(text) } else { None }
    }

    /// A number, also one that is written as a text.
    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Cell::Int(number) => Some(*number),
            Cell::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

/// A table of the catalog.
pub(super) struct Listed {
    pub schema: &'static str,
    pub name: &'static str,
    /// The columns, each with its type: `oid:o relname:t`.
    columns: &'static str,
    /// The values of some columns in each row; the others are NULL, 0, false or empty.
    rows: Vec<Vec<(&'static str, Cell)>>,
}

/// The type of columns that a letter stands for.
fn arrow_type(letter: &str) -> DataType {
    match letter {
        "b" => DataType::Boolean,
        "2" => DataType::Int16,
        "4" => DataType::Int32,
        "8" => DataType::Int64,
        "f" => DataType::Float32,
        "o" => DataType::UInt32,
        "v" => DataType::List(Arc::new(Field::new_list_field(DataType::Int16, true))),
        _ => DataType::Utf8,
    }
}

impl Listed {
    /// A table.
    ///
    /// A letter says of which type a column is: `b` for boolean, `2`, `4` and `8` for integers, `f` for numbers,
    /// `o` for OIDs, `v` for arrays of integers, `t` for text, `n` for text that is NULL unless it is given.
    pub(super) fn new(schema: &'static str, name: &'static str, columns: &'static str) -> Listed {
        Listed { schema, name, columns, rows: Vec::new() }
    }

    /// The same table with these rows.
    pub(super) fn rows(mut self, rows: impl IntoIterator<Item = Vec<(&'static str, Cell)>>) -> Listed {
        self.rows.extend(rows);
        self
    }

    fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.columns.split_whitespace().map(|column| column.split_once(':').unwrap_or((column, "t")))
    }

    /// The table as DataFusion reads it.
    ///
    /// # Errors
    /// A row has a value of another type than its column.
    pub(super) fn provider(&self) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        debug_assert!(
            self.rows.iter().flatten().all(|(name, _)| self.columns().any(|(column, _)| column == *name)),
            "{} lacks a column that is given",
            self.name
        );
        let field = |(name, letter): (&str, &str)| Field::new(name, arrow_type(letter), true);
        let schema = Arc::new(Schema::new(self.columns().map(field).collect::<Vec<_>>()));
        let arrays = self.columns().map(|(name, letter)| {
            let given = |row: &Vec<(&'static str, Cell)>| {
                row.iter().find(|(column, _)| *column == name).map(|(_, cell)| cell.clone())
            };
            let other = match letter {
                "b" => Cell::Bool(false),
                "2" | "4" | "8" | "f" | "o" => Cell::Int(0),
                "t" => Cell::Text(String::new()),
                _ => Cell::Null,
            };
            array(
                &arrow_type(letter),
                self.rows.iter().map(|row| given(row).unwrap_or_else(|| other.clone())).collect(),
            )
        });
        let batch = RecordBatch::try_new(schema.clone(), arrays.collect())?;
        Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
    }
}

/// An array of a type with these values; what does not fit is NULL.
pub(super) fn array(arrow_type: &DataType, cells: Vec<Cell>) -> ArrayRef {
    let number = |cell: &Cell| cell.number();
    match arrow_type {
        DataType::Boolean => {
            let bool = |cell: &Cell| if let Cell::Bool(value) = cell { Some(*value) } else { None };
            Arc::new(cells.iter().map(bool).collect::<BooleanArray>())
        }
        DataType::Int16 => Arc::new(cells.iter().map(|cell| number(cell)?.try_into().ok()).collect::<Int16Array>()),
        DataType::Int32 => Arc::new(cells.iter().map(|cell| number(cell)?.try_into().ok()).collect::<Int32Array>()),
        DataType::Int64 => Arc::new(cells.iter().map(number).collect::<Int64Array>()),
        DataType::UInt32 => Arc::new(cells.iter().map(|cell| number(cell)?.try_into().ok()).collect::<UInt32Array>()),
        DataType::Float32 => Arc::new(cells.iter().map(|cell| Some(number(cell)? as f32)).collect::<Float32Array>()),
        DataType::List(item) if *item.data_type() == DataType::Int16 => {
            let items = |cell: &Cell| match cell {
                Cell::List(items) => Some(items.iter().map(|item| item.number()?.try_into().ok()).collect::<Vec<_>>()),
                _ => None,
            };
            Arc::new(ListArray::from_iter_primitive::<Int16Type, _, _>(cells.iter().map(items)))
        }
        DataType::List(_) => texts(&cells),
        DataType::Utf8 => Arc::new(cells.iter().map(|cell| cell.text()).collect::<StringArray>()),
        other => new_null_array(other, cells.len()),
    }
}

/// An array of arrays of texts.
fn texts(cells: &[Cell]) -> ArrayRef {
    let mut builder = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    for cell in cells {
        match cell {
            Cell::List(items) => {
                items.iter().for_each(|item| builder.values().append_option(item.text()));
                builder.append(true);
            }
            _ => builder.append(false),
        }
    }
    Arc::new(builder.finish())
}

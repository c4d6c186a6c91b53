//! Columns with names and roles: the schema of a source, a row's layout for everybody who reads it.

use std::fmt;

use super::SqlType;

/// What a column is in its record.
///
/// KEY and PRIMARY KEY are both [`Role::Key`]: whether a key is primary follows from the source being a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Part of the record's key.
    Key,
    /// Part of the record's value.
    Value,
    /// Filled from the record's headers: all of them, or the last with this name.
    ///
    /// `None` for HEADERS, an array of all; a name for HEADER('name'), the bytes of one.
    Headers(Option<String>),
}

/// A column of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// The name as it is kept: in upper case unless it was quoted.
    pub name: String,
    /// The type of the values, any of which may be NULL.
    pub sql_type: SqlType,
    /// Which part of a record the column is read from.
    pub role: Role,
}

impl Column {
    /// A column of the key.
    pub fn key(name: impl Into<String>, sql_type: SqlType) -> Self {
        Column { name: name.into(), sql_type, role: Role::Key }
    }

    /// A column of the value.
    pub fn value(name: impl Into<String>, sql_type: SqlType) -> Self {
        Column { name: name.into(), sql_type, role: Role::Value }
    }
}

/// The columns of a source: those of the key first, then those of the value, then headers, each as declared.
///
/// Names are unique. Places are counted over all columns, so the values' places start at the number of keys. Pseudo
/// columns such as ROWTIME are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    columns: Vec<Column>,
}

impl Schema {
    /// A schema of these columns, which are brought into the order key, value, headers.
    ///
    /// The sort is stable, so columns of one role stay as declared. That names differ is the caller's promise.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        let mut columns: Vec<Column> = columns.into_iter().collect();
        columns.sort_by_key(|c| match c.role {
            Role::Key => 0,
            Role::Value => 1,
            Role::Headers(_) => 2,
        });
        Schema { columns }
    }

    /// All columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns of the key.
    ///
    /// Empty for a stream without a key.
    pub fn keys(&self) -> &[Column] {
        let end = self.columns.iter().take_while(|c| c.role == Role::Key).count();
        &self.columns[..end]
    }

    /// The columns of the value.
    pub fn values(&self) -> &[Column] {
        let start = self.keys().len();
        let count = self.columns[start..].iter().take_while(|c| c.role == Role::Value).count();
        &self.columns[start..start + count]
    }

    /// The position and the column of this exact name.
    ///
    /// Case matters: names are stored in upper case unless they were quoted.
    pub fn find(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, c)| c.name == name)
    }
}

/// A name as ksqlDB's messages print it: always in back-ticks.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", quoted(&self.name), self.sql_type)?;
        match &self.role {
            Role::Key => f.write_str(" KEY"),
            Role::Value => Ok(()),
            Role::Headers(None) => f.write_str(" HEADERS"),
            Role::Headers(Some(name)) => write!(f, " HEADER('{name}')"),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{column}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_first() {
        let schema = Schema::new([Column::value("V", SqlType::Integer), Column::key("K", SqlType::String)]);
        assert_eq!(schema.to_string(), "`K` STRING KEY, `V` INTEGER");
        assert_eq!(schema.keys().len(), 1);
        assert_eq!(schema.values()[0].name, "V");
    }
}

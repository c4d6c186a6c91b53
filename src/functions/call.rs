//! A call of a scalar function over a batch: arguments in, a column out, and which rows failed.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use crate::types::build::Values;
use crate::types::view::ViewValues;
use crate::types::{Builder, Decimal, SqlType, Value, View};

/// One argument: a column, or one value for all rows.
#[derive(Clone, Debug)]
pub struct Argument {
    /// One entry a row, or a single one if `constant`.
    pub array: ArrayRef,
    pub constant: bool,
    pub sql_type: SqlType,
}

/// A call over all rows of a batch.
pub struct Call<'a> {
    pub args: &'a [Argument],
    pub rows: usize,
    pub returns: &'a SqlType,
    /// The lambdas among the arguments, in their order.
    pub lambdas: Vec<&'a mut dyn Lambda>,
    failures: Failures,
}

/// A lambda as a function gets it.
pub trait Lambda {
    /// What the lambda makes of each entry of its parameters, and the entries that failed. `rows` has the row of the batch
    /// that each entry belongs to.
    fn apply(&mut self, params: &[ArrayRef], rows: &[u32]) -> (ArrayRef, Option<BooleanBuffer>);
}

/// Rows that failed, and what the first one said.
#[derive(Default)]
pub struct Failures {
    rows: Vec<u32>,
    first: Option<String>,
}

impl Failures {
    /// Notes that a row failed.
    pub fn add(&mut self, row: usize, why: impl Into<String>) {
        self.first.get_or_insert_with(|| why.into());
        self.rows.push(row as u32);
    }

    /// The failed rows among `rows` as a bitmap, `None` if none failed, and what the first failure said.
    pub fn finish(self, rows: usize) -> Option<(BooleanBuffer, String)> {
        let first = self.first?;
        let mut failed = self.rows.iter().copied().peekable();
        let bits = BooleanBuffer::collect_bool(rows, |row| failed.next_if(|f| *f as usize == row).is_some());
        Some((bits, first))
    }
}

/// Why a row fails: a sentence for the processing log.
pub struct Fault(pub String);

impl<T: Into<String>> From<T> for Fault {
    fn from(text: T) -> Self {
        Fault(text.into())
    }
}

/// What a function makes of a row: a value, NULL or a failure.
pub type Outcome<R> = Result<Option<R>, Fault>;

/// A Rust type that an argument is read as. `Option` of one is given NULLs too; else a NULL argument makes the result NULL.
pub trait Get<'a>: Sized {
    /// The value in a row; `None` if it is NULL and this type cannot hold that.
    fn get(view: &View<'a>, row: usize, sql_type: &SqlType) -> Option<Self>;
}

macro_rules! get {
    ($($rust:ty, $row:ident: $($pattern:pat => $value:expr),+;)*) => {
        $(impl<'a> Get<'a> for $rust {
            fn get(view: &View<'a>, $row: usize, _: &SqlType) -> Option<Self> {
                match &view.values {
                    _ if view.is_null($row) => None,
                    $($pattern => Some($value),)+
                    _ => unreachable!("the binder passes arguments of the parameters' types"),
                }
            }
        })*
    };
}

get! {
    bool, row: ViewValues::Boolean(bits) => bits.value(row);
    i32, row: ViewValues::Integer(v) | ViewValues::Date(v) | ViewValues::Time(v) => v[row];
    i64, row: ViewValues::Bigint(v) | ViewValues::Timestamp(v) => v[row];
    f64, row: ViewValues::Double(v) => v[row];
    &'a str, row: ViewValues::String(slices) => slices.text(row);
    &'a [u8], row: ViewValues::Bytes(slices) => slices.get(row);
    Decimal, row:
        ViewValues::Decimal128(v, scale) => Decimal::new(arrow::datatypes::i256::from_i128(v[row]), i32::from(*scale)),
        ViewValues::Decimal256(v, scale) => Decimal::new(v[row], i32::from(*scale));
}

impl<'a, T: Get<'a>> Get<'a> for Option<T> {
    fn get(view: &View<'a>, row: usize, sql_type: &SqlType) -> Option<Self> {
        Some(T::get(view, row, sql_type))
    }
}

/// A Rust type that a result is made of.
pub trait Put {
    /// Appends the value to a column of the right type.
    fn put(self, out: &mut Builder);
}

macro_rules! put {
    ($($rust:ty, $value:ident: $($pattern:pat => $push:expr),+;)*) => {
        $(impl Put for $rust {
            fn put(self, out: &mut Builder) {
                let $value = self;
                match out.values() {
                    $($pattern => $push,)+
                    _ => unreachable!("a body returns what its signature says"),
                }
                out.valid();
            }
        })*
    };
}

put! {
    bool, v: Values::Boolean(bits) => bits.append(v);
    i32, v: Values::Integer(to) | Values::Date(to) | Values::Time(to) => to.push(v);
    i64, v: Values::Bigint(to) | Values::Timestamp(to) => to.push(v);
    f64, v: Values::Double(to) => to.push(v);
    &str, v: Values::String(texts) => texts.push(v.as_bytes());
    String, v: Values::String(texts) => texts.push(v.as_bytes());
    &[u8], v: Values::Bytes(texts) => texts.push(v);
    Vec<u8>, v: Values::Bytes(texts) => texts.push(&v);
}

impl Put for Value {
    fn put(self, out: &mut Builder) {
        out.push(&self);
    }
}

impl Put for Decimal {
    fn put(self, out: &mut Builder) {
        out.push(&Value::Decimal(self));
    }
}

impl<'a> Call<'a> {
    /// A call with these arguments.
    pub fn new(args: &'a [Argument], rows: usize, returns: &'a SqlType) -> Self {
        Call { args, rows, returns, lambdas: Vec::new(), failures: Failures::default() }
    }

    /// Ends the call: which rows failed.
    pub fn into_failures(self) -> Failures {
        self.failures
    }

    /// The same call with lambdas.
    pub fn with_lambdas(mut self, lambdas: Vec<&'a mut dyn Lambda>) -> Self {
        self.lambdas = lambdas;
        self
    }

    /// Reads an argument as a Rust type.
    pub fn read(&self, index: usize) -> Reader<'a> {
        let arg = &self.args[index];
        Reader { view: View::new(arg.array.as_ref(), &arg.sql_type), constant: arg.constant, sql_type: &arg.sql_type }
    }

    /// Reads all arguments.
    pub fn readers(&self) -> Vec<Reader<'a>> {
        (0..self.args.len()).map(|index| self.read(index)).collect()
    }

    /// A column with what `row` makes of each row; a failed row is NULL and noted.
    pub fn rows<R: Put>(&mut self, mut row: impl FnMut(usize) -> Outcome<R>) -> ArrayRef {
        let mut out = Builder::new(self.returns, self.rows);
        for i in 0..self.rows {
            match row(i) {
                Ok(Some(value)) => value.put(&mut out),
                Ok(None) => out.null(),
                Err(Fault(why)) => {
                    self.failures.add(i, why);
                    out.null();
                }
            }
        }
        out.finish()
    }

    /// A column of what `f` makes of all arguments as [`Value`]s: slower, for values of any type.
    pub fn values(&mut self, mut f: impl FnMut(&[Value]) -> Outcome<Value>) -> ArrayRef {
        let args = self.args;
        let at = |arg: &Argument, row: usize| {
            Value::at(arg.array.as_ref(), if arg.constant { 0 } else { row }, &arg.sql_type)
        };
        self.rows(|row| f(&args.iter().map(|arg| at(arg, row)).collect::<Vec<_>>()))
    }
}

/// An argument under a Rust type.
pub struct Reader<'a> {
    view: View<'a>,
    constant: bool,
    sql_type: &'a SqlType,
}

impl<'a> Reader<'a> {
    /// The value for a row.
    pub fn get<T: Get<'a>>(&self, row: usize) -> Option<T> {
        T::get(&self.view, if self.constant { 0 } else { row }, self.sql_type)
    }
}

/// A column of what `f` makes of one argument.
pub fn rows1<'a, A: Get<'a>, R: Put>(call: &mut Call<'a>, mut f: impl FnMut(A) -> Outcome<R>) -> ArrayRef {
    let a = call.read(0);
    call.rows(|row| a.get(row).map_or(Ok(None), &mut f))
}

/// A column of what `f` makes of two arguments.
pub fn rows2<'a, A: Get<'a>, B: Get<'a>, R: Put>(
    call: &mut Call<'a>,
    mut f: impl FnMut(A, B) -> Outcome<R>,
) -> ArrayRef {
    let (a, b) = (call.read(0), call.read(1));
    call.rows(|row| match (a.get(row), b.get(row)) {
        (Some(a), Some(b)) => f(a, b),
        _ => Ok(None),
    })
}

/// A column of what `f` makes of three arguments.
pub fn rows3<'a, A: Get<'a>, B: Get<'a>, C: Get<'a>, R: Put>(
    call: &mut Call<'a>,
    mut f: impl FnMut(A, B, C) -> Outcome<R>,
) -> ArrayRef {
    let (a, b, c) = (call.read(0), call.read(1), call.read(2));
    call.rows(|row| match (a.get(row), b.get(row), c.get(row)) {
        (Some(a), Some(b), Some(c)) => f(a, b, c),
        _ => Ok(None),
    })
}

//! A call of a scalar function over a batch: arguments in, a column out, and which rows failed.
//!
//! Three layers of help for the author of a body, from the fast to the general one:
//!
//! | helper | arguments as | NULL arguments |
//! |---|---|---|
//! | [`rows1`], [`rows2`], [`rows3`] | Rust types | make the result NULL |
//! | [`Call::rows`] with [`Call::readers`] | Rust types, asked for one by one | the body decides |
//! | [`Call::values`] | [`Value`]s, copied for each row | the body decides |
//!
//! All of them go row by row, skip what nobody asks for, and count the bytes of what they make. The cost is O(rows)
//! and one virtual step per batch, not per row.

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::buffer::BooleanBuffer;

use super::BoundScalar;
pub use super::fault::Fault;
use super::fault::{MOST_COLUMN_BYTES, check_items, check_size, shown};
use crate::types::build::Values;
use crate::types::view::ViewValues;
use crate::types::{Builder, Decimal, Rounding, SqlType, Value, View};

/// One argument: a column, or one value for all rows.
///
/// After widening, so the array is that of `sql_type`, whatever the statement wrote.
#[derive(Clone, Debug)]
pub struct Argument {
    /// One entry a row, or a single one if `constant`.
    ///
    /// The argument of a lambda has no entry at all: what it gives is asked of [`Call::lambdas`].
    pub array: ArrayRef,
    /// True if one value stands for all rows.
    pub constant: bool,
    /// The type after widening.
    pub sql_type: SqlType,
}

/// A call over all rows of a batch.
pub struct Call<'a> {
    /// The arguments in the order of the call; that of a lambda is an empty column.
    pub args: &'a [Argument],
    /// The number of rows of the batch, which is also the length of the result.
    pub rows: usize,
    /// The type of the result.
    pub returns: &'a SqlType,
    /// The lambdas among the arguments, in their order.
    ///
    /// The first lambda of the call has number 0, wherever it stands among the arguments.
    pub lambdas: Vec<&'a mut dyn Lambda>,
    /// The rows that are not computed: nothing asks for them, or an argument has no value.
    ///
    /// `None` skips nothing. A set bit skips its row.
    skipped: Option<BooleanBuffer>,
    /// The rows with an error of the function itself, ascending; [`Call::finish`] relies on that.
    failed: Vec<u32>,
    /// The rows without a value because a lambda had none, ascending. Such an error is counted where the lambda was
    /// evaluated, so it is not counted here again.
    ended: Vec<u32>,
    /// Why the first row of `failed` failed. Only one reason is kept, since a message is made for one row per batch.
    first: Option<Fault>,
    /// Whether the rows together would make too large a column.
    too_much: bool,
}

impl Argument {
    /// The value for a row.
    ///
    /// Copies texts and collections. `row` counts from 0 in the batch, for a constant too.
    ///
    /// # Panics
    /// If `row` is beyond the column.
    pub fn value(&self, row: usize) -> Value {
        Value::at(self.array.as_ref(), if self.constant { 0 } else { row }, &self.sql_type)
    }
}

/// A lambda as a function gets it.
///
/// The function prepares one column per parameter: for `TRANSFORM(array, x => …)` the items of all arrays of the
/// batch, one after the other. All columns have as many entries as `rows`.
pub trait Lambda {
    /// The result of the lambda for each entry of its parameters, and the entries that have none. `rows` has the row of the
    /// batch that each entry belongs to.
    ///
    /// The result has one entry per entry of the parameters. A set bit in the second part marks an entry without a
    /// value; whether that was an error has been noted for its row already.
    fn apply(&mut self, params: &[ArrayRef], rows: &[u32]) -> (ArrayRef, Option<BooleanBuffer>);
}

/// How a call has ended.
#[derive(Debug)]
pub struct Ended {
    /// The rows in which an error occurred.
    ///
    /// One bit per row of the batch; `None` if no row failed. The rows are NULL in the column.
    pub failed: Option<BooleanBuffer>,
    /// The rows that have no value because a lambda had none.
    ///
    /// Disjoint from `failed`, `None` if there are none.
    pub ended: Option<BooleanBuffer>,
    /// Whether the rows together would have made too large a column: then the column is not whole.
    pub is_too_much: bool,
    first: Option<Fault>,
}

impl Ended {
    /// Why the first of the failed rows failed, as a sentence with the function and the value that was at fault. `row` is
    /// that row.
    ///
    /// The form is `NAME: cause: NAME(arguments)`, with long values cut. A [`Fault::Shown`] names the value itself,
    /// so the call is left out.
    pub fn reason(&self, row: usize, function: &BoundScalar, args: &[Argument]) -> String {
        let name = function.function.name;
        match &self.first {
            Some(Fault::Shown(text)) => format!("{name}: {text}"),
            Some(fault) => {
                // A lambda has no value that could be shown.
                let value =
                    |arg: &Argument| if arg.array.is_empty() { "…".to_owned() } else { shown(&arg.value(row)) };
                let args: Vec<String> = args.iter().map(value).collect();
                format!("{name}: {}: {name}({})", fault.text(), args.join(", "))
            }
            None => format!("{name} failed"),
        }
    }
}

/// The result of a function for a row: a value, NULL or the reason why there is none.
///
/// `Ok(None)` is NULL and no error. `Err` is NULL too, and the row is counted as failed.
pub type Outcome<R> = Result<Option<R>, Fault>;

/// A Rust type that an argument is read as. `Option` of one is given NULLs too; else a NULL argument makes the result NULL.
///
/// INTEGER, DATE and TIME are read as `i32`, BIGINT and TIMESTAMP as `i64`: a body that takes a DATE sees days, one
/// that takes a TIMESTAMP sees milliseconds. Texts and bytes are borrowed from the column.
///
/// # Panics
/// If the column holds another type: the binder has widened the arguments to the parameters' types.
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

/// A Rust type of results.
///
/// The counterpart of [`Get`]. A body that gives `i32` fills a column of INTEGER, DATE or TIME, whichever its
/// signature declares.
pub trait Put {
    /// About how many bytes of texts and items the value has.
    ///
    /// An estimate for the limits of columns and values, not for memory accounts.
    fn size(&self) -> usize;

    /// How many items the value has, if it is a collection.
    ///
    /// Only the outermost collection counts. 0 for every other value.
    fn items(&self) -> usize {
        0
    }

    /// Why the value is none of the declared type, although it has the right kind.
    ///
    /// Only a DECIMAL can have too many digits.
    fn misfit(&self, declared: &SqlType) -> Option<Fault> {
        let _ = declared;
        None
    }

    /// Appends the value to a column of the right type.
    fn put(self, out: &mut Builder);
}

macro_rules! put {
    ($($rust:ty, $value:ident, $size:expr, $($pattern:pat => $push:expr),+;)*) => {
        $(impl Put for $rust {
            #[inline]
            fn size(&self) -> usize {
                let $value = self;
                $size
            }

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
    bool, v, size_of_val(v), Values::Boolean(bits) => bits.append(v);
    i32, v, size_of_val(v), Values::Integer(to) | Values::Date(to) | Values::Time(to) => to.push(v);
    i64, v, size_of_val(v), Values::Bigint(to) | Values::Timestamp(to) => to.push(v);
    f64, v, size_of_val(v), Values::Double(to) => to.push(v);
    &str, v, v.len(), Values::String(texts) => texts.push(v);
    String, v, v.len(), Values::String(texts) => texts.push(&v);
    &[u8], v, v.len(), Values::Bytes(blobs) => blobs.push(v);
    Vec<u8>, v, v.len(), Values::Bytes(blobs) => blobs.push(&v);
}

impl Put for Value {
    fn size(&self) -> usize {
        Value::size(self)
    }

    fn items(&self) -> usize {
        match self {
            Value::Array(items) => items.len(),
            Value::Map(entries) => entries.len(),
            _ => 0,
        }
    }

    fn misfit(&self, declared: &SqlType) -> Option<Fault> {
        match self {
            Value::Decimal(value) => value.misfit(declared),
            _ => None,
        }
    }

    fn put(self, out: &mut Builder) {
        out.push(&self);
    }
}

impl Put for Decimal {
    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn misfit(&self, declared: &SqlType) -> Option<Fault> {
        let SqlType::Decimal { precision, scale } = declared else { return None };
        let exact = self.rescale(i32::from(*scale), Rounding::Exact);
        let fits = exact.is_some_and(|exact| exact.has_at_most(*precision));
        (!fits).then(|| format!("the result {self} is no {declared}").into())
    }

    fn put(self, out: &mut Builder) {
        out.push(&Value::Decimal(self));
    }
}

impl<'a> Call<'a> {
    /// A call with these arguments.
    pub fn new(args: &'a [Argument], rows: usize, returns: &'a SqlType) -> Self {
        let (skipped, failed, ended) = (None, Vec::new(), Vec::new());
        Call { args, rows, returns, lambdas: Vec::new(), skipped, failed, ended, first: None, too_much: false }
    }

    /// The same call without computing some of the rows.
    pub fn skipping(mut self, skipped: Option<BooleanBuffer>) -> Self {
        self.skipped = skipped;
        self
    }

    /// Whether a row is not computed.
    pub fn skips(&self, row: usize) -> bool {
        self.skipped.as_ref().is_some_and(|skipped| skipped.value(row))
    }

    /// Ends the call: which rows have no value, and why.
    ///
    /// The column that the body gave is valid only if [`Ended::is_too_much`] is false.
    pub fn finish(self) -> Ended {
        let bits = |marked: Vec<u32>| {
            let mut marked = marked.into_iter().peekable();
            marked.peek()?;
            let next = |row| marked.next_if(|m| *m as usize == row).is_some();
            Some(BooleanBuffer::collect_bool(self.rows, next))
        };
        let (failed, ended) = (bits(self.failed), bits(self.ended));
        Ended { failed, ended, is_too_much: self.too_much, first: self.first }
    }

    /// The same call with lambdas.
    pub fn with_lambdas(mut self, lambdas: Vec<&'a mut dyn Lambda>) -> Self {
        self.lambdas = lambdas;
        self
    }

    /// Reads an argument as a Rust type.
    ///
    /// Asks for the type of the column once, so that a loop over rows need not.
    ///
    /// # Panics
    /// If there is no argument of this number.
    pub fn read(&self, index: usize) -> Reader<'a> {
        let arg = &self.args[index];
        Reader { view: View::new(arg.array.as_ref(), &arg.sql_type), constant: arg.constant, sql_type: &arg.sql_type }
    }

    /// Reads all arguments.
    pub fn readers(&self) -> Vec<Reader<'a>> {
        (0..self.args.len()).map(|index| self.read(index)).collect()
    }

    /// A column with the result of `row` for each row. A row without a value is NULL and noted.
    ///
    /// `row` is called at most once for each row, in ascending order, and not for rows that the call skips. A result
    /// larger than a value may be, or with more items than a collection may have, fails its row. When the rows
    /// together exceed the limit of a column, the rest is not computed and the column is all NULL: the caller drops
    /// it and tries with fewer rows.
    pub fn rows<R: Put>(&mut self, mut row: impl FnMut(usize) -> Outcome<R>) -> ArrayRef {
        let mut out = Builder::new(self.returns, self.rows);
        let mut bytes = 0usize;
        for i in 0..self.rows {
            if self.skips(i) || self.too_much {
                out.null();
                continue;
            }
            match row(i) {
                Ok(Some(value)) => {
                    let size = value.size();
                    bytes += size;
                    if self.is_too_much(bytes) {
                        return new_null_array(&self.returns.arrow(), self.rows);
                    }
                    let fits = value.misfit(self.returns).map_or(Ok(()), Err);
                    match check_size(size).and_then(|()| check_items(value.items())).and(fits) {
                        Ok(()) => value.put(&mut out),
                        Err(fault) => self.fail(i, fault, &mut out),
                    }
                }
                Ok(None) => out.null(),
                Err(fault) => self.fail(i, fault, &mut out),
            }
        }
        out.finish()
    }

    /// Notes a column of so many bytes. If it is too large for several rows together, nothing needs to be computed any more: the
    /// call is made again with fewer rows.
    ///
    /// Whether it is too large.
    ///
    /// A single row is never too much, so that halving a batch always ends. A function that makes large buffers calls
    /// this before it fills them; [`Call::rows`] does it for all others.
    pub fn is_too_much(&mut self, bytes: usize) -> bool {
        self.too_much |= bytes > MOST_COLUMN_BYTES && self.rows > 1;
        self.too_much
    }

    /// Appends NULL and notes the row. [`Fault::Lambda`] goes to `ended`, every other fault to `failed`.
    fn fail(&mut self, row: usize, fault: Fault, out: &mut Builder) {
        out.null();
        if fault == Fault::Lambda {
            return self.ended.push(row as u32);
        }
        self.failed.push(row as u32);
        self.first.get_or_insert(fault);
    }

    /// A column with the result of `f` for all arguments as [`Value`]s: slower, for values of any type.
    ///
    /// A constant is read once and kept in its place; only varying arguments are copied for each row. With no rows
    /// nothing is read. Not for calls with lambdas, whose arguments have no value to read.
    pub fn values(&mut self, mut f: impl FnMut(&[Value]) -> Outcome<Value>) -> ArrayRef {
        let args = self.args;
        let is_varying = |arg: &Argument| !arg.constant;
        let constant = |arg: &Argument| if is_varying(arg) { Value::Null } else { arg.value(0) };
        let mut values: Vec<Value> = match self.rows {
            0 => Vec::new(),
            _ => args.iter().map(constant).collect(),
        };
        self.rows(|row| {
            for (value, arg) in values.iter_mut().zip(args).filter(|(_, arg)| is_varying(arg)) {
                *value = arg.value(row);
            }
            f(&values)
        })
    }
}

/// An argument under a Rust type.
///
/// Cheap to make and to keep for the whole batch; it borrows the argument's array.
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

/// A column with the result of `f` for one argument, NULL where that is NULL.
///
/// `f` is called for rows without NULLs that the call does not skip. NULL rows are not errors.
pub fn rows1<'a, A: Get<'a>, R: Put>(call: &mut Call<'a>, mut f: impl FnMut(A) -> Outcome<R>) -> ArrayRef {
    let a = call.read(0);
    call.rows(|row| a.get(row).map_or(Ok(None), &mut f))
}

/// A column with the result of `f` for two arguments, NULL where one is NULL.
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

/// A column with the result of `f` for three arguments, NULL where one is NULL.
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

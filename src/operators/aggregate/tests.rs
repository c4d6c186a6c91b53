//! An aggregation against an obvious one: random rows in random batches, with an output that soon has enough, over restarts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::disk::double::Random;
use crate::functions;
use crate::functions::signature::ArgType;
use crate::ids::{EpochNumber, WalkId};
use crate::operators::table::{AsOf, Table as _, WindowRange};
use crate::operators::{Limit, Log, Origin, Reason};
use crate::state::EntryBatch;
use crate::types::row::Input;
use crate::types::{Seq, Value, array_of};

/// How the aggregation of a test is made.
#[derive(Clone, Copy, Debug)]
struct Made {
    window: Option<(i64, i64)>,
    every_row: bool,
    last_only: bool,
    old: bool,
    limit: Limit,
}

const GRACE_MS: i64 = 1_000_000;

fn bound(name: &str, sql_type: &SqlType, constants: &[Value]) -> BoundAggregate {
    let function = functions::find_aggregate(name).expect("a function");
    let types = std::iter::once(sql_type.clone()).chain(constants.iter().map(|_| SqlType::Integer));
    let types: Vec<ArgType> = types.map(|t| ArgType::Value(Some(t))).collect();
    let literals: Vec<Result<Value, String>> =
        std::iter::once(Err(String::new())).chain(constants.iter().cloned().map(Ok)).collect();
    let mut bound = function.bind(&types, &literals).expect("bound");
    if function.limit.is_some() {
        bound.constants.push(Value::Bigint(i64::MAX));
    }
    bound
}

/// So many of the last values are kept by the last call.
const LAST: usize = 9;

/// COLLECT_LIST, COUNT, COLLECT_SET and the last values of a text, by a text.
fn aggregate(made: &Made) -> Aggregate {
    aggregate_for(made, GRACE_MS, 1 << 40)
}

/// The same, with windows that are kept so long.
fn aggregate_for(made: &Made, grace_ms: i64, retention_ms: i64) -> Aggregate {
    let call =
        |name: &str, constants: &[Value]| Call { function: bound(name, &SqlType::String, constants), args: vec![1] };
    let window = |(size_ms, advance_ms)| TimeWindow { size_ms, advance_ms, grace_ms, retention_ms };
    let mut calls: Vec<Call> = ["COLLECT_LIST", "COUNT", "COLLECT_SET"].map(|name| call(name, &[])).into();
    calls.push(call("LATEST_BY_OFFSET", &[Value::Integer(LAST as i32)]));
    Aggregate::new(Spec {
        keys: vec![(0, SqlType::String)],
        calls,
        window: made.window.map(window),
        every_row: made.every_row,
        last_only: made
            .last_only
            .then(|| Arc::new(|keys: &[&[u8]]| Ok(keys.iter().map(|key| key.to_vec()).collect())) as KeyBytes),
        old: made.old,
    })
}

/// A result: the key and the start of the window, the list, what was before if that is asked for, and the ordinal.
type Row = (String, i64, Vec<String>, Option<Vec<String>>, u64);

fn texts(column: &Value) -> Vec<String> {
    let Value::Array(items) = column else { panic!("{column:?} is no list") };
    items.iter().map(Value::to_text).collect()
}

/// The distinct texts in the order in which they first came.
fn distinct(texts: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    texts.iter().for_each(|text| {
        if !found.contains(text) {
            found.push(text.clone());
        }
    });
    found
}

fn rows_of(batch: &Batch, made: &Made) -> Vec<Row> {
    let list = SqlType::array(SqlType::String);
    let first = if made.window.is_some() { 3 } else { 1 };
    let row = |row: usize| {
        let at =
            |columns: &[arrow::array::ArrayRef], place: usize, t: &SqlType| Value::at(columns[place].as_ref(), row, t);
        let own = texts(&at(&batch.columns, first, &list));
        assert_eq!(at(&batch.columns, first + 1, &SqlType::Bigint), Value::Bigint(own.len() as i64));
        assert_eq!(texts(&at(&batch.columns, first + 2, &list)), distinct(&own));
        assert_eq!(texts(&at(&batch.columns, first + 3, &list)), own[own.len().saturating_sub(LAST)..]);
        let start = match made.window.map(|_| at(&batch.columns, 1, &SqlType::Bigint)) {
            Some(Value::Bigint(start)) => start,
            _ => 0,
        };
        let old = batch
            .old
            .as_ref()
            .map(|old| if batch.is_old_absent(row) { Vec::new() } else { texts(&at(&old.columns, first, &list)) });
        (at(&batch.columns, 0, &SqlType::String).to_text(), start, own, old, batch.seq.at(row))
    };
    (0..batch.rows()).map(row).collect()
}

/// Calls the operator until it is done; what it made.
fn drive(
    aggregate: &mut Aggregate,
    made: &Made,
    end: u64,
    call: impl FnOnce(&mut Aggregate, &mut Context, &mut Output) -> Result<Flow>,
) -> Vec<Row> {
    let (mut log, mut out) = (Log::default(), Output::new(made.limit));
    let limits = [i64::MAX];
    let mut cx = Context { limits: &limits, now_ms: 0, end, origin: &|_| None, point_ms: &|_| i64::MAX, log: &mut log };
    let mut flow = call(aggregate, &mut cx, &mut out).expect("no row is broken");
    let mut rows = Vec::new();
    loop {
        let mut batches = 0;
        for batch in out.drain() {
            batches += 1;
            assert!(batch.rows() <= made.limit.rows.max(1) * 4, "{} rows", batch.rows());
            let largest = (0..batch.rows()).map(|row| batch.slice(row, 1).bytes()).max().unwrap_or(0);
            let most = 3 * (made.limit.bytes + largest);
            assert!(batch.rows() == 1 || batch.bytes() <= most, "{} bytes of {most}", batch.bytes());
            rows.extend(rows_of(&batch, made));
        }
        match flow {
            Flow::Done => return rows,
            Flow::Left(seq) => assert!(seq <= end && batches > 0, "work is left without need"),
        }
        flow = aggregate.resume(&mut cx, &mut out).expect("no row is broken");
    }
}

/// The aggregation, the obvious one, and what is saved.
struct Machine {
    random: Random,
    made: Made,
    aggregate: Aggregate,
    groups: BTreeMap<(i64, String), Vec<String>>,
    /// The groups touched in the epoch, in the order of their first touch, with what was before.
    touched: Vec<((i64, String), Vec<String>)>,
    /// The changes of each epoch.
    saved: Vec<Vec<(BucketId, Vec<u8>, Option<Vec<u8>>)>>,
    seq: u64,
    time: i64,
}

impl Machine {
    fn new(seed: u64, made: Made) -> Self {
        Machine {
            random: Random::new(seed),
            made,
            aggregate: aggregate(&made),
            groups: BTreeMap::new(),
            touched: Vec::new(),
            saved: Vec::new(),
            seq: 0,
            time: 0,
        }
    }

    fn starts(&self, time: i64) -> Vec<i64> {
        let Some((size, advance)) = self.made.window else { return vec![0] };
        (0..=time / advance).map(|n| n * advance).filter(|start| start + size > time).collect()
    }

    /// A batch of rows; the results that are to come.
    fn batch(&mut self) -> (Batch, Vec<Row>) {
        let (mut keys, mut values, mut times, mut expected) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let first = self.seq;
        for _ in 0..self.random.below(20) {
            let key = format!("k{}", self.random.below(4));
            let text = format!("{}{}", self.random.below(9), "x".repeat(self.random.below(30) as usize));
            self.time += self.random.below(8) as i64;
            let time = (self.time - self.random.below(30) as i64).max(0);
            for start in self.starts(time) {
                let group = (start, key.clone());
                let list = self.groups.entry(group.clone()).or_default();
                let before = list.clone();
                list.push(text.clone());
                let old = self.made.old.then(|| before.clone());
                expected.push((key.clone(), start, list.clone(), old, self.seq));
                if !self.touched.iter().any(|(touched, _)| *touched == group) {
                    self.touched.push((group, before));
                }
            }
            keys.push(Value::String(key));
            values.push(Value::String(text));
            times.push(time);
            self.seq += 1;
        }
        let columns = [keys, values].map(|values| array_of(&values, &SqlType::String)).into();
        (Batch::new(columns, times.into(), Seq::From(first)), expected)
    }

    fn take(&mut self) {
        let (batch, expected) = self.batch();
        let rows = drive(&mut self.aggregate, &self.made, self.seq, |own, cx, out| own.process(0, batch, cx, out));
        let wanted = if self.made.every_row { expected } else { Vec::new() };
        assert_eq!(rows, wanted, "{:?}", self.made);
        let rows = drive(&mut self.aggregate, &self.made, self.seq, |own, cx, out| own.advance(cx, out));
        assert_eq!(rows, []);
    }

    fn end_epoch(&mut self) {
        let rows = drive(&mut self.aggregate, &self.made, self.seq, |own, cx, out| own.flush(cx, out));
        let result = |(group, before): ((i64, String), Vec<String>)| {
            let (old, list) = (self.made.old.then_some(before), self.groups[&group].clone());
            (group.1, group.0, list, old, self.seq)
        };
        let expected: Vec<Row> = std::mem::take(&mut self.touched).into_iter().map(result).collect();
        assert_eq!(rows, if self.made.every_row { Vec::new() } else { expected }, "{:?}", self.made);
        let mut changes = Vec::new();
        let own = |value: Option<&[u8]>| value.map(<[u8]>::to_vec);
        let mut change = |bucket, key: &[u8], value: Option<&[u8]>| changes.push((bucket, key.to_vec(), own(value)));
        // A few at first, or all together.
        let (few, times) = ([1, 3][self.saved.len() % 2], [0, 1, 100][self.saved.len() % 3]);
        for _ in 0..times {
            self.aggregate.take_some_changes(few, &mut change);
        }
        self.aggregate.take_changes(&mut change);
        self.saved.push(changes);
    }

    /// The aggregation made anew of its entries: all of them, or those of one key.
    fn restarted(&self, key: Option<&str>) -> Aggregate {
        let mut times = Vec::new();
        self.aggregate.save_times(&mut times);
        let mut fresh = aggregate(&self.made);
        let prefix = key.map(|key| self.aggregate.prefix(&[Value::String(key.into())]).expect("a table"));
        for (number, epoch) in self.saved.iter().enumerate() {
            let mut epoch = epoch.clone();
            // As a run has them, or as they came.
            if number % 2 == 0 {
                epoch.sort();
            }
            for (bucket, key, value) in epoch {
                if prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix)) {
                    let mut batch = EntryBatch::default();
                    batch.push(&key, value.as_deref());
                    fresh.load(bucket, &batch).expect("whole");
                }
            }
        }
        fresh.load_times(&mut Input(&times)).expect("whole");
        fresh
    }

    /// The table as a pull sees it.
    fn check_table(&self, aggregate: &mut Aggregate, key: Option<&str>) {
        let as_of = AsOf::Epoch(EpochNumber::default());
        let batches = match key {
            Some(key) => found(aggregate, as_of, key),
            None => {
                aggregate.begin_walk(WalkId::new(1), as_of).expect("no bug");
                walked(aggregate, WalkId::new(1), &mut |_| {})
            }
        };
        let made = Made { old: false, ..self.made };
        let mut rows: Vec<_> =
            batches.iter().flat_map(|batch| rows_of(batch, &made)).map(|r| ((r.1, r.0), r.2)).collect();
        rows.sort();
        let wanted = self.groups.iter().filter(|((_, own), _)| key.is_none_or(|key| key == own));
        assert_eq!(rows, wanted.map(|(group, list)| (group.clone(), list.clone())).collect::<Vec<_>>());
    }
}

#[test]
fn aggregations_are_as_the_obvious_one_however_little_room_there_is() {
    let few = Limit { rows: 3, bytes: 1 << 20 };
    let small = Limit { rows: 8192, bytes: 300 };
    let mut deleted = 0;
    for (seed, limit) in [few, small, Limit { rows: 8192, bytes: 1 << 20 }].into_iter().enumerate() {
        for window in [None, Some((100, 100)), Some((100, 40))] {
            for (every_row, old) in [(true, false), (true, true), (false, false), (false, true)] {
                let made = Made { window, every_row, last_only: false, old, limit };
                let mut machine = Machine::new(seed as u64, made);
                for _ in 0..60 {
                    machine.take();
                    if machine.random.one_in(4) {
                        machine.end_epoch();
                        let mut own = std::mem::replace(&mut machine.aggregate, aggregate(&made));
                        machine.check_table(&mut own, None);
                        machine.aggregate = own;
                        machine.check_table(&mut machine.restarted(Some("k1")), Some("k1"));
                        if machine.random.one_in(2) {
                            machine.aggregate = machine.restarted(None);
                        }
                    }
                }
                deleted += machine.saved.iter().flatten().filter(|(_, _, value)| value.is_none()).count();
            }
        }
    }
    assert!(deleted > 0, "parts come and go");
}

/// Nine thousand growing lists of 70 bytes an item would be more than a column of 2 GiB holds: they come in many batches.
#[test]
fn growing_lists_come_in_batches_of_bounded_size() {
    let limit = Limit { rows: 8192, bytes: 1 << 20 };
    let made = Made { window: None, every_row: true, last_only: false, old: false, limit };
    let mut own = aggregate(&made);
    let (count, text) = (2_000, Value::String("x".repeat(70)));
    let columns = [Value::String("k".into()), text].map(|value| array_of(vec![&value; count], &SqlType::String)).into();
    let batch = Batch::new(columns, vec![1; count].into(), Seq::From(0));
    let (mut log, mut out) = (Log::default(), Output::new(limit));
    let limits = [i64::MAX];
    let mut cx = Context {
        limits: &limits,
        now_ms: 0,
        end: count as u64,
        origin: &|_| None,
        point_ms: &|_| i64::MAX,
        log: &mut log,
    };
    let mut flow = own.process(0, batch, &mut cx, &mut out).expect("no row is broken");
    let (mut rows, mut largest) = (0, 0);
    loop {
        for batch in out.drain() {
            rows += batch.rows();
            largest = largest.max(batch.bytes());
        }
        let Flow::Left(seq) = flow else { break };
        assert_eq!(seq, rows as u64, "the next row is the one after those that were handed on");
        flow = own.resume(&mut cx, &mut out).expect("no row is broken");
    }
    assert_eq!(rows, count);
    assert!(largest < 3 << 20, "{largest} bytes in a batch");
}

/// A row that a call cannot take in is counted once, with its reason, and hurts nobody.
#[test]
fn a_sum_that_overflows_is_an_error_of_its_row() {
    let sql_type = SqlType::decimal(3, 1);
    for (every_row, old) in [(true, true), (true, false), (false, false)] {
        let spec = Spec {
            keys: vec![(0, SqlType::String)],
            calls: vec![Call { function: bound("SUM", &sql_type, &[]), args: vec![1] }],
            window: None,
            every_row,
            last_only: None,
            old,
        };
        let mut own = Aggregate::new(spec);
        let number = |text: &str| Value::Decimal(crate::types::Decimal::parse(text).expect("a number"));
        let keys = ["a", "a", "b", "a"].map(|key| Value::String(key.into()));
        let values = ["99.0", "1.0", "1.0", "-9.0"].map(number);
        let columns = vec![array_of(&keys, &SqlType::String), array_of(&values, &sql_type)];
        let batch = Batch::new(columns, vec![1; 4].into(), Seq::From(0));
        let mut log = Log::default();
        let limits = [i64::MAX];
        let origin = |seq| Some(Origin { topic: 0, partition: 0, offset: seq as i64 });
        let mut out = Output::new(Limit { rows: 100, bytes: 1 << 20 });
        let mut cx =
            Context { limits: &limits, now_ms: 0, end: 4, origin: &origin, point_ms: &|_| i64::MAX, log: &mut log };
        assert_eq!(own.process(0, batch, &mut cx, &mut out).expect("the query lives"), Flow::Done);
        assert_eq!(own.flush(&mut cx, &mut out).expect("the query lives"), Flow::Done);
        let shown = |batch: &Batch, row: usize| Value::at(batch.columns[1].as_ref(), row, &sql_type).to_text();
        let sums: Vec<String> =
            out.drain().flat_map(|b| (0..b.rows()).map(|row| shown(&b, row)).collect::<Vec<_>>()).collect();
        assert_eq!(sums, if every_row { vec!["99.0", "99.0", "1.0", "90.0"] } else { vec!["90.0", "1.0"] });
        assert_eq!(log.counts().get(&Reason::Expression), Some(&1));
        let crate::operators::Failure { message, origin, .. } = log.samples().next().expect("one failed");
        assert_eq!(origin.map(|origin| origin.offset), Some(1));
        assert!(message.starts_with("SUM: Numeric field overflow") && message.contains("100.0"), "{message}");
    }
}

/// Rows that come into a large list are saved with about their own size, and not with the list.
#[test]
fn a_hot_list_is_saved_by_its_growth() {
    let limit = Limit { rows: usize::MAX, bytes: usize::MAX };
    let made = Made { window: None, every_row: false, last_only: false, old: false, limit };
    let mut own = aggregate(&made);
    let mut saved = |count: usize, text: &str| {
        let rows = [Value::String("k".into()), Value::String(text.into())];
        let columns = rows.map(|value| array_of(vec![&value; count], &SqlType::String)).into();
        let batch = Batch::new(columns, vec![1; count].into(), Seq::From(0));
        let mut log = Log::default();
        let limits = [i64::MAX];
        let mut cx =
            Context { limits: &limits, now_ms: 0, end: 0, origin: &|_| None, point_ms: &|_| i64::MAX, log: &mut log };
        let mut out = Output::new(limit);
        assert_eq!(own.process(0, batch, &mut cx, &mut out).expect("no bug"), Flow::Done);
        assert_eq!(own.flush(&mut cx, &mut out).expect("no bug"), Flow::Done);
        let mut bytes = 0;
        own.take_changes(&mut |_, key, value| bytes += key.len() + value.map_or(0, <[u8]>::len));
        bytes
    };
    assert!(saved(2_000, &"x".repeat(100)) > 200_000);
    // An item has 4 bytes; a part, its key and the counts a few more.
    let few = saved(100, "y");
    assert!(few < 2_000, "{few} bytes for 100 rows of a byte");
    let one = saved(1, "z");
    assert!(one < 200, "{one} bytes for a row of a byte");
}

/// A walk over the table, or a look-up of a key.
type Wanted = Option<String>;

/// The rows of a key.
fn found(aggregate: &mut Aggregate, as_of: AsOf, key: &str) -> Vec<Batch> {
    let rows = aggregate.look_up(as_of, &WindowRange::default(), &[vec![Value::String(key.into())]]).expect("no bug");
    rows.into_iter().map(|rows| rows().expect("no bug")).collect()
}

/// The rows of a walk that has begun; between two steps `meanwhile` may go on.
fn walked(aggregate: &mut Aggregate, walk: WalkId, meanwhile: &mut dyn FnMut(&mut Aggregate)) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Some(rows) = aggregate.walk(walk, &WindowRange::default()).expect("no bug") {
        meanwhile(aggregate);
        batches.push(rows().expect("no bug"));
    }
    aggregate.end_walk(walk);
    batches
}

/// The table as it was at the end of an epoch: the start of the window and the key, and the list.
type Table = BTreeMap<(i64, String), Vec<String>>;

fn table_of(batches: &[Batch], made: &Made) -> Table {
    let rows: Vec<Row> = batches.iter().flat_map(|batch| rows_of(batch, made)).collect();
    let table: Table = rows.iter().map(|row| ((row.1, row.0.clone()), row.2.clone())).collect();
    assert_eq!(table.len(), rows.len(), "no row comes twice");
    table
}

/// An aggregation that goes on while it is read, and its table at the end of each epoch that can be read.
struct Read {
    random: Random,
    made: Made,
    now: i64,
    seq: u64,
    keys: u64,
    groups: Table,
    last: EpochNumber,
    epochs: BTreeMap<EpochNumber, Table>,
}

const RETENTION_MS: i64 = 250;

impl Read {
    fn new(seed: u64, made: Made, keys: u64) -> Read {
        let (groups, last, epochs) = (Table::new(), EpochNumber::default(), BTreeMap::new());
        Read { random: Random::new(seed), made, now: 1_000, seq: 0, keys, groups, last, epochs }
    }

    fn rows(&mut self, aggregate: &mut Aggregate) {
        let (mut keys, mut values, mut times) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.random.below(12) {
            self.now += self.random.below(12) as i64;
            let (key, text) = (format!("k{}", self.random.below(self.keys)), format!("{}", self.random.below(100)));
            let start = self.made.window.map_or(0, |(size, _)| self.now / size * size);
            self.groups.entry((start, key.clone())).or_default().push(text.clone());
            keys.push(Value::String(key));
            values.push(Value::String(text));
            times.push(self.now);
        }
        let columns = [keys, values].map(|values| array_of(&values, &SqlType::String)).into();
        let batch = Batch::new(columns, times.into(), Seq::From(self.seq));
        self.seq += batch.rows() as u64;
        drive(aggregate, &self.made, self.seq, |own, cx, out| own.process(0, batch, cx, out));
    }

    fn end_epoch(&mut self, aggregate: &mut Aggregate) {
        drive(aggregate, &self.made, self.seq, |own, cx, out| own.flush(cx, out));
        aggregate.take_changes(&mut |_, _, _| {});
        self.last = self.last.next();
        aggregate.end_epoch(self.last);
        let (now, windowed) = (self.now, self.made.window.is_some());
        let can_be_read = |start: i64| !windowed || start > now - RETENTION_MS;
        self.groups.retain(|(start, _), _| can_be_read(*start));
        self.epochs.insert(self.last, self.groups.clone());
    }

    /// Some epochs are committed; or nobody has looked for long, and somebody does again.
    fn forget(&mut self, aggregate: &mut Aggregate) {
        if self.random.one_in(4) {
            aggregate.keep_undo(false);
            aggregate.keep_undo(true);
            self.epochs.clear();
            return;
        }
        let all: Vec<EpochNumber> = self.epochs.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let committed = all[self.random.below(all.len() as u64) as usize];
        self.epochs.retain(|number, _| number >= &committed);
        aggregate.forget_undo(committed);
    }

    fn go_on(&mut self, aggregate: &mut Aggregate) {
        self.rows(aggregate);
        if self.random.one_in(3) {
            self.end_epoch(aggregate);
        }
        if self.random.one_in(8) {
            self.forget(aggregate);
        }
    }

    /// Reads as of an epoch that can be read, by a walk or for a key, and by a walk that was copied; and goes on meanwhile.
    fn read(&mut self, own: &mut Aggregate, key: &Wanted) {
        let all: Vec<EpochNumber> = self.epochs.keys().rev().take(4).copied().collect();
        if all.is_empty() {
            return;
        }
        let as_of = all[self.random.below(all.len() as u64) as usize];
        let of_key = |own: &str| key.as_deref().is_none_or(|key| key == own);
        let wanted: Table = self.epochs[&as_of].clone().into_iter().filter(|((_, own), _)| of_key(own)).collect();
        let (made, place) = (self.made, format!("{:?} as of {as_of}", self.made));
        let (walk, other) = (WalkId::new(1), WalkId::new(2));
        if let Some(key) = key {
            assert_eq!(table_of(&found(own, AsOf::Epoch(as_of), key), &made), wanted, "{place}");
        }
        own.begin_walk(walk, AsOf::Epoch(as_of)).expect("no bug");
        self.go_on(own);
        if let Some(key) = key {
            assert_eq!(table_of(&found(own, AsOf::Walk(walk), key), &made), wanted, "in a walk, {place}");
            own.end_walk(walk);
            return;
        }
        own.begin_walk(other, AsOf::Walk(walk)).expect("no bug");
        for walk in [walk, other] {
            let batches = walked(own, walk, &mut |own| self.go_on(own));
            assert_eq!(table_of(&batches, &made), wanted, "walk {}, {place}", walk);
        }
    }
}

#[test]
fn readers_see_what_was_committed_while_the_aggregation_goes_on() {
    let limit = Limit { rows: 8192, bytes: 1 << 20 };
    for (seed, (window, every_row)) in
        [(None, true), (None, false), (Some((100, 100)), true), (Some((100, 100)), false)].into_iter().enumerate()
    {
        let made = Made { window, every_row, last_only: false, old: false, limit };
        let mut own = aggregate_for(&made, 0, RETENTION_MS);
        let mut model = Read::new(seed as u64, made, 5);
        // A map that is begun in the middle of an epoch is good from the end of that epoch on.
        model.rows(&mut own);
        own.keep_undo(true);
        for _ in 0..400 {
            model.go_on(&mut own);
            let key = model.random.one_in(2).then(|| format!("k{}", model.random.below(5)));
            model.read(&mut own, &key);
        }
    }
}

#[test]
fn groups_whose_first_row_waits_for_room_have_no_row() {
    let limit = Limit { rows: 1, bytes: 1 << 20 };
    let made = Made { window: None, every_row: true, last_only: false, old: false, limit };
    let mut own = aggregate(&made);
    let (mut log, mut out) = (Log::default(), Output::new(Limit { rows: 8192, bytes: 1 }));
    let mut cx =
        Context { limits: &[i64::MAX], now_ms: 0, end: 9, origin: &|_| None, point_ms: &|_| i64::MAX, log: &mut log };
    let texts = array_of(&["a", "b", "c"].map(|text| Value::String(text.into())), &SqlType::String);
    let batch = Batch::new(vec![texts.clone(), texts], vec![1, 1, 1].into(), Seq::From(0));
    own.keep_undo(true);
    own.end_epoch(EpochNumber::new(1));
    let flow = own.process(0, batch, &mut cx, &mut out).expect("no row is broken");
    assert!(matches!(flow, Flow::Left(_)), "only one has room");
    let as_of = AsOf::Epoch(EpochNumber::new(1));
    own.begin_walk(WalkId::new(1), as_of).expect("no bug");
    let batches: Vec<Batch> = walked(&mut own, WalkId::new(1), &mut |_| {});
    assert_eq!(batches.iter().map(Batch::rows).sum::<usize>(), 0);
    for key in ["a", "b", "c"] {
        assert!(found(&mut own, as_of, key).iter().all(|batch| batch.rows() == 0), "{key}");
    }
}

/// With so many groups a walk stops in the middle of the state, and of what it has kept.
#[test]
fn a_long_walk_shows_each_group_once_as_it_was() {
    let limit = Limit { rows: 8192, bytes: 1 << 20 };
    for window in [None, Some((100, 100))] {
        let made = Made { window, every_row: true, last_only: false, old: false, limit };
        let mut own = aggregate_for(&made, 0, RETENTION_MS);
        let mut model = Read::new(7, made, 40_000);
        own.keep_undo(true);
        let rows = |model: &mut Read, own: &mut Aggregate, count: usize| {
            // Times stand still, so that windows last.
            (0..count).for_each(|_| {
                let now = model.now;
                model.rows(own);
                model.now = now;
            });
        };
        rows(&mut model, &mut own, 6_000);
        model.end_epoch(&mut own);
        let (as_of, wanted) = (model.last, model.groups.clone());
        assert!(wanted.len() > 2 * read::FEW_GROUPS, "{} groups", wanted.len());
        rows(&mut model, &mut own, 1_000);
        own.begin_walk(WalkId::new(1), AsOf::Epoch(as_of)).expect("no bug");
        // Most groups change before the walk comes to them.
        let mut steps = 0;
        let batches = walked(&mut own, WalkId::new(1), &mut |own| {
            steps += 1;
            rows(&mut model, own, if steps == 1 { 20_000 } else { 100 });
            model.end_epoch(own);
        });
        assert!(steps > 4, "{steps} steps");
        assert!(table_of(&batches, &made) == wanted, "{made:?}");
    }
}

/// A walk that is never over.
#[test]
fn a_slow_walk_costs_groups_and_not_epochs_and_none_that_it_is_past() {
    let limit = Limit { rows: 8192, bytes: 1 << 20 };
    let made = Made { window: None, every_row: true, last_only: false, old: false, limit };
    let mut own = aggregate_for(&made, 0, RETENTION_MS);
    let mut model = Read::new(0, made, 5);
    own.keep_undo(true);
    while model.groups.len() < 5 {
        model.rows(&mut own);
    }
    model.end_epoch(&mut own);
    let as_of = AsOf::Epoch(model.last);
    let (slow, fast) = (WalkId::new(1), WalkId::new(2));
    own.begin_walk(slow, as_of).expect("no bug");
    own.begin_walk(fast, as_of).expect("no bug");
    let rows = own.walk(fast, &WindowRange::default()).expect("no bug").expect("rows")().expect("no bug").rows();
    assert_eq!(rows, 5, "it is past all groups");
    let empty = own.readers.memory();
    for _ in 0..300 {
        for _ in 0..3 {
            model.rows(&mut own);
        }
        model.end_epoch(&mut own);
        own.forget_undo(model.last);
    }
    assert_eq!(own.readers.kept(slow), 5);
    assert_eq!(own.readers.kept(fast), 0);
    // Lists of the beginning, and not those that have grown since.
    let full = own.readers.memory();
    assert!(full < empty + 16_384, "{empty} {full}");
    own.keep_undo(false);
    for walk in [slow, fast] {
        assert!(own.readers.exist());
        own.end_walk(walk);
    }
    assert!(!own.readers.exist(), "nothing is kept");
}

#[test]
fn a_bucket_that_several_readers_need_counts_once_and_not_for_those_that_are_past_it() {
    let limit = Limit { rows: 8192, bytes: 1 << 20 };
    let made = Made { window: Some((100, 100)), every_row: true, last_only: false, old: false, limit };
    let mut own = aggregate_for(&made, 0, RETENTION_MS);
    let mut model = Read::new(0, made, 40_000);
    for _ in 0..3_000 {
        model.rows(&mut own);
        model.now = 1_000;
    }
    model.end_epoch(&mut own);
    own.keep_undo(true);
    model.end_epoch(&mut own);
    let (far, past) = (WalkId::new(1), WalkId::new(2));
    for walk in [far, past] {
        own.begin_walk(walk, AsOf::Epoch(model.last)).expect("no bug");
    }
    let buckets = own.memory() - own.readers.memory();
    let expire = |model: &mut Read, own: &mut Aggregate| {
        model.now += 100_000;
        while own.buckets.contains_key(&own.windows.bucket(1_000)) {
            model.rows(own);
            model.end_epoch(own);
        }
    };
    while own.walk(past, &WindowRange::default()).expect("no bug").is_some() {}
    expire(&mut model, &mut own);
    let kept = own.readers.memory();
    assert!((buckets / 2..buckets * 3 / 2).contains(&kept), "{kept} of {buckets}: the maps and a walk have the bucket");
    own.end_walk(far);
    own.forget_undo(model.last);
    let kept = own.readers.memory();
    assert!(kept < buckets / 4, "{kept} of {buckets}: a walk that is past it does not need it");
}

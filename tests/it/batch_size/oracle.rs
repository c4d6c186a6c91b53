//! The definition of the two kinds of query, row by row: slow, obvious, and without a line of the engine.

use std::collections::BTreeMap;

/// A record as it lies in a topic: nothing for one that has no value.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub time: i64,
    pub value: Option<Value>,
}

/// The value of a record.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// What rows are grouped or joined by.
    pub key: Option<String>,
    pub number: i64,
    /// Whether the row passes the WHERE clause.
    pub passes: bool,
}

/// The partitions of a topic.
pub(super) type Topic = Vec<Vec<Record>>;

/// A row in the order in which rows of several partitions are taken.
struct Taken<'t> {
    input: usize,
    partition: usize,
    record: &'t Record,
    /// For each input how far its time may go: no further than that of a partition all of whose rows have been taken.
    limits: Vec<i64>,
}

/// All rows in their order: by the largest time in their partition so far, then by topic, partition and place.
fn taken<'t>(topics: &[&'t Topic]) -> Vec<Taken<'t>> {
    let mut all = Vec::new();
    for (input, topic) in topics.iter().enumerate() {
        for (partition, records) in topic.iter().enumerate() {
            let mut largest = -1;
            for (place, record) in records.iter().enumerate() {
                largest = largest.max(record.time);
                all.push((largest, input, partition, place, record));
            }
        }
    }
    all.sort_by_key(|(largest, input, partition, place, _)| (*largest, *input, *partition, *place));
    let mut limits = vec![i64::MAX; topics.len()];
    all.into_iter()
        .map(|(largest, input, partition, place, record)| {
            let taken = Taken { input, partition, record, limits: limits.clone() };
            if place + 1 == topics[input][partition].len() {
                limits[input] = limits[input].min(largest);
            }
            taken
        })
        .collect()
}

/// The largest time that has come, and how far it counts.
#[derive(Clone, Copy)]
struct Time {
    seen: i64,
    now: i64,
}

impl Time {
    const START: Time = Time { seen: -1, now: -1 };

    fn advance(&mut self, time: i64, limit: i64) {
        self.seen = self.seen.max(time);
        self.now = self.now.max(self.seen.min(limit));
    }
}

/// How rows are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    pub size_ms: i64,
    pub advance_ms: i64,
    pub grace_ms: i64,
    /// Whether a window has one result, when it is closed, rather than one for every row.
    pub last_only: bool,
}

/// A result of counting: key, start of the window, count, sum, largest number, time.
pub(super) type Counted = (String, i64, i64, i64, i64, i64);

/// The results, task by task.
pub(super) fn count(topic: &Topic, counting: Counting, task_of: &dyn Fn(&str) -> usize) -> Vec<Vec<Counted>> {
    let mut results = vec![Vec::new(); topic.len()];
    let mut times = vec![Time::START; topic.len()];
    let mut groups: BTreeMap<(String, i64), (i64, i64, i64, i64)> = BTreeMap::new();
    for row in taken(&[topic]) {
        let Some(value) = row.record.value.as_ref().filter(|value| value.passes) else { continue };
        let Some(key) = &value.key else { continue };
        let (task, time) = (task_of(key), row.record.time);
        let before = times[task].now;
        times[task].advance(time, row.limits[0]);
        for window in 0..=time / counting.advance_ms {
            let start = window * counting.advance_ms;
            let end = start + counting.size_ms;
            if end <= time || end + counting.grace_ms <= times[task].now {
                continue;
            }
            let group = groups.entry((key.clone(), start)).or_insert((0, 0, i64::MIN, i64::MIN));
            *group = (group.0 + 1, group.1 + value.number, group.2.max(value.number), group.3.max(time));
            if !counting.last_only {
                results[task].push((key.clone(), start, group.0, group.1, group.2, group.3));
            }
        }
        if counting.last_only {
            let closed = |start: i64, now| start + counting.size_ms + counting.grace_ms <= now;
            let now = times[task].now;
            let fresh =
                |(key, start): &(String, i64)| task_of(key) == task && closed(*start, now) && !closed(*start, before);
            let mut last: Vec<_> = groups.iter().filter(|(group, _)| fresh(group)).collect();
            last.sort_by_key(|((key, start), _)| (*start, key.clone()));
            results[task].extend(last.into_iter().map(|((key, start), g)| (key.clone(), *start, g.0, g.1, g.2, g.3)));
        }
    }
    results
}

/// The kinds of joins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Inner,
    Left,
    Right,
    Full,
}

/// How rows are joined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub kind: Kind,
    pub before_ms: i64,
    pub after_ms: i64,
    pub grace_ms: Option<i64>,
}

/// A result of joining: key, the numbers of both rows, time.
pub(super) type Joined = (Option<String>, Option<i64>, Option<i64>, i64);

/// A row that was kept.
#[derive(Clone)]
struct Kept {
    side: usize,
    key: String,
    time: i64,
    number: i64,
}

/// One task of a join.
struct JoinTask {
    joining: Joining,
    /// Of all rows of each side, and of those that have a key and a value.
    times: [Time; 2],
    stored_times: [Time; 2],
    stored: Vec<Kept>,
    parked: Vec<Kept>,
    least_parked: i64,
    results: Vec<Joined>,
}

/// The results, task by task.
pub(super) fn join(topics: [&Topic; 2], joining: Joining, task_of: &dyn Fn(&str) -> usize) -> Vec<Vec<Joined>> {
    let new = |_| JoinTask {
        joining,
        times: [Time::START; 2],
        stored_times: [Time::START; 2],
        stored: Vec::new(),
        parked: Vec::new(),
        least_parked: i64::MAX,
        results: Vec::new(),
    };
    let mut tasks: Vec<JoinTask> = (0..topics[0].len()).map(new).collect();
    for row in taken(&topics) {
        let key = row.record.value.as_ref().and_then(|value| value.key.as_deref());
        let task = &mut tasks[key.map_or(row.partition, task_of)];
        task.times[row.input].advance(row.record.time, row.limits[row.input]);
        let Some(value) = &row.record.value else { continue };
        match &value.key {
            Some(key) => {
                let kept = Kept { side: row.input, key: key.clone(), time: row.record.time, number: value.number };
                task.take(kept, row.limits[row.input]);
            }
            None if joining.preserves(row.input) => {
                let number = |input| (row.input == input).then_some(value.number);
                task.results.push((None, number(0), number(1), row.record.time));
            }
            None => {}
        }
    }
    tasks.into_iter().map(|task| task.results).collect()
}

impl Joining {
    /// Whether rows of a side are results although they have no partner.
    fn preserves(&self, side: usize) -> bool {
        match self.kind {
            Kind::Inner => false,
            Kind::Left => side == 0,
            Kind::Right => side == 1,
            Kind::Full => true,
        }
    }
}

impl JoinTask {
    /// How far behind and ahead of a row of a side its partners may be. The bounds are those of the left rows, but of a RIGHT
    /// JOIN those of the right rows.
    fn reach(&self, side: usize) -> (i64, i64) {
        let Joining { before_ms, after_ms, kind, .. } = self.joining;
        let first = if kind == Kind::Right { 1 } else { 0 };
        if side == first { (before_ms, after_ms) } else { (after_ms, before_ms) }
    }

    fn grace(&self) -> i64 {
        let day = 24 * 3_600_000;
        self.joining.grace_ms.unwrap_or((day - 2 * self.joining.before_ms).max(0))
    }

    /// Whether a stored row of a side with this time is too old to be found.
    fn is_gone(&self, side: usize, time: i64) -> bool {
        let retention = self.joining.before_ms + self.joining.after_ms + self.grace();
        time <= self.stored_times[side].now - retention
    }

    fn push(&mut self, row: &Kept, partner: Option<&Kept>) {
        let (mut left, mut right, mut time) = (None, None, row.time);
        for one in std::iter::once(row).chain(partner) {
            *(if one.side == 0 { &mut left } else { &mut right }) = Some(one.number);
            time = time.max(one.time);
        }
        self.results.push((Some(row.key.clone()), left, right, time));
    }

    fn take(&mut self, row: Kept, limit: i64) {
        let now = self.times[0].now.max(self.times[1].now);
        self.stored_times[row.side].advance(row.time, limit);
        if !self.is_gone(row.side, row.time) {
            self.stored.push(row.clone());
        }
        if row.time >= now {
            self.flush(row.side, now);
        }
        let (behind, ahead) = self.reach(row.side);
        let other = 1 - row.side;
        let fits = |k: &&Kept| {
            k.side == other && k.key == row.key && k.time >= row.time - behind && k.time <= row.time + ahead
        };
        let mut found: Vec<Kept> =
            self.stored.iter().filter(fits).filter(|k| !self.is_gone(other, k.time)).cloned().collect();
        found.sort_by_key(|k| k.time);
        for partner in &found {
            self.push(&row, Some(partner));
            self.parked.retain(|p| p.side != other || p.key != partner.key || p.time != partner.time);
        }
        if found.is_empty() && self.joining.preserves(row.side) {
            if self.joining.grace_ms.is_none() || row.time + ahead < now {
                self.push(&row, None);
            } else {
                self.least_parked = self.least_parked.min(row.time);
                self.parked.push(row);
            }
        }
    }

    /// Hands on the parked rows that nothing can match any more; looking is tried only if the least time promises one.
    fn flush(&mut self, side: usize, now: i64) {
        let Some(grace) = self.joining.grace_ms else { return };
        if self.least_parked >= now - self.reach(side).1 - grace {
            return;
        }
        let mut all = std::mem::take(&mut self.parked);
        all.sort_by(|a, b| (a.time, 1 - a.side, &a.key).cmp(&(b.time, 1 - b.side, &b.key)));
        self.least_parked = i64::MAX;
        let (mut open, mut stopped) = ([false, false], false);
        for row in all {
            if !stopped {
                self.least_parked = row.time;
            }
            // Nobody looks behind open rows of both sides.
            stopped |= open == [true, true];
            let looks = !stopped;
            if looks && row.time + self.reach(row.side).1 + grace < now {
                self.push(&row, None);
            } else {
                open[row.side] |= looks;
                self.parked.push(row);
            }
        }
    }
}

//! What the results must be, whatever has happened: every result once, computed from the inputs row by row.

use std::collections::BTreeMap;

use tidemill::engine::Engine;

use super::model::{COMPACTED, Checked, Model, Partitions, Seen, TRIMMED, all_records, json};

/// The windows of COUNTS.
pub(super) const WINDOW_MS: i64 = 10_000;
/// How far payments and signals may be apart.
pub(super) const WITHIN_MS: i64 = 30_000;

fn rows<'m>(model: &'m Model, topic: &str) -> impl Iterator<Item = &'m Seen> {
    model.inputs.get(topic).into_iter().flat_map(|partitions| partitions.values()).flatten()
}

fn text(record: &Seen, field: &str) -> String {
    json(record)[field].as_str().unwrap_or_default().to_owned()
}

/// The id of a payment, which is its key.
fn key(payment: &Seen) -> String {
    payment.1.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// Compares the results of all queries, which have read everything, with the inputs.
pub(super) fn check(engine: &Engine, model: &Model, every_row: bool) -> Checked {
    counts(&all_records(engine, "COUNTS")?, model, every_row)?;
    let pairs = pairs(model);
    for name in ["RISK", "RISK_LATER"] {
        joined(&all_records(engine, name)?, model, &pairs).map_err(|e| format!("{name}: {e}"))?;
    }
    seen(engine, model)?;
    kept(engine, model)?;
    copied(&all_records(engine, "RISK")?, &all_records(engine, "COPY")?)?;
    let logs = rows(model, "logs").count();
    for source in engine.catalog().sources().filter(|s| s.name.starts_with('X')) {
        let found: usize = all_records(engine, &source.topic)?.values().map(Vec::len).sum();
        if found > logs || found < logs && !model.terminated.contains(&source.name) {
            return Err(format!("{} has {found} of {logs} records", source.name));
        }
    }
    Ok(())
}

/// The service and the start of the window of a result of COUNTS.
fn group(record: &Seen) -> (String, i64) {
    let key = record.1.as_ref().expect("a group has a key");
    let (service, start) = key.split_at(key.len() - 8);
    let start = i64::from_be_bytes(start.try_into().expect("eight bytes"));
    (String::from_utf8_lossy(service).into_owned(), start)
}

/// What a pull query showed of COUNTS is committed: the last result of each group that it showed has that count, or a larger
/// one if the query `goes_on` meanwhile.
pub(super) fn pulled(engine: &Engine, shown: &[((String, i64), i64)], goes_on: bool) -> Checked {
    let mut last = BTreeMap::new();
    for record in all_records(engine, "COUNTS")?.values().flatten() {
        last.insert(group(record), json(record)["C"].as_i64().expect("a count"));
    }
    for (group, count) in shown {
        let committed = last.get(group).copied().unwrap_or_default();
        if committed != *count && !(goes_on && committed > *count) {
            return Err(format!("a pull query showed {count} of {group:?}, {committed} is committed"));
        }
    }
    Ok(())
}

/// Of every service and window the counts go up by one, or at least up, to the number of its errors.
fn counts(found: &Partitions, model: &Model, every_row: bool) -> Checked {
    let mut wanted: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for row in rows(model, "logs").filter(|row| text(row, "LEVEL") == "ERROR") {
        *wanted.entry((text(row, "SERVICE"), row.0 / WINDOW_MS * WINDOW_MS)).or_default() += 1;
    }
    let mut last: BTreeMap<(String, i64), (u32, i64)> = BTreeMap::new();
    for (partition, records) in found {
        for record in records {
            let group = group(record);
            let count = json(record)["C"].as_i64().expect("a count");
            let (home, before) = last.get(&group).copied().unwrap_or((*partition, 0));
            let follows = if every_row { count == before + 1 } else { count > before };
            if home != *partition || !follows {
                return Err(format!("COUNTS: {count} of {group:?} in {partition} behind {before} in {home}"));
            }
            last.insert(group, (*partition, count));
        }
    }
    let last: BTreeMap<_, _> = last.into_iter().map(|(group, (_, count))| (group, count)).collect();
    if last == wanted { Ok(()) } else { Err(format!("COUNTS: {last:?}, expected {wanted:?}")) }
}

/// How often each payment meets each signal: once, if their users are the same and they are close.
fn pairs(model: &Model) -> BTreeMap<(String, String), usize> {
    let mut all = BTreeMap::new();
    for payment in rows(model, "payments") {
        for signal in rows(model, "signals") {
            if text(payment, "USER_ID") == text(signal, "USER_ID") && (payment.0 - signal.0).abs() <= WITHIN_MS {
                all.insert((key(payment), text(signal, "ID")), 1);
            }
        }
    }
    all
}

/// All pairs once, and a payment without partner at most once; one that has found nobody ever is not forgotten.
fn joined(found: &Partitions, model: &Model, pairs: &BTreeMap<(String, String), usize>) -> Checked {
    let (mut met, mut alone) = (BTreeMap::new(), BTreeMap::new());
    for record in found.values().flatten() {
        let value = json(record);
        let payment = value["PAYMENT"].as_str().expect("a payment").to_owned();
        match value["SIGNAL"].as_str() {
            Some(signal) => *met.entry((payment, signal.to_owned())).or_default() += 1,
            None => *alone.entry(payment).or_insert(0) += 1,
        }
    }
    if met != *pairs {
        return Err(format!("met {met:?}, expected {pairs:?}"));
    }
    if let Some(twice) = alone.iter().find(|(_, count)| **count > 1) {
        return Err(format!("padded twice: {twice:?}"));
    }
    let known = |id: &String| rows(model, "payments").any(|p| key(p) == *id);
    alone.keys().find(|id| !known(id)).map_or(Ok(()), |id| Err(format!("padded, but never paid: {id}")))
}

/// Of a topic of which records are deleted each record is seen once, or counted as deleted.
fn seen(engine: &Engine, model: &Model) -> Checked {
    let id = |record: &Seen| json(record)["ID"].as_i64().expect("an id");
    let mut given: Vec<i64> = rows(model, TRIMMED).map(id).collect();
    let found = all_records(engine, "SEEN")?;
    let mut found: Vec<i64> = found.values().flatten().map(id).collect();
    given.sort_unstable();
    found.sort_unstable();
    let query = engine.catalog().queries().into_iter().find(|query| query.sink == "SEEN").map(|query| query.id.clone());
    let stats = query.and_then(|id| engine.stats(&id)).ok_or("SEEN has no query")?;
    let deleted = stats.totals.iter().find(|(reason, _)| reason.name() == "deleted").map_or(0, |(_, count)| *count);
    let is_part = found.windows(2).all(|pair| pair[0] < pair[1]) && found.iter().all(|id| given.contains(id));
    match is_part && found.len() as u64 + deleted == given.len() as u64 {
        true => Ok(()),
        false => Err(format!("SEEN: {found:?} and {deleted} that were deleted, of {given:?}")),
    }
}

/// A query misses nothing of what is compacted: that waits for it.
fn kept(engine: &Engine, model: &Model) -> Checked {
    let id = |record: &Seen| json(record)["ID"].as_i64().expect("an id");
    let mut given: Vec<i64> = rows(model, COMPACTED).filter(|record| record.2.is_some()).map(id).collect();
    let found = all_records(engine, "KEPT")?;
    let mut found: Vec<i64> = found.values().flatten().filter(|record| record.2.is_some()).map(id).collect();
    given.sort_unstable();
    found.sort_unstable();
    if given == found { Ok(()) } else { Err(format!("KEPT: {found:?}, of {given:?}")) }
}

/// A copy has the records of what it copies, in their order.
fn copied(from: &Partitions, to: &Partitions) -> Checked {
    let values = |all: &Partitions| -> Vec<(u32, Vec<(i64, serde_json::Value)>)> {
        all.iter().map(|(p, records)| (*p, records.iter().map(|r| (r.0, json(r))).collect())).collect()
    };
    let (from, to) = (values(from), values(to));
    if from == to { Ok(()) } else { Err(format!("COPY: {to:?}, expected {from:?}")) }
}

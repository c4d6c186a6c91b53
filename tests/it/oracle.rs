//! What the results should be, computed row by row from the definition: slow, obvious, and without a line of the engine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::examples::Record;

/// Flights, mean delay and worst delay by airport and hour.
pub(crate) fn delays(flights: &[Value]) -> Vec<Record> {
    const HOUR_MS: i64 = 3_600_000;
    let mut groups: BTreeMap<(String, i64), Vec<i64>> = BTreeMap::new();
    for flight in flights {
        let Some(delay) = flight["dep_delay"].as_i64() else { continue };
        let start = time(flight) / HOUR_MS * HOUR_MS;
        groups.entry((text(flight, "origin"), start)).or_default().push(delay);
    }
    let record = |((origin, start), delays): ((String, i64), Vec<i64>)| {
        let mean = delays.iter().sum::<i64>() as f64 / delays.len() as f64;
        let value = json!({"FLIGHTS": delays.len(), "MEAN_DELAY": mean, "WORST": delays.iter().max()});
        (json!({"key": origin, "window": {"start": start, "end": start + HOUR_MS}}), value)
    };
    groups.into_iter().map(record).collect()
}

/// Every flight with the weather of its airport at most 59 minutes before it. Rows are taken in the order of time, of one
/// time the flights first; with `padded`, a flight that finds nothing when it comes is handed on without weather.
pub(crate) fn weather_of_flights(flights: &[Value], weather: &[Value], padded: bool) -> Vec<Record> {
    const BEFORE_MS: i64 = 59 * 60_000;
    let mut rows: Vec<(i64, usize, &Value)> = flights.iter().map(|row| (time(row), 0, row)).collect();
    rows.extend(weather.iter().map(|row| (time(row), 1, row)));
    rows.sort_by_key(|(time, side, _)| (*time, *side));
    let mut seen: [BTreeMap<String, Vec<&Value>>; 2] = Default::default();
    let mut results = Vec::new();
    for (time_ms, side, row) in rows {
        let origin = text(row, "origin");
        let fits = |other: &&&Value| {
            let (flight, weather) = if side == 0 { (time_ms, time(other)) } else { (time(other), time_ms) };
            weather <= flight && flight - weather <= BEFORE_MS
        };
        let others = seen[1 - side].get(&origin).map_or(&[][..], Vec::as_slice);
        // Rows come in the order of time: those before the first that is too far away are, too.
        let near = others.iter().rev().take_while(|other| time_ms - time(other) <= BEFORE_MS);
        let partners: Vec<&Value> = near.filter(fits).copied().collect();
        let pair = |flight: &Value, weather: &Value| {
            let value = json!({
                "CARRIER": flight["carrier"], "FLIGHT": flight["flight"], "DEP_DELAY": flight["dep_delay"],
                "WIND_SPEED": weather["wind_speed"], "VISIB": weather["visib"],
            });
            (json!(origin), value)
        };
        for partner in &partners {
            results.push(if side == 0 { pair(row, partner) } else { pair(partner, row) });
        }
        if padded && side == 0 && partners.is_empty() {
            results.push(pair(row, &Value::Null));
        }
        seen[side].entry(origin).or_default().push(row);
    }
    results
}

/// How many rows with this level each service has had in each five minutes.
pub(crate) fn error_counts(logs: &[Value]) -> Vec<Record> {
    const WINDOW_MS: i64 = 300_000;
    let mut counts: BTreeMap<(String, i64), i64> = BTreeMap::new();
    for log in logs.iter().filter(|log| log["log_level"] == "ERROR") {
        *counts.entry((text(log, "service_name"), time(log) / WINDOW_MS * WINDOW_MS)).or_default() += 1;
    }
    let record = |((service, start), count): ((String, i64), i64)| {
        let key = json!({"key": service, "window": {"start": start, "end": start + WINDOW_MS}});
        (key, json!({"ERROR_COUNT": count}))
    };
    counts.into_iter().map(record).collect()
}

fn time(row: &Value) -> i64 {
    row["ts"].as_i64().expect("every row has its time")
}

fn text(row: &Value, field: &str) -> String {
    row[field].as_str().expect("a text").to_owned()
}

//! The inputs of the benchmarks, as functions of the record number: record `i` is the same for ever, so that anybody can
//! compute what the right answer is. They are those of the comparison with other engines.
//!
//! Everything follows from a number by SplitMix64, so the inputs are alike on every machine and a file of them need not
//! be kept. Times rise with the numbers, without disorder.

use std::fmt::Write;

/// The time of the first record: a multiple of five minutes.
pub(super) const BASE_MS: i64 = 1_700_000_100_000;
/// The users who pay.
const USERS: u64 = 10_000;
/// Event time from one payment to the next, so that half of them find a signal of their user within 30 seconds:
/// 60 s / step / users = ln 2.
const JOIN_STEP_MICROS: u64 = 8_656;

/// A kind of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Application logs of so many services, half of them errors: ten fields, about 235 bytes, one a millisecond.
    Logs { services: u64 },
    /// Payments: ten fields, about 215 bytes.
    Payments,
    /// Fraud signals over the same users and the same time: ten fields, about 205 bytes.
    Signals,
}

const MESSAGES: [&str; 4] =
    ["request finished", "upstream timed out, retrying", "connection reset by peer", "cache miss, loading"];

/// SplitMix64: a well-mixed number for record `i` of stream `salt`.
///
/// Streams with different salts look independent.
fn mix(salt: u64, i: u64) -> u64 {
    let z = i.wrapping_add(salt.wrapping_mul(0x632B_E59B_D9B4_E019)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Input {
    /// The topic that holds it.
    pub(super) fn topic(self) -> &'static str {
        match self {
            Input::Logs { .. } => "application_logs",
            Input::Payments => "payments",
            Input::Signals => "fraud_signals",
        }
    }

    /// The time of record `i`.
    ///
    /// Milliseconds since the epoch.
    pub(super) fn time(self, i: u64) -> i64 {
        match self {
            Input::Logs { .. } => BASE_MS + i as i64,
            Input::Payments | Input::Signals => BASE_MS + (i * JOIN_STEP_MICROS / 1000) as i64,
        }
    }

    /// Sets `out` to the key of record `i`.
    pub(super) fn key(self, i: u64, out: &mut String) {
        out.clear();
        let written = match self {
            Input::Logs { services } => write!(out, "svc-{:07}", mix(1, i) % services),
            Input::Payments => write!(out, "u-{:05}", mix(11, i) % USERS),
            Input::Signals => write!(out, "u-{:05}", mix(21, i) % USERS),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }

    /// Whether log record `i` is an error.
    pub(super) fn is_error(i: u64) -> bool {
        mix(2, i) & 1 == 0
    }

    /// Sets `out` to the value of record `i` at `time`, whose key is `key`.
    pub(super) fn value(self, i: u64, time: i64, key: &str, out: &mut String) {
        out.clear();
        let written = match self {
            Input::Logs { .. } => logs(i, time, key, out),
            Input::Payments => payments(i, time, key, out),
            Input::Signals => signals(i, time, key, out),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
}

fn logs(i: u64, time: i64, key: &str, out: &mut String) -> std::fmt::Result {
    let bits = mix(3, i);
    let level = match (Input::is_error(i), bits & 64) {
        (true, _) => "ERROR",
        (false, 0) => "INFO",
        (false, _) => "WARN",
    };
    let (host, thread, message) = (bits & 63, bits >> 8 & 15, MESSAGES[(bits >> 12 & 3) as usize]);
    let (duration, status) = (bits >> 20 & 1023, if bits & 256 == 0 { 200 } else { 503 });
    write!(out, "{{\"timestamp\":{time},\"service_name\":\"{key}\",\"log_level\":\"{level}\"")?;
    write!(out, ",\"host\":\"host-{host}\",\"thread\":\"worker-{thread}\",\"logger\":\"com.acme.Checkout\"")?;
    write!(out, ",\"message\":\"{message}\",\"trace_id\":\"{bits:x}\"")?;
    write!(out, ",\"duration_ms\":{duration},\"status\":{status}}}")
}

fn payments(i: u64, time: i64, key: &str, out: &mut String) -> std::fmt::Result {
    let (bits, amount) = (mix(13, i), mix(12, i));
    let (euros, cents) = (amount >> 40 & 0xffff, 10 + (amount & 63));
    let currency = if bits & 1 == 0 { "EUR" } else { "USD" };
    let (merchant, country) = (bits >> 8 & 0xfff, country(bits));
    let channel = if bits & 4 == 0 { "web" } else { "pos" };
    write!(out, "{{\"payment_id\":\"p-{i:09}\",\"user_id\":\"{key}\",\"amount\":{euros}.{cents}")?;
    write!(out, ",\"currency\":\"{currency}\",\"merchant\":\"m-{merchant}\",\"country\":\"{country}\"")?;
    write!(out, ",\"card_hash\":\"{bits:x}\",\"channel\":\"{channel}\",\"ts\":{time}")?;
    write!(out, ",\"note\":\"paid in full, no remarks\"}}")
}

fn signals(i: u64, time: i64, key: &str, out: &mut String) -> std::fmt::Result {
    let (bits, risk) = (mix(23, i), 1000 + (mix(22, i) & 4095));
    let (second, third, country, last) = (bits >> 8 & 255, bits >> 16 & 255, country(bits), bits & 4 == 0);
    write!(out, "{{\"signal_id\":\"f-{i:09}\",\"user_id\":\"{key}\",\"risk_score\":0.{risk}")?;
    write!(out, ",\"model\":\"gbm-{}\",\"reason\":\"velocity of card use\",\"device\":\"{bits:x}\"", bits & 7)?;
    write!(out, ",\"ip\":\"10.{second}.{third}.7\",\"country\":\"{country}\",\"ts\":{time},\"final\":{last}}}")
}

fn country(bits: u64) -> &'static str {
    if bits & 2 == 0 { "DE" } else { "FR" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_for_ever() {
        let (mut key, mut value) = (String::new(), String::new());
        for input in [Input::Logs { services: 1000 }, Input::Payments, Input::Signals] {
            let mut bytes = 0;
            for i in 0..1000 {
                input.key(i, &mut key);
                input.value(i, input.time(i), &key, &mut value);
                let parsed: serde_json::Value = serde_json::from_str(&value).expect("an object");
                assert_eq!(parsed.as_object().map(serde_json::Map::len), Some(10));
                bytes += value.len();
            }
            assert!((190..250).contains(&(bytes / 1000)), "{input:?}: {}", bytes / 1000);
        }
        Input::Logs { services: 1000 }.key(1, &mut key);
        assert_eq!(key, "svc-0000802");
        Input::Payments.key(7, &mut key);
        assert_eq!(key, "u-05859");
    }
}

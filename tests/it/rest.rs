//! Cases that go through the service: our own, and ksqlDB's, however the rows are taken.

use std::path::Path;

use tidemill::testing::{self, Mode, Report, Verdict};

use crate::shared;

/// At least so many of ksqlDB's cases run.
const CASES: usize = 180;

/// At least this share of the cases that run passes.
const SHARE: f64 = 0.99;

const MODES: [Mode; 3] = [Mode::Whole, Mode::One, Mode::Resume];

fn failures(report: &Report) -> Vec<String> {
    let failed = report.cases.iter().filter(|case| case.status == Verdict::Failed);
    failed.map(|case| format!("{} - {}: {}", case.file, case.name, case.message)).collect()
}

#[test]
fn own_cases_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar-tests/rest");
    for mode in MODES {
        let report = testing::run(std::slice::from_ref(&folder), |_| true, mode).expect("cases");
        assert!(failures(&report).is_empty(), "{mode:?}:\n{}", failures(&report).join("\n"));
        assert_eq!(report.passed, report.cases.len(), "none is skipped or listed");
    }
}

#[test]
fn cases_of_ksqldb_pass() {
    let Some(folder) = shared("conformance/rest") else { return };
    for mode in MODES {
        let report = testing::run(std::slice::from_ref(&folder), |_| true, mode).expect("cases");
        let Report { passed, failed, skipped, listed, .. } = report;
        println!("{mode:?}: {passed} passed, {failed} failed, {skipped} skipped, {listed} listed");
        println!("{}", failures(&report).join("\n"));
        let share = passed as f64 / (passed + failed) as f64;
        assert!(passed >= CASES && share >= SHARE, "{passed} cases, {:.2} % of those that run", share * 100.0);
    }
}

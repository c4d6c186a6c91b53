//! ksqlDB's own cases and what its real engine did: everything that runs comes out as expected, however the rows are taken.
//!
//! The cases lie beside the project and are no part of it; without them there is nothing to run.

use std::collections::BTreeMap;

use tidemill::testing::{self, Case, CaseResult, Mode, Report, Verdict};

use crate::shared;

/// At least so many cases with output run.
const CASES_WITH_OUTPUT: usize = 900;

/// At least this share of the cases that run passes.
const SHARE: f64 = 0.995;

/// Files of which at most a tenth of the cases may need what is missing.
const MOSTLY_RUN: [&str; 7] = [
    "queries-window-tumbling",
    "queries-window-hopping",
    "queries-ss-join-inner",
    "queries-ss-join-left",
    "queries-ss-join-right",
    "queries-ss-join-full",
    "queries-stateless",
];

/// Opening a folder again after every row takes its time: of the cases with more records only some are resumed here. The
/// command line resumes them all.
const RECORDS: usize = 4;
const ONE_IN: usize = 25;

fn print(mode: Mode, report: &Report) {
    let Report { passed, failed, skipped, listed, .. } = report;
    println!("{mode:?}: {passed} passed, {failed} failed, {skipped} skipped, {listed} listed");
    for case in report.cases.iter().filter(|c| c.status == Verdict::Failed) {
        let message: String = case.message.lines().next().unwrap_or_default().chars().take(200).collect();
        println!("  {} - {}: {message}", case.file, case.name);
    }
}

fn check(report: &Report) {
    let ran = report.passed + report.failed;
    let share = report.passed as f64 / ran as f64;
    assert!(share >= SHARE, "{:.2} % of {ran} cases pass", share * 100.0);
}

fn is_run(case: &&CaseResult) -> bool {
    case.status != Verdict::Skipped
}

/// The results by case.
fn verdicts(report: &Report) -> BTreeMap<(&str, &str), &Verdict> {
    report.cases.iter().map(|c| ((c.file.as_str(), c.name.as_str()), &c.status)).collect()
}

fn is_resumed(case: &Case) -> bool {
    let number = case.name.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    case.inputs.len() <= RECORDS || number.is_multiple_of(ONE_IN)
}

#[test]
fn cases_come_out_as_expected() {
    let (Some(query), Some(probes)) = (shared("conformance/query"), shared("conformance/probes")) else { return };
    let folders = [query, probes];
    let whole = testing::run(&folders, |_| true, Mode::Whole).expect("cases");
    print(Mode::Whole, &whole);
    check(&whole);
    let with_output = whole.cases.iter().filter(is_run).filter(|case| !case.refusal).count();
    assert!(with_output >= CASES_WITH_OUTPUT, "only {with_output} cases with output run");
    for file in MOSTLY_RUN {
        let all = whole.cases.iter().filter(|case| case.file == file);
        let (run, skipped): (Vec<&CaseResult>, Vec<&CaseResult>) = all.partition(is_run);
        assert!(skipped.len() * 10 <= run.len() + skipped.len(), "{file}: {} cases are skipped", skipped.len());
    }
    let expected = verdicts(&whole);
    let one = testing::run(&folders, |_| true, Mode::One).expect("cases");
    print(Mode::One, &one);
    let resumed = testing::run(&folders, is_resumed, Mode::Resume).expect("cases");
    print(Mode::Resume, &resumed);
    for (mode, report) in [(Mode::One, &one), (Mode::Resume, &resumed)] {
        for (case, verdict) in verdicts(report) {
            assert_eq!(expected[&case], verdict, "{case:?} comes out otherwise in {mode:?}");
        }
    }
}

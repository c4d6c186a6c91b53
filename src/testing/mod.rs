//! The test runner: cases of statements, input records and expected output records, over the real tasks.
//!
//! The form of the cases is that of ksqlDB's query translation tests. A case is run in whole batches, in batches of one
//! row, or stopped after every commit, closed, opened again through the real recovery and resumed: the outputs must be the
//! same. Time stands still. A case that needs what this version lacks is skipped, and says what; so is one whose refusal
//! comes of that.
//!
//! Each case has an engine of its own, driven by hand with a clock that stands still, with `cache.max.bytes.buffering`
//! at 0 so that every row gives its result. The default for where reading starts is the earliest record. Cases run on
//! as many threads as the machine has; the results come in the order of the files.
//!
//! Cases in the form of ksqlDB's REST query tests go through a real service instead, see `rest`.
//!
//! What a case says of a refusal is compared by meaning: it must come at the right stage and name what the expected
//! message quotes. Texts of messages may differ.

mod case;
mod compare;
mod records;
mod rest;
mod run;
mod topics;

pub use case::Case;
pub use run::{Mode, run_case};

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::error::{Error, Result};

/// What has become of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Records, catalog and refusals are as expected.
    Passed,
    /// Something differs from what is expected, and is not listed.
    Failed,
    /// The case needs something that is not supported here.
    Skipped,
    /// Listed as a deliberate deviation, or as something that is accepted here and refused there.
    Listed,
}

/// What has become of a case, and why.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The name of the case's file without its ending.
    pub file: String,
    /// The name of the case, with its format and configuration.
    pub name: String,
    /// How it ended.
    pub status: Verdict,
    /// Whether the case expects a refusal.
    pub refusal: bool,
    /// The first difference or error, the missing feature, or the reason on the list; may be empty if it passed.
    pub message: String,
}

/// What has become of all cases.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Cases that came out as expected.
    pub passed: usize,
    /// Cases that came out otherwise and are not listed.
    pub failed: usize,
    /// Cases that need something that is not supported here.
    pub skipped: usize,
    /// Cases on the list of deviations.
    pub listed: usize,
    /// One result for each case, in the order of the files.
    pub cases: Vec<CaseResult>,
}

/// The cases whose behaviour here is meant to differ: `file: case | kind | reason`.
///
/// A `*` at the end of a case's name stands for any rest. Lines that begin with `#` are comments.
const DEVIATIONS: &str = include_str!("deviations.txt");

/// What is accepted here although a refusal is expected.
const ACCEPTED: &str = "accepted here";
/// What differs in another way.
const DEVIATION: &str = "deviation";

/// The reason for which a case that failed is on the list of deviations, as one that was accepted or as another one.
///
/// The first line that fits counts.
fn deviation(case: &Case, accepted: bool) -> Option<&'static str> {
    let wanted = format!("{}: {}", case.file, case.name);
    let is_meant = |listed: &str| match listed.strip_suffix('*') {
        Some(start) => wanted.starts_with(start),
        None => wanted == listed,
    };
    let kind = if accepted { ACCEPTED } else { DEVIATION };
    let mut entries = DEVIATIONS.lines().filter(|l| !l.starts_with('#')).filter_map(entry);
    entries.find(|(listed, k, _)| *k == kind && is_meant(listed)).map(|(.., reason)| reason)
}

/// The case, the kind and the reason of a line of the list.
fn entry(line: &str) -> Option<(&str, &str, &str)> {
    let (rest, reason) = line.rsplit_once('|')?;
    let (case, kind) = rest.rsplit_once('|')?;
    Some((case.trim(), kind.trim(), reason.trim()))
}

/// Runs the cases of files and folders that are wanted.
///
/// `paths` are files, or folders that are searched for files ending with `.json`. A case of which no thread had a
/// result is not in the report.
///
/// # Errors
/// Kind `Missing`: a path does not exist, a folder has no such file, or no case is wanted. Kind `Invalid`: a file has
/// another form.
pub fn run(paths: &[PathBuf], wanted: impl Fn(&Case) -> bool, mode: Mode) -> Result<Report> {
    let mut cases = Vec::new();
    for path in paths {
        let files = files(path)?;
        if files.is_empty() {
            let error = Error::missing(format!("there is no file of cases in {}", path.display()));
            return Err(error.hint("the names of such files end with .json; docs/test-cases.md describes them"));
        }
        for file in files {
            cases.extend(case::load(&file)?);
        }
    }
    let all = cases.len();
    cases.retain(wanted);
    if cases.is_empty() {
        let error = Error::missing("no case was found, so nothing was tested");
        return Err(match all {
            0 => error.hint("the files have no case that is enabled; docs/test-cases.md describes them"),
            _ => error.hint(format!("none of the {all} cases has the text of --filter in its file's name or its own")),
        });
    }
    let results: Vec<Mutex<Option<CaseResult>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            // A case's plans and expressions recurse: a worker gets twice the stack of the engine's workers.
            let worker = || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let index = cases.iter().position(|c| std::ptr::eq(c, case)).unwrap_or_default();
                    let result = judge(case, mode);
                    if let Ok(mut slot) = results[index].lock() {
                        *slot = Some(result);
                    }
                }
            };
            let spawned = std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, worker);
            spawned.expect("a process may have a few threads");
        }
    });
    let finished: Vec<CaseResult> = results.into_iter().filter_map(|r| r.into_inner().ok().flatten()).collect();
    let count = |verdict: Verdict| finished.iter().filter(|c| c.status == verdict).count();
    Ok(Report {
        passed: count(Verdict::Passed),
        failed: count(Verdict::Failed),
        skipped: count(Verdict::Skipped),
        listed: count(Verdict::Listed),
        cases: finished,
    })
}

/// Runs a case and looks it up in the list of deviations if it does not come out as expected.
///
/// A panic counts as a failure of the case and of no other.
fn judge(case: &Case, mode: Mode) -> CaseResult {
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_case(case, mode)));
    let (mut status, mut message) = match ran {
        Ok((status, message)) => (status, message),
        Err(_) => (Verdict::Failed, "a panic".to_owned()),
    };
    let refusal = case.expected_exception.is_some() || case.rest.as_ref().is_some_and(|r| r.expected_error.is_some());
    if status == Verdict::Failed
        && let Some(reason) = deviation(case, refusal && message == run::ACCEPTED_INSTEAD)
    {
        (status, message) = (Verdict::Listed, reason.to_owned());
    }
    CaseResult { file: case.file.clone(), name: case.name.clone(), status, refusal, message }
}

/// The files of cases at a path, sorted.
///
/// # Errors
/// Kind `Missing` if there is no such path, `Backend` if a folder cannot be read.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return if path.exists() {
            Ok(vec![path.to_owned()])
        } else {
            Err(Error::missing(format!("there is no file or folder {}", path.display())))
        };
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_says_case_kind_and_reason() {
        for line in DEVIATIONS.lines().filter(|l| !l.starts_with('#')) {
            let (case, kind, reason) = entry(line).unwrap_or_else(|| panic!("not three parts: {line}"));
            assert!(case.contains(": ") && !reason.is_empty(), "{line}");
            assert!([ACCEPTED, DEVIATION].contains(&kind), "{line}");
        }
    }
}

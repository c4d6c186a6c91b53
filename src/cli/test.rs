//! `tidemill test`: runs cases and reports what has become of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::failure::{Done, FAILED, Failure};
use crate::error::{Error, Kind};
use crate::testing::{self, Case, Mode, Verdict};

#[derive(Args)]
pub(super) struct Arguments {
    /// Files of cases, or folders with such files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Only cases whose file or name contains this text.
    #[arg(long)]
    filter: Option<String>,
    /// How rows are taken.
    #[arg(long, value_enum, default_value = "whole")]
    batch: Batch,
    /// Where the report is written, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Batch {
    /// As many at once as there are.
    Whole,
    /// One at a time.
    One,
    /// One at a time; after each commit the folder is closed and opened again.
    Resume,
}

/// Runs the cases; the exit status.
///
/// Status 1 if a case failed that is not on the list of deviations, 2 if no case was found. The report has the counts,
/// and one object for each case.
pub(super) fn run(arguments: &Arguments) -> Done {
    let mode = match arguments.batch {
        Batch::Whole => Mode::Whole,
        Batch::One => Mode::One,
        Batch::Resume => Mode::Resume,
    };
    let filter = arguments.filter.as_deref().unwrap_or_default();
    let wanted = |case: &Case| format!("{} {}", case.file, case.name).contains(filter);
    let report = testing::run(&arguments.paths, wanted, mode).map_err(|error| match error.kind() {
        // A path or filter that finds nothing is mistyped.
        Kind::Missing => Failure::usage(error),
        _ => error.into(),
    })?;
    let mut missing: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &report.cases {
        match case.status {
            Verdict::Failed => {
                println!("FAILED {} - {}\n  {}", case.file, case.name, case.message.replace('\n', "\n  "))
            }
            Verdict::Listed => println!("listed {} - {}: {}", case.file, case.name, case.message),
            Verdict::Skipped => *missing.entry(case.message.as_str()).or_default() += 1,
            Verdict::Passed => {}
        }
    }
    let mut missing: Vec<(&str, usize)> = missing.into_iter().collect();
    missing.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (what, count) in missing {
        println!("skipped {count}: {what}");
    }
    println!(
        "{} passed, {} failed, {} skipped, {} listed",
        report.passed, report.failed, report.skipped, report.listed
    );
    if let Some(path) = &arguments.report {
        let text = serde_json::to_string_pretty(&report).map_err(|e| Error::bug(e.to_string()))?;
        let name = path.display();
        std::fs::write(path, text).map_err(|e| Error::backend(format!("cannot write the report {name}: {e}")))?;
    }
    Ok(if report.failed > 0 { FAILED } else { 0 })
}

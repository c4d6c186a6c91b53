//! The integration tests, in one binary: they run the real program, or the real engine over a disk that forgets.

mod backup;
mod batch_size;
mod command_line;
mod conformance;
mod contained;
mod corpus;
mod documents;
mod examples;
mod failing_disk;
mod grammar;
mod hints;
mod kill;
mod limits;
mod on_disk_format;
mod operations;
mod oracle;
mod power_cut;
mod pulls;
mod real_data;
mod rest;
mod resume;
mod serving;
mod storage_faults;
mod sync_order;
mod told;

/// Tells in the normal output that the test cannot run here. libtest captures what macros print, but not a handle.
fn skip(why: impl std::fmt::Display) {
    use std::io::Write;
    let thread = std::thread::current();
    // Its name is that of the test, unless all tests run on one thread.
    let name = thread.name().filter(|name| *name != "main").unwrap_or("a test");
    let line = format!("skipped: {name}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
}

#[test]
#[ignore = "another test runs it"]
fn a_test_that_is_always_skipped() {
    skip("on purpose");
}

#[test]
fn a_skipped_test_says_so_although_it_passes() {
    let mut tests = std::process::Command::new(std::env::current_exe().expect("the path of this program"));
    let output = tests.args(["--exact", "--ignored", "--test-threads=2", "a_test_that_is_always_skipped"]).output();
    let output = output.expect("the tests run again");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("1 passed"), "{out}");
    assert_eq!(err, "skipped: a_test_that_is_always_skipped: on purpose\n");
}

/// A folder of what is kept beside the project, if it is there.
fn shared(name: &str) -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if !folder.is_dir() {
        skip(format_args!("there is no folder {}", folder.display()));
        return None;
    }
    Some(folder)
}

//! The examples for operators: settings and statements are taken, and units and manifests say the same as they.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command_line::{Folder, signal};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/operations").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(example(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The text of a block `NAME: |` of the manifest.
fn block(name: &str) -> String {
    let manifest = text("kubernetes.yaml");
    let after = manifest.split_once(&format!("  {name}: |\n")).expect("the block").1;
    let lines = after.lines().map_while(|line| line.strip_prefix("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_settings_of_the_examples_can_be_used() {
    let folder = Folder::new();
    folder.ok(&["check-config", "--config", &example("tidemill.conf").display().to_string()]);
    let pipeline = example("pipeline.sql").display().to_string();
    let settings = block("tidemill.conf").replace("/etc/tidemill/pipeline.sql", &pipeline);
    assert!(settings.contains(&pipeline), "{settings}");
    folder.ok(&["check-config", "--config", &folder.file("tidemill.conf", settings)]);
}

#[test]
fn the_statements_of_the_examples_are_served_and_are_those_of_the_manifest() {
    let folder = Folder::new();
    let pipeline = example("pipeline.sql").display().to_string();
    let mut server = folder.start(&["serve", "--listen", "127.0.0.1:0", "--queries-file", &pipeline]);
    let lines = BufReader::new(server.stderr.take().expect("a pipe")).lines();
    let told: Vec<String> =
        lines.map(|line| line.expect("text")).take_while(|l| !l.starts_with("serving at")).collect();
    signal(&server, "-TERM");
    assert!(server.wait().expect("an end").success(), "{told:?}");
    let canonical = |text: String| {
        let without_remarks: String =
            text.lines().filter(|line| !line.starts_with("--")).map(|l| format!("{l}\n")).collect();
        let ran = folder.run_with(&["fmt", "-"], &without_remarks);
        assert_eq!(ran.status, 0, "{ran:?}");
        ran.out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(canonical(block("pipeline.sql")), canonical(text("pipeline.sql")));
}

#[test]
fn systemd_takes_the_unit() {
    let folder = Folder::new();
    let unit = text("tidemill.service").replace("/usr/local/bin/tidemill", env!("CARGO_BIN_EXE_tidemill"));
    let file = folder.file("tidemill.service", unit);
    match Command::new("systemd-analyze").args(["verify", &file]).output() {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => crate::skip(format_args!("systemd-analyze cannot be started: {error}")),
    }
}

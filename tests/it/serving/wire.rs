//! Recorded exchanges of ksqlDB's server, replayed against the real program: `tests/wire/run` with a part of the groups.

use std::path::Path;
use std::process::{Command, Output};

use crate::{shared, skip};

/// Groups that take less than a minute together; `tests/wire/run` replays all of them in some minutes.
const GROUPS: &[&str] = &[
    "http*",
    "is-valid-property",
    "ksql-*",
    "push-refusals",
    "settings-*",
    "small-endpoints",
    "statements-a*",
    "statements-create",
    "statements-set",
    "statements-several",
    "statements-types",
    "statements-variables",
    "status-endpoint",
    "websocket-refusals",
];

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

#[test]
fn recorded_exchanges_of_ksqldb_agree_or_are_listed() {
    let Some(folder) = shared("conformance/wire") else { return };
    let has_python = Command::new("python3").args(["-c", "import h2, websockets"]).output();
    if !has_python.is_ok_and(|output| output.status.success()) {
        return skip("python3 lacks h2 and websockets");
    }
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/run");
    let mut replay = Command::new(run);
    replay.arg(env!("CARGO_BIN_EXE_tidemill")).arg(&folder).arg("--group").args(GROUPS);
    let output = output(&mut replay);
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{error}");
    assert!(!said.contains("take it off the list"), "{said}");
    assert!(!said.contains("deviations: no exchange"), "{said}");
}

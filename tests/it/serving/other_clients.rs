//! Clients that others wrote for ksqlDB, run against the service: four for Node.js and two for Python.
//!
//! They are installed by the package managers when the test runs. Where these, or what they ask, are missing, a client
//! is skipped.

use std::path::Path;
use std::process::Command;

use super::client::Server;
use crate::command_line::Folder;
use crate::{shared, skip};

/// The clients by the names of their packages, and the program that must be there.
const CLIENTS: [(&str, &str); 6] = [
    ("ksqldb-client-node", "npm"),
    ("ksqldb-client", "npm"),
    ("ksqldb-js", "npm"),
    ("ksqldb-rx-client", "npm"),
    ("ksqldb", "python3"),
    ("ksql-python-ng", "python3"),
];

#[test]
fn clients_of_others_get_all_their_answers() {
    let Some(scripts) = shared("conformance/wire/clients") else { return };
    // Kept from run to run, so that they are installed once.
    let installed = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let folder = Folder::new();
    let server = Server::start(&folder);
    let url = format!("http://{}", server.address());
    for (client, needs) in CLIENTS {
        let Ok(there) = Command::new(needs).arg("--version").output() else {
            skip(format_args!("{client}: there is no {needs}"));
            continue;
        };
        assert!(there.status.success(), "{there:?}");
        let run = Command::new("bash")
            .arg(scripts.join("run.sh"))
            .args([&url, client])
            .env("WIRE_CLIENTS_DIR", &installed)
            // A registry that does not answer at once is taken as not there.
            .envs([("npm_config_fetch_retries", "0"), ("PIP_RETRIES", "0"), ("PIP_DEFAULT_TIMEOUT", "20")])
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&run.stdout);
        if !run.status.success() && !is_installed(&installed.join(client), client) {
            skip(format_args!("{client} cannot be installed: {}", said.trim_end()));
            continue;
        }
        assert!(run.status.success() && said.contains("  ok "), "{said}{}", String::from_utf8_lossy(&run.stderr));
        println!("{said}");
    }
}

/// Whether a client is in its folder.
fn is_installed(folder: &Path, client: &str) -> bool {
    let python = folder.join("bin/python");
    // It fails where there is no such Python.
    let known = Command::new(python).args(["-m", "pip", "show", "--quiet", client]).output();
    folder.join("node_modules").join(client).is_dir() || known.is_ok_and(|known| known.status.success())
}

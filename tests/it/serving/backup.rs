//! Backups that a running service makes.

use serde_json::json;

use super::client::{Http, Server, post};
use super::{STREAM, talk};
use crate::command_line::{Folder, assert_has};

#[test]
fn a_running_service_makes_backups_in_its_folder_for_them_alone() {
    talk(async {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("backups")).expect("a folder");
        let location = format!("tidemill.backup.location={}", folder.path("backups").display());
        let server = Server::start_with(&folder, &["--set", &location]);
        server.ksql(&format!("{STREAM} CREATE STREAM u AS SELECT * FROM s; INSERT INTO s VALUES (1, 'a');")).await;
        let url = format!("http://{}", server.address());
        assert_has(&folder.ok(&["backup", "--server", &url, "first"]), &["\"name\":\"first\"", "filesCopied"]);
        assert_has(&folder.refused(1, &["backup", "--server", &url, "first"]), &["there is something in"]);
        for name in ["../first", "/tmp/x", "", ".x"] {
            let answer = server.answer(Http::One, post("/backup", &json!({ "name": name }))).await;
            assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        }
        server.ksql("INSERT INTO s VALUES (2, 'b');").await;
        let data = folder.path("backups").join("first").display().to_string();
        let count = || folder.ok(&["topic", "consume", "s", "--data-dir", &data]).lines().count();
        assert_eq!(count(), 1, "what came later is not in it");
        folder.ok(&["run", "--until-drained", "--data-dir", &data]);
        assert_eq!(folder.ok(&["topic", "consume", "U", "--data-dir", &data]).lines().count(), 1);
    });
}

#[test]
fn a_service_without_a_folder_for_backups_makes_none() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let answer = server.answer(Http::One, post("/backup", &json!({ "name": "x" }))).await;
        assert_eq!(answer.status, 400);
        assert_has(&answer.text(), &["tidemill.backup.location is not set"]);
    });
}

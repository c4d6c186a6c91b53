//! Migrations: a project from its first file on, on a data folder and on a server, and what is told of it.

use super::{Folder, Ran, assert_has, exists, lines};
use crate::serving::client::Server;

const USERS: &str = "-- The users.
DEFINE topic = 'users';
CREATE TYPE address AS STRUCT<city STRING>;
CREATE STREAM users (id INT KEY, name STRING, home address)
  WITH (KAFKA_TOPIC='${topic}', PARTITIONS=1, VALUE_FORMAT='JSON');
INSERT INTO users (id, name) VALUES (1, 'it''s; -- me');
";
const COUNTS: &str = "SET 'auto.offset.reset'='earliest';
CREATE TABLE ${name} AS SELECT id, COUNT(*) AS n FROM users GROUP BY id;
";

/// A project with two versions, the second of which can be taken back.
struct Project {
    folder: Folder,
    /// What says where the migrations are applied.
    place: Vec<String>,
}

impl Project {
    fn new(folder: Folder, url: Option<&str>) -> Project {
        let made: Vec<&str> = ["migrations", "new-project", "."].into_iter().chain(url).collect();
        folder.ok(&made);
        folder.file("migrations/V000001__Add_users.sql", USERS);
        folder.file("migrations/V000002__Count.sql", COUNTS);
        folder.file("migrations/V000002__Count.down.sql", "DROP TABLE ${name} DELETE TOPIC;\n");
        Project { folder, place: Vec::new() }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let place = self.place.iter().map(String::as_str);
        self.folder.run(&["migrations"].into_iter().chain(arguments.iter().copied()).chain(place).collect::<Vec<_>>())
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        ran.out
    }

    #[track_caller]
    fn failed(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.status, 1, "{arguments:?}: {ran:?}");
        format!("{}{}", ran.out, ran.err)
    }

    /// The states of the versions.
    fn states(&self) -> Vec<String> {
        let rows = lines(&self.ok(&["info", "--output", "json"]));
        rows.iter().map(|row| row["State"].as_str().expect("a state").to_owned()).collect()
    }
}

/// What holds wherever a project is applied.
fn goes_from_the_first_to_the_last_version_and_back(project: &Project) {
    assert_has(&project.failed(&["info"]), &["there is no MIGRATION_EVENTS", "initialize-metadata"]);
    project.ok(&["initialize-metadata"]);
    assert_eq!(project.states(), ["PENDING", "PENDING"]);
    let define = ["-d", "name=by_id"];
    let plan = project.ok(&[&["plan"], &define[..]].concat());
    assert_has(&plan, &["Version 1: Add users", "no file takes it back", "Version 2: Count", "down.sql takes it back"]);
    let dry = project.ok(&["apply", "--all", "--dry-run"]);
    assert_has(&dry, &["This is a dry run.", "Applying migration version 2: Count", "CREATE TABLE ${name}"]);
    assert_eq!(project.states(), ["PENDING", "PENDING"]);
    assert_has(&project.ok(&["apply", "--next"]), &["1 migration file(s) loaded.", "Successfully migrated"]);
    assert_eq!(project.states(), ["MIGRATED", "PENDING"]);
    let refused = project.failed(&["apply", "-v", "1"]);
    assert_has(&refused, &["Version must be newer than the last version migrated. Last version migrated was 1"]);
    assert_has(&project.failed(&["apply", "-v", "7"]), &["No migration file with version 7 exists."]);
    project.ok(&[&["apply", "--until", "2"], &define[..]].concat());
    assert_has(&project.ok(&["apply", "-a"]), &["No eligible migrations found."]);
    let validated = project.ok(&[&["validate"], &define[..]].concat());
    assert_has(&validated, &["Successfully validated checksums", "What exists is what the migrations made"]);
    project.ok(&[&["down"], &define[..]].concat());
    assert_eq!(project.states(), ["MIGRATED", "PENDING"]);
    project.ok(&[&["apply", "-a"], &define[..]].concat());
    let row = lines(&project.ok(&["info", "--output", "json"])).remove(1);
    assert_eq!((&row["Previous Version"], &row["Error Reason"]), (&"1".into(), &"N/A".into()));
}

#[test]
fn a_project_is_applied_to_a_data_folder() {
    let project = Project::new(Folder::new(), None);
    let missing = project.run(&["info"]);
    assert_eq!((missing.status, exists(&project.folder.data())), (2, false), "{missing:?}");
    project.ok(&["initialize-metadata"]);
    project.ok(&["destroy-metadata"]);
    goes_from_the_first_to_the_last_version_and_back(&project);
    // The topics and their records are those that ksql-migrations writes.
    let events = project.folder.records("default_ksql_MIGRATION_EVENTS");
    let keys: Vec<&str> = events.iter().map(|event| event["key"].as_str().expect("a key")).collect();
    assert_eq!(keys[..4], ["CURRENT", "1", "CURRENT", "1"]);
    let last = &events[3]["value"];
    assert_eq!(
        (&last["VERSION"], &last["STATE"], &last["PREVIOUS"]),
        (&"1".into(), &"MIGRATED".into(), &"<none>".into())
    );
    assert_eq!((&last["NAME"], &last["ERROR_REASON"]), (&"Add users".into(), &"N/A".into()));
    assert_eq!(last["CHECKSUM"].as_str().map(str::len), Some(32));
    let users = project.folder.records("users");
    assert_eq!(users[0]["value"]["NAME"], "it's; -- me");
    project.ok(&["destroy-metadata"]);
    assert_has(&project.ok(&["destroy-metadata"]), &["There are no migrations metadata"]);
}

#[test]
fn a_project_is_applied_to_a_server() {
    let server_folder = Folder::new();
    let server = Server::start(&server_folder);
    let url = format!("http://{}", server.address());
    let project = Project::new(Folder::new(), Some(&url));
    goes_from_the_first_to_the_last_version_and_back(&project);
    project.ok(&["destroy-metadata"]);
    assert!(!exists(&project.folder.data()), "a server keeps everything");
}

#[test]
fn a_version_that_fails_is_remembered_with_its_reason_and_applied_again() {
    let server_folder = Folder::new();
    let server = Server::start(&server_folder);
    let url = format!("http://{}", server.address());
    let project = Project::new(Folder::new(), Some(&url));
    project.ok(&["initialize-metadata"]);
    project.ok(&["apply", "-n"]);
    let said = project.failed(&["apply", "-a", "-d", "name=users"]);
    assert_has(&said, &["Failed to execute sql: CREATE TABLE ${name}", "already exists"]);
    assert_eq!(project.states(), ["MIGRATED", "ERROR"]);
    let row = lines(&project.ok(&["info", "--output", "json"])).remove(1);
    assert_has(row["Error Reason"].as_str().expect("a reason"), &["Failed to execute sql: CREATE TABLE $ {name}"]);
    project.ok(&["apply", "-a", "-d", "name=by_id"]);
    assert_eq!(project.states(), ["MIGRATED", "MIGRATED"]);
}

#[test]
fn a_file_is_read_whole_before_any_of_it_is_executed() {
    let project = Project::new(Folder::new(), None);
    project.ok(&["initialize-metadata"]);
    for (text, reason) in [
        ("CREATE TYPE a AS INT; SHOW STREAMS;", "'SHOW' statements are not supported."),
        ("CREATE TYPE a AS INT; SELECT * FROM x EMIT CHANGES;", "'SELECT' statements are not supported."),
        ("CREATE TYPE a AS INT; CREATE STREAM x AS SELECT * FROM nobody;", "NOBODY"),
        ("CREATE TYPE a AS INT; CREATE TYPE b AS INT", "semicolon"),
    ] {
        project.folder.file("migrations/V000001__Add_users.sql", text);
        assert_has(&project.failed(&["apply", "-n"]), &[reason]);
        assert_eq!(project.states(), ["PENDING", "PENDING"]);
        assert!(!project.folder.ok(&["run", "-e", "SHOW TYPES;"]).contains("INT"));
    }
}

#[test]
fn changed_files_and_drift_are_found() {
    let project = Project::new(Folder::new(), None);
    project.ok(&["initialize-metadata"]);
    project.ok(&["apply", "-a", "-d", "name=by_id"]);
    project.folder.ok(&[
        "run",
        "-e",
        "DROP TABLE by_id; CREATE TYPE own AS INT; CREATE STREAM more AS SELECT id, name FROM users;
         CREATE STREAM names AS SELECT id, name FROM users; INSERT INTO more SELECT id, name FROM users;",
    ]);
    let said = project.failed(&["validate", "-d", "name=by_id"]);
    assert_has(
        &said,
        &[
            "The table BY_ID of version 2 is gone.",
            "The stream MORE exists, and no migration made it.",
            "The type OWN exists, and no migration made it.",
        ],
    );
    assert!(!said.contains("MIGRATION"), "{said}");
    project.ok(&["validate", "--only-files"]);
    project.folder.file("migrations/V000002__Count.sql", COUNTS.to_lowercase());
    let said = project.failed(&["validate", "--only-files"]);
    assert_has(&said, &["Migrations file found for version 2 does not match the checksum saved for this version."]);
    assert_has(&project.failed(&["apply", "-a"]), &["does not match the checksum"]);
}

#[test]
fn files_are_made_for_the_next_version() {
    let project = Project::new(Folder::new(), None);
    project.ok(&["create", "Drop: old users"]);
    assert!(exists(&project.folder.path("migrations/V000003__Drop__old_users.sql")));
    assert_has(&project.failed(&["create", "-v", "3", "again"]), &["the version 3 has a file already"]);
    project.ok(&["create", "--version", "999999", "last"]);
    assert_eq!(project.run(&["create", "too many"]).status, 2);
    project.folder.file("migrations/V000001__Other.sql", "");
    assert_has(&project.failed(&["create", "x"]), &["two files have the version 1"]);
}

#[test]
fn settings_that_cannot_be_met_are_refused_by_name() {
    let project = Project::new(Folder::new(), None);
    project.folder.file("ksql-migrations.properties", "ksql.server.url=http\\://localhost:1\nssl.verify.host=false\n");
    let ran = project.run(&["info"]);
    assert_eq!(ran.status, 2);
    assert_has(&ran.err, &["ssl.verify.host", "always compared"]);
    project.folder.file("ksql-migrations.properties", "ksql.migration.stream.name=x\n");
    let ran = project.run(&["initialize-metadata", "--local"]);
    assert_has(&ran.err, &["ksql.migration.stream.name is not known", "is it ksql.migrations.stream.name?"]);
}

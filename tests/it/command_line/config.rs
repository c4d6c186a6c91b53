//! Settings: from where they come, which wins, and what is refused before anything is started.

use super::{Folder, assert_has, lines};

/// The value and the place of a property.
fn shown(folder: &Folder, arguments: &[&str], variables: &[(&str, &str)], name: &str) -> (String, String) {
    let mut command = folder.command(&[&["check-config", "--output", "json"], arguments].concat());
    let output = command.envs(variables.iter().copied()).output().expect("the program");
    let ran = super::Ran::of(output);
    assert_eq!(ran.status, 0, "{ran:?}");
    let row = lines(&ran.out).into_iter().find(|row| row["Property"] == name).expect("the property");
    let text = |field: &str| row[field].as_str().expect("a text").to_owned();
    (text("Value"), text("From"))
}

#[test]
fn a_file_is_overridden_by_the_environment_and_that_by_arguments() {
    let folder = Folder::new();
    let file = folder.file("tidemill.conf", "# threads\ntidemill.workers=1\nssl.key.password=sesame\n");
    let config = ["--config", file.as_str()];
    let variables = [("KSQL_TIDEMILL_WORKERS", "2")];
    let workers =
        |arguments: &[&str], variables: &[(&str, &str)]| shown(&folder, arguments, variables, "tidemill.workers");
    let expected = |value: &str, place: &str| (value.to_owned(), place.to_owned());
    assert_eq!(workers(&[], &[]), expected("0", "default"));
    assert_eq!(workers(&config, &[]), expected("1", &format!("{file}, line 2")));
    assert_eq!(workers(&config, &variables), expected("2", "KSQL_TIDEMILL_WORKERS"));
    let all = [&config[..], &["--set", "tidemill.workers=3"]].concat();
    assert_eq!(workers(&all, &variables), expected("3", "--set"));
    assert_eq!(shown(&folder, &config, &[], "ssl.key.password").0, "[hidden]");
    // A command that works has them, too.
    let mut show = folder.command(&["shell", "-e", "SHOW PROPERTIES;", "--output", "csv"]);
    let ran = super::Ran::of(show.envs(variables).output().expect("the program"));
    assert!(ran.out.lines().any(|line| line.contains("tidemill.workers") && line.contains(",2")), "{}", ran.out);
}

#[test]
fn settings_that_cannot_be_used_are_refused_all_at_once() {
    let folder = Folder::new();
    let file =
        folder.file("tidemill.conf", "tidemill.worker=1\nlisteners=http://0.0.0.0:8088\ncommit.interval.ms=soon\n");
    let said = folder.refused(2, &["check-config", "--config", &file]);
    assert_has(&said, &["line 1: ", "did you mean 'tidemill.workers'?", "line 3: ", "whole number"]);
    let mut command = folder.command(&["topic", "list"]);
    let ran = super::Ran::of(command.env("KSQL_KSQL_QUERIES_FIL", "x").output().expect("the program"));
    assert_eq!(ran.status, 2, "{ran:?}");
    assert_has(&ran.err, &["KSQL_KSQL_QUERIES_FIL: ", "did you mean 'ksql.queries.file'?"]);
    let broken = folder.file("broken.sql", "CREATE STREAM;");
    let key = folder.file("key.pem", "no key");
    let text = format!(
        "listeners=http://a:1,https://b:port\nssl.keystore.location={key}\nauthentication.method=BASIC\n\
         tidemill.users.location=nobody\nksql.queries.file={broken}\n"
    );
    let said = folder.refused(2, &["check-config", "--config", &folder.file("tidemill.conf", text)]);
    assert_has(&said, &["cannot listen at 'https://b:port'", "key.pem", "nobody", "broken.sql:1:14"]);
    assert_has(&folder.refused(2, &["check-config", "--config", "nowhere"]), &["there is no file nowhere"]);
    assert!(!folder.data().exists(), "nothing is made");
}

//! `tidemill shell`.

use std::io::{BufRead, BufReader, Write};

use super::{COUNTS, Folder, LOGS, Ran, assert_has, signal};

#[test]
fn statements_may_take_several_lines_and_errors_do_not_end_the_shell() {
    let folder = Folder::new();
    let typed = "SHOW STREAMS;\nCREATE STREAM s (a INT)\n  WITH (KAFKA_TOPIC='s', -- not yet;\n PARTITIONS=1,\n VALUE_FORMAT='JSON')\n;\n\
        SELECT nope;\noutput json\nSHOW STREAMS;\nexit\nSHOW TABLES;\n";
    let ran = folder.run_with(&["shell"], typed);
    assert_has(
        &ran.out,
        &[
            " Stream Name | Kafka Topic | Key Format | Value Format | Windowed \n",
            " Message        \n----------------\n Stream created \n----------------\n",
            "Output format set to JSON\n{\"Stream Name\":\"S\",\"Kafka Topic\":\"s\",",
        ],
    );
    assert!(!ran.out.contains("Table Name"), "nothing comes after exit");
    assert_has(&ran.err, &["error: "]);
    assert_eq!(ran.status, 1, "a statement failed, and nobody was there to see it");
}

#[test]
fn the_shells_own_commands_need_no_semicolon() {
    let folder = Folder::new();
    let script = folder.file("a b.sql", "SHOW TOPICS;");
    let typed = format!("help\nVERSION\noutput\noutput xml\nrun script '{script}';\nrun script 'none.sql'\nspool x\n");
    let ran = folder.run_with(&["shell"], &typed);
    assert_has(
        &ran.out,
        &["run script 'FILE'", "CREATE", "Version: 0.", "Current output format: TABLE", " Kafka Topic | Partitions "],
    );
    assert_has(
        &ran.err,
        &[
            "Invalid output format: 'xml'",
            "Failed to read file: none.sql",
            "spool is not supported by this version yet",
        ],
    );
}

#[test]
fn a_changed_property_is_told_with_its_value_of_before() {
    let folder = Folder::new();
    let typed = "SET 'commit.interval.ms'='50';\nSET 'commit.interval.ms'='60';\nUNSET 'commit.interval.ms';\n\
        UNSET 'commit.interval.ms';\n";
    let ran = folder.run_with(&["shell"], typed);
    let told = [
        "changed local property 'commit.interval.ms' to '50'. Use the UNSET command to revert your change.",
        "changed local property 'commit.interval.ms' from '50' to '60'.",
        "unset local property 'commit.interval.ms' (value was '60').",
        "Cannot unset local property 'commit.interval.ms' which was never set in the first place",
    ];
    assert_has(&ran.out, &told);
}

#[test]
fn reading_starts_at_the_end_and_says_so() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    folder.run_with(&["topic", "produce", "logs"], LOGS);
    let latest = "SELECT ts FROM logs EMIT CHANGES LIMIT 0;";
    let ran = folder.run_with(&["shell"], &format!("{latest}\nCREATE STREAM c AS SELECT * FROM logs;\n"));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.err.matches("hint: 4 records were there before").count(), 2, "{}", ran.err);
    let typed = "SET 'auto.offset.reset'='earliest';\nSELECT ts FROM logs EMIT CHANGES LIMIT 4;\n";
    let ran = folder.run_with(&["shell", "--output", "csv"], typed);
    assert!(!ran.err.contains("hint"), "{}", ran.err);
    assert_eq!(ran.out.lines().filter(|l| l.ends_with("000")).count(), 4, "{}", ran.out);
}

#[test]
fn statements_and_files_of_the_command_line_are_run_and_the_shell_leaves() {
    let folder = Folder::new();
    let file = folder.file("make.sql", COUNTS);
    assert_has(&folder.ok(&["shell", "-f", &file, "-e", "SHOW TABLES"]), &["Stream created", "COUNTS"]);
    assert_has(&folder.refused(1, &["shell", "-e", "SHOW TABLES; SELECT x FROM nope"]), &["NOPE does not exist."]);
}

#[test]
fn an_interrupt_ends_the_query_and_not_the_shell() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    folder.run_with(&["topic", "produce", "logs"], LOGS);
    let mut child = folder.start(&["shell", "--output", "csv", "--set", "auto.offset.reset=earliest"]);
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"SELECT ts FROM logs EMIT CHANGES;\nSHOW STREAMS;\n").expect("taken");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut seen = String::new();
    for _ in 0..5 {
        out.read_line(&mut seen).expect("a line");
    }
    signal(&child, "-INT");
    let mut answer = String::new();
    out.read_line(&mut answer).expect("a line");
    out.read_line(&mut answer).expect("a line");
    assert_has(&answer, &["Stream Name,", "LOGS,logs"]);
    drop(input);
    let ran = Ran::of(child.wait_with_output().expect("an end"));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_has(&ran.err, &["Query terminated"]);
}

#[test]
fn extended_lists_show_what_there_is_to_know_of_each() {
    let folder = Folder::new();
    folder.ok(&["run", "-e", COUNTS]);
    folder.run_with(&["topic", "produce", "logs"], LOGS);
    folder.ok(&["run", "--until-drained"]);
    let shown = |what: &str| folder.ok(&["shell", "-e", &format!("SHOW {what} EXTENDED;")]);
    assert_has(
        &shown("STREAMS"),
        &["Name            : LOGS", "Column          : `LOG_LEVEL`", "Read by         : CTAS_COUNTS"],
    );
    assert_has(&shown("TABLES"), &["Name            : COUNTS", "Written by      : CTAS_COUNTS", "  rows in       : 4"]);
    let query =
        &["Query ID        : CTAS_COUNTS", "Sink topic      : COUNTS", "WHERE (LOGS.LOG_LEVEL = 'ERROR')", "  status"];
    assert_has(&shown("QUERIES"), query);
    assert_has(
        &shown("TOPICS"),
        &["| Records | Streams and Tables | Settings ", " logs        | 2          | 4       | LOGS"],
    );
    // Where there is nothing to tell, the list is an empty one.
    folder.ok(&["run", "-e", "DROP TABLE counts;"]);
    assert_has(&shown("QUERIES"), &[" Query ID "]);
}

/// Waits until a file can be read, for half a minute at most.
fn wait_for(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let mut asked = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one valid structure, as the count says.
    let found = unsafe { libc::poll(&mut asked, 1, 30_000) };
    if found > 0 { Ok(()) } else { Err(std::io::ErrorKind::TimedOut.into()) }
}

/// What a shell at a terminal writes. Each text is typed when the one before it has been shown since the last was typed.
fn at_a_terminal(folder: &Folder, steps: &[(&str, &str)]) -> String {
    use std::io::Read;
    use std::os::fd::FromRawFd;
    use std::process::Stdio;
    let (mut ours, mut theirs) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: the first two pointers are to numbers that the call sets, and the others may be null.
    let opened = unsafe { libc::openpty(&mut ours, &mut theirs, none, none.cast(), none.cast()) };
    assert_eq!(opened, 0, "no terminal can be made");
    // SAFETY: both are open files that nobody else has.
    let (mut ours, theirs) = unsafe { (std::fs::File::from_raw_fd(ours), std::fs::File::from_raw_fd(theirs)) };
    let end = || Stdio::from(theirs.try_clone().expect("a handle"));
    let mut command = folder.command(&["shell"]);
    let mut child = command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program");
    drop((command, theirs));
    let (mut shown, mut seen, mut steps) = (String::new(), 0, steps.iter());
    let (mut next, mut buffer) = (steps.next(), [0; 4096]);
    // The terminal of a process that has ended gives an error.
    while let Ok(count @ 1..) = wait_for(&ours).and_then(|()| ours.read(&mut buffer)) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
        if let Some((wanted, typed)) = next.filter(|(wanted, _)| shown[seen..].contains(wanted)) {
            assert!(!wanted.is_empty());
            seen = shown.len();
            ours.write_all(typed.as_bytes()).expect("taken");
            next = steps.next();
        }
    }
    // A shell that waits for more ends with its terminal.
    drop(ours);
    assert_eq!(child.wait().expect("an end").code(), Some(0), "{shown}");
    shown
}

#[test]
fn a_terminal_has_a_prompt_for_each_line_and_a_list_on_the_second_tab() {
    let folder = Folder::new();
    let steps = [
        ("tidemill> ", "CREATE STREAM s (leaf INT)\r"),
        ("        > ", "WITH (KAFKA_TOPIC='s', PARTITIONS=1,\r"),
        ("\n\u{1b}", "VALUE_F\t"),
        ("VALUE_FORMAT=", "'js\t"),
        ("JSON", "');\r"),
        ("tidemill> ", "SELECT lea\t\t"),
        ("least(", "\u{15}exit\r"),
    ];
    let shown = at_a_terminal(&folder, &steps);
    assert_has(&shown, &["making a new data folder", "tidemill> ", "        > ", "Stream created"]);
    let (leaf, least) = (shown.find("\nleaf"), shown.find("least("));
    assert!(leaf.is_some() && leaf < least, "columns come before functions: {shown:?}");
}

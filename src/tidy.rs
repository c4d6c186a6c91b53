//! Reads the source and holds it to the rules of the house: layers, headers, sizes, and what may not be written.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use besides `error`, `ids` and `locks`; a module that is not listed may use everything below the last line.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("ids", &[]),
    ("clock", &[]),
    ("locks", &[]),
    ("process", &[]),
    ("config", &[]),
    ("disk", &[]),
    ("types", &[]),
    ("sql", &["types"]),
    ("functions", &["types"]),
    ("formats", &["types"]),
    ("topics", &["disk", "types"]),
    ("state", &["disk", "types"]),
    ("journal", &["disk", "clock", "types", "topics", "state"]),
    ("catalog", &["types", "sql", "formats", "topics", "config"]),
    ("expr", &["types", "sql", "functions"]),
    ("plan", &["types", "sql", "functions", "formats", "expr", "catalog", "config", "topics", "state"]),
    ("operators", &["types", "functions", "expr", "state"]),
    (
        "runtime",
        &["types", "formats", "topics", "state", "journal", "expr", "catalog", "plan", "operators", "config", "sql"],
    ),
    (
        "engine",
        &[
            "types",
            "sql",
            "formats",
            "topics",
            "state",
            "journal",
            "expr",
            "catalog",
            "plan",
            "operators",
            "runtime",
            "config",
            "clock",
            "disk",
            "process",
        ],
    ),
    ("pull", &["types", "sql", "functions", "expr", "catalog", "plan", "operators", "engine", "config", "clock"]),
    (
        "statements",
        &[
            "types",
            "sql",
            "functions",
            "formats",
            "topics",
            "expr",
            "catalog",
            "plan",
            "engine",
            "pull",
            "config",
            "operators",
        ],
    ),
    (
        "serving",
        &[
            "types",
            "sql",
            "formats",
            "disk",
            "topics",
            "catalog",
            "engine",
            "pull",
            "statements",
            "config",
            "clock",
            "process",
        ],
    ),
    (
        "testing",
        &[
            "types",
            "sql",
            "formats",
            "topics",
            "runtime",
            "journal",
            "catalog",
            "engine",
            "statements",
            "serving",
            "config",
            "clock",
            "disk",
        ],
    ),
];

/// Where each crate of `Cargo.toml` may be used: modules, or files without their ending.
///
/// A crate that is not listed may not be a dependency.
const MAY_USE_CRATES: &[(&str, &[&str])] = &[
    // Passwords are hashed and compared in one place.
    ("argon2", &["serving/users"]),
    (
        "arrow",
        &[
            "types",
            "functions",
            "formats",
            "state",
            "expr",
            "operators",
            "runtime",
            "engine",
            "pull",
            "statements",
            "serving/pg/catalog",
        ],
    ),
    ("axum", &["serving"]),
    ("base64", &["types", "formats"]),
    ("bytes", &["serving"]),
    ("async_trait", &["pull"]),
    // The time of the system is asked of `clock`, which needs no calendar.
    ("chrono", &["types"]),
    ("chrono_tz", &["types"]),
    ("clap", &["cli"]),
    // Checksums of files; and the fingerprint of a plan, which is on disk too.
    ("crc32c", &["topics", "state", "journal", "runtime/lower/mod"]),
    // Relations over committed tables, and PostgreSQL's catalog; continuous queries have operators of their own.
    ("datafusion", &["pull", "serving/pg/catalog"]),
    ("fancy_regex", &["functions", "serving"]),
    ("flate2", &["topics/compression", "cli"]),
    ("foldhash", &["types", "functions", "formats", "state", "journal", "operators"]),
    ("futures_util", &["pull", "serving"]),
    ("http_body_util", &["serving/client"]),
    ("hyper", &["serving"]),
    ("hyper_util", &["serving"]),
    ("indicatif", &["cli"]),
    ("itoa", &["formats"]),
    // The disk; memory that goes back to the system; the terminal, standard input and the figures of the process.
    ("libc", &["disk", "process", "cli"]),
    ("libm", &["functions"]),
    ("lz4_flex", &["topics/compression"]),
    ("md5", &["functions", "cli/migrations"]),
    ("memchr", &["types", "sql", "functions", "formats", "journal", "statements", "serving"]),
    // The messages of OTLP; what waits for a collector is kept and sent by our own code.
    ("opentelemetry_proto", &["serving/otlp"]),
    // A mutex that is handed to whoever waits for it.
    ("parking_lot", &["locks"]),
    ("pgwire", &["serving/pg"]),
    ("pkcs8", &["serving/pem"]),
    ("prost", &["serving/otlp/wire"]),
    // Events of the log; the command line decides where they go.
    ("tracing", &["engine", "serving", "cli/events", "cli/common"]),
    ("tracing_subscriber", &["cli/events"]),
    // Threads belong to the engine, which lends them to the turns of a query.
    ("rayon", &["runtime", "engine"]),
    ("ring", &["serving/scram", "serving/users", "serving/pg"]),
    ("rpassword", &["cli/connect"]),
    ("rustls", &["serving", "cli/connect"]),
    ("rustls_native_certs", &["serving/trust"]),
    ("rustyline", &["cli"]),
    ("serde", &["cli", "testing"]),
    // Of SQL functions only those over JSON; formats read and write JSON by themselves, which is faster.
    (
        "serde_json",
        &[
            "functions/json",
            "functions/json_path",
            "functions/scalar",
            "formats/answer",
            // The processing log is JSON, and not on the way of rows that succeed.
            "engine/failures",
            "statements",
            "serving",
            "testing",
            "cli",
        ],
    ),
    ("signal_hook", &["cli"]),
    ("simdutf8", &["types", "formats", "state", "cli"]),
    ("snap", &["topics/compression"]),
    // Where the nesting of a statement decides how deep calls go.
    ("stacker", &["sql", "expr"]),
    // Requests wait without a thread of their own; the engine knows threads only.
    // Passwords that look alike are the same for a client of PostgreSQL.
    ("stringprep", &["serving/scram"]),
    ("tokio", &["pull", "serving", "cli/connect", "cli/remote", "testing/rest"]),
    ("tokio_rustls", &["serving/listen", "serving/otlp/collector", "serving/pg/start", "cli/connect"]),
    ("tower", &["serving"]),
    ("unicode_width", &["cli"]),
    ("zmij", &["types"]),
    ("zstd", &["topics/compression"]),
];

/// Files in which a thread may sleep, and why. Everything else waits for what it needs, or asks the clock to sleep.
const MAY_SLEEP: &[(&str, &str)] = &[
    ("src/clock.rs", "it is asked by all others"),
    ("src/cli/bench/beside.rs", "the process is killed some time after its queries have started"),
    ("src/cli/bench/latency.rs", "sends records at a given rate"),
    ("src/cli/bench/many.rs", "sends records at a given rate"),
    ("src/cli/bench/startup.rs", "the figure is that of a process that has been idle for a while"),
    ("src/cli/remote.rs", "looks now and then whether it is to end: a signal wakes no task"),
    ("src/cli/run.rs", "looks now and then whether it is to end: a signal wakes no thread"),
    ("src/cli/topic/consume.rs", "another process may write, which tells nobody"),
    ("src/journal/tests.rs", "nothing tells that a thread of rounds has found the disk full and waits"),
    ("src/serving/ksql.rs", "a request looks now and then whether its command was executed"),
    ("src/serving/listen.rs", "looks now and then whether it is to end: a signal wakes no task"),
    ("src/serving/pg/catalog/mod.rs", "looks now and then whether the query is to end"),
    ("src/serving/query.rs", "looks now and then whether the query has ended"),
    ("tests/it/serving/told.rs", "another process commits, which tells nobody"),
    ("tests/it/command_line/live.rs", "nothing tells what another process has read of its input"),
    ("tests/it/command_line/produce.rs", "nothing tells what another process has read of its input"),
    ("tests/it/failing_disk.rs", "nothing tells that a thread of the engine has met the failure"),
    ("tests/it/kill.rs", "the process is killed at a random time"),
    ("tests/it/power_cut/life.rs", "the power is cut at a random time of running threads"),
    ("tests/it/serving/access.rs", "nothing tells that the server has looked at its files"),
    ("tests/it/serving/headless.rs", "nothing tells that a query has read what was inserted"),
    ("tests/it/serving/mod.rs", "nothing tells that the server has seen what a client did"),
    ("tests/it/serving/tls.rs", "nothing tells that the server has looked at its files"),
    ("tests/it/storage_faults.rs", "nothing tells that a thread of the engine has met the failure"),
];

/// Files of more than 500 lines, and why. Tables and tests do not count.
const LONG_FILES: &[(&str, &str)] = &[("config/list.rs", "one list of all properties")];

/// Functions of more than 70 lines, and why.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

const MOST_FILE_LINES: usize = 500;
const MOST_FUNCTION_LINES: usize = 70;

struct Source {
    /// The path below `src`.
    name: String,
    text: String,
}

impl Source {
    /// The lines before the tests.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| *line != "mod tests {")
    }

    /// The lines before the tests, as one text; comments are empty lines.
    fn code_without_comments(&self) -> String {
        let without = |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() };
        self.code().map(without).collect::<Vec<_>>().join("\n")
    }

    fn module(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    /// How many modules the file's module is below the root of the crate.
    fn depth(&self) -> usize {
        let path = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').count()
    }

    fn is_test(&self) -> bool {
        ["tidy.rs", "expr/examples.rs"].contains(&self.name.as_str()) || self.name.ends_with("tests.rs")
    }
}

fn sources() -> Vec<Source> {
    sources_in("src")
}

fn sources_in(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).expect("below the root").display().to_string();
                found.push(Source { name, text: fs::read_to_string(&path).expect("text") });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Whether a character can be part of a name.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The name that a text starts with; empty if there is none.
fn name_at(text: &str) -> &str {
    &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())]
}

/// The first name of each path in what follows `crate::` or the like: one name, or a group of paths in braces.
fn first_names(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else { return vec![name_at(rest)] };
    let mut names = vec![name_at(group.trim_start())];
    let mut depth = 0usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name_at(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The modules of this crate that the code of a file names, each with where: `crate::name`, `crate::{name, …}` also over
/// several lines, and `super::super::name` that climbs to the root. `depth` is how many modules the file's is below it.
fn used(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let starts_path = |at: usize| !code[..at].ends_with(|c| is_name(c) || c == ':');
    for (at, own) in code.match_indices("crate::").filter(|(at, _)| starts_path(*at)) {
        names.extend(first_names(&code[at + own.len()..]).into_iter().map(|name| (at, name)));
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| starts_path(*at)) {
        let rest = code[at..].trim_start_matches("super::");
        if (code[at..].len() - rest.len()) / "super::".len() == depth {
            names.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    names
}

/// Whether a file below `src` is a place of [`MAY_USE_CRATES`], or is in it.
fn is_in(file: &str, place: &str) -> bool {
    let rest = file.trim_end_matches(".rs").strip_prefix(place);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether code names a crate: `name::` at the start of a path.
fn uses_crate(code: &str, name: &str) -> bool {
    let starts = |at: usize| !code[..at].ends_with(|c| is_name(c) || c == ':' || c == '.');
    code.match_indices(name).any(|(at, _)| starts(at) && code[at + name.len()..].starts_with("::"))
}

fn complain(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        let Some((module, allowed)) = MAY_USE.iter().find(|(module, _)| *module == source.module()) else { continue };
        let code = source.code_without_comments();
        for (at, name) in used(&code, source.depth()) {
            let is_module = MAY_USE.iter().any(|(m, _)| *m == name) || name == "cli";
            if is_module && name != *module && !["error", "ids", "locks"].contains(&name) && !allowed.contains(&name) {
                let line = code[..at].matches('\n').count() + 1;
                found.push(format!("src/{}:{line}: {module} uses {name}", source.name));
            }
        }
    }
    complain("a module uses one that it may not", &found);
}

#[test]
fn modules_are_found_in_every_way_of_naming_them() {
    let names = |code, depth| used(code, depth).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    let lines = "use crate::{\n    disk::{self, Disk},\n    types,\n};\nlet a = crate::sql::parse();";
    assert_eq!(names(lines, 1), ["disk", "types", "sql"]);
    assert_eq!(names("use super::super::{disk, types::Batch};", 2), ["disk", "types"]);
    assert_eq!(names("use super::disk;", 1), ["disk"]);
    assert_eq!(names("use super::disk;", 2), [""; 0], "a neighbour in the same module");
}

#[test]
fn crates_are_used_only_where_they_belong() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("[dependencies]\n").nth(1).expect("a section");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| match name {
        "md-5" => "md5".to_owned(),
        name => name.replace('-', "_"),
    });
    let unlisted: Vec<String> = names.filter(|name| MAY_USE_CRATES.iter().all(|(own, _)| own != name)).collect();
    complain("a dependency that the list lacks", &unlisted);
    let sources = sources().into_iter().filter(|s| !s.is_test());
    let sources: Vec<(String, String)> = sources.map(|s| (s.code_without_comments(), s.name)).collect();
    let mut found = Vec::new();
    for (name, places) in MAY_USE_CRATES {
        let mut unused = places.to_vec();
        for (_, file) in sources.iter().filter(|(code, _)| uses_crate(code, name)) {
            match places.iter().find(|place| is_in(file, place)) {
                Some(place) => unused.retain(|own| own != place),
                None => found.push(format!("src/{file} uses {name}")),
            }
        }
        found.extend(unused.iter().map(|place| format!("{place} does not use {name} any more")));
    }
    complain("a crate is used where it may not be, or the list is out of date", &found);
}

#[test]
fn only_those_sleep_who_say_why() {
    let named = |folder: &'static str| {
        sources_in(folder).into_iter().map(move |source| (format!("{folder}/{}", source.name), source.text))
    };
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let sleeps = |text: &str| {
        text.lines().filter(is_code).any(|line| line.contains("thread::sleep") || line.contains("time::sleep"))
    };
    let all = named("src").chain(named("tests")).filter(|(name, text)| name != "src/tidy.rs" && sleeps(text));
    let sleepers: Vec<String> = all.map(|(name, _)| name).collect();
    let excused = |name: &&String| MAY_SLEEP.iter().any(|(own, _)| own == name);
    complain("a thread sleeps", &sleepers.iter().filter(|name| !excused(name)).cloned().collect::<Vec<_>>());
    let awake = MAY_SLEEP.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !sleepers.contains(name));
    complain("a file that is listed does not sleep any more", &awake.collect::<Vec<_>>());
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = sources().into_iter().filter(|s| !s.text.starts_with("//! ")).map(|s| s.name).collect::<Vec<_>>();
    complain("a file does not open with a sentence (//!)", &silent);
}

#[test]
fn files_are_short() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        let lines = source.code().count();
        let excused = LONG_FILES.iter().any(|(name, _)| *name == source.name);
        if lines > MOST_FILE_LINES && !excused {
            found.push(format!("src/{}: {lines} lines", source.name));
        }
    }
    complain("a file is too long: cut it, or give the reason in the list", &found);
}

#[test]
fn functions_fit_a_screen() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        let mut open: Option<(usize, usize, String)> = None;
        for (number, line) in source.code().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let starts = line.trim_start().starts_with("fn ") || line.contains("pub fn ") || line.contains(") fn ");
            if starts && open.is_none() && !line.trim_end().ends_with(';') {
                open = Some((number, indent, line.trim().to_owned()));
            } else if let Some((start, level, text)) = &open
                && indent == *level
                && (line.trim() == "}" || line.trim_end().ends_with(';'))
            {
                let excused = LONG_FUNCTIONS.iter().any(|(name, _)| text.contains(name));
                if number - start >= MOST_FUNCTION_LINES && !excused {
                    found.push(format!("src/{}:{}: {} lines: {text}", source.name, start + 1, number - start + 1));
                }
                open = None;
            }
        }
    }
    complain("a function is too long: cut it, or give the reason in the list", &found);
}

#[test]
fn nothing_is_unwrapped_or_printed() {
    let banned = [(".unwrap()", "say with expect() why it holds"), ("println!(", "only the command line prints")];
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        for (number, line) in source.code().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for (text, why) in banned {
                let prints = text == "println!(" && source.module() == "cli";
                if line.contains(text) && !prints {
                    found.push(format!("src/{}:{}: {text}: {why}", source.name, number + 1));
                }
            }
        }
    }
    complain("what may not be written", &found);
}

#[test]
fn time_is_asked_of_the_clock_alone() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test() && !["clock", "cli"].contains(&s.module())) {
        for (number, line) in source.code().enumerate() {
            if line.contains("SystemTime::now") || line.contains("Instant::now") || line.contains("Utc::now") {
                found.push(format!("src/{}:{}", source.name, number + 1));
            }
        }
    }
    complain("the system is asked what time it is", &found);
}

#[test]
fn every_file_of_a_shelf_is_in_its_list() {
    for (folder, list) in [
        ("functions/scalar", "functions/scalar/mod.rs"),
        ("functions/aggregate", "functions/aggregate/mod.rs"),
        ("statements", "statements/mod.rs"),
    ] {
        let all = sources();
        let listed = all.iter().find(|s| s.name == list).expect("the list").text.clone();
        let words: Vec<&str> = listed.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let files = all.iter().filter_map(|s| s.name.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs"));
        let missing: Vec<String> = files.filter(|f| *f != "mod" && !words.contains(f)).map(str::to_owned).collect();
        complain(&format!("files of src/{folder} that its list does not name"), &missing);
    }
}

#[test]
fn every_function_and_statement_is_documented() {
    let mut found = Vec::new();
    for function in crate::functions::scalar::ALL.iter().chain(crate::functions::table::ALL) {
        if function.summary.is_empty() || function.category.is_empty() {
            found.push(function.name.to_owned());
        }
    }
    found.extend(crate::statements::ALL.iter().filter(|k| k.summary.is_empty()).map(|k| k.name.to_owned()));
    complain("not documented", &found);
}

#[test]
fn every_word_that_is_parsed_is_a_keyword() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| ["sql", "statements"].contains(&s.module())) {
        let code: String = source.code().collect::<Vec<_>>().join("\n");
        for call in ["take(\"", "expect(\"", "is(\"", "take_none(\""] {
            for (at, _) in code.match_indices(call) {
                let words = code[at + call.len()..].split('"').next().unwrap_or_default();
                let unknown =
                    |w: &&str| w.starts_with(|c: char| c.is_ascii_uppercase()) && !crate::sql::words::is_keyword(w);
                found.extend(words.split(' ').filter(unknown).map(|word| format!("src/{}: {word}", source.name)));
            }
        }
    }
    complain("words that the lists in sql/words.rs lack", &found);
}

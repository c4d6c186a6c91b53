//! Reads the source and holds it to the rules of the house: layers, headers, sizes, and what may not be written.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use besides `error`, `ids` and `locks`; a module that is not listed may use everything below the last line.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("ids", &[]),
    ("clock", &[]),
    ("locks", &[]),
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
        ],
    ),
    (
        "statements",
        &["types", "sql", "functions", "formats", "topics", "expr", "catalog", "plan", "engine", "config", "operators"],
    ),
    ("serving", &["types", "formats", "catalog", "engine", "statements", "config"]),
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
            "config",
            "clock",
            "disk",
        ],
    ),
];

/// Files of more than 500 lines, and why. Tables and tests do not count.
const LONG_FILES: &[(&str, &str)] = &[];

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

    fn module(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    fn is_test(&self) -> bool {
        ["tidy.rs", "expr/examples.rs"].contains(&self.name.as_str()) || self.name.ends_with("tests.rs")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
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

/// The modules of this crate that a line names: `crate::name` and `crate::{name, …}`.
fn used(line: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        names.push(&rest[..end]);
    }
    names
}

fn complain(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        let Some((module, allowed)) = MAY_USE.iter().find(|(module, _)| *module == source.module()) else { continue };
        for (number, line) in source.code().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
            for name in used(line) {
                let is_module = MAY_USE.iter().any(|(m, _)| *m == name) || name == "cli";
                if is_module
                    && name != *module
                    && !["error", "ids", "locks"].contains(&name)
                    && !allowed.contains(&name)
                {
                    found.push(format!("src/{}:{}: {module} uses {name}", source.name, number + 1));
                }
            }
        }
    }
    complain("a module uses one that it may not", &found);
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

//! The language over ksqlDB's own test cases, if they are at hand: what is valid there parses and prints as a fixed point,
//! and what is refused for its syntax is refused here, at the same place or at a better one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidemill::error::Error;
use tidemill::sql::lexer::lex;
use tidemill::statements::{Parsed, format, parse};

use crate::shared;

/// Statements that only ksqlDB's shell or its test tool has, and that therefore are refused in its other cases.
const OF_TOOLS: [&str; 2] = ["ASSERT VALUES", "RUN SCRIPT"];

/// Where a refusal stands here if that is a better place than ksqlDB's: file, case, place, reason.
const BETTER_PLACES: &str = include_str!("better_places.txt");

struct Case {
    file: String,
    name: String,
    statements: Vec<String>,
    /// The message of the refusal that is expected, if one is.
    refusal: Option<String>,
    /// Whether the statement is refused by the parser.
    of_parser: bool,
}

/// The cases of a folder, with the first of the formats that a case names.
fn cases(folder: &Path) -> Vec<Case> {
    let mut found = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path()).collect();
    files.sort();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "json")) {
        let text = fs::read_to_string(path).expect("a file");
        let json: Value = serde_json::from_str(&without_remarks(&text)).expect("JSON");
        let text_of = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        for case in json["tests"].as_array().expect("cases") {
            let chosen = case["format"].get(0).and_then(Value::as_str).unwrap_or("JSON");
            let statement = |v: &Value| text_of(v).replace("{FORMAT}", chosen);
            let expected = &case["expectedException"];
            found.push(Case {
                file: path.file_stem().expect("a name").to_string_lossy().into_owned(),
                name: text_of(&case["name"]),
                statements: case["statements"].as_array().expect("statements").iter().map(statement).collect(),
                refusal: expected.is_object().then(|| text_of(&expected["message"])),
                of_parser: text_of(&expected["type"]).contains("ParseFailed"),
            });
        }
    }
    found
}

/// Lines that are remarks in the manner of Java are left out.
fn without_remarks(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        inside |= trimmed.starts_with("/*");
        if !inside && !trimmed.starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
        inside &= !trimmed.contains("*/");
    }
    out
}

/// Why a text is not printed as a fixed point that means the same.
fn not_fixed(text: &str) -> Option<String> {
    let fixed = || -> Result<bool, Vec<Error>> {
        let old = parse(text)?;
        let canonical = format(text)?;
        let new = parse(&canonical)?;
        let same = |(a, b): (&Parsed, &Parsed)| {
            *a.statement == *b.statement && a.statement.to_string() == b.statement.to_string()
        };
        Ok(old.len() == new.len() && old.iter().zip(&new).all(same) && format(&canonical)? == canonical)
    };
    match fixed() {
        Ok(true) => None,
        Ok(false) => Some(format!("no fixed point: {text}")),
        Err(errors) => Some(errors[0].render(None)),
    }
}

/// Whether the expected message is one about the form of the text alone.
fn is_about_syntax(message: &str) -> bool {
    ["Syntax Error", "Syntax error", "Invalid numeric literal", "Number overflows"].iter().any(|m| message.contains(m))
}

#[test]
fn query_cases_parse_and_print_as_a_fixed_point() {
    let Some(folder) = shared("conformance/query") else { return };
    let (mut valid, mut refused, mut wrong) = (0, 0, Vec::new());
    for case in cases(&folder) {
        let (last, earlier) = case.statements.split_last().expect("a statement");
        let syntax = case.of_parser && case.refusal.as_deref().is_none_or(is_about_syntax);
        let good = earlier.iter().chain((!syntax).then_some(last));
        let counted = case.refusal.is_none();
        for text in good {
            // What is refused for another reason may be refused by the parser, too.
            match not_fixed(text) {
                Some(why) if counted || text != last => wrong.push(format!("{} {}: {why}", case.file, case.name)),
                _ => valid += usize::from(counted || text != last),
            }
        }
        if syntax && !OF_TOOLS.iter().any(|words| last.starts_with(words)) {
            refused += 1;
            if parse(last).is_ok() {
                wrong.push(format!("{} {}: accepted: {last}", case.file, case.name));
            }
        }
    }
    println!("{valid} valid statements, {refused} refused for their syntax");
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn test_scripts_parse_and_print_as_a_fixed_point() {
    let Some(folder) = shared("conformance/script") else { return };
    let (mut statements, mut tests) = (0, 0);
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a file");
        assert_eq!(not_fixed(&text), None, "{}", entry.path().display());
        statements += parse(&text).expect("good").len();
        let names =
            |text: &str| lex(text).directives().map(|d| (d.name.to_owned(), d.text.to_owned())).collect::<Vec<_>>();
        tests += names(&text).iter().filter(|(name, _)| name == "test").count();
        assert_eq!(names(&format(&text).expect("good")), names(&text), "the directives of {}", entry.path().display());
    }
    println!("{statements} statements of {tests} tests");
}

#[test]
fn refusals_stand_where_ksqldb_has_them_or_at_a_better_place() {
    let Some(folder) = shared("conformance/probes") else { return };
    let listed: BTreeMap<(&str, &str), &str> = BETTER_PLACES
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|l| {
            let parts: Vec<&str> = l.splitn(4, '|').map(str::trim).collect();
            ((parts[0], parts[1]), parts[2])
        })
        .collect();
    let (mut same, mut better, mut wrong) = (0, 0, Vec::new());
    for case in cases(&folder) {
        let Some(message) = case.refusal.as_deref().filter(|m| is_about_syntax(m)) else { continue };
        let place = message.split_once("line ").map_or("", |(_, rest)| rest).splitn(3, ':').take(2).collect::<Vec<_>>();
        let wanted = place.join(":");
        let text = case.statements.join("\n");
        let found = match parse(&text) {
            Ok(_) => "accepted".to_owned(),
            Err(errors) => {
                errors[0].span().map_or("nowhere".to_owned(), |s| format!("{}:{}", s.start.line, s.start.column))
            }
        };
        match listed.get(&(case.file.as_str(), case.name.as_str())) {
            None if found == wanted => same += 1,
            Some(place) if *place == found => better += 1,
            _ => wrong.push(format!(
                "{} | {} | {found} | instead of {wanted}: {}",
                case.file,
                case.name,
                case.statements.last().expect("one")
            )),
        }
    }
    println!("{same} refusals at the same place, {better} at a better one");
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

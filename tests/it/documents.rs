//! The documents say what is there: their links lead somewhere, the files and types that they name exist, and every property
//! is described with its default.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use tidemill::config::PROPERTIES;

/// The documents, from the project's folder.
const DOCUMENTS: [&str; 11] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/differences.md",
    "docs/migrations.md",
    "docs/on-disk-format.md",
    "docs/operating.md",
    "docs/serving.md",
    "docs/test-cases.md",
    "docs/tools.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// All source files.
fn sources() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

/// The pieces of a document in single back-ticks.
fn quoted(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with("```") && !line.starts_with("    "));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn links_lead_to_files() {
    let mut broken = Vec::new();
    for name in DOCUMENTS {
        let folder = root().join(name).parent().expect("a file is in a folder").to_owned();
        for target in text_of(name).split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())) {
            let path = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !path.is_empty() && !folder.join(path).exists() {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn named_source_files_exist() {
    let (mut missing, sources) = (Vec::new(), sources());
    for name in DOCUMENTS {
        for piece in quoted(&text_of(name)) {
            let is_path = piece.chars().all(|c| c.is_ascii_alphanumeric() || "_/.".contains(c));
            let is_file = is_path && piece.ends_with(".rs");
            let is_folder = is_path && piece.starts_with("src/");
            let exists = || root().join(piece).exists() || sources.iter().any(|path| path.ends_with(piece));
            // Names in capitals stand for any name.
            if (is_file || is_folder) && !piece.contains("NAME") && !exists() {
                missing.push(format!("{name}: {piece}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn types_and_functions_that_the_architecture_names_exist() {
    let mut known: HashSet<String> = HashSet::new();
    for path in sources().iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        let text = fs::read_to_string(path).expect("text");
        known.extend(text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
    }
    let text = text_of("docs/architecture.md");
    let is_name = |piece: &&str| piece.chars().all(|c| c.is_alphanumeric() || "_:".contains(c));
    let last = |piece: &str| piece.trim_end_matches(':').rsplit("::").next().unwrap_or_default().to_owned();
    let missing: Vec<&str> = quoted(&text).into_iter().filter(is_name).filter(|p| !known.contains(&last(p))).collect();
    assert!(missing.iter().all(|piece| root().join("tests/it").join(last(piece)).exists()), "{missing:?}");
}

#[test]
fn every_property_is_described_with_its_default() {
    let text = text_of("docs/operating.md");
    let mut wrong = Vec::new();
    for property in PROPERTIES {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}` |", property.name)));
        let default = if property.default.is_empty() { "(empty)" } else { property.default };
        let says = |cell: &str| cell == default || cell.split([' ', ';', ':']).any(|word| word == default);
        if !row.is_some_and(|row| row.split(" | ").nth(1).is_some_and(says)) {
            wrong.push(property.name);
        }
    }
    assert!(wrong.is_empty(), "not described, or with another default: {wrong:?}");
}

#[test]
fn versions_of_the_format_are_those_of_the_code() {
    let text = text_of("docs/on-disk-format.md");
    for (shown, file) in [
        ("journal files", "src/journal/file.rs"),
        ("the manifest", "src/journal/manifest.rs"),
        ("runs of state", "src/state/runs/format.rs"),
    ] {
        let source = text_of(file);
        let version = source.split("const VERSION: u32 = ").nth(1).and_then(|rest| rest.split(';').next());
        let version = version.unwrap_or_else(|| panic!("{file} has no version"));
        assert!(text.contains(&format!("| {shown} | {version} |")), "{shown}: version {version} in {file}");
    }
    let folder = text_of("src/engine/folder.rs");
    let line = text.lines().map(str::trim).find(|line| line.starts_with("tidemill data folder, format "));
    let line = line.expect("the text of the format file");
    assert!(folder.contains(&format!("\"{line}\\n\"")), "{line} is not what the code writes");
}

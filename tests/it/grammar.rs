//! The language, by example: each file of `grammar-tests` has statements and what becomes of them.
//!
//! A case is a text, a line `----`, and its canonical text or the refusals; cases are parted by lines `====`. What is
//! accepted must be a fixed point. `TIDEMILL_BLESS=1 cargo test --test it grammar` writes down what becomes of the cases now.

use std::fs;
use std::path::{Path, PathBuf};

use tidemill::statements::{format, parse};

macro_rules! files {
    ($($name:ident)*) => {
        const FILES: &[&str] = &[$(stringify!($name)),*];
        $(#[test] fn $name() { check(stringify!($name)) })*
    };
}

files! {
    alter assert beyond comments connectors create_as create_source define describe drop explain expressions insert
    joins limits lists literals names print queries query_control scripts select set slips topics types windows with
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar-tests")
}

#[test]
fn every_file_is_tested() {
    for entry in fs::read_dir(folder()).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().replace(".txt", "");
        assert!(FILES.contains(&name.as_str()), "{name} is in no list");
    }
}

/// What becomes of a text: its canonical form or its refusals.
fn outcome(text: &str) -> String {
    match format(text) {
        Ok(canonical) => {
            is_fixed_point(text, &canonical);
            canonical.trim_end().to_owned()
        }
        Err(errors) => errors.iter().map(|e| e.render(None)).collect::<Vec<_>>().join("\n"),
    }
}

fn is_fixed_point(text: &str, canonical: &str) {
    let again = format(canonical).unwrap_or_else(|e| panic!("{canonical}\nis refused: {e:?}"));
    assert_eq!(again, canonical, "{text} is printed anew in another way");
    let (old, new) = (parse(text).expect("good"), parse(canonical).expect("good"));
    assert_eq!(old.len(), new.len());
    assert!(old.iter().zip(&new).all(|(a, b)| *a.statement == *b.statement), "{canonical} says another thing");
}

fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let file = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut blessed = Vec::new();
    let mut wrong = Vec::new();
    for case in file.trim_end().split("\n====\n") {
        let (text, expected) = case.split_once("\n----\n").unwrap_or((case.trim_end_matches("\n----"), ""));
        let found = outcome(text);
        if found != expected.trim_end() {
            wrong.push(format!("{text}\n---- expected\n{expected}\n---- found\n{found}\n"));
        }
        blessed.push(format!("{text}\n----\n{found}"));
    }
    if std::env::var_os("TIDEMILL_BLESS").is_some() {
        fs::write(&path, blessed.join("\n====\n") + "\n").expect("the file can be written");
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

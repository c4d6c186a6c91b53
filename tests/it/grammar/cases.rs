//! Files of golden cases: a title, a text, and what becomes of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A case of a file.
struct Case<'a> {
    /// What it shows, in a few words.
    title: &'a str,
    /// What is done.
    text: &'a str,
    /// What becomes of it.
    expected: &'a str,
}

impl<'a> Case<'a> {
    /// Reads a case: its title after `# `, its text, a line `----`, and what becomes of it.
    fn read(case: &'a str) -> Result<Case<'a>, String> {
        let (first, rest) = case.split_once('\n').unwrap_or((case, ""));
        let title = first.strip_prefix("# ").map(str::trim).filter(|title| !title.is_empty());
        let title = title.ok_or_else(|| format!("a case begins with a line '# ' and its title, not with '{first}'"))?;
        let (text, expected) = rest.split_once("\n----\n").unwrap_or((rest.trim_end_matches("\n----"), ""));
        Ok(Case { title, text, expected: expected.trim_end() })
    }
}

/// A folder of `grammar-tests`; without a name, itself.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("grammar-tests").join(name)
}

/// The files of cases in a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry of the folder").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no cases", folder.display());
    files
}

/// What is wrong in a file, case by case. With `TIDEMILL_BLESS` set, what becomes of the cases now is written to it.
fn check_file(path: &Path, outcome: &dyn Fn(&str) -> String) -> Vec<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let bless = std::env::var_os("TIDEMILL_BLESS").is_some();
    let (mut titles, mut wrong, mut written) = (BTreeSet::new(), Vec::new(), Vec::new());
    for text in file.trim_end().split("\n====\n") {
        let case = match Case::read(text) {
            Ok(case) => case,
            Err(why) => {
                wrong.push(format!("{name}: {why}"));
                written.push(text.to_owned());
                continue;
            }
        };
        if !titles.insert(case.title) {
            wrong.push(format!("{name}: two cases have the title '{}'", case.title));
        }
        let found = outcome(case.text);
        if found != case.expected && !bless {
            let Case { title, text, expected } = case;
            wrong.push(format!("{name}: {title}\n{text}\n---- expected\n{expected}\n---- found\n{found}\n"));
        }
        written.push(format!("# {}\n{}\n----\n{found}", case.title, case.text));
    }
    if bless {
        fs::write(path, written.join("\n====\n") + "\n").expect("the file can be written");
    }
    wrong
}

/// The texts of all cases in a folder.
pub(crate) fn texts(name: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for path in files(&folder(name)) {
        let file = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let cases = file.trim_end().split("\n====\n");
        texts.extend(cases.map(|case| Case::read(case).unwrap_or_else(|e| panic!("{e}")).text.to_owned()));
    }
    texts
}

/// Checks every case of every file in a folder.
pub(crate) fn check(name: &str, outcome: &dyn Fn(&str) -> String) {
    let wrong: Vec<String> = files(&folder(name)).iter().flat_map(|path| check_file(path, outcome)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_case_without_a_title_and_a_title_used_twice_are_errors() {
    let file = std::env::temp_dir().join(format!("tidemill-cases-{}.txt", std::process::id()));
    fs::write(&file, "# One\na\n----\nA\n====\nb\n----\nB\n====\n# One\nc\n----\nD\n").expect("written");
    let wrong = check_file(&file, &|text| text.to_uppercase());
    fs::remove_file(&file).expect("removed");
    if std::env::var_os("TIDEMILL_BLESS").is_none() {
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong[0].contains("not with 'b'") && wrong[1].contains("'One'") && wrong[2].contains("---- found\nC"));
    }
}

/// A folder in which no test looks would be forgotten.
#[test]
fn every_folder_has_a_test() {
    let entries = fs::read_dir(folder("")).expect("the folder").map(|entry| entry.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned());
    let found: BTreeSet<String> = folders.collect();
    assert_eq!(found, BTreeSet::from(["plans", "pulls", "rest", "streams"].map(str::to_owned)));
}

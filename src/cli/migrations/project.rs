//! The project: its settings, its files of statements, their versions and checksums.
//!
//! The settings are those of `ksql-migrations`, in the form of Java's property files. What cannot be met is refused by
//! name, since a setting without effect must not look accepted.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::cli::connect::Credentials;
use crate::cli::failure::{Done, FAILED, Failure};
use crate::cli::output::{Format, Output, tell};
use crate::error::{Error, nearest};

/// The largest version: it has six digits.
pub(super) const LAST_VERSION: i64 = 999_999;

/// The file of the settings.
const SETTINGS: &str = "ksql-migrations.properties";
/// The folder of the files, beside that of the settings.
const FOLDER: &str = "migrations";
/// The folder in it that may have the files that take versions back.
const DOWN: &str = "down";

const URL: &str = "ksql.server.url";
const USER: &str = "ksql.auth.basic.username";
const PASSWORD: &str = "ksql.auth.basic.password";
const TRUSTED: &str = "ssl.truststore.location";
const CERTIFICATE: &str = "ssl.keystore.location";
const FOLDER_OVERRIDE: &str = "ksql.migrations.dir.override";
/// The stream of events.
pub(super) const STREAM: &str = "ksql.migrations.stream.name";
/// The table of versions.
pub(super) const TABLE: &str = "ksql.migrations.table.name";
/// The topic of the stream.
pub(super) const STREAM_TOPIC: &str = "ksql.migrations.stream.topic.name";
/// The topic of the table.
pub(super) const TABLE_TOPIC: &str = "ksql.migrations.table.topic.name";
/// How many copies Kafka keeps of the two topics.
pub(super) const REPLICAS: &str = "ksql.migrations.topic.replicas";

/// The settings that are met.
const KNOWN: &[&str] =
    &[URL, USER, PASSWORD, TRUSTED, CERTIFICATE, FOLDER_OVERRIDE, STREAM, TABLE, STREAM_TOPIC, TABLE_TOPIC, REPLICAS];

/// The settings that are not met, the value that says the same as none, and what to do instead.
const REFUSED: &[(&str, &str, &str)] = &[
    ("ssl.truststore.password", "", "ssl.truststore.location names a PEM file, which has no password"),
    ("ssl.keystore.password", "", "ssl.keystore.location names a PEM file with a key that is not encrypted"),
    ("ssl.key.password", "", "ssl.keystore.location names a PEM file with a key that is not encrypted"),
    ("ssl.key.alias", "", "the PEM file has one key"),
    ("ssl.alpn", "false", "requests are made over HTTP/1.1"),
    ("ssl.verify.host", "true", "the name of the server is always compared with its certificate"),
];

/// A project.
pub(super) struct Project {
    settings: BTreeMap<String, String>,
    /// The folder of the files.
    folder: PathBuf,
}

/// A file of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MigrationFile {
    pub version: u32,
    /// What it does, with blanks in place of underscores.
    pub name: String,
    pub path: PathBuf,
}

impl Project {
    /// Reads the settings.
    ///
    /// # Errors
    /// Status 2: the file is not there, or a setting cannot be met.
    pub(super) fn read(file: &Path) -> Result<Project, Failure> {
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| Failure::unreadable(&shown, &error))?;
        let settings = settings_of(&text);
        check(&settings).map_err(|error| Failure::usage(error.context(format!("{shown}: "))))?;
        let beside = || file.parent().unwrap_or(Path::new("")).join(FOLDER);
        let named = settings.get(FOLDER_OVERRIDE).filter(|name| !name.is_empty());
        let folder = named.map_or_else(beside, PathBuf::from);
        Ok(Project { settings, folder })
    }

    /// A setting, if it says something.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The server, if the migrations are for one.
    pub(super) fn server(&self) -> Option<&str> {
        self.setting(URL)
    }

    /// Who asks the server, and whom it trusts.
    pub(super) fn credentials(&self) -> Credentials {
        let text = |name| self.setting(name).map(str::to_owned);
        let user = text(USER).map(|name| (name, text(PASSWORD).unwrap_or_default()));
        Credentials::given(user, text(TRUSTED).map(PathBuf::from), text(CERTIFICATE).map(PathBuf::from))
    }

    /// The files, by their versions.
    ///
    /// # Errors
    /// Status 2: there is no such folder. Status 1: two files have the same version.
    pub(super) fn files(&self) -> Result<Vec<MigrationFile>, Failure> {
        let mut files = Vec::new();
        for name in names_in(&self.folder)? {
            match parsed(&name) {
                Some((version, description)) if !is_down(&name) => {
                    files.push(MigrationFile { version, name: description, path: self.folder.join(&name) });
                }
                Some(_) => {}
                None if name == DOWN => {}
                None => tell(&format!("skipping {name}: it is not named V<six digits>__<name>.sql")),
            }
        }
        files.sort_by(|a, b| (a.version, &a.path).cmp(&(b.version, &b.path)));
        if let Some(pair) = files.windows(2).find(|pair| pair[0].version == pair[1].version) {
            let (first, second) = (pair[0].path.display(), pair[1].path.display());
            let version = pair[0].version;
            return Err(Error::conflict(format!("two files have the version {version}: {first} and {second}")).into());
        }
        Ok(files)
    }

    /// The file that takes a version back: beside the others, or in the folder `down` in theirs.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn down_file(&self, version: u32) -> Result<Option<MigrationFile>, Failure> {
        for folder in [self.folder.clone(), self.folder.join(DOWN)] {
            let names = if folder.is_dir() { names_in(&folder)? } else { Vec::new() };
            let found = names.into_iter().filter(|name| is_down(name)).find_map(|name| {
                let (found, description) = parsed(&name)?;
                (found == version).then_some((name, description))
            });
            if let Some((file, description)) = found {
                let name = description.trim_end_matches(".down").to_owned();
                return Ok(Some(MigrationFile { version, name, path: folder.join(file) }));
            }
        }
        Ok(None)
    }
}

impl MigrationFile {
    /// The text of the file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn text(&self) -> Result<String, Failure> {
        let shown = self.path.display().to_string();
        std::fs::read_to_string(&self.path).map_err(|error| Failure::unreadable(&shown, &error))
    }

    /// The checksum of the file: MD5, in hexadecimal.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn checksum(&self) -> Result<String, Failure> {
        let shown = self.path.display().to_string();
        let bytes = std::fs::read(&self.path).map_err(|error| Failure::unreadable(&shown, &error))?;
        Ok(checksum(&bytes))
    }
}

fn checksum(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The names in a folder, sorted.
fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let shown = folder.display();
    let unreadable = |error: std::io::Error| {
        Failure::usage(Error::missing(format!("the folder of migrations {shown} cannot be read: {error}")))
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// The version and the description of a file's name; None if it is no file of statements.
fn parsed(name: &str) -> Option<(u32, String)> {
    let (digits, rest) = name.strip_prefix('V')?.split_once("__")?;
    let description = rest.strip_suffix(".sql").filter(|description| !description.is_empty())?;
    let is_version = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let version = digits.parse().ok().filter(|version| is_version && *version > 0)?;
    Some((version, description.replace('_', " ")))
}

fn is_down(name: &str) -> bool {
    name.ends_with(".down.sql")
}

/// The settings of a file: `name=value` or `name:value`; a backslash takes the next character as it is.
fn settings_of(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    lines.map(setting_of).collect()
}

fn setting_of(line: &str) -> (String, String) {
    let (mut name, mut value, mut is_value) = (String::new(), String::new(), false);
    let mut rest = line.chars();
    while let Some(mut c) = rest.next() {
        let is_escaped = c == '\\';
        if is_escaped {
            c = rest.next().unwrap_or('\\');
        }
        match (is_value, c) {
            (false, '=' | ':') if !is_escaped => is_value = true,
            (false, c) => name.push(c),
            (true, c) => value.push(c),
        }
    }
    (name.trim().to_owned(), value.trim().to_owned())
}

/// # Errors
/// A setting cannot be met. One that nobody knows is only told, as `ksql-migrations` does not look at it.
fn check(settings: &BTreeMap<String, String>) -> Result<(), Error> {
    for (name, value) in settings {
        if let Some((_, none, instead)) = REFUSED.iter().find(|(refused, ..)| refused == name) {
            if !value.is_empty() && value != none {
                return Err(Error::unsupported(format!("the setting {name}")).hint(*instead));
            }
        } else if !KNOWN.contains(&name.as_str()) {
            let near = nearest(name, KNOWN.iter().copied()).map_or(String::new(), |near| format!("; is it {near}?"));
            tell(&format!("warning: the setting {name} is not known and has no effect{near}"));
        }
    }
    Ok(())
}

/// Makes the folder of a project and the file of its settings.
pub(super) fn new_project(path: &Path, url: Option<&str>) -> Done {
    let mut output = Output::new(Format::Table);
    let file = path.join(SETTINGS);
    if file.exists() {
        let message = format!("there is a project already: {}", file.display());
        return Err(Failure { status: FAILED, text: Error::conflict(message).render(None) });
    }
    let folder = path.join(FOLDER);
    let failed =
        |what: &Path, error: std::io::Error| Error::backend(format!("cannot make {}: {error}", what.display()));
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    let text = match url {
        Some(url) => format!("{URL}={url}\n"),
        None => format!("# Without a server the migrations are applied to the data folder.\n#{URL}=\n"),
    };
    std::fs::write(&file, text).map_err(|error| failed(&file, error))?;
    output.line(format!("Migrations project directory created successfully: {}", path.display()))?;
    output.flush()?;
    Ok(0)
}

/// Makes an empty file for a version.
pub(super) fn create(settings: &Path, version: Option<u32>, description: &str) -> Done {
    let project = Project::read(settings)?;
    let files = project.files()?;
    let next = files.last().map_or(1, |file| file.version + 1);
    let version = version.unwrap_or(next);
    if description.trim().is_empty() {
        return Err(Failure::usage(Error::invalid("the description is empty")));
    }
    if i64::from(version) > LAST_VERSION {
        return Err(Failure::usage(Error::invalid(format!("the largest version is {LAST_VERSION}"))));
    }
    if let Some(file) = files.iter().find(|file| file.version == version) {
        let message = format!("the version {version} has a file already: {}", file.path.display());
        return Err(Error::conflict(message).into());
    }
    // What file systems do not take in names, or scripts do not expect.
    let replaced = |c: char| if c.is_whitespace() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
    let name: String = description.chars().map(replaced).collect();
    let path = project.folder.join(format!("V{version:06}__{name}.sql"));
    let failed = |error| Error::backend(format!("cannot make {}: {error}", path.display()));
    std::fs::File::create_new(&path).map_err(failed)?;
    let mut output = Output::new(Format::Table);
    output.line(format!("Migration file successfully created: {}", path.display()))?;
    output.flush()?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_have_a_version_and_a_description() {
        assert_eq!(parsed("V000012__Add_users.sql"), Some((12, "Add users".to_owned())));
        for name in ["V12__a.sql", "V000000__a.sql", "V000001_a.sql", "V000001__.sql", "V000001__a.txt", "down"] {
            assert_eq!(parsed(name), None, "{name}");
        }
        assert!(is_down("V000001__a.down.sql"));
    }

    #[test]
    fn settings_are_those_of_java() {
        let settings = settings_of("# a\n!b\n\nksql.server.url = http\\://h\\:1/a=b\nx:y z\n");
        assert_eq!(settings[URL], "http://h:1/a=b");
        assert_eq!(settings["x"], "y z");
        assert!(check(&[("ssl.key.alias".to_owned(), "a".to_owned())].into()).is_err());
        assert!(check(&[("ssl.alpn".to_owned(), "false".to_owned())].into()).is_ok());
    }

    #[test]
    fn a_checksum_is_md5_in_hexadecimal() {
        assert_eq!(checksum(b""), "d41d8cd98f00b204e9800998ecf8427e");
    }
}

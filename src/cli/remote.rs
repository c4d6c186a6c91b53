//! A server that executes statements: how a command talks to it.
//!
//! Statements go to `/ksql`, consecutive ones in one request, so that they are checked as a whole; a SELECT goes to
//! `/query-stream` and a PRINT to `/query`, and what they show is shown as it comes. What belongs to the session (SET,
//! DEFINE) stays here and goes along with each request.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::connect::{Credentials, Link};
use super::failure::{FAILED, Failure};
use super::output::{Output, tell};
use super::script::{Placed, Script};
use super::stop::Stop;
use crate::error::Error;
use crate::formats::answer::value_of;
use crate::serving::SHOWN_AS;
use crate::serving::client::Answer;
use crate::sql::bounds::Bounds;
use crate::sql::cursor::Cursor;
use crate::sql::lexer::lex;
use crate::sql::types::{parse_type, resolve};
use crate::statements::{Outcome, Session};
use crate::types::{Column, Value};

/// How often somebody is asked whether he has had enough.
const LOOK: Duration = Duration::from_millis(20);

/// A server.
pub(super) struct Remote {
    link: Link,
    /// Whether what was done is told among the results, as the shell does, or beside them.
    tells_results: bool,
    runtime: tokio::runtime::Runtime,
}

impl Remote {
    /// The server at an address.
    ///
    /// # Errors
    /// Status 2: the address is none, or what proves who asks is missing. Status 3: nobody answers there, or does not
    /// prove to be the server. Status 1: the server does not know the user.
    pub(super) fn connect(url: &str, credentials: &Credentials, tells_results: bool) -> Result<Remote, Failure> {
        let link = Link::new(url, credentials)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::from)?;
        let remote = Remote { link, tells_results, runtime };
        let answer = remote.runtime.block_on(remote.link.send("GET", "/info", ""))?;
        if answer.status == 401 {
            let error = Error::invalid(format!("{} asks for a user and the right password", remote.link.address));
            return Err(error.hint("--user names the user; the password is asked for, or read from a file").into());
        }
        Ok(remote)
    }

    /// The text that stands at a path.
    ///
    /// # Errors
    /// The server does not answer, or has nothing there.
    pub(super) fn text(&self, path: &str) -> Result<String, Failure> {
        self.runtime.block_on(async {
            let answer = self.link.send("GET", path, "").await?;
            if answer.status == 403 {
                return Err(refusal(&whole(answer).await?));
            }
            if !answer.is_good() {
                let status = answer.status;
                return Err(Error::missing(format!("{} has nothing at {path}: {status}", self.link.address)).into());
            }
            Ok(String::from_utf8_lossy(&answer.whole().await?).into_owned())
        })
    }

    /// What is answered to a body that is posted to a path.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn post(&self, path: &str, body: &str) -> Result<String, Failure> {
        self.runtime.block_on(async {
            let answer = self.link.send("POST", path, body).await?;
            if !answer.is_good() {
                return Err(refusal(&whole(answer).await?));
            }
            Ok(String::from_utf8_lossy(&answer.whole().await?).into_owned())
        })
    }

    /// What goes along with the statements of a session, which are to be shown to a person.
    fn request(session: &Session, text_field: &str, statements: &Placed) -> String {
        let mut request = Remote::plain(session, text_field, &statements.text);
        request["requestProperties"] = json!({ SHOWN_AS: statements.file });
        request.to_string()
    }

    /// A request that a server of ksqlDB understands, too.
    fn plain(session: &Session, text_field: &str, text: &str) -> Json {
        let properties: Map<String, Json> =
            session.own().overrides().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let variables: Map<String, Json> =
            session.variables().iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let properties_field = if text_field == "sql" { "properties" } else { "streamsProperties" };
        json!({
            text_field: text,
            properties_field: properties,
            "sessionVariables": variables,
        })
    }

    /// Executes statements that show no rows; the entities that answer them.
    ///
    /// # Errors
    /// One of them is refused, as the server says it; or it does not answer.
    pub(super) fn entities(&self, session: &Session, statements: &Placed) -> Result<Vec<Json>, Failure> {
        let body = Remote::plain(session, "ksql", statements.text.trim()).to_string();
        let (is_good, answer) = self.asked("/ksql", &body)?;
        match answer {
            Json::Array(entities) if is_good => {
                let warnings = entities.iter().filter_map(|entity| entity["warnings"].as_array()).flatten();
                warnings.filter_map(|w| w["message"].as_str()).for_each(|text| tell(&format!("warning: {text}")));
                Ok(entities)
            }
            answer => Err(refusal(&answer)),
        }
    }

    /// Executes a text of the command's own in one request; the entities that answer it.
    ///
    /// # Errors
    /// As for [`Remote::entities`].
    pub(super) fn ask(&self, session: &Session, text: &str) -> Result<Vec<Json>, Failure> {
        let script = Script::parse("statement", text, Bounds::NONE).map_err(|mut errors| errors.remove(0))?;
        let mut placed = Placed::default();
        script.statements.iter().for_each(|statement| placed.add(statement));
        self.entities(session, &placed)
    }

    /// All rows of a SELECT without EMIT.
    ///
    /// # Errors
    /// It is refused or fails, as the server says it; or it does not answer.
    pub(super) fn rows(&self, text: &str) -> Result<Vec<Vec<Value>>, Failure> {
        self.runtime.block_on(async {
            let mut lines = self.lines("/query-stream", json!({ "sql": text }).to_string()).await?;
            let (mut columns, mut rows) = (Vec::new(), Vec::new());
            while let Some(line) = lines.line().await? {
                let Some(element) = element(&line) else { continue };
                if let Some(schema) = element["header"]["schema"].as_str() {
                    columns = columns_of(schema)?;
                } else if let Some(values) = element["row"]["columns"].as_array() {
                    rows.push(row(values, &columns)?);
                } else if !element["errorMessage"].is_null() {
                    return Err(refusal(&element["errorMessage"]));
                }
            }
            Ok(rows)
        })
    }

    /// Sends a request with a body; whether it was accepted, and the answer.
    fn asked(&self, path: &str, body: &str) -> Result<(bool, Json), Failure> {
        self.runtime.block_on(async {
            let answer = self.link.send("POST", path, body).await?;
            Ok((answer.is_good(), whole(answer).await?))
        })
    }

    /// Executes the statements of a script.
    ///
    /// # Errors
    /// The first one that fails; those before it stay in effect.
    pub(super) fn script(
        &self,
        session: &mut Session,
        script: &Script,
        output: &mut Output,
        stop: &Stop,
    ) -> Result<(), Failure> {
        check_own(session, script)?;
        let mut together = Placed::default();
        for statement in &script.statements {
            let is_rows = statement.begins_with(&["SELECT", "WITH"]);
            let is_print = statement.begins_with(&["PRINT"]);
            let is_own = statement.is_of_session();
            if is_rows || is_print || is_own || !together.fits(statement) {
                self.execute(session, &std::mem::take(&mut together), output)?;
            }
            if is_own {
                let outcome = session.run(&statement.parsed).map_err(|e| statement.failure(e))?;
                if let Outcome::Done { message, warnings } = outcome {
                    warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
                    tell(&message);
                }
            } else if is_rows || is_print {
                let mut alone = Placed::default();
                alone.add(statement);
                if is_rows {
                    self.select(session, &alone, output, stop)?;
                } else {
                    self.print(session, &alone, output, stop)?;
                }
            } else {
                together.add(statement);
            }
            if stop.is_asked() {
                break;
            }
        }
        self.execute(session, &together, output)
    }

    /// Executes statements that show no rows.
    ///
    /// # Errors
    /// One of them is refused, as the server says it; or it does not answer.
    fn execute(&self, session: &Session, statements: &Placed, output: &mut Output) -> Result<(), Failure> {
        if statements.text.is_empty() {
            return Ok(());
        }
        let body = Remote::request(session, "ksql", statements);
        let (is_good, answer) = self.asked("/ksql", &body)?;
        let entities = if is_good { &answer } else { &answer["entities"] };
        for entity in entities.as_array().into_iter().flatten() {
            self.show(&entity["shown"], output)?;
        }
        if is_good { Ok(()) } else { Err(refusal(&answer)) }
    }

    /// Shows what the server says of a statement.
    fn show(&self, shown: &Json, output: &mut Output) -> Result<(), Failure> {
        let texts = |values: &Json| -> Vec<String> {
            values.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        texts(&shown["warnings"]).iter().for_each(|warning| tell(&format!("warning: {warning}")));
        if let Some(message) = shown["message"].as_str().filter(|message| !message.is_empty()) {
            match self.tells_results {
                true => output.done(message)?,
                false => tell(message),
            }
        }
        if let Some(text) = shown["text"].as_str() {
            output.message("message", text)?;
        }
        if shown["columns"].is_array() {
            let columns = texts(&shown["columns"]);
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let rows: Vec<Vec<String>> = shown["rows"].as_array().into_iter().flatten().map(texts).collect();
            output.listing(&columns, &rows)?;
        }
        if let Some(hint) = shown["hint"].as_str() {
            tell(&format!("hint: {hint}"));
        }
        output.flush()
    }

    /// Asks for what comes in lines.
    ///
    /// # Errors
    /// It is refused, as the server says it; or it does not answer.
    async fn lines(&self, path: &str, body: String) -> Result<Answer, Failure> {
        let answer = self.link.send("POST", path, &body).await?;
        if !answer.is_good() {
            return Err(refusal(&whole(answer).await?));
        }
        Ok(answer)
    }

    /// Shows the rows of a SELECT until it is over, or somebody has had enough.
    ///
    /// # Errors
    /// It is refused or fails, as the server says it; or the output cannot be written.
    fn select(&self, session: &Session, statement: &Placed, output: &mut Output, stop: &Stop) -> Result<(), Failure> {
        let body = Remote::request(session, "sql", statement);
        self.runtime.block_on(async {
            let mut lines = self.lines("/query-stream", body).await?;
            let mut rows = None;
            while let Some(line) = next_unless(&mut lines, stop).await? {
                let Some(element) = element(&line) else { continue };
                if let Some(schema) = element["header"]["schema"].as_str() {
                    let columns = columns_of(schema)?;
                    rows = Some((output.start_rows(columns.clone())?, columns));
                } else if let (Some((shown, columns)), Some(values)) = (&mut rows, element["row"]["columns"].as_array())
                {
                    output.row(shown, &row(values, columns)?)?;
                    output.flush()?;
                } else if let Some(message) = element["finalMessage"].as_str() {
                    tell(message);
                } else if !element["errorMessage"].is_null() {
                    return Err(refusal(&element["errorMessage"]));
                }
            }
            output.flush()
        })
    }

    /// Shows the records of a PRINT until it is over, or somebody has had enough.
    ///
    /// # Errors
    /// It is refused or fails, as the server says it; or the output cannot be written.
    fn print(&self, session: &Session, statement: &Placed, output: &mut Output, stop: &Stop) -> Result<(), Failure> {
        let body = Remote::request(session, "ksql", statement);
        self.runtime.block_on(async {
            let mut lines = self.lines("/query", body).await?;
            while let Some(line) = next_unless(&mut lines, stop).await? {
                let line = String::from_utf8_lossy(&line);
                // A line without text says that the topic is silent.
                if !line.trim().is_empty() {
                    let name = if line.starts_with("rowtime: ") { "record" } else { "message" };
                    output.message(name, line.trim_end_matches('\n'))?;
                    output.flush()?;
                }
            }
            Ok(())
        })
    }
}

/// Checks what belongs to the session before anything is sent.
///
/// # Errors
/// A property or a value is refused.
fn check_own(session: &Session, script: &Script) -> Result<(), Failure> {
    let mut dry_run = session.dry_run();
    for statement in script.statements.iter().filter(|statement| statement.begins_with(&["SET", "UNSET"])) {
        dry_run.check(&statement.parsed).map_err(|error| statement.failure(error))?;
    }
    Ok(())
}

/// The JSON value of a whole answer.
async fn whole(answer: Answer) -> Result<Json, Failure> {
    let unusable = |e| Error::backend(format!("the answer of the server cannot be used: {e}"));
    Ok(serde_json::from_slice(&answer.whole().await?).map_err(unusable)?)
}

/// The next line of an answer; None at the end, or if somebody has had enough. Each element of an array of ksqlDB's
/// JSON stands on one.
async fn next_unless(answer: &mut Answer, stop: &Stop) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        tokio::select! {
            line = answer.line() => return Ok(line?),
            () = tokio::time::sleep(LOOK) => if stop.is_asked() {
                tell("Query terminated");
                return Ok(None);
            },
        }
    }
}

/// The element of a line, without the brackets and commas around it.
fn element(line: &[u8]) -> Option<Json> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let line = line.strip_suffix(b",").or_else(|| line.strip_suffix(b"]")).unwrap_or(line);
    serde_json::from_slice(line).ok()
}

/// The values of a row.
///
/// # Errors
/// One of them is no value of its column.
fn row(values: &[Json], columns: &[Column]) -> Result<Vec<Value>, Error> {
    let value = |(json, column): (&Json, &Column)| {
        let unusable = || Error::backend(format!("the server has sent {json} for the column {}", column.name));
        value_of(json, &column.sql_type).ok_or_else(unusable)
    };
    values.iter().zip(columns).map(value).collect()
}

/// The columns of a schema as an answer has it.
pub(super) fn columns_of(schema: &str) -> Result<Vec<Column>, Error> {
    let lexed = lex(schema);
    let mut cursor = Cursor::new(&lexed);
    cursor.list(|cursor| {
        let name = cursor.ident("the name of a column")?;
        let sql_type = resolve(&parse_type(cursor)?, &|_| None)?;
        cursor.take("KEY");
        Ok(Column::value(name.name, sql_type))
    })
}

/// The failure that an answer tells of.
fn refusal(answer: &Json) -> Failure {
    let said = answer["rendered"].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let plain =
        || format!("error: {}", answer["message"].as_str().unwrap_or("the server has refused it without a word"));
    Failure { status: FAILED, text: said.unwrap_or_else(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;

    #[test]
    fn columns_are_read_from_a_schema() {
        let columns = columns_of("`K` STRING KEY, `a b` ARRAY<STRUCT<`X` DECIMAL(4, 2)>>").expect("columns");
        assert_eq!(columns[0], Column::value("K", SqlType::String));
        assert_eq!(
            (columns[1].name.as_str(), columns[1].sql_type.to_string().as_str()),
            ("a b", "ARRAY<STRUCT<`X` DECIMAL(4, 2)>>")
        );
    }

    #[test]
    fn an_element_stands_between_brackets_and_commas() {
        assert_eq!(element(b"[{\"a\":1},\n"), Some(json!({ "a": 1 })));
        assert_eq!(element(b"{\"row\":{\"columns\":[1]}}]"), Some(json!({ "row": { "columns": [1] } })));
        assert_eq!(element(b"]"), None);
    }
}

//! Pull queries, by example: statements, the records that they read, and questions with their answers.
//!
//! The questions are asked after all records were worked off. Each row of an answer is a line with its values; NULL is
//! `null`. The queries run in whole batches and one row at a time, which must give the same.

use tidemill::config::Properties;
use tidemill::statements::{self, Outcome, Session};
use tidemill::types::Value;

use super::streams::{Input, drain};
use super::{bench, cases, refusals};

/// The answers to the questions of a case.
fn outcome_of(text: &str, whole: bool) -> String {
    let engine = bench::engine(if whole { "8192" } else { "1" });
    let mut session = Session::new(&engine, Properties::default());
    let (records, statements): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('>'));
    let is_question = |line: &&str| ["SELECT", "WITH", "EXPLAIN"].iter().any(|word| line.starts_with(word));
    let (questions, statements): (Vec<&str>, Vec<&str>) = statements.into_iter().partition(is_question);
    if let Err(errors) = bench::execute(&mut session, &statements.join("\n")) {
        return refusals(&errors);
    }
    records.iter().for_each(|record| Input::read(record).produce(&engine));
    drain(&engine, whole);
    let mut shown = Vec::new();
    for question in questions {
        let asked = statements::parse(question).map_err(|errors| refusals(&errors)).and_then(|parsed| {
            let answer = session.run(&parsed[0]);
            answer.map_err(|error| error.at(parsed[0].span).in_source(question).render(None))
        });
        match asked {
            Err(refusal) => shown.push(refusal),
            Ok(Outcome::Rows(answer)) => {
                let names: Vec<&str> = answer.columns.iter().map(|column| column.name.as_str()).collect();
                shown.push(names.join(" "));
                let line = |row: &Vec<Value>| row.iter().map(Value::to_text).collect::<Vec<_>>().join(" ");
                shown.extend(answer.rows.iter().map(|row| format!("  {}", line(row))));
            }
            Ok(Outcome::Reply(reply)) => shown.push(bench::text_of(&reply)),
            Ok(_) => panic!("'{question}' is no pull query"),
        }
    }
    shown.join("\n")
}

fn outcome(text: &str) -> String {
    let whole = outcome_of(text, true);
    assert_eq!(outcome_of(text, false), whole, "one row at a time and whole batches differ:\n{text}");
    whole
}

#[test]
fn pull_queries_are_answered_as_written_down() {
    cases::check("pulls", &outcome);
}

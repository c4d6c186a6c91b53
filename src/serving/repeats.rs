//! Texts that differ from one that came before in nothing but the key that they look up: they are not planned again.
//!
//! Applications ask for one row after the other in this way, and understanding a text costs several times as much as finding
//! its row. What is remembered holds for one version of the catalog, and for requests that set nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::ids::Version;
use crate::locks::lock;
use crate::pull::Prepared;
use crate::types::Value;

/// How many kinds of texts are remembered.
const MOST: usize = 256;

/// The kinds of texts that have come.
#[derive(Default)]
pub(super) struct Repeats(Mutex<Known>);

#[derive(Default)]
struct Known {
    version: Version,
    /// By what stands around the literal, and whether the literal is a text.
    kinds: HashMap<(String, bool), Kind>,
}

/// What texts of one kind look at.
#[derive(Clone)]
struct Kind {
    prepared: Arc<Prepared>,
    /// Whether keys are numbers of 32 bits, and not of 64.
    is_short: bool,
}

/// A text with a single literal.
#[derive(Debug, PartialEq)]
pub(super) struct Around<'a> {
    before: &'a str,
    literal: &'a str,
    after: &'a str,
    is_text: bool,
}

impl<'a> Around<'a> {
    /// Finds the only literal of a text: `'…'` without a quote in it, or a number of decimal digits. `None` for everything that
    /// might have another one, or mean something else than it seems.
    pub(super) fn of(text: &'a str) -> Option<Around<'a>> {
        // Quoted names, comments, variables, and numbers with signs, points and exponents.
        if text.contains(['"', '`', '$', '@', '-', '+', '.', '\\']) || text.contains("/*") {
            return None;
        }
        if let Some((before, rest)) = text.split_once('\'') {
            let (literal, after) = rest.split_once('\'')?;
            let is_only = !after.contains('\'') && numbers([before, after]).next().is_none();
            return is_only.then_some(Around { before, literal, after, is_text: true });
        }
        let mut numbers = numbers([text, ""]);
        let literal = numbers.next().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))?;
        if numbers.next().is_some() {
            return None;
        }
        // Both are pieces of the same text.
        let begin = literal.as_ptr() as usize - text.as_ptr() as usize;
        let (before, rest) = text.split_at(begin);
        Some(Around { before, literal, after: &rest[literal.len()..], is_text: false })
    }

    /// The value of the literal as a key.
    fn key(&self, is_short: bool) -> Option<Value> {
        match (self.is_text, is_short) {
            (true, _) => Some(Value::String(self.literal.into())),
            (false, true) => self.literal.parse().ok().map(Value::Integer),
            (false, false) => self.literal.parse().ok().map(Value::Bigint),
        }
    }

    fn kind(&self) -> (String, bool) {
        (format!("{}'{}", self.before, self.after), self.is_text)
    }
}

/// The words that begin with a digit.
fn numbers<'a>(pieces: [&'a str; 2]) -> impl Iterator<Item = &'a str> {
    let words = |piece: &'a str| piece.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    pieces.into_iter().flat_map(words).filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

impl Repeats {
    /// What a text looks at, with the key, if one of its kind has come at this version of the catalog.
    pub(super) fn find(&self, around: &Around, version: Version) -> Option<(Arc<Prepared>, Value)> {
        let known = lock(&self.0);
        let kind = known.kinds.get(&around.kind()).filter(|_| known.version == version)?;
        Some((kind.prepared.clone(), around.key(kind.is_short)?))
    }

    /// Remembers what texts of this kind look at, if it can be told: `prepared` says it for a literal that is the key.
    pub(super) fn note(&self, around: &Around, version: Version, prepared: impl Fn(&Value) -> Option<Arc<Prepared>>) {
        let kind = |is_short| Some(Kind { prepared: prepared(&around.key(is_short)?)?, is_short });
        let Some(kind) = kind(true).or_else(|| kind(false)) else { return };
        let mut known = lock(&self.0);
        if known.version != version || known.kinds.len() >= MOST {
            (known.version, known.kinds) = (version, HashMap::new());
        }
        known.kinds.insert(around.kind(), kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::{self, Properties};
    use crate::disk::double::Random;
    use crate::engine::{Engine, Settings, Store};
    use crate::pull::Soon;
    use crate::statements::{self, Outcome, Session};

    fn around(text: &str) -> Option<(&str, &str, &str, bool)> {
        Around::of(text).map(|a| (a.before, a.literal, a.after, a.is_text))
    }

    #[test]
    fn the_only_literal_of_a_text_is_found() {
        let text = "SELECT * FROM t2 WHERE k = 'a 1';";
        assert_eq!(around(text), Some(("SELECT * FROM t2 WHERE k = ", "a 1", ";", true)));
        let text = "SELECT a_1, b FROM t2 WHERE id=042 ;";
        assert_eq!(around(text), Some(("SELECT a_1, b FROM t2 WHERE id=", "042", " ;", false)));
        for text in [
            "SELECT * FROM t;",
            "SELECT * FROM t WHERE k = 'it''s';",
            "SELECT * FROM t WHERE k = 'a' AND n = 1;",
            "SELECT * FROM t WHERE k = 'a' LIMIT 1;",
            "SELECT * FROM t WHERE k = 'open;",
            "SELECT * FROM t WHERE k = \"x\" AND j = 'a';",
            "SELECT * FROM t WHERE id = 1 LIMIT 1;",
            "SELECT * FROM t WHERE id = -1;",
            "SELECT * FROM t WHERE id = 1.5;",
            "SELECT * FROM t WHERE id = 1e5;",
            "SELECT * FROM t WHERE id = 1 /* or 2 */;",
            "SELECT * FROM t WHERE k = '${k}';",
        ] {
            assert_eq!(around(text), None, "{text}");
        }
    }

    /// Texts of all kinds, of which many differ in little: what is remembered shows what planning shows, or nothing.
    #[test]
    fn what_is_remembered_shows_the_same_as_what_is_planned() {
        let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
        let engine = Engine::open(settings.with(&[(config::OFFSET_RESET, "earliest")]).expect("properties"));
        let engine = engine.expect("an engine");
        let text = "CREATE STREAM s (i INT, b BIGINT, t VARCHAR, d DOUBLE, f BOOLEAN)
                WITH (KAFKA_TOPIC='s', PARTITIONS=1, FORMAT='JSON');
             INSERT INTO s VALUES (1, 1, '1', 1.0, TRUE); INSERT INTO s VALUES (0, 2147483648, 'a b', -0.0, FALSE);
             INSERT INTO s VALUES (1, 9223372036854775807, '', 2.5, TRUE);";
        statements::execute(&engine, text).expect("done");
        for key in ["i", "b", "t", "d", "f"] {
            let text = format!(
                "CREATE TABLE by_{key} WITH (KEY_FORMAT='JSON') AS SELECT {key}, COUNT(*) AS c FROM s GROUP BY {key};"
            );
            statements::execute(&engine, &text).expect("done");
        }
        let text = "CREATE TABLE w AS SELECT t, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY t;";
        statements::execute(&engine, text).expect("done");
        engine.settle().expect("settled");
        let (session, repeats, mut random) =
            (Session::new(&engine, Properties::default()), Repeats::default(), Random::new(1));
        let mut of = |all: &[&'static str]| all[random.below(all.len() as u64) as usize];
        let (mut same, mut empty) = (0, 0);
        for _ in 0..20_000 {
            let literals = [
                "1",
                "01",
                "0",
                "2147483648",
                "9223372036854775807",
                "99999999999999999999",
                "1.0",
                "1e0",
                "-1",
                "1x",
                "TRUE",
                "NULL",
                "'1'",
                "'a b'",
                "''",
                "'zz'",
                "'a''b'",
                "'1",
                "'--'",
                "' 1'",
                "c",
            ];
            let (table, key) =
                (of(&["by_i", "by_b", "by_t", "by_d", "by_f", "w"]), of(&["i", "b", "t", "d", "f", "c"]));
            let key = table.strip_prefix("by_").filter(|_| key != "c").unwrap_or(key);
            let mut sides = [key, of(&literals)];
            if of(&["as it is", "turned"]) == "turned" {
                sides.reverse();
            }
            let (what, end) =
                (of(&["*", "c", "c + 1", "'x', c"]), of(&["", "", "", " LIMIT 1", " AND TRUE", "; SELECT * FROM w"]));
            let text = format!(
                "SELECT {what} FROM {table} WHERE {} {} {}{end};",
                sides[0],
                of(&["=", "=", "=", "<>"]),
                sides[1]
            );
            let (around, version) = (Around::of(&text), engine.catalog().version);
            let known = around.as_ref().and_then(|around| repeats.find(around, version));
            let parsed = statements::parse(&text).unwrap_or_default();
            let Some((prepared, key)) = known else {
                let look = parsed.first().filter(|_| parsed.len() == 1).and_then(|only| session.soon(only).ok()?);
                if let Some((around, look)) = around.as_ref().zip(look) {
                    repeats.note(around, version, |literal| look.prepared(literal));
                }
                continue;
            };
            let [statement] = parsed.as_slice() else { panic!("{text}") };
            let found = Soon::at(&engine, prepared, key).wait(&engine).expect("rows").expect("it can be read");
            let Ok(Some(Outcome::Rows(planned))) = session.rows(statement, &mut |_| true) else { panic!("{text}") };
            assert_eq!(format!("{found:?}"), format!("{planned:?}"), "{text}");
            (same, empty) = (same + 1, empty + usize::from(found.rows.is_empty()));
        }
        assert!(same > 150 && (20..same - 20).contains(&empty), "{same} {empty}");
    }
}

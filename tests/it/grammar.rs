//! The language, by example: each file of `grammar-tests` has cases, each with a title, a text and what becomes of it.
//!
//! `grammar-tests/README.md` describes the form. `TIDEMILL_BLESS=1 cargo test --test it grammar` writes down what becomes of
//! the cases now.

mod bench;
pub(crate) mod cases;
mod plans;
mod pulls;
mod streams;

use tidemill::error::Error;
use tidemill::statements::{format, parse};

/// What becomes of a text: its canonical form or its refusals.
fn outcome(text: &str) -> String {
    match format(text) {
        Ok(canonical) => {
            is_fixed_point(text, &canonical);
            canonical.trim_end().to_owned()
        }
        Err(errors) => refusals(&errors),
    }
}

/// Errors as the command line shows them.
fn refusals(errors: &[Error]) -> String {
    errors.iter().map(|e| e.render(None)).collect::<Vec<_>>().join("\n")
}

fn is_fixed_point(text: &str, canonical: &str) {
    let again = format(canonical).unwrap_or_else(|e| panic!("{canonical}\nis refused: {e:?}"));
    assert_eq!(again, canonical, "{text} is printed anew in another way");
    let (old, new) = (parse(text).expect("good"), parse(canonical).expect("good"));
    assert_eq!(old.len(), new.len());
    assert!(old.iter().zip(&new).all(|(a, b)| *a.statement == *b.statement), "{canonical} says another thing");
}

#[test]
fn statements_have_one_canonical_text_or_are_refused() {
    cases::check("", &outcome);
}

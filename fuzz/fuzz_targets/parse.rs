//! Any text: it parses or is refused, and what parses is printed as a text that means the same and is a fixed point.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidemill::statements::{format, next, parse};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What is offered to somebody who types is found by the same parser.
    let _ = next(text);
    let statements = match parse(text) {
        Ok(statements) => statements,
        Err(errors) => {
            assert!(!errors.is_empty());
            errors.iter().for_each(|error| assert!(!error.render(None).is_empty()));
            return;
        }
    };
    for one in &statements {
        for printed in [format!("{};", one.statement), format!("{:#};", one.statement)] {
            let again = parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e:?}"));
            assert_eq!(again.len(), 1, "{printed}");
            assert!(*one.statement == *again[0].statement, "{printed} means another thing");
            assert_eq!(format!("{};", one.statement), format!("{};", again[0].statement));
        }
    }
    let formatted = format(text).unwrap_or_else(|e| panic!("{e:?}"));
    let again = format(&formatted).unwrap_or_else(|e| panic!("{formatted}\nis refused: {e:?}"));
    assert_eq!(formatted, again);
});

//! Nesting without end, chains without end and megabytes of anything: an answer, on a small stack, never a crash.
//! How long each takes is printed; a release build needs about a tenth of a second.

use std::time::Instant;

use tidemill::statements::{format, next, parse};

const MEGABYTE: usize = 1 << 20;
/// How long chains are that are good: they are parsed and printed several times.
const LONG: usize = 100_000;
/// What a thread gets that nobody has thought about.
const STACK: usize = 2 << 20;

/// What becomes of a text on a small stack; it is printed too, where it is good.
#[track_caller]
fn is_refused(what: &str, text: String) -> bool {
    let start = Instant::now();
    let length = text.len();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let _ = next(&text);
        match parse(&text) {
            Ok(statements) => {
                let canonical = format(&text).expect("it parses");
                let again = parse(&canonical).expect("canonical text parses");
                assert!(statements.len() == again.len());
                assert!(statements.iter().zip(&again).all(|(a, b)| *a.statement == *b.statement));
                false
            }
            Err(errors) => errors.iter().all(|e| e.render(None).len() < 10_000),
        }
    });
    let refused = thread.expect("a thread").join().expect("no crash");
    println!("{what:?}: {length} bytes in {:?}", start.elapsed());
    refused
}

fn select(expression: &str) -> String {
    format!("SELECT {expression} FROM s;")
}

/// `open` and `close` around `x`, so often that it is a megabyte.
fn nested(open: &str, close: &str) -> String {
    let times = MEGABYTE / (open.len() + close.len());
    format!("{}x{}", open.repeat(times), close.repeat(times))
}

#[test]
fn what_nests_too_deeply_is_refused() {
    let nests = [
        ("(", ")"),
        ("f(", ")"),
        ("NOT ", ""),
        ("- ", ""),
        ("ARRAY[", "]"),
        ("MAP('a' := ", ")"),
        ("STRUCT(a := ", ")"),
        ("CASE WHEN ", " THEN 1 END"),
        ("CASE WHEN a THEN ", " END"),
        ("CAST(", " AS INT)"),
        ("a[", "]"),
        ("1 + (", ")"),
        ("a AND (", ")"),
        ("a IN (", ")"),
        ("f(x, y => ", ")"),
        ("f(x, (y, z) => ", ")"),
        ("SUM(a) OVER (ORDER BY ", ")"),
        ("a BETWEEN (", ") AND 1"),
        ("COUNT(DISTINCT ", ")"),
    ];
    for (open, close) in nests {
        assert!(is_refused(open, select(&nested(open, close))), "{open}");
    }
    for (open, close) in [("ARRAY<", ">"), ("MAP<STRING, ", ">"), ("STRUCT<a ", ">"), ("", " ARRAY")] {
        assert!(is_refused(open, format!("CREATE TYPE t AS {};", nested(open, close))), "{open}");
    }
    assert!(is_refused("EXPLAIN", nested("EXPLAIN ", "") + ";"));
    assert!(is_refused("derived", format!("SELECT * FROM {};", nested("(SELECT * FROM ", ") x"))));
    assert!(is_refused("named", format!("{};", nested("WITH x AS (", ") SELECT * FROM x"))));
}

#[test]
fn long_chains_end() {
    for (operator, refused) in
        [(" + a", true), (" || a", true), ("->a", true), ("[1]", true), (" AT TIME ZONE 'a'", true)]
    {
        assert_eq!(is_refused(operator, select(&format!("a{}", operator.repeat(LONG / operator.len())))), refused);
    }
    for operator in [" AND a", " OR a", ", a", " AS x, a"] {
        let columns = select(&format!("a{}", operator.repeat(LONG / operator.len())));
        assert!(!is_refused(operator, columns), "{operator}");
    }
    let joins = " JOIN r WITHIN 1 DAY ON a = b".repeat(LONG / 29);
    assert!(!is_refused("joins", format!("SELECT * FROM s{joins};")));
    let unions = " UNION ALL SELECT * FROM s".repeat(LONG / 26);
    assert!(!is_refused("unions", format!("SELECT * FROM s{unions};")));
    let properties: String = (0..LONG / 12).map(|i| format!(", p{i} = {i}")).collect();
    assert!(!is_refused("properties", format!("CREATE STREAM s WITH (a = 1{properties});")));
}

/// A chain as deep as it may be, in each operand of another one: what is built is dropped again without recursion.
#[test]
fn chains_in_chains_are_refused() {
    let chain = format!("a{}", " + a".repeat(300));
    let mut text = chain.clone();
    for _ in 0..300 {
        text = format!("({text}){}", " + a".repeat(300));
    }
    assert!(is_refused("chains in chains", select(&text)));
    assert!(!is_refused("a chain", select(&chain)));
    assert!(!is_refused("deep", select(&format!("{}a{}", "f(".repeat(300), ")".repeat(300)))));
}

#[test]
fn megabytes_of_garbage_are_refused() {
    for piece in [
        "(", ")", ";", "'", "''", "\"", "`", "/*", "*/", "--\n", "$", "${", "a ", "1", "é", "SELECT ", "FROM ", "\0",
        "a;\n",
    ] {
        let refused = is_refused(piece, piece.repeat(MEGABYTE / piece.len()));
        assert_eq!(refused, piece != "--\n", "{piece}");
    }
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from((state >> 57) as u8)
    };
    assert!(is_refused("random characters", (0..MEGABYTE).map(|_| random()).collect()));
    let words = [
        "SELECT", "FROM", "(", ")", ",", "a", "'b'", "1", "AND", "+", ";", "CASE", "WHEN", "[", "=>", "CREATE",
        "STREAM",
    ];
    let word = |i: usize| words[(i * i + i / 7) % words.len()];
    assert!(is_refused("random words", (0..MEGABYTE / 3).map(|i| format!("{} ", word(i))).collect()));
}

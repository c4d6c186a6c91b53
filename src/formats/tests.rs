//! What holds for every format, tested for all of them.

use super::*;
use crate::types::{Column, Decimal, SqlType, Value, array_of};

fn number(text: &str) -> Value {
    Value::Decimal(Decimal::parse(text).expect("a number"))
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// Every kind of type, with values that are easily confused with others.
fn types() -> Vec<(SqlType, Vec<Value>)> {
    let strings =
        ["", " ", "a", "a,b", "say \"x\"", "\"", "two\nlines", "\r\n", "é😀", "null", "#x", "-1", "\\", "\u{1}", "a "];
    // In the order in which JSON has them.
    let entries = vec![(text(""), Value::Integer(1)), (text("k"), Value::Null), (text("K"), Value::Integer(2))];
    let fields = |a: Value, b: Value| Value::Struct(vec![("A".to_owned(), a), ("b c".to_owned(), b)]);
    vec![
        (SqlType::Boolean, vec![Value::Boolean(true), Value::Boolean(false)]),
        (SqlType::Integer, [i32::MIN, -1, 0, i32::MAX].map(Value::Integer).to_vec()),
        (SqlType::Bigint, [i64::MIN, -1, 0, i64::MAX].map(Value::Bigint).to_vec()),
        (SqlType::Double, [1.5, -1e300, 4.9e-324, 0.0, f64::INFINITY, f64::NAN].map(Value::Double).to_vec()),
        (SqlType::decimal(5, 2), ["-1.50", "0.00", "999.99"].map(number).to_vec()),
        (SqlType::decimal(60, 3), vec![number(&format!("-{}.123", "9".repeat(57)))]),
        (SqlType::String, strings.map(text).to_vec()),
        (SqlType::Bytes, vec![Value::Bytes(vec![]), Value::Bytes(vec![0, 255]), Value::Bytes(b"text".to_vec())]),
        (SqlType::Date, [i32::MIN, -1, 0, 20_000, i32::MAX].map(Value::Date).to_vec()),
        (SqlType::Time, [0, 1, 86_399_999].map(Value::Time).to_vec()),
        (SqlType::Timestamp, [i64::MIN, -1, 0, i64::MAX].map(Value::Timestamp).to_vec()),
        (
            SqlType::array(SqlType::String),
            vec![Value::Array(vec![]), Value::Array(vec![text(""), Value::Null, text("x")])],
        ),
        (SqlType::map(SqlType::String, SqlType::Integer), vec![Value::Map(vec![]), Value::Map(entries)]),
        (
            SqlType::structure([("A", SqlType::Integer), ("b c", SqlType::String)]),
            vec![fields(Value::Integer(1), text("")), fields(Value::Null, Value::Null)],
        ),
    ]
}

/// Every format, with columns that it can hold: each type alone, as a field and bare, and all together.
fn each_case(mut case: impl FnMut(&Encoding, &[Column], &[Vec<Value>])) {
    let bind = |format: &'static dyn Format, columns: &[Column], wrap| {
        Encoding::bind(format, Asked { part: Part::Value, columns, settings: &Settings::wrapping(wrap) })
    };
    for format in ALL {
        let mut together: (Vec<Column>, Vec<Vec<Value>>) = (Vec::new(), Vec::new());
        for (at, (sql_type, mut values)) in types().into_iter().enumerate() {
            values.push(Value::Null);
            let column = [Column::value(format!("C{at}"), sql_type)];
            let encodings = [Some(false), Some(true)].map(|wrap| bind(*format, &column, wrap));
            if encodings.iter().all(Result::is_err) {
                continue;
            }
            for encoding in encodings.into_iter().flatten() {
                let rows: Vec<Vec<Value>> = values.iter().map(|value| vec![value.clone()]).collect();
                case(&encoding, &column, &rows);
            }
            together.0.extend(column);
            together.1.push(values);
        }
        if together.0.len() > 1
            && let Ok(encoding) = bind(*format, &together.0, None)
        {
            let longest = together.1.iter().map(Vec::len).max().unwrap_or(0);
            let row = |row: usize| together.1.iter().map(|values| values[row % values.len()].clone()).collect();
            let mut rows: Vec<Vec<Value>> = (0..longest).map(row).collect();
            rows.push(vec![Value::Null; together.0.len()]);
            case(&encoding, &together.0, &rows);
        }
    }
}

fn encoded(encoding: &Encoding, columns: &[Column], rows: &[Vec<Value>]) -> Vec<Option<Vec<u8>>> {
    let arrays: Vec<ArrayRef> =
        (0..columns.len()).map(|at| array_of(rows.iter().map(|row| &row[at]), &columns[at].sql_type)).collect();
    let views: Vec<View> = arrays.iter().zip(columns).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
    let mut encoder = encoding.encoder();
    let payload = |row| {
        let mut out = Vec::new();
        encoder.encode(&views, row, &mut out).then_some(out)
    };
    (0..rows.len()).map(payload).collect()
}

fn decoded(encoding: &Encoding, columns: &[Column], payloads: &[Option<Vec<u8>>]) -> Decoded {
    let payloads: Vec<Option<&[u8]>> = payloads.iter().map(Option::as_deref).collect();
    encoding.decoder(&vec![true; columns.len()]).decode(&payloads)
}

/// The rows as text.
fn shown(columns: &[Column], decoded: &Decoded, rows: usize) -> Vec<String> {
    let cells = |row| {
        let values = decoded.columns.iter().zip(columns).map(|(a, c)| Value::at(a.as_ref(), row, &c.sql_type));
        values.map(|value| format!("{value:?}")).collect::<Vec<_>>().join(" ")
    };
    (0..rows).map(cells).collect()
}

#[test]
fn what_was_written_is_read_again() {
    let mut cases = 0;
    each_case(|encoding, columns, rows| {
        let payloads = encoded(encoding, columns, rows);
        let decoded = decoded(encoding, columns, &payloads);
        let name = format!("{} of {}", encoding.format.name(), columns[0].sql_type);
        // NULL that stands alone has no text in DELIMITED, and a record without text is none.
        let is_lost = |row: u32| {
            encoding.format.name() == "DELIMITED"
                && payloads[row as usize].as_ref().is_some_and(|payload| payload.is_empty())
        };
        let failed = decoded.failed.iter().filter(|(row, _)| !is_lost(*row)).collect::<Vec<_>>();
        assert!(failed.is_empty(), "{name}: {failed:?}");
        let wanted = rows.iter().map(|row| row.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" "));
        assert_eq!(shown(columns, &decoded, rows.len()), wanted.collect::<Vec<_>>(), "{name}");
        cases += 1;
    });
    assert!(cases > 35, "{cases}");
}

#[test]
fn columns_that_are_not_needed_are_checked_all_the_same() {
    let wrong: [&[u8]; 12] = [
        b"",
        b"x",
        b"{",
        b"[1,2",
        b"{\"C1\":1e30}",
        b"{\"C8\":\"\\ud800\",\"C1\":[]}",
        b"\xFF\xFE",
        b"\"unclosed",
        b"99999999999999999999",
        b"1,2,3",
        b"{\"C0\":1,\"C6\":{}}",
        b"\0\0\0\x01",
    ];
    each_case(|encoding, columns, rows| {
        let mut payloads = encoded(encoding, columns, rows);
        payloads.extend(wrong.iter().map(|bytes| Some(bytes.to_vec())));
        payloads.push(None);
        let built = decoded(encoding, columns, &payloads);
        let borrowed: Vec<Option<&[u8]>> = payloads.iter().map(Option::as_deref).collect();
        let checked = encoding.decoder(&vec![false; columns.len()]).decode(&borrowed);
        let name = format!("{} of {}", encoding.format.name(), columns[0].sql_type);
        assert_eq!(built.failed, checked.failed, "{name}");
        assert!(checked.columns.is_empty(), "{name}");
        for column in &built.columns {
            assert_eq!(column.len(), payloads.len(), "{name}");
            let is_null = |row: &usize| column.is_null(*row);
            let failed: Vec<usize> = built.failed.iter().map(|(row, _)| *row as usize).collect();
            assert!(failed.iter().all(is_null) && is_null(&(payloads.len() - 1)), "{name}");
        }
    });
}

#[test]
fn a_batch_whose_texts_would_be_too_large_sets_payloads_aside() {
    let mut rows = Rows { most_bytes: 10, ..Rows::default() };
    let mut builders = [Builder::new(&SqlType::String, 4)];
    for payload in ["12345", "678901", "67890", ""] {
        rows.next(Some(payload.as_bytes()), &mut builders, |bytes, _, [builder]| {
            builder.push(&text(&String::from_utf8_lossy(bytes)));
            Ok::<(), String>(())
        });
    }
    let [(1, reason)] = rows.failed.as_slice() else { panic!("{:?}", rows.failed) };
    assert_eq!(reason, "a payload of 6 bytes after 5 others: a batch takes at most 10");
    let [builder] = builders;
    let array = builder.finish();
    let values = (0..4).map(|row| Value::at(array.as_ref(), row, &SqlType::String));
    assert_eq!(values.collect::<Vec<_>>(), [text("12345"), Value::Null, text("67890"), text("")]);
}

#[test]
fn a_format_refuses_what_is_said_of_another() {
    let columns = [Column::value("A", SqlType::String), Column::value("B", SqlType::String)];
    let mut settings = Settings::default();
    settings.own.insert("delimiter", ";".to_owned());
    for format in ALL {
        let bound = Encoding::bind(*format, Asked { part: Part::Value, columns: &columns, settings: &settings });
        match (format.name(), bound) {
            ("DELIMITED", bound) => {
                let row = vec![text("x"), text("y")];
                let payloads = encoded(&bound.expect("its own property"), &columns, &[row]);
                assert_eq!(payloads, [Some(b"x;y".to_vec())]);
            }
            ("JSON", Err(error)) => {
                assert!(
                    error.to_string().ends_with("JSON does not support the following configs: [delimiter]"),
                    "{error}"
                );
            }
            // These cannot hold two columns, which is said first.
            (_, Err(error)) => {
                assert!(error.to_string().starts_with("Value format does not support schema"), "{error}")
            }
            (name, Ok(_)) => panic!("{name} takes a delimiter"),
        }
    }
}

#[test]
fn encodings_are_equal_that_write_the_same_bytes() {
    let key =
        |format: &str, columns: &[Column]| Encoding::of_key(find(format).expect("a format"), columns).expect("fits");
    let (a, b) = ([Column::key("A", SqlType::String)], [Column::key("B", SqlType::String)]);
    assert_eq!(key("JSON", &a), key("JSON", &b), "a single key column has no name in its bytes");
    assert_ne!(key("JSON", &a), key("KAFKA", &a));
    for (delimiter, is_usual) in [(";", false), (",", true)] {
        let settings = Settings { own: [("delimiter", delimiter.to_owned())].into(), wrap: None };
        let said = Asked { part: Part::Key, columns: &a, settings: &settings };
        let said = Encoding::bind(find("DELIMITED").expect("a format"), said).expect("fits");
        assert_eq!(key("DELIMITED", &a) == said, is_usual, "{delimiter}");
    }
}

#[test]
fn a_format_is_found_by_its_name_in_any_case() {
    for format in ALL {
        assert_eq!(find(&format.name().to_lowercase()).expect("a format").name(), format.name());
    }
    assert!(find("JSN").expect_err("no format").to_string().contains("Unknown format"));
}

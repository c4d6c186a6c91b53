//! Expressions over columns, by their text: values, which rows fail, and why.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::bind::{Scope, bind};
use super::{Evaluation, Expr, Halt, Input, in_parts};
use crate::error::{Error, Result};
use crate::functions::signature::T;
use crate::functions::{scalar, table};
use crate::sql::cursor::Cursor;
use crate::sql::expr::parse_expr;
use crate::sql::lexer::lex;
use crate::sql::words::Ident;
use crate::types::{SqlType, Value, array_of};

/// Named columns with their values.
pub(super) struct Columns(pub Vec<(&'static str, SqlType, Vec<Value>)>);

impl Scope for Columns {
    fn column(&self, _: Option<&Ident>, name: &Ident) -> Result<Expr> {
        let at = self.0.iter().position(|(known, ..)| *known == name.name);
        let at = at.ok_or_else(|| Error::missing(format!("no column {name}")).at(name.span))?;
        Ok(Expr::column(at as u32, self.0[at].1.clone()))
    }
}

impl Columns {
    pub(super) fn bound(&self, text: &str) -> Result<Expr> {
        bind(&parse_expr(&mut Cursor::new(&lex(text)))?, self)
    }

    fn arrays(&self) -> Vec<ArrayRef> {
        self.0.iter().map(|(_, sql_type, values)| array_of(values, sql_type)).collect()
    }

    fn count(&self) -> usize {
        self.0[0].2.len()
    }

    fn evaluate(&self, text: &str, reach: Option<&BooleanBuffer>) -> (Expr, Result<Evaluation, Halt>) {
        let bound = self.bound(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let layout: Vec<u32> = (0..self.0.len() as u32).collect();
        let input = Input { columns: &self.arrays(), count: self.count(), reach };
        let evaluated = bound.compile(&layout).eval(&input);
        (bound, evaluated)
    }

    /// The values as texts, and the rows that failed.
    fn run(&self, text: &str) -> (Vec<String>, Vec<usize>) {
        let (bound, evaluated) = self.evaluate(text, None);
        let evaluated = evaluated.unwrap_or_else(|_| panic!("{text} halts"));
        let value = |row| Value::at(evaluated.values.as_ref(), row, &bound.result_type()).to_text();
        let failed = evaluated.failed.iter().flat_map(BooleanBuffer::set_indices).collect();
        ((0..self.count()).map(value).collect(), failed)
    }

    /// Why the first failed row failed.
    fn reason(&self, text: &str) -> String {
        let (bound, evaluated) = self.evaluate(text, None);
        let row = evaluated.expect("no halt").failed_rows().next().unwrap_or_else(|| panic!("{text} does not fail"));
        let layout: Vec<u32> = (0..self.0.len() as u32).collect();
        bound.compile(&layout).reason(&Input::all(&self.arrays(), self.count()), row)
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// `I` is 2, 0, NULL and 1; `S` is a number, something else, NULL and a time.
fn sample() -> Columns {
    let integers = vec![Value::Integer(2), Value::Integer(0), Value::Null, Value::Integer(1)];
    let texts = vec![text("12"), text("x"), Value::Null, text("2021-01-01 01:02:03")];
    Columns(vec![("I", SqlType::Integer, integers), ("S", SqlType::String, texts)])
}

#[test]
fn a_row_is_counted_once_however_many_parts_of_it_fail() {
    for expr in [
        "CAST(S AS INT)",
        "ARRAY[CAST(S AS INT), CAST(S AS BIGINT)]",
        "COALESCE(ABS(CAST(S AS INT)), ABS(CAST(S AS INT)))",
        "CAST(CAST(S AS INT) AS STRING)",
        "STRUCT(A := CAST(S AS INT), B := ARRAY[CAST(S AS INT)])",
        "TRANSFORM(ARRAY[1, 2, 3], X => X + CAST(S AS INT))",
        "CAST(S AS INT) + CAST(S AS INT)",
    ] {
        assert_eq!(sample().run(expr).1, [1, 3], "{expr}");
    }
}

#[test]
fn rows_that_do_not_reach_an_expression_do_not_fail() {
    for (expr, values) in [
        ("CASE WHEN I > 0 THEN 12 / I ELSE -1 END", ["6", "-1", "-1", "12"]),
        ("I > 0 AND 12 / I > 6", ["false", "false", "false", "true"]),
        ("I IS NULL OR I = 0 OR 12 / I > 6", ["false", "true", "true", "true"]),
        ("CASE WHEN I = 0 THEN 0 WHEN 12 / I > 6 THEN 1 END", ["null", "0", "null", "1"]),
        ("CASE WHEN S LIKE '_%_:%' THEN 0 WHEN I = 2 THEN CAST(S AS INT) END", ["12", "null", "null", "0"]),
    ] {
        let (found, failed) = sample().run(expr);
        assert_eq!((found.as_slice(), failed), (values.map(str::to_owned).as_slice(), vec![]), "{expr}");
    }
    let reach = BooleanBuffer::from(vec![true, false, true, false]);
    let evaluated = sample().evaluate("ARRAY[12 / I, CAST(S AS INT)]", Some(&reach)).1.expect("no halt");
    assert_eq!(evaluated.failed_rows().count(), 0);
}

#[test]
fn a_null_operand_is_no_error() {
    for expr in [
        "I + 1 > 0",
        "S LIKE 'a%'",
        "'a' LIKE S",
        "I BETWEEN 1 AND 2",
        "I IN (1, 2)",
        "NOT (I = 1)",
        "-I > 0",
        "ARRAY[1, 2][I] = 1",
        "S + 'x' = 'x'",
        "CAST(I AS BOOLEAN) AND I = 1",
    ] {
        let columns =
            Columns(vec![("I", SqlType::Integer, vec![Value::Null]), ("S", SqlType::String, vec![Value::Null])]);
        // A cast to BOOLEAN goes through a text.
        let expr = expr.replace("CAST(I AS BOOLEAN)", "CAST(CAST(I AS STRING) AS BOOLEAN)");
        assert_eq!(columns.run(&expr).1, [] as [usize; 0], "{expr}");
    }
}

#[test]
fn null_added_to_a_text_is_not_the_word_null() {
    let columns = Columns(vec![("S", SqlType::String, vec![Value::Null, text("a")])]);
    assert_eq!(columns.run("S + 'x'").0, ["null", "ax"]);
    assert_eq!(columns.run("COALESCE(CAST(S + 'x' AS STRING), '-')").0, ["-", "ax"]);
    assert_eq!(columns.run("COALESCE(CAST('x' + S AS STRING), '-')").0, ["-", "xa"]);
    assert_eq!(columns.run("CONCAT('x', S)").0, ["x", "xa"]);
    assert_eq!(columns.run("CONCAT_WS('-', 'x', S)").0, ["x", "x-a"]);
    assert_eq!(columns.run("'x' || S").0, ["x", "xa"]);
}

#[test]
fn a_failure_says_what_was_computed_and_with_which_value() {
    for (expr, reason) in [
        ("12 / I", "division by zero: 12 / 0"),
        ("12 % I", "division by zero: 12 % 0"),
        ("1.5 / I", "division by zero: 1.5 / 0"),
        ("CAST(S AS INT)", "CAST: 'x' is not an INTEGER"),
        ("CAST(S + 'T' AS TIMESTAMP)", "CAST: '12T' is not a TIMESTAMP"),
        ("CAST(I * 3000000000 AS INT)", "CAST: 6000000000 is out of the range of INTEGER"),
        ("CAST(I * 100 AS DECIMAL(2, 1))", "CAST: 200 is out of the range of DECIMAL(2, 1)"),
        ("CAST(I * 1e300 AS BIGINT)", "CAST: 2.0E300 is out of the range of BIGINT"),
        ("S = CAST('2020-01-01' AS DATE)", "'12' is not a DATE, with which it is compared"),
        ("S LIKE S ESCAPE 'x'", "LIKE: the pattern 'x' ends in its escape character"),
        ("ROUND(1e0 / I, 2)", "ROUND: Infinite or NaN: ROUND(Infinity, 2)"),
        ("TRANSFORM(ARRAY[1], X => X / I)", "division by zero: 1 / 0"),
        ("COALESCE(ABS(CAST(S AS INT)), 0)", "CAST: 'x' is not an INTEGER"),
        ("GENERATE_SERIES(1, 9, I)", "GENERATE_SERIES: GENERATE_SERIES step cannot be zero: GENERATE_SERIES(1, 9, 0)"),
    ] {
        assert_eq!(sample().reason(expr), reason, "{expr}");
    }
}

#[test]
fn a_long_value_is_shortened_in_a_reason() {
    let columns = Columns(vec![("S", SqlType::String, vec![text(&"ä".repeat(10_000))])]);
    assert_eq!(columns.reason("CAST(S AS INT)"), format!("CAST: '{}…' is not an INTEGER", "ä".repeat(200)));
}

#[test]
fn too_large_columns_are_made_in_parts() {
    let rows = 40;
    let columns = Columns(vec![("I", SqlType::Integer, (0..rows).map(Value::Integer).collect())]);
    for expr in [
        "RPAD('x', 3000000, 'y')",
        "LPAD(CAST(I AS STRING), 3000000, 'y')",
        "CASE WHEN I >= 0 THEN RPAD('x', 3000000, 'y') END",
        "GENERATE_SERIES(1, 300000 + I)",
        "ARRAY[RPAD('x', 3000000, 'y')][1 + I - I]",
        "RPAD('x', 2000000, 'y') + RPAD(CAST(I AS STRING), 1000000, 'z')",
        "ARRAY[RPAD('x', 2000000, 'y'), RPAD(CAST(I AS STRING), 1000000, 'z')]",
        "CAST(GENERATE_SERIES(1, 300000 + I) AS STRING)",
        "TRANSFORM(GENERATE_SERIES(1, 100 + I), X => RPAD('x', 30000, 'y'))",
        "TRANSFORM(GENERATE_SERIES(1, 500000), X => X + I)[1]",
        "LEN(REDUCE(ARRAY[1], RPAD('x', 3000000, 'y'), (S, X) => CASE WHEN I < 0 THEN '' ELSE S END))",
    ] {
        let bound = columns.bound(expr).expect("an expression").compile(&[0]);
        let arrays = columns.arrays();
        let whole = bound.eval(&Input::all(&arrays, rows as usize));
        assert!(matches!(whole, Err(Halt::TooMuch)), "{expr}");
        let parts = in_parts(rows as usize, &mut |part| {
            let slice = [arrays[0].slice(part.start, part.len())];
            bound.eval(&Input::all(&slice, part.len())).map(|evaluated| {
                assert_eq!(evaluated.failed_rows().count(), 0);
                evaluated.values.len()
            })
        });
        let parts = parts.expect("no bug");
        assert!(parts.len() > 1 && parts.iter().sum::<usize>() == rows as usize, "{expr}: {parts:?}");
    }
}

#[test]
fn absurd_sizes_are_errors_of_their_rows() {
    let sizes = vec![Value::Integer(3), Value::Integer(i32::MAX)];
    let columns = Columns(vec![("N", SqlType::Integer, sizes)]);
    for (expr, first) in [
        ("LEN(LPAD('x', N, 'y'))", "3"),
        ("LEN(RPAD('x', N, 'y'))", "3"),
        ("LEN(LPAD(TO_BYTES('x', 'utf8'), N, TO_BYTES('y', 'utf8')))", "3"),
        ("ARRAY_LENGTH(GENERATE_SERIES(1, N))", "3"),
    ] {
        let (values, failed) = columns.run(expr);
        assert_eq!((values[0].as_str(), failed), (first, vec![1]), "{expr}");
        assert!(columns.reason(expr).contains("the limit is"), "{expr}: {}", columns.reason(expr));
    }
    let long = Columns(vec![("S", SqlType::String, vec![text(&"a".repeat(1 << 20))])]);
    let reason = long.reason("LEN(REPLACE(S, 'a', RPAD('b', 100000, 'b')))");
    assert!(reason.starts_with("REPLACE: the result would have 104857600000 bytes"), "{reason}");
    let reason = long.reason("ARRAY_JOIN(GENERATE_SERIES(1, 10000), S)");
    assert!(reason.starts_with("ARRAY_JOIN: the result would have"), "{reason}");
}

/// Expressions of a type with values that are at the edge of what is allowed.
fn hostile(kind: T) -> Vec<String> {
    let written = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let quoted = |all: &[&str]| all.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect::<Vec<_>>();
    match kind {
        T::Boolean => written(&["true", "CAST(NULL AS BOOLEAN)"]),
        T::Int => written(&["0", "-1", "2147483647", "-2147483648", "CAST(NULL AS INT)"]),
        T::Bigint => written(&["9223372036854775807", "-9223372036854775807 - 1", "CAST(-1 AS BIGINT)"]),
        T::Double => written(&["1e308 * 10", "-1e308 * 10", "SQRT(-1)", "-0e0", "4.9e-324", "CAST(NULL AS DOUBLE)"]),
        T::Decimal => {
            written(&["0.000000001", "-99999999999999999999999999999999999999.9", "CAST(NULL AS DECIMAL(4, 2))"])
        }
        T::String => quoted(&[
            "",
            "\u{0}",
            "😀é\n",
            "%",
            "\\",
            "$1",
            "(a+)+\\1$",
            "[",
            "{\"a\": [null, {\"a\": 1e999}]}",
            "[1,",
            "$.a[*]",
            "+9223372036854775807-12-31",
            "2020-02-30T25:61:61.999999999+99:99",
            "+aéb",
            "yyyy-MM-dd HH:mm:ss VV",
            "uuuuuuuu",
            "http://[::1]:99999999/%zz?a=b",
            "hex",
            "utf8",
            "UTC",
            "\\u12",
            "0xF",
            "X'1'",
        ]),
        T::Bytes => written(&["TO_BYTES('', 'utf8')", "TO_BYTES('00FF', 'hex')", "CAST(NULL AS BYTES)"]),
        T::Date => written(&["FROM_DAYS(2147483647)", "FROM_DAYS(-2147483648)", "CAST(NULL AS DATE)"]),
        T::Time => written(&["CAST('23:59:59.999' AS TIME)", "CAST(NULL AS TIME)"]),
        T::Timestamp => written(&["FROM_UNIXTIME(9223372036854775807)", "FROM_UNIXTIME(-9223372036854775807 - 1)"]),
        T::Unit => written(&["DAYS", "MILLISECONDS"]),
        T::Array(item) => {
            let items = hostile(*item);
            vec![format!("ARRAY[{}]", items.join(", ")), format!("SLICE(ARRAY[{0}, {0}], 1, 0)", items[0])]
        }
        T::Map(key, value) => {
            let (keys, values) = (hostile(*key), hostile(*value));
            let pair = |(k, v): (&String, &String)| format!("{k} := {v}");
            let pairs: Vec<String> = keys.iter().zip(values.iter().cycle()).map(pair).collect();
            vec![format!("MAP({})", pairs.join(", "))]
        }
        T::Any(_) | T::Object => hostile(T::Int),
        T::Lambda(params, _) => {
            let names: Vec<String> = (0..params.len()).map(|n| format!("X{n}")).collect();
            let last = &names[names.len() - 1];
            vec![format!("({}) => {last}", names.join(", ")), format!("({}) => {last} > 0", names.join(", "))]
        }
    }
}

/// Evaluates a call, and finds the reason if it fails; false if it is refused when it is bound.
fn attempt(call: &str) -> bool {
    let columns = Columns(vec![("I", SqlType::Integer, vec![Value::Null])]);
    let Ok(bound) = columns.bound(call) else { return false };
    let (compiled, arrays) = (bound.compile(&[0]), columns.arrays());
    let evaluated = compiled.eval(&Input::all(&arrays, 1)).unwrap_or_else(|_| panic!("{call} halts for a single row"));
    if evaluated.failed_rows().next().is_some() {
        let reason = compiled.reason(&Input::all(&arrays, 1), 0);
        assert!(!reason.is_empty() && !reason.contains("once more"), "{call}: {reason}");
    }
    true
}

/// Every argument is tried with every value, the others with a few of theirs.
#[test]
fn no_function_panics_whatever_it_is_given() {
    let mut panicked: Vec<String> = Vec::new();
    let all = scalar::ALL.iter().chain(table::ALL);
    let mut called = 0;
    for (function, overload) in all.flat_map(|f| f.overloads.iter().map(move |o| (f, o))) {
        let pools: Vec<Vec<String>> = overload.params.iter().map(|param| hostile(param.kind)).collect();
        for (varied, pool) in pools.iter().enumerate() {
            for (turn, value) in pool.iter().enumerate() {
                let others = |(at, pool): (usize, &Vec<String>)| match at == varied {
                    true => value.clone(),
                    false => pool[(turn + at) % pool.len()].clone(),
                };
                let args: Vec<String> = pools.iter().enumerate().map(others).collect();
                let call = format!("{}({})", function.name, args.join(", "));
                let tried = std::panic::catch_unwind(|| attempt(&call));
                called += usize::from(tried.as_ref().is_ok_and(|bound| *bound));
                if tried.is_err() {
                    panicked.push(call);
                }
            }
        }
    }
    assert!(panicked.is_empty(), "{} calls panic:\n{}", panicked.len(), panicked.join("\n"));
    assert!(called > 500, "only {called} calls");
}

#[test]
fn a_catastrophic_regular_expression_is_an_error_of_its_row() {
    let columns = Columns(vec![("S", SqlType::String, vec![text("aab"), text(&"a".repeat(5_000))])]);
    for call in [
        "REGEXP_EXTRACT('((a|aa)+)\\2b', S)",
        "ARRAY_JOIN(REGEXP_EXTRACT_ALL('((a|aa)+)\\2b', S))",
        "REGEXP_REPLACE(S, '((a|aa)+)\\2b', '')",
        "REGEXP_SPLIT_TO_ARRAY(S, '((a|aa)+)\\2b')[2]",
    ] {
        assert_eq!(columns.run(call).1, [1], "{call}");
        assert!(columns.reason(call).contains("Max limit for backtracking"), "{}", columns.reason(call));
    }
}

#[test]
fn deeply_nested_texts_are_errors_of_their_rows() {
    let deep = |unit: &str| text(&unit.repeat(200_000));
    let all = vec![deep("("), deep("["), deep("{\"a\":"), deep("(?="), deep("[^"), deep("(a|")];
    let columns = Columns(vec![("S", SqlType::String, all)]);
    for call in ["REGEXP_EXTRACT(S, 'a')", "JSON_KEYS(S)", "EXTRACTJSONFIELD(S, '$.a')"] {
        assert_eq!(columns.run(call).1, [0, 1, 2, 3, 4, 5], "{call}");
    }
    assert_eq!(columns.run("FORMAT_TIMESTAMP(FROM_UNIXTIME(0), S)").1, [1, 2, 4]);
    columns.run("EXTRACTJSONFIELD('{}', S)");
    columns.run("IS_JSON_STRING(S)");
    columns.run("S LIKE S");
}

/// The value of an expression without columns, as a text.
fn value(expr: &str) -> String {
    let columns = Columns(vec![("I", SqlType::Integer, vec![Value::Null])]);
    columns.run(expr).0.remove(0)
}

#[test]
fn a_division_of_decimals_is_rounded_half_up_to_its_type() {
    for (expr, quotient) in [
        ("CAST(100 AS DECIMAL(9, 2)) / 3", "33.3333333333333"),
        ("CAST(200 AS DECIMAL(9, 2)) / 3", "66.6666666666667"),
        ("CAST(-200 AS DECIMAL(9, 2)) / 3", "-66.6666666666667"),
        ("CAST(200 AS DECIMAL(9, 2)) / -3", "-66.6666666666667"),
        ("CAST(-1 AS DECIMAL(1, 0)) / CAST(-8 AS DECIMAL(1, 0))", "0.125000"),
        ("CAST(823030560387.75 AS DECIMAL(33, 7)) / CAST(1395226058 AS BIGINT)", "589.890473782815486951004179138"),
        ("0.0 / 3", "0.000000000000"),
        ("1.5 / 0", "null"),
        ("10.00 / 4", "2.5000000000000"),
    ] {
        assert_eq!(value(expr), quotient, "{expr}");
    }
    let nines = "9".repeat(38);
    let columns = Columns(vec![("I", SqlType::Integer, vec![Value::Integer(1)])]);
    let large = format!("CAST('{nines}' AS DECIMAL(38, 0))");
    let expr = format!("({large} * {large} * I) * ({large} * I)");
    assert_eq!(columns.run(&expr).1, [0], "what needs more than 76 digits is an error");
}

#[test]
fn a_number_that_its_type_cannot_hold_is_an_error() {
    for expr in [
        "CAST(3000000000 AS INT)",
        "CAST(-3000000000 AS INT)",
        "CAST(1e30 AS BIGINT)",
        "CAST(9223372036854775808e0 AS BIGINT)",
        "CAST(-1e30 AS INT)",
        "CAST(SQRT(-1) AS INT)",
        "CAST(1e308 * 10 AS BIGINT)",
        "CAST(99999999999.5 AS INT)",
        "CAST(9223372036854775808.0 AS BIGINT)",
        "CAST(SQRT(-1) AS DECIMAL(4, 2))",
        "CEIL(CAST(9.5 AS DECIMAL(2, 1)))",
        "CEIL(CAST('0.01' AS DECIMAL(76, 76)))",
        "FLOOR(CAST(-9.5 AS DECIMAL(2, 1)))",
        "ROUND(CAST(9.5 AS DECIMAL(2, 1)))",
        "ROUND(CAST(9.5 AS DECIMAL(2, 1)), 0)",
        "ROUND(CAST(99 AS DECIMAL(2, 0)), -1)",
        "CAST(FROM_UNIXTIME(9223372036854775807) AS DATE)",
    ] {
        assert_eq!(value(expr), "null", "{expr}");
    }
    let columns = Columns(vec![("S", SqlType::String, vec![text("9.5"), text("9.0")])]);
    let ceil = "CEIL(CAST(S AS DECIMAL(2, 1)))";
    assert_eq!(columns.run(ceil), (vec!["null".to_owned(), "9.0".to_owned()], vec![0]));
    assert_eq!(columns.reason(ceil), "CEIL: the result 10.0 is no DECIMAL(2, 1): CEIL(9.5)");
    assert_eq!(value("CAST(-2147483648.9 AS INT)"), "-2147483648");
    assert_eq!(value("CAST(2147483647e0 AS INT)"), "2147483647");
    assert_eq!(value("CAST(-9223372036854775808e0 AS BIGINT)"), "-9223372036854775808");
    // An item of a collection keeps its low bits, as in ksqlDB, but not in silence.
    let columns = Columns(vec![("I", SqlType::Bigint, vec![Value::Bigint(2_147_483_648), Value::Bigint(1)])]);
    let cast = "CAST(ARRAY[I, 1] AS ARRAY<INT>)";
    assert_eq!(columns.run(cast), (vec!["[-2147483648, 1]".to_owned(), "[1, 1]".to_owned()], vec![0]));
    assert_eq!(columns.reason(cast), "CAST: 2147483648 is out of the range of INTEGER");
}

#[test]
fn nan_equals_nan_in_collections_and_sets() {
    for (expr, result) in [
        ("SQRT(-1) = SQRT(-1)", "false"),
        ("ARRAY[SQRT(-1)] = ARRAY[SQRT(-1)]", "true"),
        ("MAP('a' := SQRT(-1)) = MAP('a' := SQRT(-1))", "true"),
        ("STRUCT(A := SQRT(-1)) <> STRUCT(A := SQRT(-1))", "false"),
        ("ARRAY[0e0] = ARRAY[-0e0]", "false"),
        ("0e0 = -0e0", "true"),
        ("SQRT(-1) IN (1e0, SQRT(-1))", "true"),
        ("ARRAY_CONTAINS(ARRAY[SQRT(-1)], SQRT(-1))", "true"),
        ("ARRAY_LENGTH(ARRAY_DISTINCT(ARRAY[SQRT(-1), SQRT(-1), 0e0, -0e0]))", "3"),
        ("ARRAY_LENGTH(ARRAY_EXCEPT(ARRAY[SQRT(-1)], ARRAY[SQRT(-1)]))", "0"),
        ("NULLIF(SQRT(-1), SQRT(-1))", "null"),
        ("MAP(SQRT(-1) := 1)[SQRT(-1)]", "1"),
        ("MAP('a' := 1, 'b' := 2) = MAP('b' := 2, 'a' := 1)", "true"),
    ] {
        assert_eq!(value(expr), result, "{expr}");
    }
}

#[test]
fn in_takes_constants_of_every_type() {
    let columns = Columns(vec![
        ("I", SqlType::Integer, vec![Value::Integer(1), Value::Integer(2), Value::Null]),
        ("S", SqlType::String, vec![text("a"), text(""), Value::Null]),
    ]);
    for (expr, values) in [
        ("I IN (1, 3)", ["true", "false", "false"]),
        ("I NOT IN (1, 3)", ["false", "true", "true"]),
        ("I IN ('1', 3)", ["true", "false", "false"]),
        ("I IN (I)", ["true", "true", "false"]),
        ("I IN (1, I + 0)", ["true", "true", "null"]),
        ("S IN ('a', 'b', 'c', 'd')", ["true", "false", "false"]),
        ("S IN ('', CAST(NULL AS STRING))", ["false", "true", "false"]),
        ("S IN (S, 'x')", ["true", "true", "false"]),
        ("ARRAY[I] IN (ARRAY[1], ARRAY[CAST(NULL AS INT)])", ["true", "false", "true"]),
    ] {
        assert_eq!(columns.run(expr).0, values, "{expr}");
    }
}

#[test]
fn a_lambda_is_applied_to_more_entries_than_a_batch_has_rows() {
    let columns = Columns(vec![("I", SqlType::Integer, vec![Value::Integer(1), Value::Integer(0), Value::Null])]);
    let last = |expr: &str| columns.run(&format!("({expr})[-1]")).0;
    assert_eq!(last("TRANSFORM(GENERATE_SERIES(1, 20000), X => X + I)"), ["20001", "20000", "null"]);
    assert_eq!(last("FILTER(GENERATE_SERIES(1, 20000), X => X > 19999 - COALESCE(I, 0))"), ["20000"; 3]);
    let reduced = columns.run("REDUCE(GENERATE_SERIES(1, 10000), CAST(0 AS INT), (S, X) => S + X * I)");
    assert_eq!(reduced.0, ["50005000", "0", "null"]);
    let failed = columns.run("TRANSFORM(GENERATE_SERIES(1, 20000), X => CASE WHEN X = 20000 THEN 1 / I ELSE X END)");
    assert_eq!(failed.1, [1]);
}

#[test]
fn constants_that_can_never_work_are_refused_with_their_place_and_a_remedy() {
    let columns = Columns(vec![("S", SqlType::String, vec![text("")])]);
    for (expr, at, parts) in [
        ("PARSE_TIMESTAMP(S, 'yyyy-MM-ddTHH:mm')", 20, ["Unknown pattern letter: T", "'yyyy-MM-dd''T''HH:mm'"]),
        ("PARSE_TIMESTAMP(S, 'yyyy-MM-dd ''at' || ' HH')", 20, ["incomplete string literal", "DateTimeFormatter"]),
        ("PARSE_TIME(S, 'yyyy')", 15, ["does not read a time of day", "HH:mm"]),
        ("STRINGTODATE(S, 'yyyy-MM-ddTHH')", 17, ["Unknown pattern letter: T", "'yyyy-MM-dd''T''HH'"]),
        ("PARSE_TIMESTAMP(S, 'yyyy', 'Europe/Pariss')", 28, ["'Europe/Pariss'", "did you mean 'Europe/Paris'?"]),
        ("STRINGTOTIMESTAMP(S, 'yyyy', 'utc')", 30, ["'utc'", "it is 'UTC'"]),
        ("REGEXP_REPLACE(S, '[a', '')", 19, ["Invalid regular expression pattern '[a'", "java.util.regex"]),
        ("EXTRACTJSONFIELD(S, 'a.b')", 21, ["Invalid JSON path: 'a.b'", "a path is $"]),
        ("S LIKE 'a#' ESCAPE '#'", 8, ["'a#' ends in its escape character #", "write ##"]),
        ("LPAD(S, 20000000, 'x')", 9, ["a length of 20000000", "the limit is 16777216"]),
        ("GENERATE_SERIES(1, 2, 0)", 23, ["step cannot be zero", "other than 0"]),
    ] {
        let error = columns.bound(expr).expect_err(expr);
        assert_eq!(error.span().map(|span| span.start.column), Some(at), "{expr}");
        let shown = error.render(None);
        assert!(parts.iter().all(|part| shown.contains(part)), "{expr}: {shown}");
    }
    // The same as columns are errors of their rows.
    for expr in ["FORMAT_TIMESTAMP(FROM_UNIXTIME(0), S, S)", "REGEXP_EXTRACT(S, 'a')", "EXTRACTJSONFIELD('{}', S)"] {
        assert!(columns.bound(expr).is_ok(), "{expr}");
    }
}

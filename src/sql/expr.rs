//! The parser of expressions: precedence as ksqlDB's grammar has it, no construct that ksqlDB refuses.
//!
//! Recursive descent, one function for each level of binding, from the loosest to the tightest: `or`, `and`, `not`,
//! `predicate`, `concat`, `sum`, `product`, `unary`, `at_time_zone`, `postfix`, `primary`. Each calls the next one
//! for its operands. Parentheses leave no node, since the printer puts them back where they are needed. Recursion
//! goes through [`Cursor::nested`], and a tree higher than [`MAX_DEPTH`] is refused.

use std::collections::HashSet;

use super::ast::{ArithmeticOp, CompareOp, Expr, Literal, Node, commas};
use super::cursor::{Cursor, MAX_DEPTH};
use super::lexer::Token;
use super::literal::{constant, number, parse_literal};
use super::over::parse_over;
use super::query::{is_query_in_brackets, query_in_brackets};
use super::types::parse_type;
use super::words::Ident;
use crate::error::{Error, Result, Span};
use crate::types::TimeUnit;

/// Parses an expression.
///
/// # Errors
/// The text is no expression, or it is nested too deeply.
pub fn parse_expr(cursor: &mut Cursor) -> Result<Expr> {
    cursor.nested(or)
}

/// Parses what ksqlDB's grammar calls a value: an expression without comparisons and logic outside parentheses.
pub fn parse_value(cursor: &mut Cursor) -> Result<Expr> {
    cursor.nested(concat)
}

/// The expression that ends here; refuses one that is too deep.
fn node(cursor: &Cursor, node: Node, start: Span) -> Result<Expr> {
    let expr = Expr::new(node, cursor.since(start));
    if expr.height as usize > MAX_DEPTH { Err(cursor.too_deep()) } else { Ok(expr) }
}

/// A left-associative chain: `next op next op next …`.
fn chain(
    cursor: &mut Cursor,
    next: fn(&mut Cursor) -> Result<Expr>,
    operators: &[(&'static str, fn(Expr, Expr) -> Node)],
) -> Result<Expr> {
    let start = cursor.span();
    let mut left = next(cursor)?;
    while let Some((_, make)) = operators.iter().find(|(operator, _)| cursor.is(operator)) {
        cursor.advance();
        let right = next(cursor)?;
        left = node(cursor, make(left, right), start)?;
    }
    Ok(left)
}

/// Conditions with OR between them.
fn or(cursor: &mut Cursor) -> Result<Expr> {
    conditions(cursor, "OR", and, Node::Or)
}

/// Conditions with AND between them; AND binds more tightly than OR.
fn and(cursor: &mut Cursor) -> Result<Expr> {
    conditions(cursor, "AND", not, Node::And)
}

/// Conditions with `keyword` between them, as one node.
fn conditions(
    cursor: &mut Cursor,
    keyword: &'static str,
    next: fn(&mut Cursor) -> Result<Expr>,
    make: fn(Vec<Expr>) -> Node,
) -> Result<Expr> {
    let start = cursor.span();
    let first = next(cursor)?;
    if !cursor.is(keyword) {
        // Notes the keyword among the expected words, for messages.
        cursor.take(keyword);
        return Ok(first);
    }
    let mut items = vec![first];
    while cursor.take(keyword) {
        items.push(next(cursor)?);
    }
    node(cursor, make(items), start)
}

/// A condition, possibly with NOT before it.
fn not(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    if cursor.is("NOT") {
        cursor.advance();
        let inner = cursor.nested(not)?;
        return node(cursor, Node::Not(inner), start);
    }
    predicate(cursor)
}

/// The comparison operators, as they are written.
const COMPARISONS: &[(&str, CompareOp)] = &[
    ("=", CompareOp::Equal),
    ("<>", CompareOp::NotEqual),
    ("!=", CompareOp::NotEqual),
    ("<", CompareOp::Less),
    ("<=", CompareOp::LessOrEqual),
    (">", CompareOp::Greater),
    (">=", CompareOp::GreaterOrEqual),
];

/// A value, optionally followed by one comparison; comparisons do not chain.
fn predicate(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let value = concat(cursor)?;
    if let Some((_, op)) = COMPARISONS.iter().find(|(symbol, _)| cursor.is(symbol)) {
        cursor.advance();
        let right = concat(cursor)?;
        return node(cursor, Node::Compare { op: *op, left: value, right }, start);
    }
    if cursor.take("IS") {
        return is(cursor, value, start);
    }
    let negated = ["IN", "LIKE", "BETWEEN"].iter().any(|k| cursor.is_at(1, k)) && cursor.take("NOT");
    let made = if cursor.take("BETWEEN") {
        let low = concat(cursor)?;
        cursor.expect("AND")?;
        Node::Between { value, low, high: concat(cursor)?, negated }
    } else if cursor.take("IN") {
        if is_query_in_brackets(cursor) {
            let query = Box::new(query_in_brackets(cursor)?);
            return node(cursor, Node::InQuery { value, query, negated }, start);
        }
        cursor.expect("(")?;
        let list = cursor.list(parse_expr)?;
        cursor.expect(")")?;
        Node::In { value, list, negated }
    } else if cursor.take("LIKE") {
        let pattern = concat(cursor)?;
        Node::Like { value, pattern, escape: escape(cursor)?, negated }
    } else {
        return Ok(value);
    };
    node(cursor, made, start)
}

/// What follows IS: `[NOT] NULL` or `[NOT] DISTINCT FROM value`.
fn is(cursor: &mut Cursor, value: Expr, start: Span) -> Result<Expr> {
    let negated = cursor.take("NOT");
    let made = if cursor.take("NULL") {
        Node::IsNull { value, negated }
    } else if cursor.take("DISTINCT FROM") {
        let op = if negated { CompareOp::NotDistinct } else { CompareOp::Distinct };
        Node::Compare { op, left: value, right: concat(cursor)? }
    } else {
        let error = cursor.expected();
        return Err(match cursor.text().to_ascii_uppercase().as_str() {
            "TRUE" | "FALSE" => error.hint(format!("compare it: … = {}", cursor.text())),
            _ => error,
        });
    };
    node(cursor, made, start)
}

/// `ESCAPE 'c'`, if it comes next.
fn escape(cursor: &mut Cursor) -> Result<Option<char>> {
    if !cursor.take("ESCAPE") {
        return Ok(None);
    }
    let span = cursor.span();
    let text = cursor.string("the escape character, as in ESCAPE '!'")?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Some(c)),
        _ => Err(Error::syntax(format!("Expected single character escape but got: {text}")).at(span)),
    }
}

/// Values with `||` between them.
fn concat(cursor: &mut Cursor) -> Result<Expr> {
    chain(cursor, sum, &[("||", |left, right| Node::Concat { left, right })])
}

/// Values with `+` or `-` between them.
fn sum(cursor: &mut Cursor) -> Result<Expr> {
    const SUMS: &[(&str, fn(Expr, Expr) -> Node)] = &[
        ("+", |left, right| Node::Arithmetic { op: ArithmeticOp::Add, left, right }),
        ("-", |left, right| Node::Arithmetic { op: ArithmeticOp::Subtract, left, right }),
    ];
    chain(cursor, product, SUMS)
}

/// Values with `*`, `/` or `%` between them.
fn product(cursor: &mut Cursor) -> Result<Expr> {
    const PRODUCTS: &[(&str, fn(Expr, Expr) -> Node)] = &[
        ("*", |left, right| Node::Arithmetic { op: ArithmeticOp::Multiply, left, right }),
        ("/", |left, right| Node::Arithmetic { op: ArithmeticOp::Divide, left, right }),
        ("%", |left, right| Node::Arithmetic { op: ArithmeticOp::Modulo, left, right }),
    ];
    chain(cursor, unary, PRODUCTS)
}

/// A value, possibly with a sign before it.
fn unary(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    if cursor.is("+") {
        cursor.advance();
        let inner = cursor.nested(unary)?;
        // `+5` is a constant as `-5` is.
        let constant = matches!(&*inner.node, Node::Literal(literal) if literal.is_number());
        return if constant { Ok(inner) } else { node(cursor, Node::Plus(inner), start) };
    }
    if !cursor.is("-") {
        return at_time_zone(cursor);
    }
    cursor.advance();
    if cursor.token() == Some(Token::Number) {
        let literal = number(cursor, true)?;
        return node(cursor, Node::Literal(literal), start);
    }
    let inner = cursor.nested(unary)?;
    node(cursor, Node::Negate(inner), start)
}

/// A value, possibly followed by `AT TIME ZONE 'zone'`.
fn at_time_zone(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let mut value = postfix(cursor)?;
    while cursor.take("AT TIME ZONE") {
        let zone = cursor.string("the name of a time zone in single quotes")?;
        value = node(cursor, Node::AtTimeZone { value, zone }, start)?;
    }
    Ok(value)
}

/// A primary followed by any number of `[index]` and `->field`; `->*` is left to the caller.
fn postfix(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let mut base = primary(cursor)?;
    loop {
        if cursor.take("[") {
            let index = parse_value(cursor)?;
            cursor.expect("]")?;
            base = node(cursor, Node::Subscript { base, index }, start)?;
        } else if cursor.is("->") && !cursor.is_at(1, "*") {
            cursor.advance();
            let field = cursor.ident("the name of a field")?;
            base = node(cursor, Node::Field { base, field }, start)?;
        } else {
            return Ok(base);
        }
    }
}

/// A constant, a name, a call, a constructor, or an expression in parentheses.
fn primary(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let made = match cursor.token() {
        Some(Token::Number) => Node::Literal(number(cursor, false)?),
        Some(Token::Text) => Node::Literal(Literal::String(cursor.string("a text")?)),
        Some(Token::Variable) if !["(", "."].iter().any(|s| cursor.is_at(1, s)) => {
            Node::Literal(parse_literal(cursor)?)
        }
        Some(Token::Word) => word(cursor)?,
        Some(Token::Quoted | Token::Variable) => name(cursor)?,
        _ if is_query_in_brackets(cursor) => Node::Query(Box::new(query_in_brackets(cursor)?)),
        _ if cursor.is("(") => {
            cursor.advance();
            let inner = parse_expr(cursor)?;
            cursor.expect(")")?;
            return Ok(inner);
        }
        _ => {
            cursor.take_none("an expression");
            return Err(cursor.unexpected("an expression"));
        }
    };
    node(cursor, made, start)
}

/// What starts with a word: a constant, CASE, CAST, a constructor, a call or a column.
fn word(cursor: &mut Cursor) -> Result<Node> {
    if cursor.is("EXISTS ( SELECT") || cursor.is("EXISTS ( WITH") {
        cursor.advance();
        return Ok(Node::Exists(Box::new(query_in_brackets(cursor)?)));
    }
    if let Some(literal) = constant(cursor) {
        return Ok(Node::Literal(literal));
    }
    if cursor.is("CASE") {
        cursor.advance();
        return case(cursor);
    }
    if cursor.is("CAST") {
        cursor.advance();
        cursor.expect("(")?;
        let value = parse_expr(cursor)?;
        cursor.expect("AS").map_err(|e| e.hint("CAST(value AS type)"))?;
        let to = parse_type(cursor)?;
        cursor.expect(")")?;
        return Ok(Node::Cast { value, to });
    }
    if cursor.is("ARRAY [") {
        cursor.advance();
        return Ok(Node::ArrayOf(cursor.list_in("[", "]", parse_expr)?));
    }
    if cursor.is("MAP (") {
        cursor.advance();
        return Ok(Node::MapOf(cursor.list_in("(", ")", |c| entry(c, parse_expr))?));
    }
    if cursor.is("STRUCT (") {
        cursor.advance();
        return Ok(Node::StructOf(cursor.list_in("(", ")", |c| entry(c, |c| c.ident("the name of a field")))?));
    }
    name(cursor)
}

/// What starts with a name: a call or a column.
fn name(cursor: &mut Cursor) -> Result<Node> {
    if cursor.is("INTERVAL") && matches!(cursor.text_at(1).1, Some(Token::Text | Token::Number)) {
        let hint = "lengths of time are written like 5 MINUTES, in windows and WITHIN alone";
        return Err(cursor.unexpected("an expression").hint(hint));
    }
    let name = cursor.ident("an expression")?;
    if cursor.is("(") {
        let start = name.span;
        let call = call(cursor, name)?;
        if !cursor.is("OVER (") {
            return Ok(call);
        }
        cursor.advance();
        return Ok(Node::Over { call: node(cursor, call, start)?, over: parse_over(cursor)? });
    }
    if cursor.is(".") && !cursor.is_at(1, "*") {
        cursor.advance();
        let column = cursor.ident("the name of a column")?;
        return Ok(Node::Column { source: Some(name), name: column });
    }
    if cursor.token() == Some(Token::Text) {
        return Err(Error::syntax(format!("Unknown type: {}", name.name)).at(name.span).hint("use CAST('…' AS type)"));
    }
    Ok(Node::Column { source: None, name })
}

/// What follows CASE, up to END.
fn case(cursor: &mut Cursor) -> Result<Node> {
    let operand = if cursor.is("WHEN") { None } else { Some(parse_expr(cursor)?) };
    let mut branches = Vec::new();
    cursor.expect("WHEN")?;
    loop {
        let when = parse_expr(cursor)?;
        cursor.expect("THEN")?;
        branches.push((when, parse_expr(cursor)?));
        if !cursor.take("WHEN") {
            break;
        }
    }
    let otherwise = if cursor.take("ELSE") { Some(parse_expr(cursor)?) } else { None };
    cursor.expect("END")?;
    Ok(Node::Case { operand, branches, otherwise })
}

/// `left := value`.
fn entry<L>(cursor: &mut Cursor, left: impl Fn(&mut Cursor) -> Result<L>) -> Result<(L, Expr)> {
    let left = left(cursor)?;
    cursor.expect(":=").map_err(|e| e.hint("a name and its value are put together with :="))?;
    Ok((left, parse_expr(cursor)?))
}

/// What follows the name of a function: its arguments, in parentheses, and OVER.
fn call(cursor: &mut Cursor, name: Ident) -> Result<Node> {
    cursor.expect("(")?;
    if cursor.is("*") {
        cursor.advance();
        cursor.expect(")")?;
        return Ok(Node::CallStar { name });
    }
    if cursor.is("DISTINCT") {
        cursor.advance();
        let args = cursor.list(parse_expr)?;
        cursor.expect(")")?;
        return Ok(Node::CallDistinct { name, args });
    }
    if cursor.take(")") {
        return Ok(Node::Call { name, args: Vec::new() });
    }
    let mut args: Vec<Expr> = Vec::new();
    loop {
        let after_lambda = args.last().is_some_and(|a| matches!(*a.node, Node::Lambda { .. }));
        args.push(argument(cursor, after_lambda)?);
        if matches!(*args[0].node, Node::Lambda { .. }) {
            return Err(Error::syntax("a lambda cannot be the first argument").at(args[0].span));
        }
        if !cursor.take(",") {
            break;
        }
    }
    cursor.expect(")")?;
    Ok(Node::Call { name, args })
}

/// An argument of a call. After a lambda only lambdas may follow.
fn argument(cursor: &mut Cursor, after_lambda: bool) -> Result<Expr> {
    let start = cursor.span();
    if let Some(params) = lambda_params(cursor)? {
        let body = parse_expr(cursor)?;
        return node(cursor, Node::Lambda { params, body }, start);
    }
    if after_lambda {
        return Err(cursor.unexpected("another lambda or )"));
    }
    let ends = [",", ")"].iter().any(|s| cursor.is_at(1, s));
    if let Some(unit) = bare_unit(cursor).filter(|_| ends) {
        cursor.advance();
        return node(cursor, Node::Unit(unit), start);
    }
    parse_expr(cursor)
}

/// A unit that stands alone as an argument: only those that are no names (`DAY` and `HOUR` may be columns).
fn bare_unit(cursor: &Cursor) -> Option<TimeUnit> {
    if cursor.is_ident() { None } else { cursor.peek_unit() }
}

/// The parameters of a lambda, if one comes next: `x =>` or `(x, y) =>`.
fn lambda_params(cursor: &mut Cursor) -> Result<Option<Vec<Ident>>> {
    const WHAT: &str = "the name of a parameter";
    if cursor.is_at(1, "=>") {
        let name = cursor.ident(WHAT)?;
        cursor.advance();
        return Ok(Some(vec![name]));
    }
    // After the bracket, names and commas alternate.
    let mut last = 1;
    while cursor.is_ident_at(last) && cursor.is_at(last + 1, ",") {
        last += 2;
    }
    let is_lambda = cursor.is("(") && cursor.is_at(last + 1, ")") && cursor.is_at(last + 2, "=>");
    if !is_lambda || !cursor.is_ident_at(last) {
        return Ok(None);
    }
    let params = cursor.list_in("(", ")", |c| c.ident(WHAT))?;
    cursor.expect("=>")?;
    let mut seen = HashSet::new();
    if let Some(twice) = params.iter().find(|param| !seen.insert(*param)) {
        let message = format!("Lambda arguments have duplicates: [{}]", commas(&params));
        return Err(Error::syntax(message).at(twice.span));
    }
    Ok(Some(params))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    fn print(text: &str) -> String {
        let lexed = lex(text);
        let mut cursor = Cursor::new(&lexed);
        match parse_expr(&mut cursor) {
            Ok(expr) if cursor.at_end() => expr.to_string(),
            Ok(_) => format!("left over at {}", cursor.span().start.column),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn expressions_print_as_they_were_meant() {
        for (text, canonical) in [
            ("a + b * -c", "A + B * -C"),
            ("(a + b) * 2", "(A + B) * 2"),
            ("a - (b - c)", "A - (B - C)"),
            ("not (a or b) and c", "NOT (A OR B) AND C"),
            ("a->b[1]->`c`['k']", "A->B[1]->`c`['k']"),
            ("x.y not in (1, -2, 3.50)", "X.Y NOT IN (1, -2, 3.50)"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("count(*) > 1e3", "COUNT(*) > 1E3"),
            ("transform(a, (k, v) => k + v, x => x)", "TRANSFORM(A, (K, V) => K + V, X => X)"),
            ("cast(a as map<string, array<int>>)", "CAST(A AS MAP<STRING, ARRAY<INT>>)"),
            ("case when a is not null then 'x''y' else b end", "CASE WHEN A IS NOT NULL THEN 'x''y' ELSE B END"),
            ("struct(a := 1, `b` := map('k' := array[1,2]))", "STRUCT(A := 1, `b` := MAP('k' := ARRAY[1, 2]))"),
            ("timestampadd(DAYS, 1, hour)", "TIMESTAMPADD(DAYS, 1, HOUR)"),
            ("a like '%!%' escape '!' || b", "left over at 25"),
            ("a = b = c", "left over at 7"),
        ] {
            assert_eq!(print(text), canonical, "{text}");
        }
    }

    #[test]
    fn refusals_name_the_place() {
        assert_eq!(print("a + "), "Syntax: expected an expression, found the end of the text (at 1:5)");
        assert!(print("select").contains("reserved keyword"));
        assert!(print("9223372036854775808").contains("Invalid numeric literal"));
        assert!(print(&"(".repeat(100_000)).contains("too many nested"));
        assert!(print(&format!("a{}", " + a".repeat(5_000))).contains("too many nested"));
        assert_eq!(print(&format!("A{}", " OR A".repeat(5_000))).len(), 25_001);
    }
}

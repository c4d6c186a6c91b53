//! The parser of expressions: precedence as ksqlDB's grammar has it, no construct that ksqlDB refuses.

use sqlparser::tokenizer::Token;

use super::ast::{ArithmeticOp, CompareOp, Expr, Literal, Node};
use super::cursor::{Cursor, MAX_DEPTH};
use super::types::parse_type;
use super::words::Ident;
use crate::error::{Error, Result, Span};
use crate::types::TimeUnit;

/// Parses an expression.
pub fn parse_expr(cursor: &mut Cursor) -> Result<Expr> {
    cursor.nested(or)
}

/// Parses what ksqlDB's grammar calls a value: an expression without comparisons and logic outside parentheses.
pub fn parse_value(cursor: &mut Cursor) -> Result<Expr> {
    cursor.nested(concat)
}

/// A left-associative chain: `next op next op next …`, `join` making one expression of two.
fn chain(
    cursor: &mut Cursor,
    next: fn(&mut Cursor) -> Result<Expr>,
    mut join: impl FnMut(&mut Cursor) -> Option<fn(Expr, Expr) -> Node>,
) -> Result<Expr> {
    let start = cursor.span();
    let mut left = next(cursor)?;
    let mut length = 0;
    while let Some(make) = join(cursor) {
        length += 1;
        if length > MAX_DEPTH {
            return Err(cursor.too_deep());
        }
        let right = next(cursor)?;
        left = Expr::new(make(left, right), cursor.since(start));
    }
    Ok(left)
}

fn or(cursor: &mut Cursor) -> Result<Expr> {
    conditions(cursor, "OR", and, Node::Or)
}

fn and(cursor: &mut Cursor) -> Result<Expr> {
    conditions(cursor, "AND", not, Node::And)
}

/// Conditions with `keyword` between them, as one node.
fn conditions(
    cursor: &mut Cursor,
    keyword: &str,
    next: fn(&mut Cursor) -> Result<Expr>,
    make: fn(Vec<Expr>) -> Node,
) -> Result<Expr> {
    let start = cursor.span();
    let first = next(cursor)?;
    if !cursor.is_keywords(keyword) {
        return Ok(first);
    }
    let mut items = vec![first];
    while cursor.take_keywords(keyword) {
        items.push(next(cursor)?);
    }
    Ok(Expr::new(make(items), cursor.since(start)))
}

fn not(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    if cursor.take_keywords("NOT") {
        let inner = cursor.nested(not)?;
        return Ok(Expr::new(Node::Not(inner), cursor.since(start)));
    }
    predicate(cursor)
}

/// A value, perhaps with one comparison behind it: comparisons do not chain.
fn predicate(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let value = concat(cursor)?;
    let op = match cursor.peek() {
        Some(Token::Eq) => Some(CompareOp::Equal),
        Some(Token::Neq) => Some(CompareOp::NotEqual),
        Some(Token::Lt) => Some(CompareOp::Less),
        Some(Token::LtEq) => Some(CompareOp::LessOrEqual),
        Some(Token::Gt) => Some(CompareOp::Greater),
        Some(Token::GtEq) => Some(CompareOp::GreaterOrEqual),
        _ => None,
    };
    if let Some(op) = op {
        cursor.advance();
        let right = concat(cursor)?;
        return Ok(Expr::new(Node::Compare { op, left: value, right }, cursor.since(start)));
    }
    if cursor.take_keywords("IS") {
        return is(cursor, value, start);
    }
    let negated = ["IN", "LIKE", "BETWEEN"].iter().any(|k| cursor.is_keyword_at(1, k)) && cursor.take_keywords("NOT");
    let node = if cursor.take_keywords("BETWEEN") {
        let low = concat(cursor)?;
        cursor.expect_keywords("AND")?;
        Node::Between { value, low, high: concat(cursor)?, negated }
    } else if cursor.take_keywords("IN") {
        cursor.expect(&Token::LParen, "( and a list of values")?;
        let list = cursor.list(parse_expr)?;
        cursor.expect(&Token::RParen, "a comma or )")?;
        Node::In { value, list, negated }
    } else if cursor.take_keywords("LIKE") {
        let pattern = concat(cursor)?;
        Node::Like { value, pattern, escape: escape(cursor)?, negated }
    } else {
        return Ok(value);
    };
    Ok(Expr::new(node, cursor.since(start)))
}

fn is(cursor: &mut Cursor, value: Expr, start: Span) -> Result<Expr> {
    let negated = cursor.take_keywords("NOT");
    let node = if cursor.take_keywords("NULL") {
        Node::IsNull { value, negated }
    } else if cursor.take_keywords("DISTINCT FROM") {
        let op = if negated { CompareOp::NotDistinct } else { CompareOp::Distinct };
        Node::Compare { op, left: value, right: concat(cursor)? }
    } else {
        return Err(cursor.unexpected("NULL or DISTINCT FROM"));
    };
    Ok(Expr::new(node, cursor.since(start)))
}

fn escape(cursor: &mut Cursor) -> Result<Option<char>> {
    if !cursor.take_keywords("ESCAPE") {
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

fn concat(cursor: &mut Cursor) -> Result<Expr> {
    chain(cursor, sum, |c| {
        c.take(&Token::StringConcat).then_some((|left, right| Node::Concat { left, right }) as fn(Expr, Expr) -> Node)
    })
}

/// A constructor of arithmetic nodes for each operator, since a chain's `join` yields plain functions.
macro_rules! arithmetic {
    ($op:ident) => {
        Some((|left, right| Node::Arithmetic { op: ArithmeticOp::$op, left, right }) as fn(Expr, Expr) -> Node)
    };
}

fn sum(cursor: &mut Cursor) -> Result<Expr> {
    chain(cursor, product, |c| {
        let make = match c.peek()? {
            Token::Plus => arithmetic!(Add),
            Token::Minus => arithmetic!(Subtract),
            _ => None,
        };
        make.inspect(|_| c.advance())
    })
}

fn product(cursor: &mut Cursor) -> Result<Expr> {
    chain(cursor, unary, |c| {
        let make = match c.peek()? {
            Token::Mul => arithmetic!(Multiply),
            Token::Div => arithmetic!(Divide),
            Token::Mod => arithmetic!(Modulo),
            _ => None,
        };
        make.inspect(|_| c.advance())
    })
}

fn unary(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    if cursor.take(&Token::Plus) {
        return cursor.nested(unary);
    }
    if !cursor.take(&Token::Minus) {
        return at_time_zone(cursor);
    }
    if let Some(Token::Number(text, _)) = cursor.peek() {
        let literal = number(&format!("-{text}"), cursor.span())?;
        cursor.advance();
        return Ok(Expr::new(Node::Literal(literal), cursor.since(start)));
    }
    let inner = cursor.nested(unary)?;
    Ok(Expr::new(Node::Negate(inner), cursor.since(start)))
}

fn at_time_zone(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let value = postfix(cursor)?;
    if !cursor.take_keywords("AT TIME ZONE") {
        return Ok(value);
    }
    let zone = cursor.string("the name of a time zone")?;
    Ok(Expr::new(Node::AtTimeZone { value, zone }, cursor.since(start)))
}

/// A primary with any number of `[index]` and `->field` behind it; `->*` is left to the caller.
fn postfix(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let mut base = primary(cursor)?;
    for _ in 0..MAX_DEPTH {
        if cursor.take(&Token::LBracket) {
            let index = parse_value(cursor)?;
            cursor.expect(&Token::RBracket, "]")?;
            base = Expr::new(Node::Subscript { base, index }, cursor.since(start));
        } else if cursor.peek() == Some(&Token::Arrow) && cursor.peek_at(1) != Some(&Token::Mul) {
            cursor.advance();
            let field = cursor.ident("the name of a field")?;
            base = Expr::new(Node::Field { base, field }, cursor.since(start));
        } else {
            return Ok(base);
        }
    }
    Err(cursor.too_deep())
}

fn primary(cursor: &mut Cursor) -> Result<Expr> {
    let start = cursor.span();
    let node = match cursor.peek() {
        Some(Token::Number(text, _)) => {
            let literal = number(text, start)?;
            cursor.advance();
            Node::Literal(literal)
        }
        Some(Token::SingleQuotedString(text)) => {
            cursor.advance();
            Node::Literal(Literal::String(text.clone()))
        }
        Some(Token::LParen) => {
            cursor.advance();
            let inner = parse_expr(cursor)?;
            cursor.expect(&Token::RParen, ")")?;
            return Ok(inner);
        }
        Some(Token::Word(_)) => word(cursor)?,
        _ => return Err(cursor.unexpected("an expression")),
    };
    Ok(Expr::new(node, cursor.since(start)))
}

/// What starts with a word: a constant, CASE, CAST, a constructor, a call or a column.
fn word(cursor: &mut Cursor) -> Result<Node> {
    for (keyword, literal) in
        [("NULL", Literal::Null), ("TRUE", Literal::Boolean(true)), ("FALSE", Literal::Boolean(false))]
    {
        if cursor.take_keywords(keyword) {
            return Ok(Node::Literal(literal));
        }
    }
    if cursor.take_keywords("CASE") {
        return case(cursor);
    }
    if cursor.take_keywords("CAST") {
        cursor.expect(&Token::LParen, "(")?;
        let value = parse_expr(cursor)?;
        cursor.expect_keywords("AS")?;
        let to = parse_type(cursor)?;
        cursor.expect(&Token::RParen, ")")?;
        return Ok(Node::Cast { value, to });
    }
    match cursor.peek_at(1) {
        Some(Token::LBracket) if cursor.take_keywords("ARRAY") => return array(cursor),
        Some(Token::LParen) if cursor.take_keywords("MAP") => {
            return Ok(Node::MapOf(entries(cursor, parse_expr)?));
        }
        Some(Token::LParen) if cursor.take_keywords("STRUCT") => {
            return Ok(Node::StructOf(entries(cursor, |c| c.ident("the name of a field"))?));
        }
        _ => {}
    }
    let name = cursor.ident("an expression")?;
    match cursor.peek() {
        Some(Token::LParen) => call(cursor, name),
        Some(Token::Period) if !matches!(cursor.peek_at(1), Some(Token::Mul)) => {
            cursor.advance();
            let column = cursor.ident("the name of a column")?;
            Ok(Node::Column { source: Some(name), name: column })
        }
        Some(Token::SingleQuotedString(_)) => {
            Err(Error::syntax(format!("Unknown type: {}", name.name)).at(name.span).hint("use CAST('…' AS type)"))
        }
        _ => Ok(Node::Column { source: None, name }),
    }
}

fn case(cursor: &mut Cursor) -> Result<Node> {
    let operand = if cursor.is_keywords("WHEN") { None } else { Some(parse_expr(cursor)?) };
    let mut branches = Vec::new();
    while cursor.take_keywords("WHEN") {
        let when = parse_expr(cursor)?;
        cursor.expect_keywords("THEN")?;
        branches.push((when, parse_expr(cursor)?));
    }
    if branches.is_empty() {
        return Err(cursor.unexpected("WHEN"));
    }
    let otherwise = if cursor.take_keywords("ELSE") { Some(parse_expr(cursor)?) } else { None };
    cursor.expect_keywords("END")?;
    Ok(Node::Case { operand, branches, otherwise })
}

fn array(cursor: &mut Cursor) -> Result<Node> {
    cursor.expect(&Token::LBracket, "[")?;
    if cursor.take(&Token::RBracket) {
        return Ok(Node::ArrayOf(Vec::new()));
    }
    let items = cursor.list(parse_expr)?;
    cursor.expect(&Token::RBracket, "a comma or ]")?;
    Ok(Node::ArrayOf(items))
}

/// `(left := value, …)`.
fn entries<L>(cursor: &mut Cursor, left: impl Fn(&mut Cursor) -> Result<L>) -> Result<Vec<(L, Expr)>> {
    cursor.expect(&Token::LParen, "(")?;
    if cursor.take(&Token::RParen) {
        return Ok(Vec::new());
    }
    let entries = cursor.list(|c| {
        let left = left(c)?;
        c.expect(&Token::Assignment, ":= and a value")?;
        Ok((left, parse_expr(c)?))
    })?;
    cursor.expect(&Token::RParen, "a comma or )")?;
    Ok(entries)
}

fn call(cursor: &mut Cursor, name: Ident) -> Result<Node> {
    cursor.expect(&Token::LParen, "(")?;
    if cursor.take(&Token::Mul) {
        cursor.expect(&Token::RParen, ")")?;
        return Ok(Node::CallStar { name });
    }
    if cursor.take(&Token::RParen) {
        return Ok(Node::Call { name, args: Vec::new() });
    }
    let mut args = vec![argument(cursor, false)?];
    while cursor.take(&Token::Comma) {
        let after_lambda = args.last().is_some_and(|a| matches!(*a.node, Node::Lambda { .. }));
        args.push(argument(cursor, after_lambda)?);
    }
    if matches!(*args[0].node, Node::Lambda { .. }) {
        return Err(Error::syntax("a lambda cannot be the first argument").at(args[0].span));
    }
    cursor.expect(&Token::RParen, "a comma or )")?;
    Ok(Node::Call { name, args })
}

fn argument(cursor: &mut Cursor, after_lambda: bool) -> Result<Expr> {
    let start = cursor.span();
    if let Some(params) = lambda_params(cursor)? {
        let body = parse_expr(cursor)?;
        return Ok(Expr::new(Node::Lambda { params, body }, cursor.since(start)));
    }
    if after_lambda {
        return Err(cursor.unexpected("another lambda or )"));
    }
    let ends = matches!(cursor.peek_at(1), Some(Token::Comma | Token::RParen));
    if let Some(unit) = bare_unit(cursor).filter(|_| ends) {
        cursor.advance();
        return Ok(Expr::new(Node::Unit(unit), start));
    }
    parse_expr(cursor)
}

/// A unit that stands alone as an argument: only those that are no names (`DAY` and `HOUR` may be columns).
fn bare_unit(cursor: &Cursor) -> Option<TimeUnit> {
    if cursor.is_ident() { None } else { cursor.peek_unit() }
}

/// The parameters of a lambda, if one comes next: `x =>` or `(x, y) =>`.
fn lambda_params(cursor: &mut Cursor) -> Result<Option<Vec<Ident>>> {
    if cursor.peek_at(1) == Some(&Token::RArrow) {
        let name = cursor.ident("the name of a parameter")?;
        cursor.advance();
        return Ok(Some(vec![name]));
    }
    if cursor.peek() != Some(&Token::LParen) {
        return Ok(None);
    }
    let mark = cursor.mark();
    cursor.advance();
    let params = cursor.list(|c| c.ident("the name of a parameter"));
    match params {
        Ok(params) if cursor.take(&Token::RParen) && cursor.take(&Token::RArrow) => Ok(Some(params)),
        _ => {
            cursor.reset(mark);
            Ok(None)
        }
    }
}

/// A number as its text decides: INTEGER, BIGINT, DECIMAL, or DOUBLE if it has an exponent.
fn number(text: &str, span: Span) -> Result<Literal> {
    if text.contains(['e', 'E']) {
        let value: f64 =
            text.parse().map_err(|_| Error::syntax(format!("Invalid numeric literal: {text}")).at(span))?;
        if value.is_infinite() {
            return Err(Error::syntax(format!("Number overflows DOUBLE: {text}")).at(span));
        }
        return Ok(Literal::Double(value));
    }
    if text.contains('.') {
        return Ok(Literal::Decimal(text.to_owned()));
    }
    if let Ok(value) = text.parse() {
        return Ok(Literal::Integer(value));
    }
    text.parse().map(Literal::Bigint).map_err(|_| Error::syntax(format!("Invalid numeric literal: {text}")).at(span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    fn print(text: &str) -> String {
        let lexed = lex(text).expect("tokens");
        let mut cursor = Cursor::new(&lexed.lexemes, lexed.end);
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

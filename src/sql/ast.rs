//! Expressions as they are written: the syntax tree.

use std::fmt;

use super::types::TypeName;
use super::words::{Duration, Ident, string_literal};
use crate::error::Span;
use crate::types::TimeUnit;

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub node: Box<Node>,
    pub span: Span,
    /// How many nodes are on the longest way down, this one included.
    pub height: u32,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Literal(Literal),
    /// `name` or `source.name`.
    Column {
        source: Option<Ident>,
        name: Ident,
    },
    Negate(Expr),
    /// `+value`: the value, if it is a number.
    Plus(Expr),
    Arithmetic {
        op: ArithmeticOp,
        left: Expr,
        right: Expr,
    },
    /// `left || right`.
    Concat {
        left: Expr,
        right: Expr,
    },
    Compare {
        op: CompareOp,
        left: Expr,
        right: Expr,
    },
    /// Two or more conditions, judged from left to right; a long chain is one node, so that it does not nest.
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Expr),
    IsNull {
        value: Expr,
        negated: bool,
    },
    Between {
        value: Expr,
        low: Expr,
        high: Expr,
        negated: bool,
    },
    In {
        value: Expr,
        list: Vec<Expr>,
        negated: bool,
    },
    Like {
        value: Expr,
        pattern: Expr,
        escape: Option<char>,
        negated: bool,
    },
    Case {
        operand: Option<Expr>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Expr>,
    },
    Cast {
        value: Expr,
        to: TypeName,
    },
    Call {
        name: Ident,
        args: Vec<Expr>,
    },
    /// `name(*)`.
    CallStar {
        name: Ident,
    },
    /// `name(DISTINCT …)`.
    CallDistinct {
        name: Ident,
        args: Vec<Expr>,
    },
    Over {
        call: Expr,
        over: Over,
    },
    /// A bare unit of time as an argument: `TIMESTAMPADD(DAYS, …)`.
    Unit(TimeUnit),
    Lambda {
        params: Vec<Ident>,
        body: Expr,
    },
    Subscript {
        base: Expr,
        index: Expr,
    },
    Field {
        base: Expr,
        field: Ident,
    },
    ArrayOf(Vec<Expr>),
    MapOf(Vec<(Expr, Expr)>),
    StructOf(Vec<(Ident, Expr)>),
    AtTimeZone {
        value: Expr,
        zone: String,
    },
}

/// The rows that a function is computed over: `(PARTITION BY … ORDER BY … ROWS …)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortItem>,
    pub frame: Option<Frame>,
}

/// An expression that rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortItem {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: Option<bool>,
}

/// The rows around a row: `ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Whether the bounds are lengths of time or of values, and not numbers of rows.
    pub is_range: bool,
    pub start: FrameBound,
    pub end: Option<FrameBound>,
}

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameBound {
    CurrentRow,
    Preceding(Distance),
    Following(Distance),
}

/// How far a frame reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    Unbounded,
    Count(i64),
    Time(Duration),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Null,
    Boolean(bool),
    Integer(i32),
    Bigint(i64),
    /// The text, which decides precision and scale.
    Decimal(String),
    Double(f64),
    String(String),
    /// `${name}`, as it is written: a constant that is still to be put there.
    Variable(String),
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl ArithmeticOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Subtract => "-",
            ArithmeticOp::Multiply => "*",
            ArithmeticOp::Divide => "/",
            ArithmeticOp::Modulo => "%",
        }
    }
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Distinct,
    NotDistinct,
}

impl CompareOp {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            CompareOp::Equal => "=",
            CompareOp::NotEqual => "<>",
            CompareOp::Less => "<",
            CompareOp::LessOrEqual => "<=",
            CompareOp::Greater => ">",
            CompareOp::GreaterOrEqual => ">=",
            CompareOp::Distinct => "IS DISTINCT FROM",
            CompareOp::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }

    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            CompareOp::Equal => "EQUAL",
            CompareOp::NotEqual => "NOT_EQUAL",
            CompareOp::Less => "LESS_THAN",
            CompareOp::LessOrEqual => "LESS_THAN_OR_EQUAL",
            CompareOp::Greater => "GREATER_THAN",
            CompareOp::GreaterOrEqual => "GREATER_THAN_OR_EQUAL",
            CompareOp::Distinct | CompareOp::NotDistinct => "IS_DISTINCT_FROM",
        }
    }
}

impl Expr {
    /// An expression at a place.
    pub fn new(node: Node, span: Span) -> Self {
        let mut height = 0;
        each_child(&node, &mut |child| height = height.max(child.height));
        Expr { node: Box::new(node), span, height: height + 1 }
    }

    /// The expressions directly below this one, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        let mut children = Vec::new();
        each_child(&self.node, &mut |child| children.push(child));
        children
    }

    /// Calls `visit` for this expression and everything below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// The text of the expression with parentheses around every operation, as ksqlDB's messages show it.
    pub fn parenthesized(&self) -> String {
        let all = |items: &[Expr], word: &str| items.iter().map(Expr::parenthesized).collect::<Vec<_>>().join(word);
        match &*self.node {
            Node::Arithmetic { op, left, right } => {
                format!("({} {} {})", left.parenthesized(), op.symbol(), right.parenthesized())
            }
            Node::Compare { op, left, right } => {
                format!("({} {} {})", left.parenthesized(), op.symbol(), right.parenthesized())
            }
            Node::And(items) => format!("({})", all(items, " AND ")),
            Node::Or(items) => format!("({})", all(items, " OR ")),
            Node::Like { .. } | Node::Between { .. } | Node::In { .. } | Node::IsNull { .. } => format!("({self})"),
            Node::StructOf(fields) => {
                let field = |(name, value): &(Ident, Expr)| format!("{name}:={}", value.parenthesized());
                format!("STRUCT({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
            Node::MapOf(entries) => {
                let entry = |(key, value): &(Expr, Expr)| format!("{}:={}", key.parenthesized(), value.parenthesized());
                format!("MAP({})", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Node::Literal(Literal::Null) => "null".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// Calls `visit` for the expressions directly below a node, in the order of the text.
fn each_child<'a>(node: &'a Node, visit: &mut dyn FnMut(&'a Expr)) {
    match node {
        Node::Literal(_) | Node::Column { .. } | Node::CallStar { .. } | Node::Unit(_) => {}
        Node::Negate(e)
        | Node::Plus(e)
        | Node::Not(e)
        | Node::IsNull { value: e, .. }
        | Node::Cast { value: e, .. }
        | Node::Lambda { body: e, .. }
        | Node::Field { base: e, .. }
        | Node::AtTimeZone { value: e, .. } => visit(e),
        Node::Arithmetic { left, right, .. }
        | Node::Concat { left, right }
        | Node::Compare { left, right, .. }
        | Node::Like { value: left, pattern: right, .. }
        | Node::Subscript { base: left, index: right } => [left, right].into_iter().for_each(visit),
        Node::Between { value, low, high, .. } => [value, low, high].into_iter().for_each(visit),
        Node::In { value, list, .. } => std::iter::once(value).chain(list).for_each(visit),
        Node::Case { operand, branches, otherwise } => {
            let pairs = branches.iter().flat_map(|(when, then)| [when, then]);
            operand.iter().chain(pairs).chain(otherwise).for_each(visit);
        }
        Node::And(items)
        | Node::Or(items)
        | Node::Call { args: items, .. }
        | Node::CallDistinct { args: items, .. }
        | Node::ArrayOf(items) => items.iter().for_each(visit),
        Node::Over { call, over } => {
            let sorted = over.order_by.iter().map(|item| &item.expr);
            std::iter::once(call).chain(&over.partition_by).chain(sorted).for_each(visit);
        }
        Node::MapOf(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).for_each(visit),
        Node::StructOf(fields) => fields.iter().map(|(_, e)| e).for_each(visit),
    }
}

impl Literal {
    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Literal::Integer(_) | Literal::Bigint(_) | Literal::Decimal(_) | Literal::Double(_))
    }

    /// Whether it is a number with a minus.
    pub fn is_negative(&self) -> bool {
        match self {
            Literal::Integer(v) => *v < 0,
            Literal::Bigint(v) => *v < 0,
            Literal::Decimal(text) => text.starts_with('-'),
            Literal::Double(v) => v.is_sign_negative(),
            _ => false,
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Null => f.write_str("NULL"),
            Literal::Boolean(true) => f.write_str("TRUE"),
            Literal::Boolean(false) => f.write_str("FALSE"),
            Literal::Integer(value) => write!(f, "{value}"),
            Literal::Bigint(value) => write!(f, "{value}"),
            Literal::Decimal(text) => f.write_str(text),
            Literal::Double(value) => write!(f, "{value:E}"),
            Literal::String(text) => f.write_str(&string_literal(text)),
            Literal::Variable(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distance::Unbounded => f.write_str("UNBOUNDED"),
            Distance::Count(count) => write!(f, "{count}"),
            Distance::Time(duration) => write!(f, "{duration}"),
        }
    }
}

impl fmt::Display for FrameBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameBound::CurrentRow => f.write_str("CURRENT ROW"),
            FrameBound::Preceding(distance) => write!(f, "{distance} PRECEDING"),
            FrameBound::Following(distance) => write!(f, "{distance} FOLLOWING"),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_range { "RANGE " } else { "ROWS " })?;
        match &self.end {
            Some(end) => write!(f, "BETWEEN {} AND {end}", self.start),
            None => write!(f, "{}", self.start),
        }
    }
}

/// The items' texts with commas between them.
pub fn commas<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

//! Expressions as they are written: the syntax tree and its canonical text.

use std::fmt;

use super::types::TypeName;
use super::words::{Ident, string_literal};
use crate::error::Span;
use crate::types::TimeUnit;

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub node: Box<Node>,
    pub span: Span,
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
        Expr { node: Box::new(node), span }
    }

    /// The expressions directly below this one, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        match &*self.node {
            Node::Literal(_) | Node::Column { .. } | Node::CallStar { .. } | Node::Unit(_) => Vec::new(),
            Node::Negate(e)
            | Node::Not(e)
            | Node::IsNull { value: e, .. }
            | Node::Cast { value: e, .. }
            | Node::Lambda { body: e, .. }
            | Node::Field { base: e, .. }
            | Node::AtTimeZone { value: e, .. } => vec![e],
            Node::Arithmetic { left, right, .. }
            | Node::Concat { left, right }
            | Node::Compare { left, right, .. }
            | Node::Like { value: left, pattern: right, .. }
            | Node::Subscript { base: left, index: right } => vec![left, right],
            Node::Between { value, low, high, .. } => vec![value, low, high],
            Node::In { value, list, .. } => std::iter::once(value).chain(list).collect(),
            Node::Case { operand, branches, otherwise } => {
                let pairs = branches.iter().flat_map(|(when, then)| [when, then]);
                operand.iter().chain(pairs).chain(otherwise).collect()
            }
            Node::And(items) | Node::Or(items) | Node::Call { args: items, .. } | Node::ArrayOf(items) => {
                items.iter().collect()
            }
            Node::MapOf(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).collect(),
            Node::StructOf(fields) => fields.iter().map(|(_, e)| e).collect(),
        }
    }

    /// Calls `visit` for this expression and everything below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// How tightly the expression binds: an operand that binds less than its place needs parentheses.
    fn binding(&self) -> u8 {
        match &*self.node {
            Node::Lambda { .. } => 0,
            Node::Or(..) => 1,
            Node::And(..) => 2,
            Node::Not(_) => 3,
            Node::Compare { .. } | Node::IsNull { .. } | Node::Between { .. } | Node::In { .. } | Node::Like { .. } => {
                4
            }
            Node::Concat { .. } => 5,
            Node::Arithmetic { op: ArithmeticOp::Add | ArithmeticOp::Subtract, .. } => 6,
            Node::Arithmetic { .. } => 7,
            Node::Negate(_) => 8,
            Node::Literal(literal) if literal.is_negative() => 8,
            Node::AtTimeZone { .. } => 9,
            _ => 10,
        }
    }

    /// The text of the expression where only a value may stand: comparisons and logic get parentheses.
    pub fn as_value(&self) -> String {
        self.operand(5)
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
            Node::Literal(Literal::Null) => "null".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The text of the expression as an operand in a place that needs at least `binding`.
    fn operand(&self, binding: u8) -> String {
        if self.binding() < binding { format!("({self})") } else { self.to_string() }
    }
}

impl Literal {
    fn is_negative(&self) -> bool {
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
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match &*self.node {
            Node::Literal(literal) => write!(f, "{literal}"),
            Node::Column { source: Some(source), name } => write!(f, "{source}.{name}"),
            Node::Column { source: None, name } => write!(f, "{name}"),
            Node::Negate(e) => write!(f, "-{}", e.operand(9)),
            Node::Arithmetic { op, left, right } => {
                let binding = self.binding();
                write!(f, "{} {} {}", left.operand(binding), op.symbol(), right.operand(binding + 1))
            }
            Node::Concat { left, right } => write!(f, "{} || {}", left.operand(5), right.operand(6)),
            Node::Compare { op, left, right } => write!(f, "{} {} {}", left.operand(5), op.symbol(), right.operand(5)),
            Node::And(items) => f.write_str(&joined(items, " AND ", 3)),
            Node::Or(items) => f.write_str(&joined(items, " OR ", 2)),
            Node::Not(e) => write!(f, "NOT {}", e.operand(3)),
            Node::IsNull { value, negated } => write!(f, "{} IS {}NULL", value.operand(5), not(negated)),
            Node::Between { value, low, high, negated } => {
                write!(f, "{} {}BETWEEN {} AND {}", value.operand(5), not(negated), low.operand(5), high.operand(5))
            }
            Node::In { value, list, negated } => {
                write!(f, "{} {}IN ({})", value.operand(5), not(negated), commas(list))
            }
            Node::Like { value, pattern, escape, negated } => {
                write!(f, "{} {}LIKE {}", value.operand(5), not(negated), pattern.operand(5))?;
                escape.map_or(Ok(()), |c| write!(f, " ESCAPE {}", string_literal(&c.to_string())))
            }
            Node::Case { operand, branches, otherwise } => case(f, operand.as_ref(), branches, otherwise.as_ref()),
            Node::Cast { value, to } => write!(f, "CAST({value} AS {to})"),
            Node::Call { name, args } => write!(f, "{name}({})", commas(args)),
            Node::CallStar { name } => write!(f, "{name}(*)"),
            Node::Unit(unit) => f.write_str(unit.name()),
            Node::Lambda { params, body } if params.len() == 1 => write!(f, "{} => {body}", params[0]),
            Node::Lambda { params, body } => write!(f, "({}) => {body}", commas(params)),
            Node::Subscript { base, index } => write!(f, "{}[{}]", base.operand(10), index.operand(5)),
            Node::Field { base, field } => write!(f, "{}->{field}", base.operand(10)),
            Node::ArrayOf(items) => write!(f, "ARRAY[{}]", commas(items)),
            Node::MapOf(pairs) => {
                let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k} := {v}")).collect();
                write!(f, "MAP({})", pairs.join(", "))
            }
            Node::StructOf(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, e)| format!("{name} := {e}")).collect();
                write!(f, "STRUCT({})", fields.join(", "))
            }
            Node::AtTimeZone { value, zone } => write!(f, "{} AT TIME ZONE {}", value.operand(9), string_literal(zone)),
        }
    }
}

fn case(
    f: &mut fmt::Formatter<'_>,
    operand: Option<&Expr>,
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
) -> fmt::Result {
    f.write_str("CASE")?;
    if let Some(operand) = operand {
        write!(f, " {operand}")?;
    }
    for (when, then) in branches {
        write!(f, " WHEN {when} THEN {then}")?;
    }
    if let Some(otherwise) = otherwise {
        write!(f, " ELSE {otherwise}")?;
    }
    f.write_str(" END")
}

fn joined(items: &[Expr], separator: &str, binding: u8) -> String {
    items.iter().map(|e| e.operand(binding)).collect::<Vec<_>>().join(separator)
}

/// The items' texts with commas between them.
pub fn commas<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

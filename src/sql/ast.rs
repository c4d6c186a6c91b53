//! Expressions as they are written: the syntax tree.

use std::fmt;

use super::over::Over;
use super::query::Query;
use super::types::TypeName;
use super::words::{Ident, string_literal};
use crate::error::Span;
use crate::types::TimeUnit;

/// An expression and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub node: Box<Node>,
    /// Where it was written.
    pub span: Span,
    /// The number of nodes on the longest path to a leaf, this node included.
    ///
    /// Parsers refuse what is higher than the cursor's limit, so that recursion over a tree is safe.
    pub height: u32,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A constant.
    Literal(Literal),
    /// `name` or `source.name`.
    Column {
        /// The source before the point, if one was written.
        source: Option<Ident>,
        /// The name of the column.
        name: Ident,
    },
    /// `-value`.
    Negate(Expr),
    /// `+value`: the value, if it is a number.
    Plus(Expr),
    /// `left + right` and the like.
    Arithmetic {
        /// The operator.
        op: ArithmeticOp,
        /// The left operand.
        left: Expr,
        /// The right operand.
        right: Expr,
    },
    /// `left || right`.
    Concat {
        /// The left operand.
        left: Expr,
        /// The right operand.
        right: Expr,
    },
    /// `left = right` and the like.
    Compare {
        /// The operator.
        op: CompareOp,
        /// The left operand.
        left: Expr,
        /// The right operand.
        right: Expr,
    },
    /// Two or more conditions, evaluated from left to right. A long chain is one node, so that it does not nest.
    And(Vec<Expr>),
    /// Like [`Node::And`], with OR between the conditions.
    Or(Vec<Expr>),
    /// `NOT condition`.
    Not(Expr),
    /// `value IS [NOT] NULL`.
    IsNull {
        /// The value that is asked about.
        value: Expr,
        /// Whether NOT was written.
        negated: bool,
    },
    /// `value [NOT] BETWEEN low AND high`.
    Between {
        /// The value that is compared.
        value: Expr,
        /// The lower bound, which is included.
        low: Expr,
        /// The upper bound, which is included.
        high: Expr,
        /// Whether NOT was written.
        negated: bool,
    },
    /// `value [NOT] IN (list)`.
    In {
        /// The value that is looked for.
        value: Expr,
        /// The values among which it is looked for; at least one.
        list: Vec<Expr>,
        /// Whether NOT was written.
        negated: bool,
    },
    /// `value [NOT] IN (SELECT …)`.
    InQuery {
        /// The value that is looked for.
        value: Expr,
        /// The query among whose rows it is looked for.
        query: Box<Query>,
        /// Whether NOT was written.
        negated: bool,
    },
    /// `EXISTS (SELECT …)`.
    Exists(Box<Query>),
    /// `(SELECT …)`: the value of the only row.
    Query(Box<Query>),
    /// `value [NOT] LIKE pattern [ESCAPE 'c']`.
    Like {
        /// The text.
        value: Expr,
        /// The pattern.
        pattern: Expr,
        /// The character before a `%` or `_` that stands for itself.
        escape: Option<char>,
        /// Whether NOT was written.
        negated: bool,
    },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`.
    Case {
        /// The value that is compared with each WHEN; without one, each WHEN is a condition.
        operand: Option<Expr>,
        /// Each WHEN with its THEN; at least one.
        branches: Vec<(Expr, Expr)>,
        /// The ELSE, if there is one.
        otherwise: Option<Expr>,
    },
    /// `CAST(value AS type)`.
    Cast {
        /// The value that is converted.
        value: Expr,
        /// The type that it becomes.
        to: TypeName,
    },
    /// `name(args)`.
    Call {
        /// The name of the function.
        name: Ident,
        /// The arguments.
        args: Vec<Expr>,
    },
    /// `name(*)`.
    CallStar {
        /// The name of the function.
        name: Ident,
    },
    /// `name(DISTINCT …)`.
    CallDistinct {
        /// The name of the function.
        name: Ident,
        /// The arguments.
        args: Vec<Expr>,
    },
    /// `call OVER (…)`.
    Over {
        /// The call of a function.
        call: Expr,
        /// The rows that it is computed over.
        over: Over,
    },
    /// A bare unit of time as an argument: `TIMESTAMPADD(DAYS, …)`.
    Unit(TimeUnit),
    /// `(params) => body`, an argument of a function.
    Lambda {
        /// The parameters, in their order.
        params: Vec<Ident>,
        /// The expression, which may use the parameters and the columns of the row.
        body: Expr,
    },
    /// `base[index]`.
    Subscript {
        /// The array or map.
        base: Expr,
        /// The place in the array, counted from 1, or the key of the map.
        index: Expr,
    },
    /// `base->field`.
    Field {
        /// The struct.
        base: Expr,
        /// The name of the field.
        field: Ident,
    },
    /// `ARRAY[items]`.
    ArrayOf(Vec<Expr>),
    /// `MAP(key := value, …)`.
    MapOf(Vec<(Expr, Expr)>),
    /// `STRUCT(name := value, …)`.
    StructOf(Vec<(Ident, Expr)>),
    /// `value AT TIME ZONE 'zone'`.
    AtTimeZone {
        /// The time.
        value: Expr,
        /// The name of the zone, as it was written.
        zone: String,
    },
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// NULL.
    Null,
    /// TRUE or FALSE.
    Boolean(bool),
    /// A whole number that 32 bits hold.
    Integer(i32),
    /// A larger whole number that 64 bits hold.
    Bigint(i64),
    /// The text, which decides precision and scale.
    Decimal(String),
    /// A number with an exponent.
    Double(f64),
    /// A text in single quotes.
    String(String),
    /// `${name}` as it is written: a variable that is not replaced yet.
    Variable(String),
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
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
    /// `=`
    Equal,
    /// `<>` or `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `IS DISTINCT FROM`: NULL is a value like others.
    Distinct,
    /// `IS NOT DISTINCT FROM`: NULL is a value like others.
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
            Node::Not(value) => format!("(NOT {})", value.parenthesized()),
            Node::And(items) => format!("({})", all(items, " AND ")),
            Node::Or(items) => format!("({})", all(items, " OR ")),
            Node::Like { .. } | Node::Between { .. } | Node::In { .. } | Node::InQuery { .. } | Node::IsNull { .. } => {
                format!("({self})")
            }
            Node::StructOf(fields) => {
                let field = |(name, value): &(Ident, Expr)| format!("{name}:={}", value.parenthesized());
                format!("STRUCT({})", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
            Node::MapOf(entries) => {
                let entry = |(key, value): &(Expr, Expr)| format!("{}:={}", key.parenthesized(), value.parenthesized());
                format!("MAP({})", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Node::Literal(value @ (Literal::Null | Literal::Boolean(_))) => value.to_string().to_lowercase(),
            _ => self.to_string(),
        }
    }
}

/// Calls `visit` for the expressions directly below a node, in the order of the text.
fn each_child<'a>(node: &'a Node, visit: &mut dyn FnMut(&'a Expr)) {
    match node {
        // What a query consists of is its own affair.
        Node::Literal(_)
        | Node::Column { .. }
        | Node::CallStar { .. }
        | Node::Unit(_)
        | Node::Exists(_)
        | Node::Query(_) => {}
        Node::Negate(e)
        | Node::Plus(e)
        | Node::Not(e)
        | Node::IsNull { value: e, .. }
        | Node::InQuery { value: e, .. }
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

/// The items' texts with commas between them.
pub fn commas<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

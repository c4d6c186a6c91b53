//! The pairs of rows of two streams whose keys are equal and whose times are close.

use crate::expr::ColumnId;
use crate::formats::Encoding;
use crate::plan::node::{Explain, Node, PlanNode};
use crate::sql::query::JoinKind;
use crate::state::OperatorId;
use crate::types::window::DEFAULT_SPAN_MS;

/// A join of two streams.
#[derive(Clone, Debug)]
pub struct StreamJoinNode {
    /// The id under which its state is kept.
    pub id: OperatorId,
    /// The rows of the left stream.
    pub left: Box<Node>,
    /// The rows of the right stream.
    pub right: Box<Node>,
    /// Which rows without a partner are kept.
    pub kind: JoinKind,
    /// A pair matches if the right row's time is at most this much before the left row's …
    pub before_ms: i64,
    /// … and at most this much after it.
    pub after_ms: i64,
    /// How late a row may be; without it, a row without partner is padded at once.
    pub grace_ms: Option<i64>,
    /// The column of the left rows that must be equal …
    pub left_key: ColumnId,
    /// … to this column of the right rows.
    pub right_key: ColumnId,
    /// The column of the key of the result, which both sides have in common.
    pub key: ColumnId,
    /// How the key stands in records.
    pub encoding: Encoding,
}

/// How long rows of a join are kept beyond the bounds of WITHIN where no GRACE PERIOD is given.
pub fn implicit_grace_ms(before_ms: i64) -> i64 {
    (DEFAULT_SPAN_MS - 2 * before_ms).max(0)
}

impl PlanNode for StreamJoinNode {
    fn inputs(&self) -> Vec<&Node> {
        vec![&self.left, &self.right]
    }

    fn reads(&self, into: &mut Vec<ColumnId>) {
        into.extend([self.left_key, self.right_key]);
    }

    fn makes(&self, into: &mut Vec<ColumnId>) {
        into.push(self.key);
    }

    fn explain(&self, cx: &Explain) -> String {
        let grace = match (self.grace_ms, self.kind) {
            (Some(grace_ms), _) => format!(", grace {grace_ms} ms"),
            // An inner join pads nothing.
            (None, JoinKind::Inner) => String::new(),
            (None, _) => ", padding at once".to_owned(),
        };
        format!(
            "{} on [{}] = [{}] from {} ms before to {} ms after{grace}; state: the columns of every row that can still match",
            self.kind.name(),
            cx.names(&[self.left_key]),
            cx.names(&[self.right_key]),
            self.before_ms,
            self.after_ms
        )
    }
}

//! A join of two streams.

use super::{Chain, Lower, Lowering, Needs, key_bytes};
use crate::error::Result;
use crate::expr::ColumnId;
use crate::operators::stream_join::{SideSpec, Spec, StreamJoin};
use crate::plan::node::{Node, StreamJoinNode, implicit_grace_ms};
use crate::sql::query::JoinKind;
use crate::types::SqlType;

/// A side of a join.
struct Side {
    chain: Chain,
    /// The place of the key in its rows.
    key: usize,
    /// The columns that it contributes to the result, and their places and types in its rows.
    ids: Vec<ColumnId>,
    columns: Vec<(usize, SqlType)>,
}

impl Lower for StreamJoinNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let left = side(cx, &self.left, self.left_key, needs)?;
        let right = side(cx, &self.right, self.right_key, needs)?;
        // As in ksqlDB a RIGHT JOIN is a LEFT JOIN of the right stream with the left one, within the same bounds.
        let (first, second, preserved) = match self.kind {
            JoinKind::Inner => (left, right, [false, false]),
            JoinKind::Left => (left, right, [true, false]),
            JoinKind::Right => (right, left, [true, false]),
            JoinKind::Full => (left, right, [true, true]),
        };
        let key_type = cx.type_of(self.key);
        let types = |side: &Side| side.columns.iter().map(|(_, t)| t.to_string()).collect::<Vec<_>>();
        let StreamJoinNode { kind, before_ms, after_ms, grace_ms, .. } = *self;
        let (first_types, second_types) = (types(&first), types(&second));
        let signature = format!(
            "{kind:?} by {key_type} of {first_types:?} and {second_types:?} within {before_ms} {after_ms} {grace_ms:?}"
        );
        cx.stateful(self.id, &signature);
        let key_bytes = key_bytes(std::slice::from_ref(&key_type), &self.encoding);
        let layout = [&[self.key], first.ids.as_slice(), second.ids.as_slice()].concat();
        let sides = [(first.key, first.columns, preserved[0]), (second.key, second.columns, preserved[1])];
        let make = Box::new(move || {
            let side = |at: usize| {
                let (key, columns, preserved) = &sides[at];
                SideSpec { key: *key, columns: columns.clone(), preserved: *preserved }
            };
            Box::new(StreamJoin::new(Spec {
                sides: [side(0), side(1)],
                key_type: key_type.clone(),
                before_ms,
                after_ms,
                grace_ms,
                implicit_grace_ms: implicit_grace_ms(before_ms),
                key_bytes: key_bytes.clone(),
            })) as _
        });
        Ok(first.chain.join(second.chain, Some(self.id), layout, make))
    }
}

/// Lowers an input of the join. It hands on the needed columns that it makes itself; the key is read even if nobody
/// else needs it. Headers of both sides are read, whatever the other side's nodes do.
fn side(cx: &mut Lowering, input: &Node, key: ColumnId, needs: &Needs) -> Result<Side> {
    let own = input.made();
    let ids: Vec<ColumnId> = needs.columns.iter().copied().filter(|id| own.contains(id)).collect();
    let headers = cx.headers;
    let chain = cx.node(input, &Needs { columns: ids.clone(), old: false }.and([key]))?;
    cx.headers = headers;
    let (key, columns) = (chain.place(key)?, cx.typed(&chain, &ids)?);
    Ok(Side { chain, key, ids, columns })
}

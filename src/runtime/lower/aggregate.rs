//! An aggregation.
//!
//! Whether each row gives a result, or a group one at the end of an epoch, follows from `cache.max.bytes.buffering`:
//! with 0 each row does, as in ksqlDB. With EMIT FINAL neither does.

use super::{Chain, Lower, Lowering, Needs, distinct, key_bytes};
use crate::error::Result;
use crate::operators::aggregate::{Aggregate, Call, Spec};
use crate::plan::node::AggregateNode;
use crate::types::SqlType;

/// Changes whenever the bytes of the states do, or the tasks that have them.
///
/// Part of the signature, so that state of an older layout is refused and not misread.
const LAYOUT: u32 = 3;

impl Lower for AggregateNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let every_row = cx.every_row && self.last_only.is_none();
        // What is merged over an epoch has no one row whose headers it could have.
        cx.headers &= every_row || self.last_only.is_some();
        let args = self.calls.iter().flat_map(|call| call.args.iter().copied());
        let below = Needs { columns: distinct(self.keys.iter().copied().chain(args).collect()), old: false };
        let mut chain = cx.node(&self.input, &below)?;
        let keys = cx.typed(&chain, &self.keys)?;
        let places = |args: &[u32]| chain.places(args);
        let calls = self.calls.iter().map(|call| Ok((call.function.clone(), places(&call.args)?)));
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let window = self.window.map(|window| window.window);
        cx.stateful(self.id, &self.signature(&keys));
        let types: Vec<SqlType> = keys.iter().map(|(_, t)| t.clone()).collect();
        let last_only = self.last_only.as_ref().map(|encoding| key_bytes(&types, encoding));
        // Before the last result of a window there was none.
        let old = needs.old && last_only.is_none();
        let mut layout = self.keys.clone();
        layout.extend(self.window.iter().flat_map(|window| [window.start, window.end]));
        layout.extend(self.calls.iter().map(|call| call.id));
        let make = Box::new(move || {
            let call =
                |(function, args): &(_, Vec<usize>)| Call { function: Clone::clone(function), args: args.clone() };
            let calls = calls.iter().map(call).collect();
            let (keys, last_only) = (keys.clone(), last_only.clone());
            Box::new(Aggregate::new(Spec { keys, calls, window, every_row, last_only, old })) as _
        });
        chain.push(Some(self.id), layout, make);
        Ok(chain)
    }
}

impl AggregateNode {
    /// Everything that the bytes of the state depend on.
    ///
    /// The retention and grace of the window are part of it too, since they decide the width of buckets.
    fn signature(&self, keys: &[(usize, SqlType)]) -> String {
        let types: Vec<&SqlType> = keys.iter().map(|(_, t)| t).collect();
        let functions: Vec<String> = self.calls.iter().map(|call| format!("{:?}", call.function)).collect();
        let window = self.window.map(|window| window.window);
        let last_only = if self.last_only.is_some() { " once" } else { "" };
        format!("by {types:?} of {functions:?} in {window:?}{last_only}, layout {LAYOUT}")
    }
}

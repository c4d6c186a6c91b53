//! A filter.

use super::{Chain, Lower, Lowering, Needs, columns_of, distinct};
use crate::error::Result;
use crate::operators::filter::Filter;
use crate::plan::node::FilterNode;

impl Lower for FilterNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let reads = distinct(columns_of(&self.condition));
        // A change that no longer satisfies the condition is a deletion only if it did before. A stream has no old
        // sides, even where they are asked for.
        let below = Needs { old: true, ..needs.and(reads.iter().copied()) };
        let mut chain = cx.node(&self.input, &below)?;
        cx.program.is_fresh |= self.condition.is_fresh();
        let condition = self.condition.compile(&chain.layout);
        let keep = chain.places(&needs.columns)?;
        let names = reads.into_iter().map(|id| cx.name_of(id)).collect::<Vec<_>>().join(", ");
        let make = Box::new(move || Box::new(Filter::new(condition.clone(), &names, keep.clone())) as _);
        chain.push(None, needs.columns.clone(), make);
        Ok(chain)
    }
}

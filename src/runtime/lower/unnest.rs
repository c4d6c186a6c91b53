//! Table functions. All arrays are read, whoever needs their items: the longest says how many rows there are.

use super::{Chain, Lower, Lowering, Needs};
use crate::error::Result;
use crate::expr::ColumnId;
use crate::operators::unnest::Unnest;
use crate::plan::node::UnnestNode;

impl Lower for UnnestNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let is_made = |id: &ColumnId| self.columns.iter().any(|(item, _)| item == id);
        let kept: Vec<ColumnId> = needs.columns.iter().copied().filter(|id| !is_made(id)).collect();
        let arrays: Vec<ColumnId> = self.columns.iter().map(|(_, array)| *array).collect();
        let below = Needs { columns: kept.clone(), old: false }.and(arrays.iter().copied());
        let mut chain = cx.node(&self.input, &below)?;
        let (keep, arrays) = (chain.places(&kept)?, chain.places(&arrays)?);
        let layout = kept.into_iter().chain(self.columns.iter().map(|(item, _)| *item)).collect();
        let make = Box::new(move || Box::new(Unnest::new(keep.clone(), arrays.clone())) as _);
        chain.push(None, layout, make);
        Ok(chain)
    }
}

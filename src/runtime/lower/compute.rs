//! Computed columns: only those that are needed.
//!
//! Columns that nobody above needs are neither computed nor read.

use super::{Chain, Lower, Lowering, Needs, columns_of};
use crate::error::Result;
use crate::expr::{ColumnId, Compiled, Expr};
use crate::operators::compute::{Column, Compute};
use crate::plan::node::ComputeNode;

impl Lower for ComputeNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let made: Vec<&(ColumnId, Expr)> = self.columns.iter().filter(|(id, _)| needs.columns.contains(id)).collect();
        let is_made = |id: &ColumnId| made.iter().any(|(made, _)| made == id);
        let kept: Vec<ColumnId> = needs.columns.iter().copied().filter(|id| !is_made(id)).collect();
        let reads = made.iter().flat_map(|(_, expr)| columns_of(expr));
        let below = Needs { columns: kept.clone(), old: needs.old }.and(reads);
        let mut chain = cx.node(&self.input, &below)?;
        cx.program.is_fresh |= made.iter().any(|(_, expr)| expr.is_fresh());
        let places = chain.places(&kept)?;
        let exprs: Vec<(Compiled, String)> =
            made.iter().map(|(id, expr)| (expr.compile(&chain.layout), cx.name_of(*id))).collect();
        let layout = kept.into_iter().chain(made.iter().map(|(id, _)| *id)).collect();
        let make = Box::new(move || {
            let keep = places.iter().map(|place| Column::Keep(*place));
            let make = exprs.iter().map(|(expr, name)| Column::Make(expr.clone(), name.clone()));
            Box::new(Compute::new(keep.chain(make).collect())) as _
        });
        chain.push(None, layout, make);
        Ok(chain)
    }
}

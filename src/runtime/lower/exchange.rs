//! An exchange: the end of a stage.

use super::{Chain, Lower, Lowering, Needs};
use crate::error::Result;
use crate::plan::node::ExchangeNode;
use crate::runtime::program::StageOutput;

impl Lower for ExchangeNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let chain = cx.node(&self.input, &needs.and(self.key.iter().copied()))?;
        let output = StageOutput::Exchange { key: cx.typed(&chain, &self.key)?, encoding: self.encoding.clone() };
        let layout = chain.layout.clone();
        let stage = cx.close(chain, output)?;
        Ok(cx.after(stage, layout, true))
    }
}

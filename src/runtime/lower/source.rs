//! A source: a port that reads a partition.

use std::collections::BTreeSet;

use super::{Chain, Lower, Lowering, Needs};
use crate::error::Result;
use crate::plan::node::SourceNode;
use crate::runtime::program::{Port, PortOrigin, Target};

impl Lower for SourceNode {
    fn lower(&self, cx: &mut Lowering, needs: &Needs) -> Result<Chain> {
        let read = self.columns.iter().filter(|(id, _)| needs.columns.contains(id));
        let (layout, columns): (Vec<_>, Vec<_>) = read.cloned().unzip();
        let feed = cx.feed(&self.source, &columns)?;
        let port = Port {
            origin: PortOrigin::Feed { feed, columns },
            target: Target::End,
            feeds: BTreeSet::from([feed]),
            exchanged: false,
        };
        Ok(Chain { ports: vec![port], operators: Vec::new(), layout })
    }
}

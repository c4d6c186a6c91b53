//! The nodes of plans, one file each: what it is, what it reads and makes, and how EXPLAIN prints it. The runtime has a file of
//! the same name that makes operators of it.

mod aggregate;
mod compute;
mod exchange;
mod filter;
mod source;
mod stream_join;
mod unnest;

pub use aggregate::{AggregateCall, AggregateNode, WindowNode};
pub use compute::ComputeNode;
pub use exchange::ExchangeNode;
pub use filter::FilterNode;
pub use source::{SourceColumn, SourceNode};
pub use stream_join::{StreamJoinNode, implicit_grace_ms};
pub use unnest::UnnestNode;

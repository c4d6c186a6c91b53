//! The integration tests, in one binary: they run the real program, or the real engine over a disk that forgets.

mod batch_size;
mod command_line;
mod conformance;
mod corpus;
mod examples;
mod failing_disk;
mod grammar;
mod kill;
mod limits;
mod oracle;
mod power_cut;
mod real_data;
mod sync_order;

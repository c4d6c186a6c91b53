//! The integration tests, in one binary: they run the real program.

mod command_line;
mod examples;
mod oracle;
mod power_cut;
mod real_data;

//! Lines of a text, by positions.

use crate::error::Position;

/// Finds places of a text.
///
/// Positions count lines and characters from 1, and bytes are wanted: finding one takes O(length of the line).
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Lines { text, starts }
    }

    /// The line that a position is in.
    pub(super) fn line(&self, position: Position) -> &'a str {
        let from = self.starts.get(position.line as usize - 1).copied().unwrap_or(self.text.len());
        let to = self.starts.get(position.line as usize).map_or(self.text.len(), |next| next - 1);
        &self.text[from..to]
    }
}

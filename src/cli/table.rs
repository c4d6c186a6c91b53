//! Tables for people, drawn as ksqlDB's shell draws them.
//!
//! ```text
//! listing                          frame
//!  Name | Rows                     +-----+-----+
//! -------------                    |NAME |ROWS |
//!  A    | 1                        +-----+-----+
//! -------------                    |A    |1    |
//!                                  +-----+-----+
//! ```
//!
//! Widths are columns of the terminal as Unicode's East Asian Width says, not bytes or characters.

use std::iter::repeat_n;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How wide a table is drawn where there is no terminal.
const WIDTH: usize = 120;
/// No column of a query's rows is narrower.
const LEAST_CELL: usize = 5;

/// The width of the terminal on the standard output.
///
/// 120 if there is none.
pub(super) fn terminal_width() -> usize {
    // SAFETY: TIOCGWINSZ fills the structure that it is given, which is valid with any bytes in it.
    let columns = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        let answered = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) == 0;
        if answered { usize::from(size.ws_col) } else { 0 }
    };
    if columns > 0 { columns } else { WIDTH }
}

/// What there is of a kind: every column as wide as its widest cell, lines above and below the rows.
///
/// `most` bounds the rules above and below, not the cells. A cell with several lines takes several lines.
pub(super) fn listing(columns: &[&str], rows: &[Vec<String>], most: usize) -> Vec<String> {
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place)).flat_map(|cell| cell.lines());
        cells.map(count).max().unwrap_or(0).max(count(columns[place]))
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let rule = "-".repeat((widths.iter().map(|w| w + 3).sum::<usize>().saturating_sub(1)).min(most));
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!(" {} ", pad(cell, *width)));
        padded.collect::<Vec<_>>().join("|")
    };
    let mut out = vec![line(&mut columns.iter().copied()), rule.clone()];
    for row in rows {
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(0).max(1);
        let nth = |n: usize| row.iter().map(move |cell| cell.lines().nth(n).unwrap_or_default());
        out.extend((0..height).map(|n| line(&mut nth(n))));
    }
    out.push(rule);
    out
}

/// The rows of a query, with cells of fixed widths; what does not fit goes on in further lines.
pub(super) struct Frame {
    widths: Vec<usize>,
}

impl Frame {
    /// A frame whose columns share `width`, for rows that are still to come.
    ///
    /// Each column gets the same width, at least 5 columns of the terminal; two are taken off for the frame.
    pub(super) fn shared(columns: usize, width: usize) -> Frame {
        Frame { widths: vec![(width / columns.max(1)).saturating_sub(2).max(LEAST_CELL); columns] }
    }

    /// A frame for rows that are all known: as narrow as they allow, if that fits `width`.
    ///
    /// `None` for no bound on the width.
    pub(super) fn fitted(names: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Frame {
        let column = |place: usize| rows.iter().map(|r| count(&r[place])).max().unwrap_or(0).max(count(names[place]));
        let widths: Vec<usize> = (0..names.len()).map(column).collect();
        match width {
            Some(width) if widths.iter().map(|w| w + 1).sum::<usize>() >= width => Frame::shared(names.len(), width),
            _ => Frame { widths },
        }
    }

    /// The lines above the first row.
    pub(super) fn head(&self, names: &[&str]) -> Vec<String> {
        let mut out = vec![self.rule()];
        out.extend(self.row(names.iter().map(|n| (*n).to_owned()).collect()));
        out.push(self.rule());
        out
    }

    /// A line of the frame.
    pub(super) fn rule(&self) -> String {
        let cells: Vec<String> = self.widths.iter().map(|w| "-".repeat(*w)).collect();
        format!("+{}+", cells.join("+"))
    }

    /// The lines of a row.
    ///
    /// Each cell is wrapped at its column's width; shorter cells are followed by blanks. Control characters are shown
    /// as blanks.
    pub(super) fn row(&self, cells: Vec<String>) -> Vec<String> {
        let wrapped: Vec<Vec<String>> = cells.iter().zip(&self.widths).map(|(cell, w)| wrap(cell, *w)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(1);
        let line = |n: usize| {
            let cells = wrapped.iter().zip(&self.widths);
            let padded = cells.map(|(lines, w)| pad(lines.get(n).map_or("", String::as_str), *w));
            format!("|{}|", padded.collect::<Vec<_>>().join("|"))
        };
        (0..height).map(line).collect()
    }
}

/// How many columns of a terminal a text takes: a wide character takes two, a combining one none.
fn count(text: &str) -> usize {
    text.width()
}

/// The text with blanks up to a width; one that is too wide stays as it is.
fn pad(text: &str, width: usize) -> String {
    text.chars().chain(repeat_n(' ', width.saturating_sub(count(text)))).collect()
}

/// The text in lines that take at most `width` columns, but for a single character that takes more.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let own = c.width().unwrap_or(0);
        if used > 0 && used + own > width {
            lines.push(String::new());
            used = 0;
        }
        lines.last_mut().expect("there is always a line").push(c);
        used += own;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings_have_lines_above_and_below_the_rows() {
        let rows = [vec!["S1".to_owned(), "t".to_owned()]];
        let lines = listing(&["Stream Name", "Kafka Topic"], &rows, 120);
        assert_eq!(
            lines,
            [
                " Stream Name | Kafka Topic ",
                "---------------------------",
                " S1          | t           ",
                "---------------------------",
            ]
        );
    }

    #[test]
    fn wide_characters_take_two_columns_and_combining_ones_none() {
        let rows = [vec!["東京".to_owned(), "x".to_owned()], vec!["e\u{301}".to_owned(), "y".to_owned()]];
        let lines = listing(&["City", "B"], &rows, 120);
        assert_eq!(&lines[2..4], [" 東京 | x ", " e\u{301}    | y "]);
        let frame = Frame::shared(2, 14);
        assert_eq!(frame.row(vec!["東京都".into(), "e\u{301}".into()]), ["|東京 |e\u{301}    |", "|都   |     |"]);
        let fitted = Frame::fitted(&["C"], &[vec!["東京".to_owned()]], None);
        assert_eq!(fitted.rule(), "+----+");
    }

    #[test]
    fn long_cells_go_on_in_further_lines() {
        let frame = Frame::shared(2, 14);
        assert_eq!(frame.head(&["A", "B"]), ["+-----+-----+", "|A    |B    |", "+-----+-----+"]);
        assert_eq!(frame.row(vec!["abcdefg".into(), "1".into()]), ["|abcde|1    |", "|fg   |     |"]);
    }
}

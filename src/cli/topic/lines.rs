//! The lines of files, plain or compressed, one after the other in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::failure::Failure;

/// How much is read at once.
const BUFFER: usize = 1 << 20;
/// What a compressed file starts with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// The lines of one file.
pub struct Lines {
    /// The file as messages name it.
    pub name: String,
    /// The number of the last line.
    pub number: u64,
    reader: BufReader<Box<dyn Read>>,
    most_bytes: usize,
    pub progress: ProgressBar,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Line,
    /// A line that is longer than any record may be.
    TooLong,
    End,
}

impl Lines {
    /// Opens a file, `-` for the standard input. Lines of more than `most_bytes` are refused.
    pub fn open(path: &Path, most_bytes: usize) -> Result<Lines, Failure> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::unreadable(&name, &error);
        let (source, progress): (Box<dyn Read>, ProgressBar) = if name == "-" {
            (Box::new(io::stdin()), ProgressBar::hidden())
        } else {
            let file = File::open(path).map_err(failed)?;
            let meta = file.metadata().map_err(failed)?;
            if meta.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            let progress = bar(&name, meta.len());
            (Box::new(progress.wrap_read(file)), progress)
        };
        let mut raw = BufReader::with_capacity(BUFFER, source);
        let compressed = raw.fill_buf().map_err(failed)?.starts_with(&GZIP);
        let reader: Box<dyn Read> = if compressed { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
        let reader = BufReader::with_capacity(BUFFER, reader);
        let name = if name == "-" { "standard input".to_owned() } else { name };
        Ok(Lines { name, number: 0, reader, most_bytes, progress })
    }

    /// Reads the next line that is not blank, without its end.
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> Result<Next, Failure> {
        loop {
            line.clear();
            // One byte more than may be, and the line's end, tell a line that fits from one that does not.
            let limit = self.most_bytes as u64 + 2;
            let read = (&mut self.reader).take(limit).read_until(b'\n', line);
            let read = read.map_err(|e| Failure::unreadable(&self.name, &e))?;
            if read == 0 {
                self.progress.finish_and_clear();
                return Ok(Next::End);
            }
            self.number += 1;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.len() > self.most_bytes {
                return Ok(Next::TooLong);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Next::Line);
            }
        }
    }

    /// Whether the next line may have to be waited for.
    pub fn is_dry(&self) -> bool {
        self.reader.buffer().is_empty()
    }

    /// The place of the last line, for messages.
    pub fn place(&self) -> String {
        format!("{}, line {}", self.name, self.number)
    }
}

/// A progress bar on the standard error, if that is a terminal.
fn bar(name: &str, bytes: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes).with_message(name.to_owned());
    match ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], most_bytes: usize) -> Vec<String> {
        let path = std::env::temp_dir().join(format!("tidemill-lines-{}-{}", std::process::id(), bytes.len()));
        std::fs::write(&path, bytes).expect("a file");
        let mut lines = Lines::open(&path, most_bytes).expect("lines");
        let (mut line, mut all) = (Vec::new(), Vec::new());
        loop {
            match lines.next_line(&mut line).expect("a line") {
                Next::Line => all.push(format!("{}: {}", lines.number, String::from_utf8_lossy(&line))),
                other => {
                    all.push(format!("{}: {other:?}", lines.number));
                    break;
                }
            }
        }
        std::fs::remove_file(&path).expect("removed");
        all
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_left_out() {
        assert_eq!(read(b"a\r\n\n  \nb", 10), ["1: a", "4: b", "4: End"]);
        assert_eq!(read(b"12345\n123456\n", 5), ["1: 12345", "2: TooLong"]);
    }

    #[test]
    fn compressed_files_are_read_as_what_is_in_them() {
        use std::io::Write;
        let mut packed = Vec::new();
        for text in ["a\nb", "c\n"] {
            let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("packed");
            encoder.finish().expect("packed");
        }
        assert_eq!(read(&packed, 100), ["1: a", "2: bc", "2: End"]);
    }
}

//! The lines of files, plain or compressed, one after the other in bounded memory.
//!
//! A file counts as compressed if it begins with the two bytes of gzip (RFC 1952), whatever its name says; several gzip
//! members after each other are one text. Memory is two buffers of 1 MiB and one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::failure::Failure;
use crate::cli::stop::Stop;

/// How much is read at once.
const BUFFER: usize = 1 << 20;
/// What a compressed file starts with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// The lines of one file.
pub(super) struct Lines {
    /// The file as messages name it.
    pub name: String,
    /// The number of the last line.
    pub number: u64,
    reader: BufReader<Box<dyn Read>>,
    /// The most bytes of a line.
    ///
    /// Without the line's end.
    pub most_bytes: usize,
    carriage_return: bool,
    /// Whether the last line has an end: the last one of a file may lack it, and one that was cut off does.
    ended: bool,
    progress: ProgressBar,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Line,
    /// A line that is longer than any record may be.
    TooLong,
    End,
}

impl Lines {
    /// Opens a file, `-` for the standard input. Lines of more than `most_bytes` are refused.
    /// The wish to end is the end of the standard input, also while a line is waited for.
    ///
    /// # Errors
    /// Status 2: there is no such file, or it is a folder. Status 3: it cannot be read.
    pub(super) fn open(path: &Path, most_bytes: usize, stop: &Stop) -> Result<Lines, Failure> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::unreadable(&name, &error);
        let (source, progress): (Box<dyn Read>, ProgressBar) = if name == "-" {
            (Box::new(Typed { from: io::stdin(), stop: stop.clone() }), ProgressBar::hidden())
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
        Ok(Lines { name, number: 0, reader, most_bytes, carriage_return: false, ended: true, progress })
    }

    /// Reads the next line that is not blank, without its end.
    pub(super) fn next_line(&mut self, line: &mut Vec<u8>) -> Result<Next, Failure> {
        loop {
            let next = self.any_line(line)?;
            if next != Next::Line || !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(next);
            }
        }
    }

    /// Reads the next line, blank or not, without its end.
    ///
    /// A line feed, or a carriage return and a line feed, ends a line. A line that is too long is left where it was
    /// cut: the caller must stop.
    ///
    /// # Errors
    /// Status 3: the file cannot be read, or its compression is broken.
    pub(super) fn any_line(&mut self, line: &mut Vec<u8>) -> Result<Next, Failure> {
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
        self.ended = line.last() == Some(&b'\n');
        if self.ended {
            line.pop();
        }
        self.carriage_return = self.ended && line.last() == Some(&b'\r');
        if self.carriage_return {
            line.pop();
        }
        if line.len() > self.most_bytes {
            return Ok(Next::TooLong);
        }
        Ok(Next::Line)
    }

    /// Whether the last line ended with a carriage return before the line feed.
    pub(super) fn has_carriage_return(&self) -> bool {
        self.carriage_return
    }

    /// Whether the last line has an end.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the next line may have to be waited for.
    pub(super) fn is_dry(&self) -> bool {
        self.reader.buffer().is_empty()
    }

    /// The place of the last line, for messages.
    pub(super) fn place(&self) -> String {
        format!("{}, line {}", self.name, self.number)
    }
}

/// The standard input while somebody may ask for the end.
struct Typed {
    from: io::Stdin,
    stop: Stop,
}

impl Read for Typed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.stop.is_asked() {
                return Ok(0);
            }
            // A read that waits is started again after a signal, so the wait is here, where the signal is seen.
            if is_ready(libc::STDIN_FILENO)? {
                return self.from.read(buffer);
            }
        }
    }
}

/// Whether a read of a file would not wait, asked for a moment.
///
/// Waits at most 50 ms. True at the end of the file too.
fn is_ready(file: libc::c_int) -> io::Result<bool> {
    const WAIT_MS: libc::c_int = 50;
    let mut asked = libc::pollfd { fd: file, events: libc::POLLIN, revents: 0 };
    // SAFETY: the pointer is to one valid structure, as the count says.
    match unsafe { libc::poll(&mut asked, 1, WAIT_MS) } {
        0 => Ok(false),
        found if found > 0 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
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
        let mut lines = Lines::open(&path, most_bytes, &Stop::never()).expect("lines");
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

//! The operator's file of breached passwords, by their hashes (SR-3).

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::Password;

/// The most bytes that a line may have, with its count and line end.
const MAX_LINE: usize = 256;

/// Below this many bytes, what is left is read at once instead of halved further.
const WINDOW: u64 = 8 * 1024;

/// A file of the hashes of breached passwords, SHA-1 or SHA-256 in hexadecimal, sorted, one a line,
/// each optionally followed by `:` and a count, as the downloads of Have I Been Pwned are.
///
/// It may have any size: a look-up is a binary search on the disk, about 30 small reads for 40 GB. It
/// is opened for each look-up, so a newer file can take its place by a rename while the server runs.
#[derive(Clone, Debug)]
pub struct BreachedFile {
    path: PathBuf,
    algorithm: &'static digest::Algorithm,
}

impl BreachedFile {
    /// Looks whether the file at `path` is one, and of which hashes.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or does not begin with a line as above ([`io::ErrorKind::InvalidData`]).
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let mut file = File::open(&path)?;
        let start = start_of(&mut file)?;
        let first = read_at(&mut file, start, MAX_LINE as u64)?;
        let line = first.split(|&b| b == b'\n').next().unwrap_or_default();
        let algorithm = match hash_of_line(line).len() {
            40 => &SHA1_FOR_LEGACY_USE_ONLY,
            64 => &SHA256,
            _ if first.contains(&0) => {
                return Err(of_another_kind(&path, "is UTF-16; save it as UTF-8"));
            }
            _ => return Err(not_sorted_hashes(&path)),
        };
        Ok(Self { path, algorithm })
    }

    /// Whether the file lists this password. Reads from the disk: not for an asynchronous task.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds something other than lines of hashes.
    pub fn contains(&self, password: &Password) -> io::Result<bool> {
        let wanted = hex(digest::digest(self.algorithm, password.expose().as_bytes()).as_ref());
        let mut file = File::open(&self.path)?;
        // The line looked for, if it is there, begins in low..high; both are always starts of lines.
        let (mut low, mut high) = (start_of(&mut file)?, file.metadata()?.len());
        while high.saturating_sub(low) > WINDOW {
            let middle = low + (high - low) / 2;
            let block = read_at(&mut file, middle, 2 * MAX_LINE as u64)?;
            let newline = block.iter().position(|&b| b == b'\n');
            let newline = newline.filter(|&at| at < MAX_LINE).ok_or_else(|| self.malformed())?;
            let line = block.get(newline + 1..).unwrap_or_default();
            let start = middle + newline as u64 + 1;
            match self.compare(&wanted, line)? {
                Ordering::Equal => return Ok(true),
                Ordering::Less => high = start,
                Ordering::Greater => low = start,
            }
        }
        let rest = read_at(&mut file, low, high.saturating_sub(low))?;
        for line in rest.split(|&b| b == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            if self.compare(&wanted, line)? == Ordering::Equal {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How the hash looked for compares with the one that `text` begins with.
    fn compare(&self, wanted: &[u8], text: &[u8]) -> io::Result<Ordering> {
        let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
        let hash = hash_of_line(line);
        if hash.len() != wanted.len() {
            return Err(self.malformed());
        }
        Ok(wanted.iter().copied().cmp(hash.iter().map(u8::to_ascii_lowercase)))
    }

    fn malformed(&self) -> io::Error {
        not_sorted_hashes(&self.path)
    }
}

/// The hash of a line, without its count and line end; empty if it is not hexadecimal.
fn hash_of_line(line: &[u8]) -> &[u8] {
    let hash = line.split(|&b| b == b':').next().unwrap_or_default().trim_ascii_end();
    if hash.iter().all(u8::is_ascii_hexdigit) { hash } else { &[] }
}

/// Where the first line begins: behind a byte order mark, if there is one.
fn start_of(file: &mut File) -> io::Result<u64> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let length = MARK.len() as u64;
    Ok(if read_at(file, 0, length)? == MARK { length } else { 0 })
}

/// At most `length` bytes from `offset` on.
fn read_at(file: &mut File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes in hexadecimal, lower case.
fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

fn not_sorted_hashes(path: &Path) -> io::Error {
    of_another_kind(path, "must hold SHA-1 or SHA-256 hashes in hexadecimal, sorted, one a line")
}

fn of_another_kind(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn password(number: usize) -> Password {
        Password::new(format!("breached password {number}")).unwrap()
    }

    /// A file that lists the even passwords below `count`.
    fn file(
        algorithm: &'static digest::Algorithm,
        count: usize,
        ending: &str,
    ) -> tempfile::NamedTempFile {
        let mut lines: Vec<String> = (0..count)
            .step_by(2)
            .map(|number| {
                let text = password(number).expose().to_owned();
                String::from_utf8(hex(digest::digest(algorithm, text.as_bytes()).as_ref())).unwrap()
            })
            .collect();
        lines.sort();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for line in lines {
            write!(file, "{}{ending}", line.to_uppercase()).unwrap();
        }
        file
    }

    #[test]
    fn sr_3_the_breached_file_is_searched_on_the_disk() {
        for (algorithm, ending, mark) in [
            (&SHA1_FOR_LEGACY_USE_ONLY, ":3861493\r\n", ""),
            (&SHA256, "\n", "\u{feff}"),
            (&SHA256, ":1\n", ""),
        ] {
            for count in [1, 2, 200, 3000] {
                let file = file(algorithm, count, ending);
                let text = std::fs::read_to_string(file.path()).unwrap();
                std::fs::write(file.path(), format!("{mark}{text}")).unwrap();
                let breached = BreachedFile::open(file.path()).unwrap();
                for number in 0..count {
                    let listed = breached.contains(&password(number)).unwrap();
                    assert_eq!(listed, number % 2 == 0, "{number} of {count}");
                }
            }
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        for text in ["", "password\n", "0123456789abcdef0123456789abcdef\n", "\n"] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let error = BreachedFile::open(file.path()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert!(BreachedFile::open("/nowhere/at/all").is_err());
    }

    #[test]
    fn a_file_that_is_cut_or_spoilt_is_an_error_and_no_answer() {
        let file = file(&SHA256, 3000, "\n");
        let breached = BreachedFile::open(file.path()).unwrap();
        std::fs::write(file.path(), vec![b'x'; 100_000]).unwrap();
        assert!(breached.contains(&password(0)).is_err());
    }
}

//! Standard output and standard error: the one place that writes to them. Nothing here panics, and no
//! output is worth a running server.

use std::io::{self, Write};
use std::time::Duration;

/// How long a stream that takes nothing for the moment is left alone (`EAGAIN`: whoever shares it has
/// made it non-blocking).
const PAUSE: Duration = Duration::from_millis(5);

/// A standard stream without a buffer: after a failed write nothing of it is left to be written later.
pub(crate) struct Stream(Box<dyn Write + Send>);

impl Stream {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self(unbuffered(io::stdout()))
    }

    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self(unbuffered(io::stderr()))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(PAUSE);
                }
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(unix)]
fn unbuffered(stream: impl Write + std::os::fd::AsFd + Send + 'static) -> Box<dyn Write + Send> {
    match stream.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(std::fs::File::from(descriptor)),
        // Without a free descriptor the buffered stream has to do.
        Err(_) => Box::new(stream),
    }
}

#[cfg(not(unix))]
fn unbuffered(stream: impl Write + Send + 'static) -> Box<dyn Write + Send> {
    Box::new(stream)
}

/// Writes a text to standard output.
///
/// # Errors
/// What the system says; [`io::ErrorKind::BrokenPipe`] if nobody reads any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = Stream::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line to standard error. Where that fails there is nobody left to tell.
pub(crate) fn complain(line: &str) {
    let _ = Stream::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Writes a question to standard error; the answer is typed behind it.
pub(crate) fn ask(question: &str) {
    let _ = Stream::stderr().write_all(question.as_bytes());
}

/// Writes a line of a server to standard output; where that fails, `instead` to standard error.
///
/// A thread of its own waits for a reader who takes nothing: the server does not.
pub(crate) fn announce(line: String, instead: &'static str) {
    let write = move || {
        if print(&format!("{line}\n")).is_err() {
            complain(instead);
        }
    };
    // Without a thread nothing is announced, but a server serves.
    let _ = std::thread::Builder::new().name("announce".to_owned()).spawn(write);
}

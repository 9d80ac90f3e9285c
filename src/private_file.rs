//! Files that hold secrets: read as people make them, and written so that only their owner reads them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::id::SecretString;

/// The largest file that is taken for a secret, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The mark with which some editors begin a file (Unicode, U+FEFF).
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a secret from a file, without a byte order mark and without white space around it. `None` if there
/// is no such file.
///
/// With `private`, a file that others can read is refused (SR-39): nobody but the owner may have access,
/// save that the group may read a file that belongs to root, as secrets are mounted into containers.
///
/// # Errors
/// What is wrong with the file, with its path and without its contents.
pub fn read(path: &Path, private: bool) -> Result<Option<SecretString>, String> {
    let shown = path.display();
    let cannot = |error: io::Error| format!("the file {shown} cannot be read: {error}");
    // Asked before it is opened: to open a pipe would wait for a writer.
    let kind = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(cannot)?.file_type(),
    };
    if !kind.is_file() {
        return Err(format!(
            "{shown} is {}, not a file",
            if kind.is_dir() { "a folder" } else { "a device or pipe" }
        ));
    }
    let file = File::open(path).map_err(cannot)?;
    if private {
        refuse_readable_by_others(path, &file.metadata().map_err(cannot)?)?;
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("the file {shown} is larger than 64 KiB: that is no secret"));
    }
    let text = text(&bytes).map_err(|what| format!("the file {shown} {what}"))?;
    if text.expose().is_empty() {
        return Err(format!("the file {shown} is empty"));
    }
    Ok(Some(text))
}

/// The text of a file, of a variable or of standard input, without a byte order mark and without white space
/// around it.
///
/// # Errors
/// As [`decode`].
pub fn text(bytes: &[u8]) -> Result<SecretString, &'static str> {
    decode(bytes).map(|text| SecretString::new(without_margin(text)))
}

/// The text that these bytes are, without a byte order mark.
///
/// # Errors
/// How they are no text, to be said behind the name of what they are from.
pub fn decode(bytes: &[u8]) -> Result<&str, &'static str> {
    let is_utf_16 = bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        // Without a mark: every other byte of such a text is zero.
        || (bytes.len() >= 4 && bytes.chunks_exact(2).all(|pair| pair.contains(&0)));
    if is_utf_16 {
        return Err("is UTF-16; save it as UTF-8");
    }
    if bytes.contains(&0) {
        return Err("holds bytes that are no text");
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "holds bytes that are no text (UTF-8)")?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
}

/// The text without a byte order mark and without white space around it.
pub fn without_margin(text: &str) -> &str {
    text.trim().trim_start_matches(BYTE_ORDER_MARK).trim()
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path, metadata: &fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;

    let mode = metadata.mode() & 0o7777;
    if is_private(mode, metadata.uid()) {
        return Ok(());
    }
    let path = path.display();
    Err(format!("others can read the file {path} (mode {mode:04o}); run: chmod 600 {path}"))
}

/// Whether nobody but the owner may use a file, or its group may only read what belongs to root.
#[cfg(unix)]
fn is_private(mode: u32, owner: u32) -> bool {
    const ROOT: u32 = 0;
    mode & 0o077 == 0 || (owner == ROOT && mode & 0o037 == 0)
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_path: &Path, _metadata: &fs::Metadata) -> Result<(), String> {
    Ok(())
}

/// Writes a secret into a new file that only its owner reads. The file appears whole: it is written under
/// another name first, so that a crash leaves no half of it.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is a file of this name, which then stays as it is.
pub fn write_new(path: &Path, secret: &SecretString) -> io::Result<()> {
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let written = write_draft(&draft, secret).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    written?;
    removed?;
    sync_folder(path)
}

fn write_draft(draft: &Path, secret: &SecretString) -> io::Result<()> {
    // What an earlier process of this number left behind.
    let _ = fs::remove_file(draft);
    let mut file = for_owner().create_new(true).open(draft)?;
    file.write_all(secret.expose().as_bytes())?;
    file.sync_all()
}

/// The name of a file is on the disk only when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| cfg!(unix) && !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Makes an empty file that only its owner reads, unless the file is there.
///
/// # Errors
/// What the system says.
pub fn make_empty(path: &Path) -> io::Result<()> {
    match for_owner().create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// How a file is written that only its owner reads.
fn for_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder that only its owner enters, and those that it is in, unless they are there.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a folder, and those that it is in, unless they are there.
///
/// # Errors
/// What the system says.
#[cfg(not(unix))]
pub fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn sr_39_a_group_may_only_read_what_belongs_to_root() {
        for (mode, owner, private) in [
            (0o600, 1000, true),
            (0o400, 1000, true),
            (0o640, 1000, false),
            (0o440, 0, true),
            (0o640, 0, true),
            (0o660, 0, false),
            (0o444, 0, false),
            (0o604, 1000, false),
        ] {
            assert_eq!(is_private(mode, owner), private, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn what_editors_and_shells_put_around_a_text_is_no_part_of_it() {
        for bytes in [
            &b"secret"[..],
            b"secret\n",
            b"secret\r\n",
            b"  secret \t\r\n\r\n",
            b"\xef\xbb\xbfsecret\r\n",
            b"\n\xef\xbb\xbf secret",
        ] {
            assert_eq!(text(bytes).map(|text| text.expose().to_owned()), Ok("secret".to_owned()));
        }
        let utf_16: Vec<u8> = "secret\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [b"\xff\xfe", utf_16.as_slice()].concat();
        let big: Vec<u8> = "\u{feff}secret".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [utf_16, marked, big] {
            assert_eq!(text(&bytes).err(), Some("is UTF-16; save it as UTF-8"));
        }
        for bytes in [&b"secret\xff"[..], b"a\0secret"] {
            assert!(text(bytes).is_err_and(|what| what.contains("no text")));
        }
    }

    #[test]
    fn a_file_is_written_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("secret");
        make_folder(path.parent().unwrap()).unwrap();
        write_new(&path, &SecretString::new("first")).unwrap();
        let again = write_new(&path, &SecretString::new("second")).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        for (path, mode) in [(path.as_path(), 0o600), (path.parent().unwrap(), 0o700)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }
}

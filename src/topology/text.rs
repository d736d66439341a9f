//! Files that others wrote, as text: what is read at all, and how much of it. Knows nothing of what is in them.

use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The greatest size of a file in bytes.
pub const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// The text of a file of so many bytes at most, which are all or what is left of [`MAX_SIZE`].
pub fn read(path: &Path, most: u64) -> io::Result<String> {
    // A pipe without a writer would hold us up at opening it, and a file of the kernel's at reading it.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file (for a pipe, use `-`)"));
    }
    read_from(file, most)
}

/// The same of what can be read once.
pub fn read_from(file: impl Read, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = if most < MAX_SIZE { "with those before it, it is larger" } else { "it is larger" };
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{what} than 16 MiB")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

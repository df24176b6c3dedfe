//! Key of the anonymous cookie, in a file that a restart and a second process read, too.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use actix_web::cookie::Key;

use crate::error::SiteError;

/// Length of a key; the file has twice as many hexadecimal digits.
const KEY_BYTES: usize = 64;

/// Reads the key from `path`. Creates the file first if it is missing.
pub(crate) fn read_or_create(path: &Path) -> Result<Key, SiteError> {
    let failed =
        |action| move |source| SiteError::KeyFile { action, path: path.to_owned(), source };
    let content = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(path).map_err(failed("create"))?;
            fs::read(path)
        }
        content => content,
    };
    let bytes = decode(&content.map_err(failed("read"))?);
    bytes.map(|bytes| Key::from(&bytes)).ok_or_else(|| SiteError::NoKey { path: path.to_owned() })
}

/// Writes a new key beside `path` and links it there: two processes that start at once read the same
/// key, and never half of one.
fn create(path: &Path) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = Path::new(&draft);
    let linked = write_private(draft).and_then(|()| fs::hard_link(draft, path));
    fs::remove_file(draft).ok();
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.exists() => Ok(()),
        linked => linked,
    }
}

fn write_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", encode(Key::generate().master()))?;
    file.sync_all()
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(content: &[u8]) -> Option<Vec<u8>> {
    let digits = content.trim_ascii();
    let nibbles: Option<Vec<u8>> = digits.iter().map(|digit| nibble(*digit)).collect();
    let bytes: Vec<u8> = nibbles?.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 2 * KEY_BYTES).then_some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_as_written() {
        let key = Key::generate();
        let file = format!("{}\n", encode(key.master()));
        assert_eq!(decode(file.as_bytes()).as_deref(), Some(key.master()));
    }

    #[test]
    fn file_without_a_key_is_refused() {
        let good = "0f".repeat(KEY_BYTES);
        for content in
            ["", "\n", "garbage", &good[2..], &format!("{good}00"), &good.replace('f', "g")]
        {
            assert_eq!(decode(content.as_bytes()), None, "{content:?}");
        }
    }
}

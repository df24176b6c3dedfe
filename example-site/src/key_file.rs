//! File with the key of the anonymous cookie.
//!
//! A restarted process and other processes read the same key.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::Path,
};

use actix_web::cookie::Key;

use crate::error::SiteError;

/// Length of a key. The file contains two hexadecimal digits per byte.
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
    let key = decode(&content.map_err(failed("read"))?);
    key.ok_or_else(|| SiteError::NoKey { path: path.to_owned() })
}

/// Writes a new key to a temporary file and links it to `path`.
///
/// Two processes that start at the same time then read the same, complete key.
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
    writeln!(file, "{}", hex::encode(Key::generate().master()))?;
    file.sync_all()
}

fn decode(content: &[u8]) -> Option<Key> {
    let mut key = [0; KEY_BYTES];
    hex::decode_to_slice(content.trim_ascii(), &mut key).ok()?;
    Some(Key::from(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_read_as_written() {
        let key = Key::generate();
        let file = format!("{}\n", hex::encode(key.master()));
        assert!(decode(file.as_bytes()) == Some(key));
    }

    #[test]
    fn file_without_key_is_rejected() {
        let good = "0f".repeat(KEY_BYTES);
        for content in
            ["", "\n", "garbage", &good[2..], &format!("{good}00"), &good.replace('f', "g")]
        {
            assert!(decode(content.as_bytes()).is_none(), "{content:?}");
        }
    }
}

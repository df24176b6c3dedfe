//! Files that are refused: in use, or read-only.

use std::{
    fs::{self, Permissions},
    io::Read,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
};

use session_expire::{SqliteRegistry, registry::SqliteError};

use crate::child::{Folder, child, file, full_message, lines, log_in, send};

/// User id without any permissions.
const OTHER_USER: u32 = 65_534;

#[test]
#[ignore = "run by `second_process_is_refused_with_the_reason`"]
fn holder() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    log_in(&registry, "alice").unwrap();
    send("open");
    // Returns when the parent kills this process.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn second_process_is_refused_with_the_reason() {
    let folder = Folder::new();
    let mut child = child("refused::holder", &folder.file(), &[]).spawn().unwrap();
    assert_eq!(lines(&mut child).next().as_deref(), Some("open"));
    let error = SqliteRegistry::open(folder.file()).unwrap_err();
    assert!(matches!(error, SqliteError::InUse { .. }), "{error:?}");
    let words = format!("already in use by process {}", child.id());
    assert!(error.to_string().contains(&words), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    folder.open();
}

#[test]
#[ignore = "run by `read_only_file_is_named_and_left_alone`"]
fn reader() {
    let Some(file) = file() else { return };
    match SqliteRegistry::open(file) {
        Ok(_) => send("opened"),
        Err(error) => send(&full_message(&error)),
    }
}

#[test]
fn read_only_file_is_named_and_left_alone() {
    for (folder_mode, has_lock) in [(0o755, true), (0o777, true), (0o777, false), (0o555, false)] {
        let folder = Folder::new();
        log_in(&folder.open(), "alice").unwrap();
        let lock = folder.path().join("sessions.db.lock");
        if !has_lock {
            fs::remove_file(&lock).unwrap();
        }
        let before = fs::read(folder.file()).unwrap();
        fs::set_permissions(folder.file(), Permissions::from_mode(0o444)).unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        let mut command = child("refused::reader", &folder.file(), &[]);
        // The superuser may write every file, so another user runs the test.
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        let Ok(mut child) = command.spawn() else {
            println!("not tested: another user cannot run this program here");
            return;
        };
        let sent: Vec<_> = lines(&mut child).collect();
        child.wait().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert!(sent[0].contains("sessions.db: read-only; make the file"), "{sent:?}");
        assert_eq!(fs::read(folder.file()).unwrap(), before);
    }
}

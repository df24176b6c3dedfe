//! Files that cannot serve: taken, or not to be written.

use std::{
    fs::{self, Permissions},
    io::Read,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
};

use session_expire::{SqliteError, SqliteRegistry};

use crate::child::{Folder, file, lines, log_in, play, say, whole};

const NOBODY: u32 = 65_534;

#[test]
#[ignore = "a part that `a_second_process_is_refused_with_the_reason` has played"]
fn holder() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    log_in(&registry, "alice").unwrap();
    say("open");
    // Until the parent kills it.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_second_process_is_refused_with_the_reason() {
    let folder = Folder::new();
    let mut child = play("refused::holder", &folder.file(), &[]).spawn().unwrap();
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
#[ignore = "a part that `a_read_only_file_is_named_and_left_alone` has played"]
fn reader() {
    let Some(file) = file() else { return };
    match SqliteRegistry::open(file) {
        Ok(_) => say("opened"),
        Err(error) => say(&whole(&error)),
    }
}

#[test]
fn a_read_only_file_is_named_and_left_alone() {
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
        let mut command = play("refused::reader", &folder.file(), &[]);
        // The superuser may write everything, so somebody else has to try.
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        let Ok(mut child) = command.spawn() else {
            println!("not tested: another user cannot run this program here");
            return;
        };
        let said: Vec<_> = lines(&mut child).collect();
        child.wait().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("sessions.db: read-only; make the file"), "{said:?}");
        assert_eq!(fs::read(folder.file()).unwrap(), before);
    }
}

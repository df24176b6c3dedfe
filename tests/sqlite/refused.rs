//! Files that are refused, because they are read-only.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
};

use session_expire::SqliteRegistry;

use crate::child::{Folder, child, file, full_message, lines, log_in, send};

/// User id without any permissions.
const OTHER_USER: u32 = 65_534;

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
    for folder_mode in [0o755, 0o777, 0o555] {
        let folder = Folder::new();
        log_in(&folder.open(), "alice").unwrap();
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

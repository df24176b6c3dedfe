//! Full disk, simulated by a limit on the size of files.

use session_expire::{
    SqliteRegistry,
    registry::{Query, RecordKey, Registry},
};

use crate::child::{Folder, child, file, full_message, lines, log_in, log_out, send, wait};

/// Fills the file until writes fail, and checks that memory has no more than the disk.
#[test]
#[ignore = "run by `full_disk_is_an_error_and_changes_nothing`"]
fn filler() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let mut logins = vec![];
    let error = loop {
        match log_in(&registry, &format!("user {}", logins.len())) {
            Ok(login) => logins.push(login),
            Err(error) => break error,
        }
        assert!(logins.len() < 100_000, "the limit does not work");
    };
    send(&format!("error {}", full_message(&error)));
    let open = Query::new().ended(false);
    assert_eq!(wait(registry.list(open)).unwrap().len(), logins.len());
    // An end needs less space than a login: fill the rest, too.
    let mut ended = 0;
    let refused = logins.iter().find(|login| match log_out(&registry, login) {
        Ok(records) => {
            ended += records.len();
            false
        }
        Err(error) => {
            send(&format!("error {}", full_message(&error)));
            true
        }
    });
    if let Some(login) = refused {
        let loaded = wait(registry.load(login.key(), false));
        assert_eq!(loaded.unwrap().unwrap().record.ended, None);
    }
    for (number, login) in logins.iter().enumerate() {
        let state = if number < ended { "ended" } else { "open" };
        send(&format!("{state} {}", login.key().expose()));
    }
    send("done");
}

#[test]
fn full_disk_is_an_error_and_changes_nothing() {
    let folder = Folder::new();
    // Without the signal, a write beyond the limit is an error as on a full disk.
    let limited = ["sh", "-c", r#"trap '' XFSZ; ulimit -f 600; exec "$0" "$@""#];
    let mut child = child("full::filler", &folder.file(), &limited).spawn().unwrap();
    let sent: Vec<_> = lines(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{sent:?}");
    let errors: Vec<_> = sent.iter().filter(|line| line.starts_with("error")).collect();
    println!("{errors:#?}");
    assert!(errors[0].contains("could not commit a login"), "{errors:?}");
    let names_the_disk =
        |line: &&String| line.contains("check the disk") || line.contains("the disk is full");
    assert!(errors.iter().all(names_the_disk), "{errors:?}");
    assert_eq!(sent.last().map(String::as_str), Some("done"));
    let registry = folder.open();
    let mut open = 0;
    for line in sent.iter().filter(|line| line.starts_with("open ") || line.starts_with("ended ")) {
        let (state, key) = line.split_once(' ').unwrap();
        let loaded = wait(registry.load(RecordKey::parse(key).unwrap(), false)).unwrap();
        assert_eq!(loaded.unwrap().record.ended.is_some(), state == "ended");
        open += usize::from(state == "open");
    }
    assert!(open > 0, "{sent:?}");
    let query = Query::new().ended(false);
    assert_eq!(wait(registry.list(query)).unwrap().len(), open, "and no other session");
    log_in(&registry, "with space again").unwrap();
}

//! A disk without room, played by a limit on the size of files.

use session_expire::{Query, RecordKey, Registry, SqliteRegistry};

use crate::child::{Folder, file, lines, log_in, log_out, play, say, wait, whole};

/// Fills the file until nothing goes in, and checks that memory says no more than the disk.
#[test]
#[ignore = "a part that `a_full_disk_is_an_error_and_no_lie` has played"]
fn filler() {
    let Some(file) = file() else { return };
    let registry = SqliteRegistry::open(file).unwrap();
    let mut keys = vec![];
    let error = loop {
        match log_in(&registry, &format!("user {}", keys.len())) {
            Ok(key) => keys.push(key),
            Err(error) => break error,
        }
        assert!(keys.len() < 100_000, "the limit does not work");
    };
    say(&format!("error {}", whole(&error)));
    let open = Query { ended: Some(false), ..Query::default() };
    assert_eq!(wait(registry.find(open)).unwrap().len(), keys.len());
    // Ends need less room than logins: fill that, too.
    let mut ended = 0;
    let refused = keys.iter().find(|key| match log_out(&registry, **key) {
        Ok(over) => {
            ended += over.len();
            false
        }
        Err(error) => {
            say(&format!("error {}", whole(&error)));
            true
        }
    });
    if let Some(key) = refused {
        assert_eq!(wait(registry.load(*key)).unwrap().unwrap().record.ended, None);
    }
    for (number, key) in keys.iter().enumerate() {
        say(&format!("{} {}", if number < ended { "out" } else { "in" }, key.expose()));
    }
    say("done");
}

#[test]
fn a_full_disk_is_an_error_and_no_lie() {
    let folder = Folder::new();
    // Without the signal, a write beyond the limit is an error as on a full disk.
    let limited = ["sh", "-c", r#"trap '' XFSZ; ulimit -f 600; exec "$0" "$@""#];
    let mut child = play("full::filler", &folder.file(), &limited).spawn().unwrap();
    let said: Vec<_> = lines(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    let errors: Vec<_> = said.iter().filter(|line| line.starts_with("error")).collect();
    println!("{errors:#?}");
    assert!(errors[0].contains("could not record a login"), "{errors:?}");
    assert!(errors.iter().all(|line| line.contains("sessions.db: the disk")), "{errors:?}");
    assert_eq!(said.last().map(String::as_str), Some("done"));
    let registry = folder.open();
    let mut signed_in = 0;
    for line in said.iter().filter(|line| line.starts_with("in ") || line.starts_with("out ")) {
        let (word, key) = line.split_once(' ').unwrap();
        let loaded = wait(registry.load(RecordKey::parse(key).unwrap())).unwrap();
        assert_eq!(loaded.unwrap().record.ended.is_some(), word == "out");
        signed_in += usize::from(word == "in");
    }
    assert!(signed_in > 0, "{said:?}");
    let open = Query { ended: Some(false), ..Query::default() };
    assert_eq!(wait(registry.find(open)).unwrap().len(), signed_in, "and nobody else is");
    log_in(&registry, "with room again").unwrap();
}

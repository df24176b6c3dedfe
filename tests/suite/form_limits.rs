//! Longest texts of the example site's forms, as the browser counts them.

use session_expire_tests::{Browser, TestResponse};

use crate::example_site::{start, usual};

fn save(browser: &Browser, title: &str, summary: &str, body: &str) -> TestResponse {
    browser
        .post("/editor", &format!("title={title}&audience=My+team&summary={summary}&body={body}"))
}

/// Returns the tag of a field.
fn tag<'a>(page: &'a TestResponse, id: &str) -> &'a str {
    let rest = page.body.split(&format!(" id=\"{id}\"")).nth(1).unwrap();
    rest.split('>').next().unwrap()
}

#[test]
fn longest_draft_is_saved() {
    let alice = start(usual()).signed_in("alice");
    // A line break counts as one, and is sent as two characters.
    let summary = format!("{}{}", "%0D%0A".repeat(10), "b".repeat(990));
    // An emoji counts as two.
    let (title, body) = ("%F0%9F%98%80".repeat(100), "c".repeat(20_000));
    assert_eq!(save(&alice, &title, &summary, &body).redirect(), (303, "/editor"));
    assert!(alice.get("/editor").body.contains(&"\u{1f600}".repeat(100)));
}

#[test]
fn too_long_text_is_an_error_at_its_field_and_nothing_is_saved() {
    let alice = start(usual()).signed_in("alice");
    assert_eq!(save(&alice, "first", "", "").status, 303);
    let long = |character: &str, length| character.repeat(length);
    for (field, title, summary, body) in [
        ("title", long("a", 201), String::new(), String::new()),
        ("title", long("%F0%9F%98%80", 101), String::new(), String::new()),
        ("summary", "second".to_owned(), long("b", 1_001), String::new()),
        ("body", "second".to_owned(), "%0D%0A".to_owned(), long("c", 20_001)),
    ] {
        let page = save(&alice, &title, &summary, &body);
        assert_eq!((page.status, page.header("cache-control")), (422, "no-store"), "{field}");
        let tag = tag(&page, field);
        let attributes = format!("aria-invalid=\"true\" aria-describedby=\"{field}-failure\"");
        assert!(tag.contains(&attributes), "{tag}");
        assert_eq!(page.body.matches("aria-invalid").count(), 1, "{field}");
        assert!(page.body.contains(&format!("id=\"{field}-failure\">Shorten this text to ")));
        for text in [title, summary, body] {
            let text = text.replace("%F0%9F%98%80", "\u{1f600}").replace("%0D%0A", "\r\n");
            assert!(page.body.contains(&text), "{field}: the user's text is in the form");
        }
        assert!(page.body.contains("<option value=\"My team\" selected>"), "{field}");
        assert!(alice.get("/editor").body.contains("value=\"first\""), "{field}");
    }
}

#[test]
fn fields_have_the_limits_of_the_server_as_maxlength() {
    let alice = start(usual()).signed_in("alice");
    for (path, id, limit) in [
        ("/editor", "title", 200),
        ("/editor", "summary", 1_000),
        ("/editor", "body", 20_000),
        ("/chat", "text", 1_000),
        ("/settings", "new_password", 128),
    ] {
        let page = alice.get(path);
        assert!(tag(&page, id).contains(&format!(" maxlength=\"{limit}\"")), "{path} {id}");
    }
}

#[test]
fn password_is_counted_as_the_browser_counts_it() {
    let alice = start(usual()).signed_in("alice");
    let change = |password: String| {
        alice.post("/settings/password", &format!("new_password={password}")).status
    };
    assert_eq!(change("%F0%9F%98%80".repeat(65)), 400);
    assert_eq!(change("%F0%9F%98%80".repeat(64)), 303);
}

//! Device names from `User-Agent` headers.

use actix_web::{HttpResponse, web};
use session_expire::{SessionHandle, request::device_name};
use session_expire_tests::Site;

/// Responds with the device names of the sessions of alice.
async fn devices(session: SessionHandle) -> HttpResponse {
    let records = session.sessions().list_active("alice").await.unwrap();
    let names: Vec<_> = records.iter().map(|record| record.client.device.to_string()).collect();
    HttpResponse::Ok().body(names.join("\n"))
}

/// Pages and logs show the names.
#[test]
fn device_name_is_plain_for_any_user_agent() {
    let site = Site::builder()
        .routes(|cfg| {
            cfg.route("/devices", web::get().to(devices));
        })
        .start();
    let mallory = site.browser();
    for agent in [
        "<script>alert(1)</script> Firefox/1",
        "Mozilla/5.0 (\"onload=alert(1) ; Linux) Chrome/1",
        &format!("Firefox/{} Linux", "9".repeat(6_000)),
        "\u{202e}xoferiF \u{0}",
    ] {
        let name = device_name(agent);
        assert!(
            name.len() < 60 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == ' '),
            "{name}"
        );
        let request =
            mallory.request("POST", "/login").header("user-agent", agent).form("user=alice");
        assert!([303, 0, 400, 431].contains(&request.send().status), "{agent}");
    }
    let binary =
        b"POST /login HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe<b>\r\nContent-Length: 10\r\n\
        Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\nuser=alice";
    assert!(mallory.send_raw(binary).starts_with("HTTP/1.1 303"));
    let names = site.signed_in("alice").get("/devices").body;
    assert!(!names.contains(['<', '"', '\u{0}']) && !names.contains("999"), "{names}");
}

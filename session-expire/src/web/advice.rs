//! What is said to whoever sets a site up: in the log, and for those who have no log yet on the
//! standard error, once for each mistake.

use std::{
    io::{Write, stderr},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use actix_web::HttpRequest;

use super::setup::Setup;

const TWO_MEMORIES: &str = "a second SessionExpire with a memory of its own was mounted: build it once, outside the \
     closure of HttpServer::new, and clone it inside; else each worker knows only its own logins, and people are \
     signed out at random. (Two sites in one process, and tests, may ignore this.)";

const UNKNOWN: &str = "a session came in whose login is not recorded here. After a restart with a MemoryRegistry that is \
     as it should be. Else: is SessionExpire built inside the closure of HttpServer::new, is the login outside of what \
     it wraps, or are these sessions from before it was installed (see `adopt_until`)?";

/// Says it every time in the log, and the first time on the standard error.
pub(crate) fn say(said: &AtomicBool, text: &str) {
    tracing::error!("{text}");
    if is_first(said) {
        // Not `eprintln!`, which panics where nobody reads it or the disk is full.
        let _ = writeln!(stderr(), "session-expire: {text}");
    }
}

fn is_first(said: &AtomicBool) -> bool {
    !said.load(Ordering::Relaxed) && !said.swap(true, Ordering::Relaxed)
}

/// Notices a middleware that every worker has built for itself.
pub(crate) fn notice_mounting(setup: &Setup) {
    static MOUNTED: AtomicUsize = AtomicUsize::new(0);
    static SAID: AtomicBool = AtomicBool::new(false);
    if setup.own_memory {
        let this = std::ptr::from_ref(setup).addr();
        let last = MOUNTED.swap(this, Ordering::Relaxed);
        if last != 0 && last != this && !SAID.load(Ordering::Relaxed) {
            say(&SAID, TWO_MEMORIES);
        }
    }
}

/// Notices the first session whose record is nowhere: mostly a slip in the set-up.
pub(crate) fn notice_unknown() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if is_first(&SAID) {
        tracing::warn!("{UNKNOWN}");
    }
}

/// Notices a page that wants the script and the endpoints where nobody serves them.
pub(crate) fn notice_page(setup: &Setup, req: &HttpRequest) {
    static LOOKED: AtomicBool = AtomicBool::new(false);
    static SAID: AtomicBool = AtomicBool::new(false);
    if !is_first(&LOOKED) {
        return;
    }
    let status = format!("{}/status", setup.prefix);
    if !req.resource_map().has_resource(&status) {
        let text = format!(
            "a page was printed that asks for {status}, which this App does not serve, so nobody will be warned: \
             add `.service(expire.endpoints())` to the App, in no scope (a proxy that changes paths aside)"
        );
        say(&SAID, &text);
    }
}

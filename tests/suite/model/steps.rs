//! Random steps of users and attackers.

use proptest::prelude::*;
use session_expire_tests::{Browser, RequestBuilder, TestResponse};

use super::{IDLE, USERS};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Page {
    Private,
    Laxer,
    Stricter,
    Poll,
    Public,
    Missing,
}

impl Page {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Private => "/private",
            Self::Laxer => "/laxer",
            Self::Stricter => "/stricter",
            Self::Poll => "/poll",
            Self::Public => "/public",
            Self::Missing => "/missing",
        }
    }

    pub(super) fn idle(self) -> u64 {
        match self {
            Self::Laxer => 3_600,
            Self::Stricter => 60,
            _ => IDLE,
        }
    }

    pub(super) fn has_head(self) -> bool {
        matches!(self, Self::Private | Self::Laxer | Self::Stricter)
    }

    /// Returns `true` if the page requires a login.
    pub(super) fn is_closed(self) -> bool {
        !matches!(self, Self::Public | Self::Missing)
    }
}

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Navigation,
    Script,
    Htmx,
    Image,
    Prefetch,
    Head,
    Link,
    Passive,
}

impl Kind {
    pub(super) fn request(self, browser: &Browser, path: &str) -> TestResponse {
        let get = || browser.request("GET", path);
        let send = |request: RequestBuilder<'_>| request.send();
        match self {
            Self::Navigation => send(get()),
            Self::Script => send(get().script()),
            Self::Htmx => send(get().script().header("hx-request", "true")),
            Self::Image => send(get().script().header("sec-fetch-dest", "image")),
            Self::Prefetch => send(get().header("sec-purpose", "prefetch")),
            Self::Head => send(browser.request("HEAD", path)),
            Self::Link => send(get().header("sec-fetch-site", "cross-site")),
            Self::Passive => send(get().header("x-session-passive", "1")),
        }
    }

    pub(super) fn is_redirected(self) -> bool {
        !matches!(self, Self::Script | Self::Htmx | Self::Image)
    }

    pub(super) fn is_activity(self) -> bool {
        !matches!(self, Self::Prefetch | Self::Passive)
    }

    /// Returns `true` if a request of this kind can end a session.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Navigation | Self::Script | Self::Htmx | Self::Link)
    }

    pub(super) fn may_evict(self) -> bool {
        matches!(self, Self::Navigation | Self::Script | Self::Htmx)
    }
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    SignIn {
        browser: usize,
        user: usize,
        by_handle: bool,
    },
    Open {
        browser: usize,
        page: Page,
        kind: Kind,
    },
    SignOut {
        browser: usize,
    },
    Status {
        browser: usize,
    },
    KeepAlive {
        browser: usize,
        idle_for: u64,
    },
    Visit {
        browser: usize,
        page: Page,
        by_script: bool,
    },
    Push {
        browser: usize,
    },
    ReadMessages {
        browser: usize,
    },
    Steal {
        from: usize,
        to: usize,
    },
    Wait(u64),
    /// A step during an outage of the registry.
    InOutage(Box<Step>),
}

impl Step {
    /// Returns the browser of a step that sends a request.
    pub(super) fn browser(&self) -> Option<usize> {
        match *self {
            Self::SignIn { browser, .. }
            | Self::Open { browser, .. }
            | Self::SignOut { browser }
            | Self::Status { browser }
            | Self::KeepAlive { browser, .. }
            | Self::Visit { browser, .. }
            | Self::Push { browser }
            | Self::ReadMessages { browser } => Some(browser),
            Self::Steal { .. } | Self::Wait(_) | Self::InOutage(_) => None,
        }
    }
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let page = prop_oneof![
        3 => Just(Page::Private),
        2 => Just(Page::Laxer),
        2 => Just(Page::Stricter),
        1 => Just(Page::Poll),
        2 => Just(Page::Public),
        1 => Just(Page::Missing)
    ];
    let kind = prop_oneof![
        5 => Just(Kind::Navigation),
        4 => Just(Kind::Script),
        1 => Just(Kind::Htmx),
        1 => Just(Kind::Image),
        1 => Just(Kind::Prefetch),
        1 => Just(Kind::Head),
        1 => Just(Kind::Link),
        1 => Just(Kind::Passive)
    ];
    // Longer than the write interval, so the model records all activity.
    let waits = prop_oneof![Just(31), Just(60), Just(299), Just(600), Just(2_000), Just(3_600)];
    let visited = prop_oneof![Just(Page::Private), Just(Page::Laxer), Just(Page::Stricter)];
    let (browser, user) = (0..4_usize, 0..USERS.len());
    let step = prop_oneof![
        4 => (browser.clone(), user, any::<bool>())
            .prop_map(|(browser, user, by_handle)| Step::SignIn { browser, user, by_handle }),
        8 => (browser.clone(), page, kind)
            .prop_map(|(browser, page, kind)| Step::Open { browser, page, kind }),
        1 => browser.clone().prop_map(|browser| Step::SignOut { browser }),
        2 => browser.clone().prop_map(|browser| Step::Status { browser }),
        2 => (browser.clone(), 0..700_u64)
            .prop_map(|(browser, idle_for)| Step::KeepAlive { browser, idle_for }),
        3 => (browser.clone(), visited, any::<bool>())
            .prop_map(|(browser, page, by_script)| Step::Visit { browser, page, by_script }),
        2 => browser.clone().prop_map(|browser| Step::Push { browser }),
        2 => browser.clone().prop_map(|browser| Step::ReadMessages { browser }),
        1 => (browser.clone(), browser).prop_map(|(from, to)| Step::Steal { from, to }),
        5 => waits.prop_map(Step::Wait),
    ];
    (step, prop::bool::weighted(0.05)).prop_map(|(step, in_outage)| match in_outage {
        true => Step::InOutage(Box::new(step)),
        false => step,
    })
}

//! Effect of a login policy, such as "keep me signed in", on the policies of pages.

use std::time::Duration;

use crate::{
    limit::Limit,
    policy::{Policy, PolicyPatch},
};

/// Returns the policy of a page for a login with the login policy `choice`. `layers` are the merged
/// patches of the page over the application's policy `app`.
///
/// A login policy moves the limits of the application. If it is laxer, a page that is stricter than
/// the application keeps its limits, and a laxer page gets the laxer of the two. If it is stricter, no
/// page allows more.
pub(crate) fn under_choice(app: &Policy, choice: &PolicyPatch, layers: &PolicyPatch) -> Policy {
    let mut policy = layers.over(&choice.over(app));
    policy.idle = moved(app.idle, choice.idle, layers.idle, policy.idle);
    policy.absolute = moved(app.absolute, choice.absolute, layers.absolute, policy.absolute);
    policy
}

fn moved(
    app: Limit<Duration>,
    choice: Option<Limit<Duration>>,
    page: Option<Limit<Duration>>,
    otherwise: Limit<Duration>,
) -> Limit<Duration> {
    let (Some(choice), Some(page)) = (choice, page) else { return otherwise };
    if choice.stricter(app) == choice {
        choice.stricter(page)
    } else if page.laxer(app) == page {
        choice.laxer(page)
    } else {
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    #[test]
    fn a_choice_moves_the_limits_of_the_app_and_of_pages_that_are_no_stricter() {
        let at = |limit| Limit::At(minutes(limit));
        for (choice, page, expected) in [
            (None, None, at(10)),
            (None, Some(at(1)), at(1)),
            (Some(at(600)), None, at(600)),
            (Some(at(600)), Some(at(1)), at(1)),
            (Some(at(600)), Some(at(60)), at(600)),
            (Some(at(600)), Some(at(10)), at(600)),
            (Some(at(600)), Some(Limit::Off), Limit::Off),
            (Some(Limit::Off), Some(at(60)), Limit::Off),
            (Some(Limit::Off), Some(at(1)), at(1)),
            (Some(at(2)), None, at(2)),
            (Some(at(2)), Some(at(60)), at(2)),
            (Some(at(2)), Some(at(1)), at(1)),
        ] {
            let (mut chosen, mut layers) = (PolicyPatch::new(), PolicyPatch::new());
            (chosen.idle, layers.idle) = (choice, page);
            (chosen.absolute, layers.absolute) = (choice, page);
            let app = Policy::new().idle(minutes(10)).absolute(minutes(10));
            let policy = under_choice(&app, &chosen, &layers);
            assert_eq!((policy.idle, policy.absolute), (expected, expected), "{choice:?} {page:?}");
        }
    }
}

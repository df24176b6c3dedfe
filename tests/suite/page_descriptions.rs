//! Descriptions of the example site's pages, for search engines and link previews.

use std::collections::HashSet;

use crate::example_site::{start, usual};

const DESCRIPTION: &str = "<meta name=\"description\" content=\"";

fn descriptions(page: &str) -> Vec<&str> {
    page.split(DESCRIPTION).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn each_page_has_a_description_of_its_own() {
    let site = start(usual());
    let (root, mut seen) = (site.signed_in("root"), HashSet::new());
    for path in [
        "/",
        "/login",
        "/dashboard",
        "/editor",
        "/vault",
        "/devices",
        "/devices/others",
        "/confirm",
        "/settings",
        "/chat",
        "/admin/",
        "/admin/users",
        "/admin/sessions",
        "/admin/audit",
        "/nowhere",
    ] {
        let page = root.get(path).body;
        let [description] = descriptions(&page)[..] else { panic!("{path}: {page}") };
        assert!((20..=160).contains(&description.len()), "{path}: {description}");
        assert!(seen.insert(description.to_owned()), "{path}: {description}");
    }
}

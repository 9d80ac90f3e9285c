//! Where a sign-in leads is always a place of this site (SR-26).
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;

/// Pages from which a browser would follow what was let through.
const PAGES: [&str; 3] =
    ["https://site.example/", "http://localhost:8000/login?next=/x", "https://site.example/a/b/c"];

fuzz_target!(|asked: &str| {
    let Some(path) = doorward::fuzz::local_path(asked) else { return };
    assert!(path.starts_with('/'), "{path:?}");
    assert!(!path.starts_with("//") && !path.starts_with("/\\"), "{path:?} names a host");
    assert!(path.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{path:?} in a header");
    for page in PAGES {
        let page = Url::parse(page).unwrap();
        let led_to = page.join(&path).unwrap();
        assert_eq!(led_to.origin(), page.origin(), "{path:?} leaves the site");
    }
    if path.len() <= 2048 {
        assert_eq!(doorward::fuzz::local_path(&path).as_ref(), Some(&path), "judged twice");
    }
});

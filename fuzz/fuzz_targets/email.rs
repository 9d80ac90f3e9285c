//! An e-mail address has one spelling and one key (SR-5).
#![no_main]

use doorward::account::email::Email;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|typed: &str| {
    let Ok(email) = Email::parse(typed) else { return };
    let (shown, key) = (email.as_str(), email.key());

    assert!(shown.len() <= 254, "{shown:?} is longer than RFC 5321 allows");
    assert!(shown.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{shown:?} in a header");
    assert_eq!(shown.matches('@').count(), 1, "{shown:?}");
    assert!(!shown.contains([',', ';', '<', '>', '"']), "{shown:?} is several recipients");
    assert!(!key.bytes().any(|byte| byte.is_ascii_uppercase()), "{key:?}");

    assert_eq!(Email::parse(shown).as_ref().ok(), Some(&email), "read again, it is another");
    for spelling in [key.clone(), shown.to_ascii_uppercase(), format!("  {shown} ")] {
        let again = Email::parse(&spelling).map(|email| email.key());
        assert_eq!(again.ok(), Some(key.clone()), "{spelling:?} has another key");
    }
});

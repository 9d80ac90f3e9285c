//! Key pairs.

use base64::Engine as _;

use super::*;
use crate::id::from_base64url;

#[test]
fn sr_30_a_generated_key_reads_back_and_signs_with_its_own_algorithm_alone() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = SigningKey::from_pem(&algorithm.generate_pem().unwrap()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.jwk()["alg"], algorithm.as_str());
        assert_eq!(key.jwk()["kid"], key.id());
        assert_eq!(key.id().len(), 43);
        let signature = key.sign(b"message").unwrap();
        assert!(key.verifies(b"message", &signature));
        assert!(!key.verifies(b"massage", &signature));
        let other = SigningKey::from_pem(&algorithm.generate_pem().unwrap()).unwrap();
        assert!(!other.verifies(b"message", &signature));
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
    // The key pair of RFC 8037 appendix A.1, wrapped as PKCS#8.
    let seed = from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let der = [&[48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32][..], &seed].concat();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der)
    );
    let key = SigningKey::from_pem(&SecretString::new(pem)).unwrap();
    assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn sr_39_the_public_half_holds_nothing_of_the_private_one() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let key = SigningKey::from_pem(&algorithm.generate_pem().unwrap()).unwrap();
        let members: Vec<&String> = key.jwk().as_object().unwrap().keys().collect();
        for member in members {
            assert!(["alg", "crv", "kid", "kty", "use", "x", "y"].contains(&member.as_str()));
        }
    }
}

#[test]
fn sr_30_keys_of_other_kinds_are_refused() {
    let p384 = aws_lc_rs::signature::EcdsaKeyPair::generate(
        &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    )
    .unwrap();
    let p384 = STANDARD.encode(p384.to_pkcs8v1().unwrap());
    for body in [p384.as_str(), "", "AAAA", "not base64"] {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        let refused = SigningKey::from_pem(&SecretString::new(pem));
        assert!(matches!(refused, Err(KeyError::NotASigningKey(_))), "{body}");
    }
}

#[test]
fn sr_30_an_algorithm_is_known_by_its_name_in_upper_or_lower_case() {
    for (name, algorithm) in [
        ("EdDSA", Some(Algorithm::EdDsa)),
        ("eddsa", Some(Algorithm::EdDsa)),
        ("es256", Some(Algorithm::Es256)),
        ("none", None),
        ("HS256", None),
        ("", None),
    ] {
        assert_eq!(Algorithm::parse(name), algorithm, "{name}");
    }
}

#[test]
fn the_state_of_a_key_has_one_name_for_people_and_for_programs() {
    use KeyState::{Current, Erased, Next, Retired, Retiring, Withdrawn};
    for state in [Next, Current, Retiring, Retired, Withdrawn, Erased] {
        assert_eq!(json!(state), state.as_str());
    }
}

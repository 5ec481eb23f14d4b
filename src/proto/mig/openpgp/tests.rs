//! With keys that GnuPG 2.2.40 made, and what it says about them.

use super::*;

/// The text of a key in `tests_data`, all of people who do not exist.
macro_rules! key {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/data/openpgp/", $name, ".asc"))
    };
}

const RSA: &str = key!("rosa");

#[test]
fn fingerprint_and_times_are_those_of_gnupg() {
    for (text, fingerprint, created, expires) in [
        (key!("rosa"), "2D0ABE81C172674DAE2958F2A5FC8287EBE7E0DF", 1_796_059_032, None),
        (key!("dora"), "2B6229B967DBBCA6AD206D027C0685D8F4CACB53", 1_796_059_032, None),
        (key!("nick"), "35A0F8334BDF0BAD6DC93082DA4830B8E76EE0F8", 1_796_059_032, None),
        (key!("ed"), "AFCC4386A52C190780EC6BDBB4A7B1CA40BBA4F0", 1_796_059_032, None),
        (key!("mix"), "C6D80B97C2814AD914EEA1F26614CDA6F8BD3CA4", 1_796_059_032, Some(1_859_131_032)),
        (key!("ria"), "DF9CBD8E199354232BE7DA9D4A8EC7EE8E2CF725", 1_796_059_033, None),
        (key!("ova"), "2F849769B589C8DCC2141D4693661A3C1D09660F", 1_577_836_800, Some(1_580_428_800)),
        (key!("rev"), "935AD136194798D2526AACA3236676B1AFA111EE", 1_796_059_033, None),
        (key!("p384"), "A5E73D5996CE28C0255AB292A685B640F0F450E0", 1_796_059_033, None),
        (key!("p521"), "2B390130F6E9725C482102D357D5C6AD79B8C469", 1_796_059_033, None),
        (key!("bp"), "FCF79A1EBC97B5E7541C72947F41625057E1EAEA", 1_796_059_033, None),
        (key!("k1"), "123DA8A30149BD7757C93872EC7D84EDB9121DDD", 1_796_059_033, None),
    ] {
        let key = PublicKey::read(text).unwrap();
        assert_eq!((key.fingerprint.as_str(), key.created, key.expires), (fingerprint, created, expires));
        assert_eq!(PublicKey::read(&key.armored).unwrap(), key);
    }
}

#[test]
fn what_a_key_is_and_whether_its_signatures_were_checked_is_told() {
    for (text, algorithm, is_checked) in [
        (RSA, "RSA of 2048 bits", true),
        (key!("dora"), "DSA of 2048 bits", false),
        (key!("nick"), "ECDSA on P-256", true),
        (key!("ed"), "EdDSA on Ed25519", false),
        (key!("k1"), "ECDSA on secp256k1", false),
    ] {
        let key = PublicKey::read(text).unwrap();
        assert_eq!((key.algorithm.to_string().as_str(), key.is_checked), (algorithm, is_checked));
    }
    let ria = PublicKey::read(key!("ria")).unwrap();
    assert_eq!(ria.user_ids, ["Ria Two <ria@example.net>", "Ria Other <ria2@example.net>"]);
    assert_eq!((ria.subkeys.as_slice(), ria.is_checked), ([Algorithm::Rsa { bits: 2048 }].as_slice(), true));
}

#[test]
fn agents_read_rsa_dsa_and_the_curves_of_nist_and_no_key_with_anything_else_in_it() {
    for text in [RSA, key!("dora"), key!("nick"), key!("ria"), key!("ova"), key!("rev"), key!("p384"), key!("p521")] {
        assert_eq!(PublicKey::read(text).unwrap().readable_by_mig(), Ok(()));
    }
    for (text, said) in [
        (key!("ed"), "the key is EdDSA on Ed25519: an agent"),
        (key!("mix"), "a subkey is ECDH on Curve25519: an agent"),
        (key!("bp"), "the key is ECDSA on brainpoolP256r1: an agent"),
        (key!("k1"), "the key is ECDSA on secp256k1: an agent"),
    ] {
        let refusal = PublicKey::read(text).unwrap().readable_by_mig().unwrap_err();
        assert!(refusal.starts_with(said), "{refusal}");
    }
}

#[test]
fn that_agents_take_revoked_and_expired_keys_is_told() {
    let told = |text, now| PublicKey::read(text).unwrap().ignored_by_mig(now).len();
    let expires = PublicKey::read(key!("ova")).unwrap().expires.unwrap();
    assert_eq!([told(key!("ova"), expires - 1), told(key!("ova"), expires)], [0, 1]);
    assert_eq!([told(key!("rev"), 0), told(RSA, u64::MAX)], [1, 0]);
}

#[test]
fn a_block_without_checksum_is_read_here_and_not_by_agents() {
    let text: String = RSA.lines().filter(|line| !line.starts_with('=')).flat_map(|line| [line, "\n"]).collect();
    let key = PublicKey::read(&text).unwrap();
    assert!(key.readable_by_mig().unwrap_err().contains("checksum"));
    assert_eq!(PublicKey::read(&key.armored).unwrap().readable_by_mig(), Ok(()));
    assert_eq!(key.armored, RSA);
}

#[test]
fn what_is_no_single_public_key_is_an_error() {
    let secret = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nc2VjcmV0\n-----END PGP PRIVATE KEY BLOCK-----\n";
    let long = "\n".repeat(TEXT_LEN_MAX + 1);
    let (head, tail) = RSA.split_at(200);
    let changed = RSA.replacen("mQEN", "mQEM", 1);
    for (text, said) in [
        (secret.to_owned(), "private key"),
        (format!("{RSA}{}", key!("nick")), "several keys"),
        (key!("two").to_owned(), "several keys"),
        (long, "at most 262144 bytes"),
        (String::new(), "first line"),
        (head.to_owned(), "is missing"),
        (format!("{RSA}more"), "something is behind"),
        (format!("{head}{}", tail.split_at(4).1), "checksum is wrong"),
        (changed, "checksum is wrong"),
        (RSA.replacen("\n\n", "\nVersion:\n\n", 1), "header"),
        (RSA.replacen("\n\n", "\n\n*", 1), "no base64"),
    ] {
        let refusal = PublicKey::read(&text).unwrap_err();
        assert!(refusal.contains(said), "{said}: {refusal}");
        assert!(!refusal.contains("c2VjcmV0"));
    }
}

/// Every byte is under the key's own signatures, or tells where they are. Bytes that are changed one by one, below a
/// checksum that is right, are never read as the same key with another name, time or subkey.
#[test]
fn no_byte_can_be_changed_without_being_noticed() {
    let key = PublicKey::read(key!("ria")).unwrap();
    let bytes = armor::open(key!("ria")).unwrap().bytes;
    let mut unnoticed = 0;
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(other) = PublicKey::read(&armor::close(&changed)) {
            unnoticed += 1;
            let same = |key: &PublicKey| (key.user_ids.clone(), key.subkeys.clone(), key.created, key.expires);
            assert_eq!(same(&other), same(&key), "byte {at}");
            assert_eq!(other.fingerprint, key.fingerprint);
        }
    }
    assert!(unnoticed < 60, "{unnoticed}");
}

#[test]
fn bytes_that_end_anywhere_are_an_error_and_nothing_worse() {
    for text in [key!("ria"), key!("nick"), key!("dora"), key!("mix")] {
        let bytes = armor::open(text).unwrap().bytes;
        let ends = (0..bytes.len()).filter(|end| PublicKey::read(&armor::close(&bytes[..*end])).is_ok());
        // After a whole name or subkey.
        assert!(ends.count() <= 2);
    }
}

//! With certificates that OpenSSL 3.0.19 made, and some of any age by `rcgen`.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::judge::{Shown, Warning, judge, judge_key};

/// The text of a certificate in `tests/data`. All but the first were issued by `authority`, for a century.
macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/certificates/", $name, ".pem"))
    };
}

const AUTHORITY: &[u8] = pem!("authority");
/// A moment at which the certificates of `tests/data` count.
const NOW: i64 = 1_800_000_000;

fn shown_by_broker(file: &[u8]) -> Vec<Warning> {
    judge(file, Shown::ByBroker, NOW, Some(AUTHORITY))
}

/// A certificate of 2027, its key, and its authority.
fn made(change: impl Fn(&mut CertificateParams, &mut CertificateParams)) -> (String, String, String) {
    let mut certificate = CertificateParams::default();
    certificate.not_before = rcgen::date_time_ymd(2027, 1, 1);
    certificate.not_after = rcgen::date_time_ymd(2028, 1, 1);
    certificate.subject_alt_names = vec![SanType::DnsName("relay.example.net".try_into().unwrap())];
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut certificate, &mut authority);
    let (key, authority_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    (certificate.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem(), authority_pem)
}

#[test]
fn a_good_certificate_raises_no_warning_in_either_form() {
    assert_eq!(shown_by_broker(pem!("good")), []);
    let der = CertificateDer::from_pem_slice(pem!("good")).unwrap();
    assert_eq!(shown_by_broker(&der), []);
}

#[test]
fn weak_keys_and_signatures_are_warned_of() {
    let one = |file| <[Warning; 1]>::try_from(shown_by_broker(file)).unwrap()[0].to_string();
    assert_eq!(one(pem!("rsa1024")), "its key is RSA of 1024 bits; 2048 are the least");
    assert_eq!(one(pem!("koblitz")), "its key is on a curve that is none of P-256, P-384 and P-521");
    assert_eq!(shown_by_broker(pem!("sha1")), [Warning::WeakSignature("SHA-1")]);
    assert_eq!(shown_by_broker(pem!("md5")), [Warning::WeakSignature("MD5")]);
}

#[test]
fn a_broker_must_be_named_and_a_program_need_not_be() {
    assert_eq!(shown_by_broker(pem!("nameless")), [Warning::NoNames]);
    assert_eq!(judge(pem!("nameless"), Shown::ByProgram, NOW, Some(AUTHORITY)), []);
}

#[test]
fn a_certificate_and_its_authority_age() {
    let (certificate, _, authority) = made(|_, authority| authority.not_after = rcgen::date_time_ymd(2028, 1, 15));
    let at = |now: i64| judge(certificate.as_bytes(), Shown::ByBroker, now, Some(authority.as_bytes()));
    let of_authority = |warning| Warning::Authority(Box::new(warning));
    assert_eq!(at(1_798_761_599), [Warning::NotYet]);
    assert_eq!(at(1_798_761_600), []);
    assert_eq!(at(1_828_000_000), [Warning::EndsSoon]);
    assert_eq!(at(1_830_297_600), [Warning::EndsSoon, of_authority(Warning::EndsSoon)]);
    assert_eq!(at(1_831_000_000), [Warning::Over, of_authority(Warning::EndsSoon)]);
    assert_eq!(at(1_900_000_000), [Warning::Over, of_authority(Warning::Over)]);
}

#[test]
fn another_authority_and_one_of_the_same_name_with_another_key_are_told_apart() {
    let (certificate, _, authority) = made(|_, _| ());
    let judged = |authority: Option<&[u8]>| judge(certificate.as_bytes(), Shown::ByBroker, NOW, authority);
    let (_, _, namesake) = made(|_, _| ());
    assert_eq!(judged(Some(authority.as_bytes())), []);
    assert!(matches!(judged(Some(AUTHORITY)).as_slice(), [Warning::OtherAuthority { .. }]));
    assert!(matches!(judged(Some(namesake.as_bytes())).as_slice(), [Warning::ForgedOrOldAuthority { .. }]));
    assert_eq!(judged(None), [Warning::NoAuthority]);
    let both = [AUTHORITY, authority.as_bytes()].concat();
    assert_eq!(judged(Some(&both)), []);
}

#[test]
fn an_issuer_that_may_not_issue_is_no_authority() {
    let (certificate, _, authority) = made(|_, authority| authority.is_ca = IsCa::ExplicitNoCa);
    let found = judge(certificate.as_bytes(), Shown::ByBroker, NOW, Some(authority.as_bytes()));
    assert!(matches!(found.as_slice(), [Warning::IssuerNoAuthority { .. }]), "{found:?}");
}

#[test]
fn a_certificate_for_programs_is_none_for_a_broker() {
    let (certificate, _, authority) =
        made(|certificate, _| certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let judged = |shown| judge(certificate.as_bytes(), shown, NOW, Some(authority.as_bytes()));
    assert_eq!(judged(Shown::ByBroker), [Warning::OtherUse]);
    assert_eq!(judged(Shown::ByProgram), []);
}

#[test]
fn an_authority_between_leads_to_the_one_that_is_known() {
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(rcgen::DnType::CommonName, "root");
    let root_key = KeyPair::generate().unwrap();
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let (mut middle, middle_key) = (CertificateParams::default(), KeyPair::generate().unwrap());
    middle.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    middle.distinguished_name.push(rcgen::DnType::CommonName, "middle");
    let middle_pem = middle.signed_by(&middle_key, &Issuer::new(root, root_key)).unwrap().pem();
    let leaf = CertificateParams::new(vec!["relay.example.net".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(middle, middle_key)).unwrap().pem();
    let chain = format!("{leaf}{middle_pem}");
    assert_eq!(judge(chain.as_bytes(), Shown::ByBroker, NOW, Some(root_pem.as_bytes())), []);
    let alone = judge(leaf.as_bytes(), Shown::ByBroker, NOW, Some(root_pem.as_bytes()));
    assert!(matches!(alone.as_slice(), [Warning::OtherAuthority { .. }]));
}

#[test]
fn a_key_is_its_certificates_or_anothers_or_none() {
    let ((certificate, key, _), (_, other, _)) = (made(|_, _| ()), made(|_, _| ()));
    let judged = |key: &str| judge_key(certificate.as_bytes(), key.as_bytes());
    assert_eq!(judged(&key), None);
    assert_eq!(judged(&other), Some(Warning::OtherKey));
    assert_eq!(judged("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"), Some(Warning::NoKey));
    assert_eq!(judge_key(b"", key.as_bytes()), Some(Warning::NoCertificate));
}

#[test]
fn what_is_no_certificate_is_said_to_be_none() {
    for file in [b"".as_slice(), b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    {
        assert_eq!(shown_by_broker(file), [Warning::NoCertificate]);
    }
}

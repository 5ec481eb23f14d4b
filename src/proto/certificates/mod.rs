//! Certificates of others and our own: how long they are valid, and whom they name. Whether anybody vouches for one is
//! judged elsewhere, by rustls.

mod judge;

#[cfg(test)]
#[path = "tests.rs"]
mod judge_tests;

use std::time::Duration;

use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::base::text::hex;
use crate::base::{CertificateName, Error, Result, Timestamp};

pub use judge::{Shown, Warning, judge, judge_key};

/// Names read of one certificate. Of more only the first count.
const NAMES_MAX: usize = 100;
/// A certificate that ends so soon should have been renewed: who renews by hand needs weeks, who does it by machine does
/// it a month before.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// What is read of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it is about, for people.
    pub subject: String,
    /// Its DNS names and URIs. The common name of the subject is none: what stands there is free text.
    pub names: Vec<CertificateName>,
    /// It counts from then.
    pub valid_from: Timestamp,
    /// It counts until then.
    pub valid_until: Timestamp,
    /// SHA-256 over all of it, in hexadecimal digits: by this other programs name it too.
    pub fingerprint: String,
}

/// What the time makes of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It counts.
    Valid,
    /// It counts, and ends within thirty days.
    EndsSoon,
    /// It does not count any more.
    Over,
    /// It does not count yet.
    NotYet,
}

impl Certificate {
    /// Reads a certificate in DER.
    pub fn read(der: &[u8]) -> Result<Self> {
        let broken = |e: x509_parser::nom::Err<x509_parser::error::X509Error>| {
            Error::invalid("not a certificate").because(e.to_string())
        };
        let (_, certificate) = X509Certificate::from_der(der).map_err(broken)?;
        let validity = certificate.validity();
        Ok(Self {
            subject: certificate.subject().to_string(),
            names: names(&certificate),
            valid_from: moment(validity.not_before.timestamp()),
            valid_until: moment(validity.not_after.timestamp()),
            fingerprint: hex(&Sha256::digest(der)),
        })
    }

    /// How old it is.
    pub fn age(&self, now: Timestamp) -> Age {
        age(self.valid_from, self.valid_until, now)
    }
}

fn age(valid_from: Timestamp, valid_until: Timestamp, now: Timestamp) -> Age {
    match now {
        now if now < valid_from => Age::NotYet,
        now if now > valid_until => Age::Over,
        now if now.plus(SOON) > valid_until => Age::EndsSoon,
        _ => Age::Valid,
    }
}

/// A moment of a certificate, which tells seconds since 1970.
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds.saturating_mul(1000))
}

/// The names of a certificate that are names of ours. A DNS name has no colon and a URI has one, so that neither can be
/// taken for the other.
fn names(certificate: &X509Certificate<'_>) -> Vec<CertificateName> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) if !name.contains(':') => CertificateName::parse(&name.to_ascii_lowercase()).ok(),
        GeneralName::URI(uri) if uri.contains(':') => CertificateName::parse(uri).ok(),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(name).take(NAMES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn made(names: Vec<SanType>) -> Certificate {
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params.subject_alt_names = names;
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::read(made.der()).unwrap()
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn dns_names_and_uris_are_names_and_nothing_else_is() {
        let text = |text: &str| text.try_into().unwrap();
        let certificate = made(vec![
            SanType::DnsName(text("Builds.Example.org")),
            SanType::URI(text("spiffe://example.org/builds")),
            SanType::DnsName(text("*.example.org")),
            SanType::DnsName(text("spiffe://example.org/others")),
            SanType::URI(text("no-uri.example.org")),
            SanType::Rfc822Name(text("builds@example.org")),
            SanType::IpAddress([192, 0, 2, 1].into()),
        ]);
        let names: Vec<&str> = certificate.names.iter().map(CertificateName::as_str).collect();
        assert_eq!(names, ["builds.example.org", "spiffe://example.org/builds"]);
        assert!(made(Vec::new()).names.is_empty());
    }

    #[test]
    fn a_certificate_ages() {
        let certificate = made(Vec::new());
        for (now, age) in [
            ("2025-12-31T23:59:59.000Z", Age::NotYet),
            ("2026-01-01T00:00:00.000Z", Age::Valid),
            ("2026-12-01T00:00:00.000Z", Age::Valid),
            ("2026-12-03T00:00:00.000Z", Age::EndsSoon),
            ("2027-01-01T00:00:00.000Z", Age::EndsSoon),
            ("2027-01-01T00:00:01.000Z", Age::Over),
        ] {
            assert_eq!(certificate.age(moment(now)), age, "{now}");
        }
        assert_eq!(certificate.fingerprint.len(), 64);
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        for bytes in [b"".as_slice(), b"\x30\x82\xff\xff", &[0x30; 2000]] {
            assert!(Certificate::read(bytes).is_err());
        }
    }
}

//! What is wrong with a broker's certificate, or a program's, before anybody finds out by a handshake that fails.

use std::fmt;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::{Age, moment};

/// Certificates of one file. The public authorities are about 150.
const CERTIFICATES_MAX: usize = 500;
/// Authorities between a certificate and one that is trusted.
const STEPS_MAX: usize = 5;
/// What OpenSSL demands at the level that Debian has set since 2019.
const RSA_BITS_MIN: usize = 2048;
const OID_ECDSA_WITH_SHA1: Oid<'static> = oid!(1.2.840.10045.4.1);

/// Who shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A broker, to programs that look for the name they called.
    ByBroker,
    /// A program, to a broker that asks who made it.
    ByProgram,
}

/// Something that keeps a certificate from working, today or soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// It cannot be read.
    NoCertificate,
    /// It names no host and no address.
    NoNames,
    /// It says what it is for, and that is something else.
    OtherUse,
    /// It does not count yet.
    NotYet,
    /// It ends within thirty days.
    EndsSoon,
    /// It does not count any more.
    Over,
    /// Its key is easily found, or of a kind that programs do not know.
    WeakKey(String),
    /// Whoever can forge its signature can forge the certificate.
    WeakSignature(&'static str),
    /// Nobody is known who would vouch for it.
    NoAuthority,
    /// The authorities that are known did not make it.
    OtherAuthority {
        /// As it says of itself.
        issuer: String,
    },
    /// One of the name of its issuer is known, and the signature is not of its key.
    ForgedOrOldAuthority {
        /// As it says of itself.
        issuer: String,
    },
    /// Its issuer may not issue.
    IssuerNoAuthority {
        /// As it says of itself.
        issuer: String,
    },
    /// The authority that made it does not count now, or ends soon.
    Authority(Box<Warning>),
    /// The key is another certificate's.
    OtherKey,
    /// The key cannot be read: it has a password, or is none.
    NoKey,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => write!(f, "this is no certificate in PEM or DER"),
            Self::NoNames => write!(
                f,
                "it names no host (no subjectAltName): programs built by Go 1.15 or newer refuse it, and Erlang's"
            ),
            Self::OtherUse => write!(f, "its extended key usage is for something else"),
            Self::NotYet => write!(f, "it does not count yet"),
            Self::EndsSoon => write!(f, "it ends within thirty days"),
            Self::Over => write!(f, "it does not count any more"),
            Self::WeakKey(key) => write!(f, "its key is {key}"),
            Self::WeakSignature(hash) => write!(f, "it is signed by means of {hash}, which programs of today refuse"),
            Self::NoAuthority => write!(f, "no authority is given that vouches for it"),
            Self::OtherAuthority { issuer } => {
                write!(f, "it was issued by {issuer}, which is not among the authorities")
            }
            Self::ForgedOrOldAuthority { issuer } => {
                write!(f, "the authority {issuer} that is given has another key than the one that issued it")
            }
            Self::IssuerNoAuthority { issuer } => write!(f, "{issuer}, which issued it, is no authority (CA:FALSE)"),
            Self::Authority(warning) => write!(f, "the authority that issued it: {warning}"),
            Self::OtherKey => write!(f, "the key belongs to another certificate"),
            Self::NoKey => write!(f, "the key is no private key without a password"),
        }
    }
}

/// What is wrong with the first certificate of a file in PEM or DER; those behind it are what it needs to be traced
/// to an authority. `now` is in seconds since 1970, `authorities` a file of the same forms.
pub fn judge(file: &[u8], shown: Shown, now: i64, authorities: Option<&[u8]>) -> Vec<Warning> {
    let (ours, theirs) = (certificates(file), certificates(authorities.unwrap_or_default()));
    let (ours, theirs) = (read(&ours), read(&theirs));
    let Some((certificate, between)) = ours.split_first() else { return vec![Warning::NoCertificate] };
    let mut warnings = Vec::new();
    if shown == Shown::ByBroker && !has_names(certificate) {
        warnings.push(Warning::NoNames);
    }
    if !is_for(certificate, shown) {
        warnings.push(Warning::OtherUse);
    }
    warnings.extend(age(certificate, now));
    warnings.extend(weak_key(certificate).map(Warning::WeakKey));
    warnings.extend(weak_signature(certificate).map(Warning::WeakSignature));
    if theirs.is_empty() {
        warnings.push(Warning::NoAuthority);
    } else {
        warnings.extend(trace(certificate, between, &theirs, now));
    }
    warnings
}

/// Whether a key in PEM belongs to the first certificate of a file.
pub fn judge_key(file: &[u8], key: &[u8]) -> Option<Warning> {
    let Ok(key) = PrivateKeyDer::from_pem_slice(key) else { return Some(Warning::NoKey) };
    let Ok(key) = any_supported_type(&key) else { return Some(Warning::NoKey) };
    let certificates = certificates(file);
    if certificates.is_empty() {
        return Some(Warning::NoCertificate);
    }
    CertifiedKey::new(certificates, key).keys_match().err().map(|_| Warning::OtherKey)
}

/// The certificates of a file, or those up to what is none.
fn certificates(file: &[u8]) -> Vec<CertificateDer<'static>> {
    if file.is_empty() {
        return Vec::new();
    }
    // DER begins with the head of a sequence, which no text does that somebody made on purpose.
    if file.first() == Some(&0x30) {
        return vec![CertificateDer::from(file.to_vec())];
    }
    CertificateDer::pem_slice_iter(file).map_while(Result::ok).take(CERTIFICATES_MAX).collect()
}

fn read<'d>(ders: &'d [CertificateDer<'static>]) -> Vec<X509Certificate<'d>> {
    ders.iter().map_while(|der| X509Certificate::from_der(der).ok()).map(|(_, certificate)| certificate).collect()
}

fn has_names(certificate: &X509Certificate<'_>) -> bool {
    let is_one = |name: &GeneralName<'_>| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
    let names = certificate.subject_alternative_name().ok().flatten();
    names.is_some_and(|names| names.value.general_names.iter().any(is_one))
}

/// One that does not say is for everything.
fn is_for(certificate: &X509Certificate<'_>, shown: Shown) -> bool {
    let Ok(Some(usage)) = certificate.extended_key_usage() else { return true };
    usage.value.any
        || match shown {
            Shown::ByBroker => usage.value.server_auth,
            Shown::ByProgram => usage.value.client_auth,
        }
}

fn age(certificate: &X509Certificate<'_>, now: i64) -> Option<Warning> {
    let validity = certificate.validity();
    match super::age(moment(validity.not_before.timestamp()), moment(validity.not_after.timestamp()), moment(now)) {
        Age::Valid => None,
        Age::EndsSoon => Some(Warning::EndsSoon),
        Age::Over => Some(Warning::Over),
        Age::NotYet => Some(Warning::NotYet),
    }
}

fn weak_key(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.public_key();
    let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    match key.parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() >= RSA_BITS_MIN => None,
        Ok(PublicKey::RSA(key)) => Some(format!("RSA of {} bits; {RSA_BITS_MIN} are the least", key.key_size())),
        Ok(PublicKey::EC(_))
            if curve.is_some_and(|c| [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&c)) =>
        {
            None
        }
        Ok(PublicKey::EC(_)) => Some("on a curve that is none of P-256, P-384 and P-521".to_owned()),
        _ if key.algorithm.algorithm == OID_SIG_ED25519 => None,
        _ => Some("neither RSA nor on a curve".to_owned()),
    }
}

fn weak_signature(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let algorithm = &certificate.signature_algorithm.algorithm;
    let is_self_signed = certificate.subject() == certificate.issuer();
    [(OID_PKCS1_SHA1WITHRSA, "SHA-1"), (OID_ECDSA_WITH_SHA1, "SHA-1"), (OID_PKCS1_MD5WITHRSAENC, "MD5")]
        .into_iter()
        .find(|(weak, _)| weak == algorithm && !is_self_signed)
        .map(|(_, hash)| hash)
}

/// Looks for the authority behind a certificate, over those between them.
fn trace<'c>(
    certificate: &'c X509Certificate<'c>,
    between: &'c [X509Certificate<'c>],
    authorities: &'c [X509Certificate<'c>],
    now: i64,
) -> Vec<Warning> {
    let mut certificate = certificate;
    for _ in 0..STEPS_MAX {
        let issuer = certificate.issuer().to_string();
        // Of an algorithm that cannot be checked, such as MD5, no more is said than the name says.
        let issued = |other: &&X509Certificate<'_>| {
            let checked = certificate.verify_signature(Some(other.public_key()));
            !matches!(checked, Err(X509Error::SignatureVerificationError))
        };
        let of_name =
            |list: &'c [X509Certificate<'c>]| list.iter().filter(|other| other.subject() == certificate.issuer());
        let trusted = of_name(authorities).find(issued);
        let Some(found) = trusted.or_else(|| of_name(between).find(issued)) else {
            let is_named = of_name(authorities).next().is_some();
            return vec![if is_named {
                Warning::ForgedOrOldAuthority { issuer }
            } else {
                Warning::OtherAuthority { issuer }
            }];
        };
        let mut warnings: Vec<Warning> =
            age(found, now).map(|age| Warning::Authority(Box::new(age))).into_iter().collect();
        if !found.is_ca() {
            warnings.push(Warning::IssuerNoAuthority { issuer });
        }
        if trusted.is_some() || !warnings.is_empty() {
            return warnings;
        }
        certificate = found;
    }
    vec![Warning::NoAuthority]
}

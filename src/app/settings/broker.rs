//! Settings of the broker's management API.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::parse;
use super::reader::{Need, Reader};
use super::setting::Optional;
use crate::base::Secret;

pub(super) const BASE_URL: Optional<Url> = Optional::new("RABBIT_BASE_URL", "rabbit-url", parse::service_url)
    .help("management API, such as http://localhost:15672/api");
pub(super) const USERNAME: Optional<String> =
    Optional::new("RABBIT_USERNAME", "rabbit-username", username).help("an administrator of the broker");
pub(super) const PASSWORD: Optional<Secret> = Optional::secret(
    ["RABBIT_PASSWORD", "RABBIT_PASSWORD_FILE"],
    ["rabbit-password", "rabbit-password-file"],
    parse::secret,
)
.help("the administrator's password");
pub(super) const ROTATION_PERIOD: Optional<Duration> =
    Optional::new("RABBIT_ROTATION_PERIOD", "rabbit-rotation-period", parse::period).help(
        "how often Keylender replaces the administrator by one of its own making, such as `30 days`; never if not set",
    );
pub(super) const CA_FILE: Optional<PathBuf> =
    Optional::new("RABBIT_CA_FILE", "rabbit-ca-file", parse::path).help("file with the broker's private CA");
pub(super) const CERT: Optional<PathBuf> =
    Optional::new("RABBIT_CERT", "rabbit-cert", parse::path).help("file with the client certificate for the broker");
pub(super) const KEY: Optional<PathBuf> =
    Optional::new("RABBIT_KEY", "rabbit-key", parse::path).help("file with the key of the client certificate");

pub(super) const SITES_FILE: Optional<PathBuf> = Optional::new("RABBIT_SITES_FILE", "rabbit-sites-file", parse::path)
    .help("file with further brokers that get the users of all namespaces: TOML, a [[site]] for each");

pub(super) const NEEDS: [Need; 10] = [
    (SITES_FILE.info, BASE_URL.info),
    (ROTATION_PERIOD.info, BASE_URL.info),
    (BASE_URL.info, USERNAME.info),
    (BASE_URL.info, PASSWORD.info),
    (USERNAME.info, BASE_URL.info),
    (PASSWORD.info, BASE_URL.info),
    (CA_FILE.info, BASE_URL.info),
    (CERT.info, BASE_URL.info),
    (CERT.info, KEY.info),
    (KEY.info, CERT.info),
];

/// The management API of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Its address with any path prefix, without credentials and without a final slash in the path.
    pub base_url: Url,
    /// An administrator.
    pub username: String,
    /// The administrator's password.
    pub password: Secret,
    /// How often the administrator is replaced by one of our own making; never unless set.
    pub rotation_period: Option<Duration>,
    /// A private CA.
    pub ca_file: Option<PathBuf>,
    /// A client certificate.
    pub certificate: Option<ClientCertificate>,
}

/// The files of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
}

pub(super) fn broker(read: &mut Reader) -> Option<BrokerSettings> {
    let (base_url, username, password) = (read.find(&BASE_URL), read.find(&USERNAME), read.find(&PASSWORD));
    let (rotation_period, ca_file) = (read.find(&ROTATION_PERIOD), read.find(&CA_FILE));
    let certificate = read.find(&CERT).zip(read.find(&KEY));
    let certificate = certificate.map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file });
    let (base_url, username, password) = (base_url?, username?, password?);
    Some(BrokerSettings { base_url, username, password, rotation_period, ca_file, certificate })
}

/// An administrator's name. HTTP puts a colon between it and the password.
pub(super) fn username(text: &str) -> parse::Parsed<String> {
    parse::fitting(text, !text.contains(':'), "a name without a colon")
}

//! What we trust and who we are, when a door to the outside speaks TLS.

use crate::base::Secret;

/// TLS as one neighbour wants it. The default trusts what the system trusts and shows no certificate.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The authorities to trust *instead of* the system's: one or more certificates in PEM.
    pub authorities: Option<String>,
    /// The certificate to show, when the neighbour asks for one.
    pub identity: Option<ClientCertificate>,
}

/// A client certificate with its key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The certificate and its intermediates, in PEM.
    pub certificate: String,
    /// The private key, in PEM.
    pub key: Secret,
}

/// Makes ring the process's cryptography. Every port calls it before it builds a client; once is enough, more is
/// harmless, and a provider that somebody else installed stays.
pub fn install_crypto() {
    // The error only says that there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

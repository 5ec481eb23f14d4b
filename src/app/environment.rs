//! From settings to where an appliance is at work, which the doctor looks at.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;

use super::settings::{Limits, Settings};
use crate::domain::health::{CertificateFile, Environment};

/// Files beside the connections from the network: the store, the log, the control socket's connections, the broker's, DNS, and
/// two for each of some calls of the task proxy.
const FILES_BESIDE: u64 = 120 + 2 * 256;
/// What makes new files of our own TLS count.
const HANGUP: &str = "send SIGHUP";
/// What makes new files for a neighbour count.
const RESTART: &str = "restart";

/// What names files for further brokers.
const SITES: &str = "RABBIT_SITES_FILE";

/// Everything that the settings say of it.
pub(super) fn read(settings: &Settings) -> Environment {
    let listen = &settings.listen;
    Environment {
        certificates: certificates(settings),
        address: SocketAddr::new(listen.bind, listen.port),
        listens: OnceLock::new(),
        is_tls: listen.tls.is_some(),
        files_needed: files_needed(&listen.limits),
    }
}

/// Files that are open at most.
pub(super) fn files_needed(limits: &Limits) -> u64 {
    limits.connections as u64 + FILES_BESIDE
}

fn certificates(settings: &Settings) -> Vec<CertificateFile> {
    let (tls, broker) = (settings.listen.tls.as_ref(), settings.broker.as_ref());
    let file = |setting, path: Option<&Path>, is_authorities, remedy| {
        path.map(|path| CertificateFile { setting, path: path.into(), is_authorities, remedy })
    };
    let files = [
        file("TLS_CERT", tls.map(|tls| &*tls.cert_file), false, HANGUP),
        file("TLS_CLIENT_CA", tls.and_then(|tls| tls.client_ca_file.as_deref()), true, HANGUP),
        file("RABBIT_CERT", broker.and_then(|broker| Some(&*broker.certificate.as_ref()?.cert_file)), false, RESTART),
        file("RABBIT_CA_FILE", broker.and_then(|broker| broker.ca_file.as_deref()), true, RESTART),
    ];
    let further = settings.sites.iter().flat_map(|site| {
        let cert = site.certificate.as_ref().map(|files| &*files.cert_file);
        [file(SITES, cert, false, RESTART), file(SITES, site.ca_file.as_deref(), true, RESTART)]
    });
    files.into_iter().chain(further).flatten().collect()
}

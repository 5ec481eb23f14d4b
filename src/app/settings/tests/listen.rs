//! Stories about the settings of our own port.

use std::path::PathBuf;

use super::{load_file, problems_of};
use crate::app::settings::{Limits, TlsSettings};

const TLS: &str = "TLS_CERT=/c.pem\nTLS_KEY=/k.pem\n";

#[test]
fn with_a_certificate_https_needs_no_proxy() {
    let loaded = load_file(&format!("NODE_ENV=production\n{TLS}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let (cert_file, key_file) = (PathBuf::from("/c.pem"), PathBuf::from("/k.pem"));
    assert_eq!(loaded.settings.listen.tls, Some(TlsSettings { cert_file, key_file, client_ca_file: None }));
}

#[test]
fn a_part_of_tls_alone_is_a_problem() {
    assert_eq!(problems_of("TLS_CERT=/c.pem"), "keylender.conf:1: TLS_CERT: needs TLS_KEY as well");
    assert_eq!(problems_of("TLS_KEY=/k.pem"), "keylender.conf:1: TLS_KEY: needs TLS_CERT as well");
    assert_eq!(problems_of("TLS_CLIENT_CA=/ca.pem"), "keylender.conf:1: TLS_CLIENT_CA: needs TLS_CERT as well");
}

#[test]
fn client_certificates_are_for_clients_of_the_own_store() {
    let file = format!("{TLS}TLS_CLIENT_CA=/ca.pem\n");
    assert!(load_file(&file).warnings.is_empty());
    let warnings = load_file(&format!("{file}TASKCLUSTER_ROOT_URL=https://tc.example\n")).warnings;
    assert!(warnings[0].starts_with("TLS_CLIENT_CA: client certificates say nothing while"), "{warnings:?}");
}

#[test]
fn limits_are_numbers_and_one_address_has_a_quarter() {
    let Limits { connections, connections_each, per_minute, failures_per_minute, .. } =
        load_file("CONNECTIONS_MAX=10\nCLIENT_REQUESTS_MAX=0\n").settings.listen.limits;
    assert_eq!((connections, connections_each, per_minute, failures_per_minute), (10, 3, 0, 60));
    for wrong in ["0", "-1", "many", "1000000"] {
        assert!(problems_of(&format!("CONNECTIONS_MAX={wrong}")).contains("expected a number of connections"));
    }
    assert!(problems_of("AUTH_FAILURES_MAX=often").contains("expected a number of requests in a minute"));
}

//! What makes a broker speak TLS to programs that show certificates, in both forms of its configuration.
//!
//! Tried with RabbitMQ 3.8.9, 3.10.8, 4.0.5 and 4.3.6. All take TLS 1.2, and all but 3.8.9, which leaves it out by
//! itself, take TLS 1.3, too; so 1.3 alone would close 3.8.9 to everybody. What the guide of March 2015 says, `tlsv1`
//! and suites of 3DES and SHA-1, lets no program of today in; here the broker chooses the suites.

/// The port that AMQP over TLS has by convention.
pub const PORT: u16 = 5671;
/// Longest path. Linux takes 4095.
const PATH_LEN_MAX: usize = 1000;

/// Where a broker finds what it needs, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTls {
    /// [`PORT`], unless another service has it.
    pub port: u16,
    /// The authorities whose certificates programs may show, PEM.
    pub authorities: String,
    /// The broker's own certificate with what is between it and its authority, PEM.
    pub certificate: String,
    /// Its key, PEM without a password.
    pub key: String,
}

impl BrokerTls {
    /// Lines for `rabbitmq.conf`. They replace all that stands there of `listeners.ssl` and `ssl_options`. An error
    /// names a path that cannot be written there: this form has no way to quote.
    pub fn conf(&self) -> Result<String, String> {
        let [authorities, certificate, key] = self.paths(|path| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:=~ ".contains(c);
            let bare = path.chars().all(is_plain) && !path.ends_with(' ');
            bare.then(|| path.to_owned()).ok_or("rabbitmq.conf takes letters, digits, blanks inside, and /._-+@,:=~")
        })?;
        Ok(format!(
            "\
# TLS 1.2 and 1.3. The guide of 2015 has tlsv1 and a list of old ciphers; with these no program of today can connect.
listeners.ssl.default = {port}
ssl_options.cacertfile = {authorities}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
# Programs without a certificate of these authorities are turned away.
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
ssl_options.versions.2 = tlsv1.2
",
            port = self.port
        ))
    }

    /// The same as Erlang terms: all of a `rabbitmq.config`, or of an `advanced.config` beside a `rabbitmq.conf`. Who
    /// has one already takes over its items.
    pub fn terms(&self) -> Result<String, String> {
        let [authorities, certificate, key] = self.paths(|path| {
            let is_writable = path.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            let escaped = || format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""));
            is_writable.then(escaped).ok_or("a path here is of printable ASCII characters")
        })?;
        Ok(format!(
            "\
%% TLS 1.2 and 1.3. The guide of 2015 has tlsv1 and a list of old ciphers; with these no program of today can connect.
[
  {{rabbit, [
    {{ssl_listeners, [{port}]}},
    {{ssl_options, [
      {{cacertfile, {authorities}}},
      {{certfile, {certificate}}},
      {{keyfile, {key}}},
      %% Programs without a certificate of these authorities are turned away.
      {{verify, verify_peer}},
      {{fail_if_no_peer_cert, true}},
      {{versions, ['tlsv1.3', 'tlsv1.2']}}
    ]}}
  ]}}
].
",
            port = self.port
        ))
    }

    /// The three paths as `written` writes them.
    fn paths(&self, written: impl Fn(&str) -> Result<String, &'static str>) -> Result<[String; 3], String> {
        if self.port == 0 {
            return Err("a broker listens on a port from 1 to 65535".to_owned());
        }
        let path = |path: &str| {
            if !path.starts_with('/') || path.len() > PATH_LEN_MAX {
                return Err(format!("{path:?} is no path that begins with `/` and has up to {PATH_LEN_MAX} bytes"));
            }
            written(path).map_err(|why| format!("{path:?} cannot be written: {why}"))
        };
        Ok([path(&self.authorities)?, path(&self.certificate)?, path(&self.key)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(key: &str) -> BrokerTls {
        let path = |name: &str| format!("/etc/rabbitmq/certs/{name}");
        BrokerTls { port: PORT, authorities: path("cacert.pem"), certificate: path("relay.pem"), key: path(key) }
    }

    #[test]
    fn both_forms_ask_programs_for_certificates_and_speak_no_old_tls() {
        let (conf, terms) = (tls("relay.key").conf().unwrap(), tls("relay.key").terms().unwrap());
        assert!(conf.contains("\nssl_options.keyfile = /etc/rabbitmq/certs/relay.key\n"));
        assert!(conf.contains("fail_if_no_peer_cert = true") && terms.contains("{fail_if_no_peer_cert, true}"));
        assert!(terms.contains("{ssl_listeners, [5671]}") && terms.contains("['tlsv1.3', 'tlsv1.2']"));
    }

    #[test]
    fn what_a_form_cannot_hold_is_refused_and_not_bent() {
        for name in ["a#b", "a'b", "a\"b", "a\\b", "a%b", "a ", "a\nb", "$a", "ä"] {
            assert!(tls(name).conf().unwrap_err().contains("rabbitmq.conf takes"), "{name:?}");
        }
        for name in ["a\nb", "a\u{7f}", "ä"] {
            assert!(tls(name).terms().is_err(), "{name:?}");
        }
        assert!(tls(r#"a "b\%#' c"#).terms().unwrap().contains(r#"certs/a \"b\\%#' c"}"#));
        assert!(BrokerTls { key: "relay.key".into(), ..tls("") }.conf().is_err());
        assert!(BrokerTls { port: 0, ..tls("relay.key") }.terms().is_err());
    }
}

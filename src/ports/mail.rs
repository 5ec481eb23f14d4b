//! Mail: what a letter is on the wire (RFC 5322), and the SMTP server that takes it.
//!
//! Two features of lettre stay off. `tracing` would log everything that is said to the server, passwords included;
//! `pool` would keep connections, and a task that nobody awaits, for a few mails an hour.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId as HelloName;
use lettre::{Address, Message};

use super::resolve::Resolver;
use super::tls::{Tls, install_crypto};
use crate::base::{Error, MailAddress, Result, Secret, Timestamp};

/// For one address of the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For all of a mail. Some servers think for a while before they take one.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// For a greeting alone, with somebody waiting.
const GREET_TIMEOUT: Duration = Duration::from_secs(15);
/// Who writes, in the mail programs of the readers.
const SENDER_NAME: &str = "Keylender";

/// A mail to one person. It has no `Debug`: its text is for the reader only.
#[derive(Clone)]
pub struct Letter {
    /// The same over all tries, and of no other mail. It becomes the `Message-ID`, by which receivers know what they
    /// have already, and the name of a file: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// To whom.
    pub to: MailAddress,
    /// In one line; any text.
    pub subject: String,
    /// Plain text; any text.
    pub body: String,
    /// When it was written.
    pub written: Timestamp,
}

impl Letter {
    /// The mail as it travels: ASCII with CRLF, whatever the subject and the body hold.
    pub(super) fn text(&self, from: &MailAddress) -> Result<(Vec<u8>, Envelope)> {
        let id = format!("<{}@{}>", self.id, from.domain());
        let seconds = u64::try_from(self.written.as_seconds()).unwrap_or(0);
        // Vacation responders stay quiet (RFC 3834).
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        let message = Message::builder()
            .from(Mailbox::new(Some(SENDER_NAME.to_owned()), address(from)?))
            .to(Mailbox::new(None, address(&self.to)?))
            .subject(&self.subject)
            .date(UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(id))
            .raw_header(automatic)
            .singlepart(SinglePart::plain(self.body.clone()))
            .map_err(|e| Error::invalid("the mail cannot be written").because(e))?;
        Ok((message.formatted(), message.envelope().clone()))
    }
}

fn address(address: &MailAddress) -> Result<Address> {
    let parsed = address.as_str().parse();
    parsed.map_err(|e: lettre::address::AddressError| Error::invalid("not a mail address").because(e))
}

/// When a connection to the server becomes secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Never.
    Plain,
    /// By `STARTTLS`; a server that does not offer it gets no mail.
    StartTls,
    /// From the first byte.
    Tls,
}

/// The mail server of the operator.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// When the connection becomes secret.
    pub security: Security,
    /// Its name or address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password, if it wants them.
    pub login: Option<(String, Secret)>,
    /// Who writes.
    pub from: MailAddress,
    /// Whom to trust.
    pub tls: Tls,
}

/// A client of a mail server. Every mail has a connection of its own.
#[derive(Clone)]
pub struct Smtp(Arc<Parts>);

struct Parts {
    settings: SmtpSettings,
    resolver: Resolver,
}

impl Smtp {
    /// A mail server. It is not asked anything yet.
    pub fn new(settings: SmtpSettings, resolver: Resolver) -> Self {
        install_crypto();
        Self(Parts { settings, resolver }.into())
    }

    /// Hands a mail over. `Invalid` when the server will never take it; other errors may go away.
    ///
    /// An error after the server has taken the mail is possible, when the connection breaks just then. The next try
    /// sends the same `Message-ID`.
    pub async fn send(&self, letter: &Letter) -> Result<()> {
        let (text, envelope) = letter.text(&self.0.settings.from)?;
        let sending = tokio::time::timeout(SEND_TIMEOUT, self.converse(&envelope, &text));
        sending.await.unwrap_or_else(|_| Err(Error::unavailable("the mail server took too long")))
    }

    /// Speaks to the server as far as a mail would, login included, and sends none.
    pub async fn greet(&self) -> Result<()> {
        let greeting = async {
            let mut connection = self.connect().await?;
            let _ = connection.quit().await;
            Ok(())
        };
        tokio::time::timeout(GREET_TIMEOUT, greeting)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the mail server took too long")))
    }

    async fn converse(&self, envelope: &Envelope, text: &[u8]) -> Result<()> {
        let mut connection = self.connect().await?;
        let sent = connection.send(envelope, text).await;
        sent.map_err(|e| {
            if e.is_permanent() {
                Error::invalid(format!("the mail server refused the mail{}", code(&e)))
            } else {
                fault("did not take the mail", &e)
            }
        })?;
        // It has the mail; whether it says goodbye as well is its affair.
        let _ = connection.quit().await;
        Ok(())
    }

    /// A connection over which mail may be sent.
    async fn connect(&self) -> Result<AsyncSmtpConnection> {
        let SmtpSettings { security, host, port, login, .. } = &self.0.settings;
        let hello = HelloName::default();
        let ips = self.0.resolver.addresses(host).await?;
        let addresses: Vec<SocketAddr> = ips.into_iter().map(|ip| SocketAddr::new(ip, *port)).collect();
        let wrapped = if *security == Security::Tls { Some(self.tls()?) } else { None };
        let connecting = AsyncSmtpConnection::connect_tokio1(
            addresses.as_slice(),
            Some(CONNECT_TIMEOUT),
            &hello,
            wrapped,
            None, // any address of ours
        );
        let mut connection = connecting.await.map_err(|e| fault("cannot be reached", &e))?;
        if *security == Security::StartTls {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(Error::unavailable("the mail server does not offer STARTTLS"));
            }
            connection.starttls(self.tls()?, &hello).await.map_err(|e| fault("fails at STARTTLS", &e))?;
        }
        if let Some((user, password)) = login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            login.map_err(|e| fault("refuses our login", &e))?;
        }
        Ok(connection)
    }

    /// The connection goes to an address; the certificate must be the name's.
    fn tls(&self) -> Result<TlsParameters> {
        let failed = |e: SmtpError| Error::internal("preparing TLS for mail", e);
        let mut builder = TlsParameters::builder(self.0.settings.host.clone());
        if let Some(authorities) = self.0.settings.tls.own_authorities() {
            let certificate = Certificate::from_pem(authorities.as_bytes()).map_err(failed)?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
        }
        builder.build_rustls().map_err(failed)
    }
}

/// An error that may go away. What the server said stays out of it, for it may repeat what it was told.
fn fault(what: &str, error: &SmtpError) -> Error {
    let message = Error::unavailable(format!("the mail server {what}{}", code(error)));
    if error.status().is_none() && !error.is_response() { message.because(error.to_string()) } else { message }
}

/// The number that the server answered with.
fn code(error: &SmtpError) -> String {
    error.status().map(|code| format!(": it answered {code}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(subject: &str, body: &str) -> String {
        let address = |text| MailAddress::parse(text).unwrap();
        let letter = Letter {
            id: "7-a.0".into(),
            to: address("ops@example.org"),
            subject: subject.into(),
            body: body.into(),
            written: Timestamp::from_millis(1_539_604_800_054),
        };
        String::from_utf8(letter.text(&address("lender@keylender.example")).unwrap().0).unwrap()
    }

    #[test]
    fn a_plain_letter_is_readable_as_it_is() {
        insta::assert_snapshot!(letter("queue `a` is full", "4001 messages\n.\nbye").replace("\r\n", "\n"), @"
        From: Keylender <lender@keylender.example>
        To: ops@example.org
        Subject: queue `a` is full
        Date: Mon, 15 Oct 2018 12:00:00 +0000
        Message-ID: <7-a.0@keylender.example>
        Auto-Submitted: auto-generated
        MIME-Version: 1.0
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit

        4001 messages
        .
        bye
        ");
    }

    #[test]
    fn whatever_subject_and_body_hold_the_letter_is_ascii_and_no_header_is_forged() {
        for text in ["x\r\nBcc: eve@example.org", "x\nBcc: eve@example.org", "ü\r\n\r\nBcc: eve@example.org", "\u{0}\r"]
        {
            let letter = letter(text, text);
            let (head, body) = letter.split_once("\r\n\r\n").unwrap();
            assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
            assert!(letter.is_ascii() && !body.is_empty(), "{letter}");
        }
        let long = letter(&"ü".repeat(255), &"é".repeat(5000));
        assert!(long.is_ascii() && long.lines().all(|line| line.len() <= 78), "{long}");
    }
}

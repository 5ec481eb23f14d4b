//! Settings of notices.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::parse::{self, Parsed};
use super::reader::{Need, Reader};
use super::setting::{Optional, Setting};
use crate::base::{MailAddress, Secret};
use crate::ports::mail::Security;

pub(super) const SMTP_URL: Optional<SmtpSettings> =
    Optional::secret(["SMTP_URL", "SMTP_URL_FILE"], ["smtp-url", "smtp-url-file"], smtp).help(
        "mail server: smtp://, smtps:// or smtp+starttls://[user:password@]host[:port]; if not set, mail is put into \
         <DATA_DIR>/outbox",
    );
pub(super) const MAIL_FROM: Setting<MailAddress> =
    Setting::new("MAIL_FROM", "mail-from", "keylender@localhost", parse::of).help("address that mail comes from");
pub(super) const WEBHOOK_URL: Optional<Url> =
    Optional::new("WEBHOOK_URL", "webhook-url", webhook_url).help("where every notice is posted as signed JSON");
pub(super) const WEBHOOK_SECRET: Optional<Secret> = Optional::secret(
    ["WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE"],
    ["webhook-secret", "webhook-secret-file"],
    webhook_secret,
)
.help("what signs for the webhook; at least 16 characters");

pub(super) const NEEDS: [Need; 3] =
    [(SMTP_URL.info, MAIL_FROM.info), (WEBHOOK_URL.info, WEBHOOK_SECRET.info), (WEBHOOK_SECRET.info, WEBHOOK_URL.info)];

/// Shortest secret of a webhook: a random one of this length cannot be guessed, and a short one is a word.
const WEBHOOK_SECRET_LEN_MIN: usize = 16;

/// How notices leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeSettings {
    /// The mail server; without one, mail goes into a directory.
    pub smtp: Option<SmtpSettings>,
    /// Who writes.
    pub mail_from: MailAddress,
    /// Who hears every notice.
    pub webhook: Option<WebhookSettings>,
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    /// When the connection becomes secret.
    pub security: Security,
    /// The host; an IPv6 address has no brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, Secret)>,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Where it is.
    pub url: Url,
    /// What signs.
    pub secret: Secret,
}

pub(super) fn notices(read: &mut Reader) -> NoticeSettings {
    let (url, secret) = (read.find(&WEBHOOK_URL), read.find(&WEBHOOK_SECRET));
    NoticeSettings {
        smtp: read.find(&SMTP_URL),
        mail_from: read.get(&MAIL_FROM),
        webhook: url.zip(secret).map(|(url, secret)| WebhookSettings { url, secret }),
    }
}

pub(super) fn warn_about_mail(read: &mut Reader, settings: &NoticeSettings) {
    if let Some(SmtpSettings { security: Security::Plain, login: Some(_), .. }) = &settings.smtp {
        read.report
            .warning("SMTP_URL holds a login and begins with smtp://: it is sent in clear; use smtp+starttls://");
    }
}

/// A mail server. The text may hold a password, so no message repeats it.
fn smtp(text: &str) -> Parsed<SmtpSettings> {
    let expected = || "expected smtp://, smtps:// or smtp+starttls://, then [user:password@]host[:port]".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let (security, port) = match url.scheme() {
        "smtp" => (Security::Plain, 25),
        "smtp+starttls" => (Security::StartTls, 587),
        "smtps" => (Security::Tls, 465),
        _ => return Err(expected()),
    };
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(expected());
    }
    // A scheme that no browser knows leaves the host as it was written; this reads it as a host.
    let host = match Host::parse(url.host_str().unwrap_or_default()).map_err(|_| expected())? {
        Host::Ipv6(address) => address.to_string(),
        host => host.to_string(),
    };
    let decode =
        |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).map_err(|_| expected());
    let login = match (url.username(), url.password()) {
        ("", None) => None,
        (user, Some(password)) if !user.is_empty() => Some((decode(user)?, Secret::new(decode(password)?))),
        _ => return Err("expected both a user and a password, or neither".to_owned()),
    };
    match url.port().unwrap_or(port) {
        0 => Err(expected()),
        port => Ok(SmtpSettings { security, host, port, login }),
    }
}

/// As any service's, but it may have a query: many receivers put a token there.
fn webhook_url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text).map_err(|_| "expected a URL such as https://host/path".to_owned())?;
    let mut bare = url.clone();
    bare.set_query(None);
    parse::service_url(bare.as_str()).map(|_| url)
}

fn webhook_secret(text: &str) -> Parsed<Secret> {
    if text.len() < WEBHOOK_SECRET_LEN_MIN {
        return Err(format!("expected at least {WEBHOOK_SECRET_LEN_MIN} characters"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::super::MASK;
    use super::super::tests::{load_file, problems_of, shown};
    use super::*;

    #[test]
    fn a_mail_server_is_a_url_with_or_without_a_login() {
        let smtp =
            |url: &str| load_file(&format!("SMTP_URL='{url}'\nMAIL_FROM=a@b.example")).settings.notices.smtp.unwrap();
        for (url, security, host, port) in [
            ("smtp://mail.example", Security::Plain, "mail.example", 25),
            ("smtps://mail.example/", Security::Tls, "mail.example", 465),
            ("smtp+starttls://MAIL.example:2525", Security::StartTls, "mail.example", 2525),
            ("smtp://[::1]:25", Security::Plain, "::1", 25),
        ] {
            let host = host.to_owned();
            assert_eq!(smtp(url), SmtpSettings { security, host, port, login: None }, "{url}");
        }
        let login = smtp("smtps://ops%40example.org:s%2Fcret@mail.example").login.unwrap();
        assert_eq!(login, ("ops@example.org".into(), Secret::new("s/cret")));
    }

    #[test]
    fn a_mail_server_that_is_none_is_a_problem_that_repeats_no_password() {
        for url in [
            "mail.example",
            "http://x:hunter2@mail.example",
            "smtp://",
            "smtp://x:hunter2@mail.example/x",
            "smtp://:hunter2@h",
        ] {
            let text = problems_of(&format!("MAIL_FROM=a@b\nSMTP_URL='{url}'"));
            assert!(text.contains("SMTP_URL: expected") && !text.contains("hunter2"), "{text}");
        }
        let text = problems_of("SMTP_URL=smtp://mail.example");
        assert!(text.contains("SMTP_URL: needs MAIL_FROM as well"), "{text}");
        assert!(problems_of("MAIL_FROM='Ops <a@b>'").contains("MAIL_FROM: not a valid mail address"));
        let loaded = load_file("SMTP_URL=smtp://x:hunter2@mail.example\nMAIL_FROM=a@b");
        assert!(loaded.warnings[0].starts_with("SMTP_URL holds a login"), "{:?}", loaded.warnings);
        assert_eq!(shown(&loaded, "SMTP_URL").0.unwrap(), MASK);
        assert!(!format!("{loaded:?}").contains("hunter2"));
    }

    #[test]
    fn a_webhook_needs_a_secret_that_is_one() {
        let webhook = "WEBHOOK_URL='https://hooks.example/x?token=y'\nWEBHOOK_SECRET=0123456789abcdef\n";
        let webhook = load_file(webhook).settings.notices.webhook.unwrap();
        assert_eq!(webhook.url.as_str(), "https://hooks.example/x?token=y");
        assert_eq!(webhook.secret, Secret::new("0123456789abcdef"));
        assert!(problems_of("WEBHOOK_URL=https://hooks.example").contains("WEBHOOK_URL: needs WEBHOOK_SECRET as well"));
        let short = problems_of("WEBHOOK_URL=https://hooks.example\nWEBHOOK_SECRET=hunter2");
        assert!(short.contains("WEBHOOK_SECRET: expected at least 16") && !short.contains("hunter2"), "{short}");
        for url in ["ftp://a", "https://u:p@a", "https://a/#b", "a"] {
            let text = problems_of(&format!("WEBHOOK_SECRET=0123456789abcdef\nWEBHOOK_URL='{url}'"));
            assert!(text.contains("WEBHOOK_URL: "), "{text}");
        }
    }
}

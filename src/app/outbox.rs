//! From settings to the ways by which notices leave.

use super::settings::{self, Settings};
use crate::base::Result;
use crate::domain::notices::{MailWay, Ways};
use crate::ports::mail::{Smtp, SmtpSettings};
use crate::ports::notify::Notify;
use crate::ports::resolve::Resolver;
use crate::ports::spool::Spool;
use crate::ports::tls::Tls;
use crate::ports::webhook::Webhook;
use crate::proto::urls::RootUrl;

/// Name of the spool directory in the data directory.
const SPOOL: &str = "outbox";

/// Mail goes through the notify service when a deployment and our credentials there are set, else to the mail server,
/// else into the spool directory. The webhook, when there is one, hears everything besides.
pub(super) fn ways(settings: &Settings) -> Result<Ways> {
    let resolver = Resolver::system()?;
    let from = settings.notices.mail_from.clone();
    let mail = match (&settings.root_url, &settings.credentials, &settings.notices.smtp) {
        (Some(root_url), Some(credentials), _) => {
            let settings::Credentials { client_id, access_token } = credentials.clone();
            let root_url = RootUrl::parse(root_url.as_str())?;
            MailWay::Notify(Notify::new(&root_url, client_id, access_token, resolver.clone())?)
        }
        (_, _, Some(smtp)) => {
            let settings::SmtpSettings { security, host, port, login } = smtp.clone();
            let smtp = SmtpSettings { security, host, port, login, from, tls: Tls::default() };
            MailWay::Smtp(Smtp::new(smtp, resolver.clone()))
        }
        _ => MailWay::Spool(Spool::new(settings.data_dir.join(SPOOL), from)),
    };
    let webhook = settings.notices.webhook.clone();
    let webhook = webhook.map(|webhook| Webhook::new(webhook.url, webhook.secret, resolver)).transpose()?;
    Ok(Ways { mail, webhook })
}

//! An outbox in memory, with receivers around it.

use std::path::Path;
use std::time::Duration;

pub use keylender::base::{Clock, MailAddress, Result, Secret, Timestamp};
pub use keylender::domain::notices::{Channel, Delivered, End, Filter, Listed, MailWay, Notice, Notices, State, Ways};
pub use keylender::ports::mail::{Security, Smtp, SmtpSettings};
pub use keylender::ports::resolve::Resolver;
use keylender::ports::spool::Spool;
pub use keylender::ports::tls::Tls;
use keylender::ports::webhook::Webhook;
use keylender::store::Store;

use super::http::Receiver;
use super::smtp::SmtpServer;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const WEBHOOK_SECRET: &str = "canary-webhook-secret-41";

/// An outbox whose mail goes to a mail server.
pub struct World {
    pub clock: Clock,
    pub store: Store,
    pub smtp: SmtpServer,
    pub hook: Receiver,
    pub notices: Notices,
}

impl World {
    pub fn new() -> Self {
        Self::with(|smtp, _| Ways { mail: MailWay::Smtp(door(smtp, Security::Plain, None)), webhook: None })
    }

    pub fn with_webhook() -> Self {
        Self::with(|smtp, hook| Ways {
            mail: MailWay::Smtp(door(smtp, Security::Plain, None)),
            webhook: Some(webhook(hook)),
        })
    }

    pub fn with(ways: impl FnOnce(&SmtpServer, &Receiver) -> Ways) -> Self {
        let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_000));
        let store = Store::memory(clock.clone()).unwrap();
        let (smtp, hook) = (SmtpServer::start(), Receiver::start());
        let notices = Notices::new(store.clone(), ways(&smtp, &hook));
        Self { clock, store, smtp, hook, notices }
    }

    /// The same store after a restart.
    pub fn restart(&mut self) {
        let ways = Ways { mail: MailWay::Smtp(door(&self.smtp, Security::Plain, None)), webhook: None };
        self.notices = Notices::new(self.store.clone(), ways);
    }

    pub async fn post(&self, subject: &str, to: &[&str]) {
        self.try_post(notice(subject, to)).await.unwrap();
    }

    pub async fn try_post(&self, notice: Notice) -> Result<()> {
        let notices = self.notices.clone();
        self.store.write(move |tx| notices.post(tx, notice)).await
    }

    pub async fn deliver(&self) -> Delivered {
        self.notices.deliver().await.unwrap()
    }

    /// Delivers after a pause.
    pub async fn deliver_after(&self, pause: Duration) -> Delivered {
        self.clock.advance(pause);
        self.deliver().await
    }

    pub async fn list(&self) -> Vec<Listed> {
        self.notices.list(Filter::All, None, 100).await.unwrap()
    }

    /// The state of the newest notice's only delivery.
    pub async fn state(&self) -> State {
        self.list().await[0].deliveries[0].1.clone()
    }

    /// Subjects of the mails that were taken.
    pub fn subjects(&self) -> Vec<String> {
        self.smtp.mails().iter().map(|mail| mail.header("Subject")).collect()
    }

    /// Actions in the audit log, with their ends.
    pub fn audited(&self) -> Vec<String> {
        let entries = self.store.survey_here(|tx| tx.entries(1, 1000)).unwrap();
        let entry = |(_, bytes): (u64, Vec<u8>)| {
            let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            format!("{} {}", entry["action"].as_str().unwrap(), entry["outcome"].as_str().unwrap())
        };
        entries.into_iter().map(entry).collect()
    }
}

pub fn notice(subject: &str, to: &[&str]) -> Notice {
    Notice {
        kind: "queue.warn",
        about: "queue/taskcluster-a/b".into(),
        to: to.iter().map(ToString::to_string).collect(),
        subject: subject.into(),
        body: format!("text of {subject}"),
    }
}

pub fn settings(smtp: &SmtpServer, security: Security, login: Option<(&str, &str)>) -> SmtpSettings {
    SmtpSettings {
        security,
        host: "127.0.0.1".into(),
        port: smtp.address.port(),
        login: login.map(|(user, password)| (user.into(), Secret::new(password))),
        from: MailAddress::parse("lender@keylender.example").unwrap(),
        tls: Tls::default(),
    }
}

pub fn door(smtp: &SmtpServer, security: Security, login: Option<(&str, &str)>) -> Smtp {
    Smtp::new(settings(smtp, security, login), Resolver::system().unwrap())
}

pub fn webhook(hook: &Receiver) -> Webhook {
    let url = format!("http://localhost:{}/hook?token=canary-hook-token-52", hook.port).parse().unwrap();
    Webhook::new(url, Secret::new(WEBHOOK_SECRET), Resolver::system().unwrap()).unwrap()
}

pub fn spool(dir: &Path) -> Spool {
    Spool::new(dir.join("outbox"), MailAddress::parse("lender@keylender.example").unwrap())
}

pub fn is_delivered(state: &State, way: &str) -> bool {
    matches!(state, State::Over(End::Delivered { by, .. }) if by == way)
}

pub fn is_dead(state: &State) -> bool {
    matches!(state, State::Over(End::Dead { .. }))
}

pub fn mail(address: &str) -> Channel {
    Channel::Mail(address.into())
}

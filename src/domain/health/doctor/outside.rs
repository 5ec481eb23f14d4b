//! The other neighbours: the auth service, and the ways by which notices leave.

use super::files::bytes;
use super::{Finding, Grade};
use crate::base::Result;
use crate::domain::health::Health;
use crate::domain::notices::WayState;
use crate::ports::spool::MAILS_MAX;

impl Health {
    pub(super) async fn outside_findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.parts.auth.reach().await {
            None => {}
            Some(Ok(())) => findings.push(Finding::new("auth service", Grade::Well, "it answers")),
            Some(Err(error)) => findings.push(Finding::new(
                "auth service",
                Grade::Problem,
                format!("{}; see TASKCLUSTER_ROOT_URL and the log", error.message()),
            )),
        }
        if let Some(oidc) = &self.parts.oidc {
            findings.push(issuer(oidc.reach().await));
        }
        let (way, has_webhook) = self.parts.notices.look().await;
        findings.push(mail(&way));
        if has_webhook {
            findings.push(Finding::new("webhook", Grade::Well, "it is told everything; it is not asked now"));
        }
        findings
    }
}

fn issuer(reached: Result<()>) -> Finding {
    let (grade, text) = match reached {
        Ok(()) => (Grade::Well, "its discovery document is as it should be".to_owned()),
        Err(error) => (Grade::Warning, format!("{}; see OIDC_ISSUER", error.chain())),
    };
    Finding::new("OIDC issuer", grade, text)
}

fn mail(way: &WayState) -> Finding {
    let (grade, text) = match way {
        WayState::Notify => (Grade::Well, "it goes through the notify service of the deployment".to_owned()),
        WayState::Smtp(Ok(())) => (Grade::Well, "the mail server takes us".to_owned()),
        WayState::Smtp(Err(error)) => (Grade::Problem, format!("{}; see SMTP_URL", error.message())),
        WayState::Spool(Err(error)) => (Grade::Problem, error.message().to_owned()),
        WayState::Spool(Ok((count, _))) if *count >= MAILS_MAX => (
            Grade::Warning,
            format!(
                "{count} mails lie in `outbox` in the data directory, and the oldest are dropped: read them, or set SMTP_URL"
            ),
        ),
        WayState::Spool(Ok((count, len))) => (
            Grade::Well,
            format!(
                "none is sent: {count} mails with {} lie in `outbox` in the data directory; see SMTP_URL",
                bytes(*len)
            ),
        ),
    };
    Finding::new("mail", grade, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;

    #[test]
    fn mail_that_does_not_leave_is_told() {
        assert_eq!(mail(&WayState::Smtp(Ok(()))).grade, Grade::Well);
        let away = WayState::Smtp(Err(Error::unavailable("the mail server cannot be reached")));
        assert_eq!(mail(&away).text, "the mail server cannot be reached; see SMTP_URL");
        assert_eq!(mail(&WayState::Spool(Ok((3, 4096)))).grade, Grade::Well);
        assert_eq!(mail(&WayState::Spool(Ok((MAILS_MAX, 4096)))).grade, Grade::Warning);
    }
}

//! Who we are to the broker: the login that we were given, and the one of the settings as the way back.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use tracing::warn;
use zeroize::Zeroizing;

use crate::base::{Error, Result, Secret};
use crate::ports::broker::identity::Acting;

/// A login as requests carry it.
pub(super) struct OurLogin {
    name: String,
    header: HeaderValue,
    /// What an answer may repeat of our requests and no log may: the password, and the login as it is sent.
    secrets: [Secret; 2],
}

impl OurLogin {
    /// `Invalid` for a name that basic authentication cannot carry.
    pub(super) fn new(name: &str, password: &Secret) -> Result<Self> {
        if name.contains(':') {
            return Err(Error::invalid("the user name for the broker's API must not contain a colon"));
        }
        let login = Zeroizing::new(format!("{name}:{}", password.expose()));
        let encoded = Secret::new(STANDARD.encode(login.as_bytes()));
        let basic = Zeroizing::new(format!("Basic {}", encoded.expose()));
        let mut header =
            HeaderValue::from_str(&basic).map_err(|e| Error::internal("encoding the broker's login", e))?;
        header.set_sensitive(true);
        Ok(Self { name: name.to_owned(), header, secrets: [password.clone(), encoded] })
    }

    /// The value of `Authorization`, marked so that nothing logs it.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// The name and the password, for the other door of the broker.
    pub(super) fn login(&self) -> (&str, &Secret) {
        (&self.name, &self.secrets[0])
    }

    /// An error without our secrets, for a proxy or a broken broker may repeat the request in it.
    pub(super) fn redact(&self, body: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(body).into_owned();
        let secrets = self.secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
        secrets.fold(text, |text, secret| text.replace(secret, "…")).into_bytes()
    }
}

/// The logins, of which one is ours at any moment.
pub(super) struct Logins(RwLock<State>);

struct State {
    settings: Arc<OurLogin>,
    given: Option<Arc<OurLogin>>,
    /// Whether the broker refused the given one, so that the one of the settings stands in.
    is_refused: bool,
}

impl State {
    fn present(&self) -> &Arc<OurLogin> {
        self.given.as_ref().filter(|_| !self.is_refused).unwrap_or(&self.settings)
    }
}

impl Logins {
    pub(super) fn new(settings: OurLogin) -> Self {
        Self(RwLock::new(State { settings: settings.into(), given: None, is_refused: false }))
    }

    /// Who we are now.
    pub(super) fn present(&self) -> Arc<OurLogin> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).present().clone()
    }

    /// The same in words.
    pub(super) fn acting(&self) -> Acting {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Acting { user: state.present().name.clone(), is_refused: state.is_refused }
    }

    /// Who we are from now on; with `None` by the settings.
    pub(super) fn give(&self, given: Option<OurLogin>) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        (state.given, state.is_refused) = (given.map(Arc::new), false);
    }

    /// With which login a request is made again whose own was refused; `None` when there is no other.
    pub(super) fn after_refusal(&self, refused: &Arc<OurLogin>) -> Option<Arc<OurLogin>> {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(refused, state.present()) {
            // We became somebody else while the request was on its way.
            return Some(state.present().clone());
        }
        if Arc::ptr_eq(refused, &state.settings) {
            // Neither works: the given one is tried first again.
            state.is_refused = false;
            return None;
        }
        state.is_refused = true;
        warn!(
            "the broker refuses its administrator `{}`, which the store has: RABBIT_USERNAME stands in until that is put right",
            refused.name
        );
        Some(state.settings.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn our_login(name: &str) -> OurLogin {
        OurLogin::new(name, &Secret::new("p")).unwrap()
    }

    #[test]
    fn a_refused_login_gives_way_to_that_of_the_settings_and_never_locks_us_out() {
        let logins = Logins::new(our_login("settings"));
        assert!(logins.after_refusal(&logins.present()).is_none(), "there is no other");
        let before = logins.present();
        logins.give(Some(our_login("a")));
        assert_eq!(logins.after_refusal(&before).unwrap().name, "a", "it changed on the way");

        let given = logins.present();
        assert_eq!(logins.after_refusal(&given).unwrap().name, "settings");
        assert_eq!(logins.acting(), Acting { user: "settings".into(), is_refused: true });
        assert!(logins.after_refusal(&logins.present()).is_none());
        assert_eq!(logins.acting(), Acting { user: "a".into(), is_refused: false }, "it is tried again");

        assert!(logins.after_refusal(&given).is_some());
        logins.give(Some(our_login("b")));
        assert_eq!(logins.acting(), Acting { user: "b".into(), is_refused: false });
    }
}

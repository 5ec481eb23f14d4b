//! From settings to signing in by an OpenID Connect issuer.

use super::settings::Settings;
use crate::base::{Clock, Result};
use crate::domain::operators::{OidcSignIn, Operators};
use crate::ports::oidc::Issuer;
use crate::ports::resolve::Resolver;

/// Sign-ins by the issuer of the settings, if they name one. It is not asked anything yet.
pub(super) fn sign_in(settings: &Settings, operators: &Operators, clock: &Clock) -> Result<Option<OidcSignIn>> {
    let Some(oidc) = settings.oidc.clone() else { return Ok(None) };
    let issuer = Issuer::new(oidc.issuer, Resolver::system()?, clock.clone())?;
    Ok(Some(OidcSignIn::new(operators.clone(), issuer, oidc.config, clock.clone())))
}

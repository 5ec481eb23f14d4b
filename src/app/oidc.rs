//! From settings to signing in by an OpenID Connect issuer.

use super::settings::{OidcSettings, Settings};
use crate::base::{Clock, Result};
use crate::domain::operators::{OidcRules, OidcSignIn, Operators};
use crate::ports::oidc::{Issuer, IssuerSettings};
use crate::ports::resolve::Resolver;

/// Sign-ins by the issuer of the settings, if they name one. It is not asked anything yet.
pub(super) fn sign_in(settings: &Settings, operators: &Operators, clock: &Clock) -> Result<Option<OidcSignIn>> {
    let Some(oidc) = settings.oidc.clone() else { return Ok(None) };
    let OidcSettings { issuer, client_id, client_secret, roles, groups_claim, redirect } = oidc;
    let issuer = IssuerSettings { issuer, client_id, client_secret };
    let issuer = Issuer::new(issuer, Resolver::system()?, clock.clone())?;
    let rules = OidcRules { roles, groups_claim, redirect };
    Ok(Some(OidcSignIn::new(operators.clone(), issuer, rules, clock.clone())))
}

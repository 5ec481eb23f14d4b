//! Settings of signing in by an OpenID Connect issuer.

use url::Url;

use super::typed::Reader;
use crate::base::Secret;
use crate::domain::operators::Role;
use crate::proto::oidc::is_private;

/// An issuer, who we are to it, and what its groups may do here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer as it names itself, to the last slash.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// Groups and their roles.
    pub roles: Vec<(String, Role)>,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// Where it sends browsers back to.
    pub redirect: Url,
}

pub(super) fn oidc(read: &mut Reader) -> Option<OidcSettings> {
    let issuer = read.optional("OIDC_ISSUER", issuer);
    let client_id = read.optional("OIDC_CLIENT_ID", |text| Ok(text.to_owned()));
    let client_secret = read.secret("OIDC_CLIENT_SECRET");
    let roles = read.optional("OIDC_ROLES", roles);
    let groups_claim = read.required("OIDC_GROUPS_CLAIM", |text| Ok(text.to_owned()));
    let redirect = read.optional("PUBLIC_URL", redirect);
    let (issuer, client_id, client_secret) = (issuer?, client_id?, client_secret?);
    Some(OidcSettings { issuer, client_id, client_secret, roles: roles?, groups_claim, redirect: redirect? })
}

/// Kept as it is written: what the issuer says of itself is compared with it.
fn issuer(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(is_private);
    match url.filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty()) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected a URL such as https://id.example/realm; http:// only on this host".to_owned()),
    }
}

fn roles(text: &str) -> Result<Vec<(String, Role)>, String> {
    let role = |part: &str| {
        let (group, role) = part.rsplit_once('=')?;
        let (group, role) = (group.trim(), role.trim().parse().ok()?);
        (!group.is_empty()).then(|| (group.to_owned(), role))
    };
    let roles: Option<Vec<_>> = text.split(',').map(role).collect();
    roles.ok_or_else(|| "expected group=role,group=role with the roles viewer, operator, auditor, admin".to_owned())
}

/// What is wrong with the public URL itself is told where that is read.
fn redirect(text: &str) -> Result<Url, String> {
    let url = super::parse::service_url(text)?;
    Url::parse(&format!("{}/login/oidc/back", url.as_str().trim_end_matches('/'))).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load_file, problems_of};
    use super::*;

    const WHOLE: &str = "PUBLIC_URL=https://lend.example/x\nOIDC_ISSUER=https://id.example/\nOIDC_CLIENT_ID=a\n\
        OIDC_CLIENT_SECRET=hunter2\nOIDC_ROLES='staff=viewer, on call=operator'\n";

    #[test]
    fn an_issuer_comes_with_a_client_roles_and_the_public_address() {
        let oidc = load_file(WHOLE).settings.oidc.unwrap();
        assert_eq!(oidc.redirect.as_str(), "https://lend.example/x/login/oidc/back");
        assert_eq!(oidc.roles, [("staff".to_owned(), Role::Viewer), ("on call".to_owned(), Role::Operator)]);
        assert_eq!((oidc.issuer.as_str(), oidc.groups_claim.as_str()), ("https://id.example/", "groups"));
        let alone = problems_of("OIDC_ISSUER=https://id.example");
        for needed in ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_ROLES", "PUBLIC_URL"] {
            assert!(alone.contains(&format!("needs {needed} as well")), "{alone}");
        }
        for wrong in ["OIDC_ISSUER=http://id.example", "OIDC_ROLES=staff", "OIDC_ROLES='a=king'", "OIDC_ROLES='=admin'"]
        {
            let text = problems_of(&format!("{WHOLE}{wrong}"));
            assert!(text.contains(wrong.split('=').next().unwrap()), "{text}");
        }
    }
}

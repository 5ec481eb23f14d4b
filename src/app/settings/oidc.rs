//! Settings of signing in by an OpenID Connect issuer.

use url::Url;

use super::listen::PUBLIC_URL;
use super::parse::{self, Parsed};
use super::reader::{Need, Reader};
use super::setting::{Optional, Setting};
use crate::base::Secret;
use crate::domain::operators::{OidcConfig, Role};
use crate::ports::oidc::IssuerSettings;
use crate::proto::oidc::is_private;

pub(super) const ISSUER: Optional<String> =
    Optional::new("OIDC_ISSUER", "oidc-issuer", issuer).help("OpenID Connect issuer by which operators may sign in");
pub(super) const CLIENT_ID: Optional<String> =
    Optional::new("OIDC_CLIENT_ID", "oidc-client-id", parse::text).help("who the console is to that issuer");
pub(super) const CLIENT_SECRET: Optional<Secret> = Optional::secret(
    ["OIDC_CLIENT_SECRET", "OIDC_CLIENT_SECRET_FILE"],
    ["oidc-client-secret", "oidc-client-secret-file"],
    parse::secret,
)
.help("the secret of that client");
pub(super) const ROLES: Optional<Vec<(String, Role)>> = Optional::new("OIDC_ROLES", "oidc-roles", roles)
    .help("which role members of a group have, such as `staff=viewer,on call=operator,root=admin`; the highest counts");
pub(super) const GROUPS_CLAIM: Setting<String> =
    Setting::new("OIDC_GROUPS_CLAIM", "oidc-groups-claim", "groups", parse::text)
        .help("claim of the ID token that lists groups");

pub(super) const NEEDS: [Need; 6] = [
    (ISSUER.info, CLIENT_ID.info),
    (ISSUER.info, CLIENT_SECRET.info),
    (ISSUER.info, ROLES.info),
    (ISSUER.info, PUBLIC_URL.info),
    (CLIENT_ID.info, ISSUER.info),
    (CLIENT_SECRET.info, ISSUER.info),
];

/// An issuer, and what its groups may do here.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// The issuer as it names itself, to the last slash, and who we are to it.
    pub issuer: IssuerSettings,
    /// Groups and their roles, and the way back.
    pub config: OidcConfig,
}

pub(super) fn oidc(read: &mut Reader) -> Option<OidcSettings> {
    let (issuer, client_id, client_secret) = (read.find(&ISSUER), read.find(&CLIENT_ID), read.find(&CLIENT_SECRET));
    let (roles, groups_claim) = (read.find(&ROLES), read.get(&GROUPS_CLAIM));
    let redirect = read.find(&PUBLIC_URL).and_then(|url| redirect(&url));
    Some(OidcSettings {
        issuer: IssuerSettings { issuer: issuer?, client_id: client_id?, client_secret: client_secret? },
        config: OidcConfig { roles: roles?, groups_claim, redirect: redirect? },
    })
}

/// Kept as it is written: what the issuer says of itself is compared with it.
fn issuer(text: &str) -> Parsed<String> {
    let url = Url::parse(text).ok().filter(is_private);
    match url.filter(|url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty()) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected a URL such as https://id.example/realm; http:// only on this host".to_owned()),
    }
}

fn roles(text: &str) -> Parsed<Vec<(String, Role)>> {
    let role = |part: &str| {
        let (group, role) = part.rsplit_once('=')?;
        let (group, role) = (group.trim(), role.trim().parse().ok()?);
        (!group.is_empty()).then(|| (group.to_owned(), role))
    };
    let roles: Option<Vec<_>> = text.split(',').map(role).collect();
    roles.ok_or_else(|| "expected group=role,group=role with the roles viewer, operator, auditor, admin".to_owned())
}

fn redirect(public_url: &Url) -> Option<Url> {
    Url::parse(&format!("{}/login/oidc/back", public_url.as_str().trim_end_matches('/'))).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{load_file, problems_of};
    use super::*;

    const WHOLE: &str = "PUBLIC_URL=https://lend.example/x\nOIDC_ISSUER=https://id.example/\nOIDC_CLIENT_ID=a\n\
        OIDC_CLIENT_SECRET=hunter2\nOIDC_ROLES='staff=viewer, on call=operator'\n";

    #[test]
    fn an_issuer_comes_with_a_client_roles_and_the_public_address() {
        let OidcSettings { issuer, config } = load_file(WHOLE).settings.oidc.unwrap();
        assert_eq!(config.redirect.as_str(), "https://lend.example/x/login/oidc/back");
        assert_eq!(config.roles, [("staff".to_owned(), Role::Viewer), ("on call".to_owned(), Role::Operator)]);
        assert_eq!((issuer.issuer.as_str(), config.groups_claim.as_str()), ("https://id.example/", "groups"));
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

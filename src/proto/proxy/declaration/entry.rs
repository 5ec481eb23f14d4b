//! The keys of an upstream, and what they mean together.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{Credential, Declared, Minting, OAuth2, Text};
use crate::base::{AccountName, Error, Result, Scope, Secret, Span};
use crate::proto::proxy::target::PathPrefix;
use crate::proto::proxy::template::Template;
use crate::proto::proxy::upstream::{Base, Mount, Rule, Upstream};

/// Segments that mean something to the proxy itself.
const RESERVED: [&str; 6] = ["receipts", "task", "api", "bewit", "credentials", "keylender"];
/// Longest name of an upstream: it stands in every record and becomes a variable of the environment.
const NAME_LEN_MAX: usize = 40;
/// Tries beside the first.
const RETRIES_MAX: u32 = 5;

/// What scopes of a task begin with that are permissions of RelengAPI (proxy.md 1).
pub const RELENGAPI_PREFIX: &str = "docker-worker:relengapi-proxy:";
/// What scopes begin with that claim namespaces (taskcluster.md 6.2).
const NAMESPACE_PREFIX: &str = "pulse:namespace:";
/// What the preset for a broker's management API lets through unless more is said: looking.
const MANAGEMENT_METHOD: &str = "GET";
const MANAGEMENT_PATH: &str = "/api";
const RELENGAPI: [&str; 3] = ["tooltool", "treestatus", "mapper"];
const RELENGAPI_TOKENS: &str = "https://tokens.mozilla-releng.net/tokens";
const RELENGAPI_BODY: &str = r#"{"typ":"tmp","expires":"<expires>","metadata":{},"permissions":"<permissions>"}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub upstream: Vec<Spanned<Entry>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Entry {
    name: Option<String>,
    preset: Option<Preset>,
    base: Option<String>,
    mounts: Option<BTreeMap<String, String>>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    networks: Vec<String>,
    ca: Option<String>,
    ca_file: Option<PathBuf>,
    retries: Option<u32>,
    #[serde(default)]
    upgrades: bool,
    body_max: Option<u64>,
    scopes: Option<Scopes>,
    #[serde(default)]
    may_give: Vec<String>,
    credential: Option<Given>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    Relengapi,
    Taskcluster,
    RabbitmqManagement,
}

/// One of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Scopes {
    prefix: Option<String>,
    #[serde(default)]
    wildcards: bool,
    table: Option<BTreeMap<String, String>>,
    whole: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Given {
    kind: Kind,
    token: Option<String>,
    token_file: Option<PathBuf>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    method: Option<String>,
    url: Option<String>,
    body: Option<String>,
    pointer: Option<String>,
    life_pointer: Option<String>,
    life: Option<String>,
    margin: Option<String>,
    revoke_url: Option<String>,
    client_id: Option<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    certificate: Option<String>,
    certificate_file: Option<PathBuf>,
    key: Option<String>,
    key_file: Option<PathBuf>,
    account: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Hawk,
    Bearer,
    Basic,
    Minted,
    Oauth2,
    Certificate,
    RelayAccount,
    Namespace,
}

impl Entry {
    /// RelengAPI with a token by which others are minted.
    pub(super) fn relengapi(token: String) -> Self {
        let given = Given { kind: Kind::Minted, token: Some(token), ..Given::default() };
        Self { preset: Some(Preset::Relengapi), credential: Some(given), ..Self::default() }
    }

    /// A deployment of Taskcluster.
    pub(super) fn taskcluster(root_url: String) -> Self {
        Self { preset: Some(Preset::Taskcluster), base: Some(root_url), ..Self::default() }
    }

    pub(super) fn declared(mut self) -> Result<Declared> {
        let preset = self.preset;
        let name = match (&self.name, preset) {
            (Some(name), _) => name.clone(),
            (None, Some(Preset::Relengapi)) => "relengapi".into(),
            (None, Some(Preset::Taskcluster)) => "taskcluster".into(),
            (None, Some(Preset::RabbitmqManagement)) => "rabbitmq".into(),
            (None, None) => return Err(Error::invalid("an upstream needs a name")),
        };
        segment(&name)?;
        let (mounts, deployment) = match (preset, &self.base) {
            (Some(Preset::Taskcluster), Some(base)) if self.mounts.is_none() => (Vec::new(), Some(Base::parse(base)?)),
            _ if self.is_at_broker() => (Vec::new(), None),
            _ => (mounts(&name, preset, self.base.as_deref(), self.mounts.take())?, None),
        };
        if self.is_at_broker() && !self.is_bare() {
            return Err(Error::invalid(format!(
                "`{name}` is at the broker of this appliance: it has nothing but scopes, may-give and its credential"
            )));
        }
        let rule = self.rule(&name)?;
        let credential = match self.credential {
            Some(given) => given.credential(preset)?,
            None if preset == Some(Preset::Taskcluster) => Credential::Hawk,
            None => return Err(Error::invalid(format!("`{name}` needs a credential"))),
        };
        let is_management = preset == Some(Preset::RabbitmqManagement);
        let or_else = |given: Vec<String>, of_preset: &str| {
            if given.is_empty() && is_management { vec![of_preset.to_owned()] } else { given }
        };
        let methods = or_else(self.methods, MANAGEMENT_METHOD);
        let paths = or_else(self.paths, MANAGEMENT_PATH);
        if let Some(method) =
            methods.iter().find(|method| !method.bytes().all(|b| b.is_ascii_uppercase()) || method.is_empty())
        {
            return Err(Error::invalid(format!("{method:?} is no method; those are written in capitals")));
        }
        let default_retries = if preset == Some(Preset::Taskcluster) { 2 } else { 0 };
        let upstream = Upstream {
            mounts,
            methods,
            paths: paths.iter().map(|path| PathPrefix::parse(path)).collect::<Result<_>>()?,
            retries: self.retries.unwrap_or(default_retries).min(RETRIES_MAX),
            upgrades: self.upgrades,
            body_len_max: self.body_max.unwrap_or(u64::MAX),
            ..Upstream::open(&name, Vec::new())
        };
        let network = |text: &String| {
            text.parse().map_err(|_| Error::invalid(format!("{text:?} is no network; one is like 10.20.0.0/16")))
        };
        let networks = self.networks.iter().map(network).collect::<Result<_>>()?;
        let authorities = either("ca", self.ca, self.ca_file)?;
        Ok(Declared { upstream, deployment, networks, authorities, rule, may_give: self.may_give, credential })
    }

    /// Whether it is the broker of this appliance, over AMQP: namespaces always are, and an account that has no other place.
    fn is_at_broker(&self) -> bool {
        let has_place = self.base.is_some() || self.mounts.is_some();
        match self.credential.as_ref().map(|given| given.kind) {
            Some(Kind::Namespace) => true,
            Some(Kind::RelayAccount) => !has_place && self.preset.is_none(),
            _ => false,
        }
    }

    /// Whether it says nothing that is about HTTP.
    fn is_bare(&self) -> bool {
        let Self { preset, base, mounts, methods, paths, networks, ca, ca_file, retries, upgrades, body_max, .. } =
            self;
        let is_placed = preset.is_some() || base.is_some() || mounts.is_some();
        let is_limited = !methods.is_empty() || !paths.is_empty() || !networks.is_empty() || body_max.is_some();
        !is_placed && !is_limited && ca.is_none() && ca_file.is_none() && retries.is_none() && !upgrades
    }

    fn rule(&self, name: &str) -> Result<Rule> {
        let Some(scopes) = &self.scopes else {
            return match self.preset {
                _ if self.credential.as_ref().is_some_and(|given| given.kind == Kind::Namespace) => {
                    Ok(Rule::Prefix { prefix: NAMESPACE_PREFIX.into(), wildcards: true })
                }
                Some(Preset::Taskcluster) => Ok(Rule::Scopes),
                Some(Preset::Relengapi) => Ok(Rule::Prefix { prefix: RELENGAPI_PREFIX.into(), wildcards: true }),
                _ => Err(Error::invalid(format!(
                    "`{name}` needs scopes: {{ prefix = \"…\" }}, a table, or a whole scope"
                ))),
            };
        };
        match scopes {
            Scopes { prefix: Some(prefix), wildcards, table: None, whole: None } if !prefix.is_empty() => {
                Ok(Rule::Prefix { prefix: prefix.clone(), wildcards: *wildcards })
            }
            Scopes { prefix: None, wildcards: false, table: Some(table), whole: None } if !table.is_empty() => {
                let row = |(scope, permission): (&String, &String)| Ok((Scope::parse(scope)?, permission.clone()));
                Ok(Rule::Table(table.iter().map(row).collect::<Result<_>>()?))
            }
            Scopes { prefix: None, wildcards: false, table: None, whole: Some(scope) } => {
                Ok(Rule::Whole(Scope::parse(scope)?))
            }
            _ => Err(Error::invalid(format!("the scopes of `{name}` have one of prefix, table and whole"))),
        }
    }
}

/// A name that is a segment of a path, and of which a variable can be made.
fn segment(name: &str) -> Result<()> {
    let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_name(name) || name.is_empty() || name.starts_with('-') || name.len() > NAME_LEN_MAX {
        return Err(Error::invalid(format!("{name:?} is no name: it has 1 to {NAME_LEN_MAX} of a-z 0-9 -")));
    }
    if RESERVED.contains(&name) {
        return Err(Error::invalid(format!("`{name}` means something to the proxy itself: take another name")));
    }
    Ok(())
}

fn mounts(
    name: &str,
    preset: Option<Preset>,
    base: Option<&str>,
    mounts: Option<BTreeMap<String, String>>,
) -> Result<Vec<Mount>> {
    let mount = |segment: &str, base: &str| Ok(Mount { segment: segment.to_owned(), base: Base::parse(base)? });
    match (base, mounts, preset) {
        (Some(base), None, _) => Ok(vec![mount(name, base)?]),
        (None, Some(mounts), None | Some(Preset::Relengapi)) if !mounts.is_empty() => {
            let each = mounts.iter().map(|(name, base)| segment(name).and_then(|()| mount(name, base)));
            each.collect()
        }
        (None, None, Some(Preset::Relengapi)) => {
            RELENGAPI.iter().map(|service| mount(service, &format!("https://{service}.mozilla-releng.net"))).collect()
        }
        _ => Err(Error::invalid(format!("`{name}` needs a base: the URL that its paths are put behind"))),
    }
}

/// A text that stands here or in a file, but not both.
fn either(key: &str, here: Option<String>, file: Option<PathBuf>) -> Result<Option<Text>> {
    match (here, file) {
        (Some(_), Some(_)) => Err(Error::invalid(format!("`{key}` and `{key}-file` say the same: give one"))),
        (Some(text), None) => Ok(Some(Text::Here(Secret::new(text)))),
        (None, Some(path)) => Ok(Some(Text::File(path))),
        (None, None) => Ok(None),
    }
}

fn needed<T>(kind: &str, key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(format!("a credential of the kind {kind} needs `{key}`")))
}

fn duration(key: &str, text: Option<&str>, default: &str) -> Result<std::time::Duration> {
    let span: Result<Span, _> = text.unwrap_or(default).parse();
    let span = span.map_err(|_| Error::invalid(format!("`{key}` is a span like \"10 minutes\"")))?;
    Ok(span.size())
}

/// A URL that secrets are sent to.
fn private(url: String) -> Result<String> {
    let parsed =
        url::Url::parse(&url).map_err(|_| Error::invalid("the URL of a token service is one like https://…"))?;
    if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() {
        Ok(url)
    } else {
        Err(Error::invalid("the URL of a token service is one like https://…"))
    }
}

impl Given {
    fn credential(self, preset: Option<Preset>) -> Result<Credential> {
        Ok(match self.kind {
            Kind::Hawk => Credential::Hawk,
            Kind::Bearer => {
                let token = either("token", self.token, self.token_file)?;
                Credential::Bearer(needed("bearer", "token", token)?)
            }
            Kind::Basic => {
                let password = either("password", self.password, self.password_file)?;
                Credential::Basic(needed("basic", "user", self.user)?, needed("basic", "password", password)?)
            }
            Kind::Minted => self.minting(preset)?,
            Kind::Oauth2 => {
                let secret = either("secret", self.secret, self.secret_file)?;
                Credential::OAuth2(Box::new(OAuth2 {
                    url: private(needed("oauth2", "url", self.url)?)?,
                    client_id: needed("oauth2", "client-id", self.client_id)?,
                    secret: needed("oauth2", "secret", secret)?,
                    revoke_url: self.revoke_url.map(private).transpose()?,
                }))
            }
            Kind::Certificate => {
                let certificate = either("certificate", self.certificate, self.certificate_file)?;
                let key = either("key", self.key, self.key_file)?;
                Credential::Certificate(
                    needed("certificate", "certificate", certificate)?,
                    needed("certificate", "key", key)?,
                )
            }
            Kind::Namespace => Credential::Namespace,
            Kind::RelayAccount => {
                Credential::RelayAccount(AccountName::parse(&needed("relay-account", "account", self.account)?)?)
            }
        })
    }

    fn minting(self, preset: Option<Preset>) -> Result<Credential> {
        let is_relengapi = preset == Some(Preset::Relengapi);
        let own = |value: Option<String>, of_preset: &str| value.or_else(|| is_relengapi.then(|| of_preset.to_owned()));
        let pointer = needed("minted", "pointer", own(self.pointer, "/result/token"))?;
        if !pointer.starts_with('/') {
            return Err(Error::invalid("`pointer` is a JSON pointer like \"/result/token\""));
        }
        let life = duration("life", self.life.as_deref(), "10 minutes")?;
        let margin = duration("margin", self.margin.as_deref(), if is_relengapi { "10 seconds" } else { "1 minute" })?;
        if margin >= life {
            return Err(Error::invalid("`margin` must be shorter than `life`"));
        }
        Ok(Credential::Minted(Box::new(Minting {
            method: self.method.unwrap_or_else(|| "POST".into()),
            url: private(needed("minted", "url", own(self.url, RELENGAPI_TOKENS))?)?,
            token: needed("minted", "token", either("token", self.token, self.token_file)?)?,
            body: Template::parse(&needed("minted", "body", own(self.body, RELENGAPI_BODY))?)?,
            pointer,
            life_pointer: self.life_pointer,
            life,
            margin,
            revoke_url: self.revoke_url.map(private).transpose()?,
        })))
    }
}

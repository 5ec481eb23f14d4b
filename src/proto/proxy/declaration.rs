//! The file of upstreams, in TOML: `[[upstream]]` for each, with its scopes and its credential (docs/proxy.md).

mod entry;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

pub use self::entry::RELENGAPI_PREFIX;
use self::entry::{Entry, File};
use super::template::Template;
use super::upstream::{Base, Rule, Upstream};
use crate::base::{AccountName, Error, Result, Secret};

/// Longest file. An upstream has some 500 bytes.
pub const TEXT_LEN_MAX: usize = 256 << 10;
/// Upstreams of an appliance.
const UPSTREAMS_MAX: usize = 64;

/// What is declared of an upstream.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The upstream itself.
    pub upstream: Upstream,
    /// The deployment, where it answers by the paths of taskcluster-proxy and not under a segment.
    pub deployment: Option<Base>,
    /// Networks that are not public and yet may be reached.
    pub networks: Vec<IpNet>,
    /// Authorities to trust instead of the system's, in PEM.
    pub authorities: Option<Text>,
    /// What scopes are worth.
    pub rule: Rule,
    /// What the issuer may give: permissions, or with a final `*` their beginnings; none is everything.
    pub may_give: Vec<String>,
    /// What lets us in.
    pub credential: Credential,
}

/// A text that is written out, or in a file of this host.
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    /// Here.
    Here(Secret),
    /// There.
    File(PathBuf),
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("Text(…)"),
            Self::File(path) => write!(f, "Text({})", path.display()),
        }
    }
}

/// What lets us in.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A signature with the credentials that the worker gives for a task.
    Hawk,
    /// A token that stays.
    Bearer(Text),
    /// A name and a password.
    Basic(String, Text),
    /// A token that a token service mints.
    Minted(Box<Minting>),
    /// A token by OAuth 2, for clients (RFC 6749, 4.4).
    OAuth2(Box<OAuth2>),
    /// A certificate and its key, in PEM.
    Certificate(Text, Text),
    /// The login of an account of the relay, as this appliance lends it.
    RelayAccount(AccountName),
    /// Namespaces of the broker of this appliance, each lent to one session. The permissions are their names.
    Namespace,
}

/// How a token is minted.
#[derive(Clone, Debug)]
pub struct Minting {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The token by which others are minted.
    pub token: Text,
    /// The body.
    pub body: Template,
    /// Where in the answer the token is, as a JSON pointer.
    pub pointer: String,
    /// Where the answer says for how many seconds it works.
    pub life_pointer: Option<String>,
    /// For how long it is asked for.
    pub life: Duration,
    /// How long before its end another one is asked for.
    pub margin: Duration,
    /// Where it is taken back: it is sent there with `DELETE`, as its own authorization.
    pub revoke_url: Option<String>,
}

/// A client of OAuth 2.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// The token endpoint.
    pub url: String,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub secret: Text,
    /// Where a token is taken back (RFC 7009).
    pub revoke_url: Option<String>,
}

/// Something that is wrong with a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Reads a declaration. What is wrong is told with its line, at least one mistake.
pub fn parse(text: &str) -> Result<Vec<Declared>, Vec<Mistake>> {
    if text.len() > TEXT_LEN_MAX {
        return Err(vec![Mistake { line: 1, message: format!("the declaration has more than {TEXT_LEN_MAX} bytes") }]);
    }
    let at = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    let file: File = toml::from_str(text).map_err(|error| {
        let line = at(error.span().map_or(0, |span| span.start));
        vec![Mistake { line, message: error.message().to_owned() }]
    })?;
    let (mut all, mut mistakes) = (Vec::new(), Vec::new());
    let mut taken = BTreeSet::new();
    for entry in file.upstream {
        let line = at(entry.span().start);
        match read(entry, &mut taken) {
            Ok(declared) => all.push(declared),
            Err(error) => mistakes.push(Mistake { line, message: error.message().to_owned() }),
        }
    }
    if all.len() > UPSTREAMS_MAX {
        mistakes.push(Mistake { line: 1, message: format!("more than {UPSTREAMS_MAX} upstreams") });
    }
    if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
}

/// What relengapi-proxy reaches, with the token by which others are minted.
pub fn relengapi(issuing: &Secret) -> Result<Declared> {
    Entry::relengapi(issuing.expose().to_owned()).declared()
}

/// What taskcluster-proxy reaches.
pub fn taskcluster(root_url: &str) -> Result<Declared> {
    Entry::taskcluster(root_url.to_owned()).declared()
}

fn read(entry: Spanned<Entry>, taken: &mut BTreeSet<String>) -> Result<Declared> {
    let declared = entry.into_inner().declared()?;
    let Upstream { name, mounts, .. } = &declared.upstream;
    let own = [format!("upstream {name}")];
    let paths = mounts.iter().map(|mount| format!("path /{}", mount.segment));
    let lends = matches!(declared.credential, Credential::Namespace).then(|| format!("path /{name}"));
    let all: Vec<_> = own
        .into_iter()
        .chain(paths)
        .chain(lends)
        .chain(declared.deployment.iter().map(|_| "preset taskcluster".into()))
        .collect();
    match all.iter().find(|name| taken.contains(*name)) {
        Some(name) => Err(Error::invalid(format!("there are two for the {name}"))),
        None => {
            taken.extend(all);
            Ok(declared)
        }
    }
}

impl Text {
    /// The text, where it stands in a file by way of `read`.
    fn resolved(&mut self, read: &impl Fn(&Path) -> Result<Secret>) -> Result<()> {
        if let Self::File(path) = self {
            *self = Self::Here(read(path)?);
        }
        Ok(())
    }

    /// The text. **Invariant:** a declaration that is used was resolved; one that was not has an empty text here.
    pub fn secret(&self) -> Secret {
        match self {
            Self::Here(secret) => secret.clone(),
            Self::File(_) => Secret::new(""),
        }
    }
}

impl Declared {
    /// Texts of it that may be in files.
    fn texts(&mut self) -> Vec<&mut Text> {
        let mut texts: Vec<&mut Text> = self.authorities.iter_mut().collect();
        match &mut self.credential {
            Credential::Hawk | Credential::RelayAccount(_) | Credential::Namespace => {}
            Credential::Bearer(text) | Credential::Basic(_, text) => texts.push(text),
            Credential::Minted(minting) => texts.push(&mut minting.token),
            Credential::OAuth2(client) => texts.push(&mut client.secret),
            Credential::Certificate(certificate, key) => texts.extend([certificate, key]),
        }
        texts
    }

    /// Reads what stands in files of this host.
    pub fn resolve(&mut self, read: impl Fn(&Path) -> Result<Secret>) -> Result<()> {
        self.texts().into_iter().try_for_each(|text| text.resolved(&read))
    }

    /// Whether anything stands in a file of this host.
    pub fn names_files(&mut self) -> bool {
        self.texts().into_iter().any(|text| matches!(text, Text::File(_)))
    }

    /// Whether it is the broker of this appliance, over AMQP.
    pub fn is_at_broker(&self) -> bool {
        let is_lent = matches!(self.credential, Credential::Namespace | Credential::RelayAccount(_));
        is_lent && self.upstream.mounts.is_empty()
    }

    /// Where a task asks, and what that leads to.
    pub fn leads(&self) -> Vec<(String, String)> {
        let mounts = self.upstream.mounts.iter();
        let mut leads: Vec<_> = mounts.map(|mount| (format!("/{}", mount.segment), mount.base.to_string())).collect();
        leads.extend(self.deployment.iter().map(|base| ("/api".to_owned(), base.to_string())));
        if matches!(self.credential, Credential::Namespace) {
            leads.push((format!("/{}/<namespace>", self.upstream.name), "a login at the broker".to_owned()));
        }
        if self.is_at_broker() {
            leads.push(("AMQP".to_owned(), "the broker of this appliance".to_owned()));
        }
        leads
    }

    /// What kind of credential lets us in, in a word.
    pub fn kind(&self) -> &'static str {
        match &self.credential {
            Credential::Hawk => "hawk",
            Credential::Bearer(_) => "bearer",
            Credential::Basic(..) => "basic",
            Credential::Minted(_) => "minted",
            Credential::OAuth2(_) => "oauth2",
            Credential::Certificate(..) => "certificate",
            Credential::RelayAccount(_) => "relay-account",
            Credential::Namespace => "namespace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_read_with_all_it_has() {
        let text = r#"
            [[upstream]]
            name = "symbols"
            base = "https://symbols.example.com/v1"
            methods = ["GET", "PUT"]
            paths = ["/files"]
            networks = ["10.0.0.0/8"]
            retries = 1
            body-max = 1000
            scopes = { prefix = "project:ours:symbols:" }
            may-give = ["read.*"]
            [upstream.credential]
            kind = "minted"
            url = "https://tokens.example.com/new"
            token-file = "/etc/keylender/symbols"
            body = '{"permissions":"<permissions>","expires":"<expires>"}'
            pointer = "/token"
            life = "10 minutes"

            [[upstream]]
            preset = "relengapi"
            credential = { kind = "minted", token = "issuing" }

            [[upstream]]
            preset = "taskcluster"
            base = "https://tc.example.com"
        "#;
        let mut all = parse(text).unwrap();
        let kinds: Vec<_> =
            all.iter().map(|one| (one.upstream.name.as_str(), one.kind(), one.upstream.mounts.len())).collect();
        assert_eq!(kinds, [("symbols", "minted", 1), ("relengapi", "minted", 3), ("taskcluster", "hawk", 0)]);
        assert!(all[0].names_files() && !all[1].names_files() && all[2].deployment.is_some());
        all[0].resolve(|path| Ok(Secret::new(path.display().to_string()))).unwrap();
        assert!(!all[0].names_files());
    }

    #[test]
    fn what_is_at_the_broker_has_no_place_and_a_preset_only_looks() {
        let text = r#"
            [[upstream]]
            name = "pulse"
            credential = { kind = "namespace" }

            [[upstream]]
            name = "events"
            scopes = { whole = "events" }
            credential = { kind = "relay-account", account = "events" }

            [[upstream]]
            preset = "rabbitmq-management"
            base = "https://broker.example.com:15671"
            scopes = { whole = "look" }
            credential = { kind = "relay-account", account = "looker" }
        "#;
        let all = parse(text).unwrap();
        assert_eq!(all.iter().map(Declared::is_at_broker).collect::<Vec<_>>(), [true, true, false]);
        let rule = Rule::Prefix { prefix: "pulse:namespace:".into(), wildcards: true };
        assert_eq!(all[0].rule, rule);
        let looks = &all[2].upstream;
        let target = |path| crate::proto::proxy::target::Target::parse(path).unwrap();
        assert!(
            looks.admit("GET", &target("/api/queues/%2F")).is_ok() && looks.admit("HEAD", &target("/api/x")).is_ok()
        );
        assert!(looks.admit("PUT", &target("/api/x")).is_err() && looks.admit("GET", &target("/js/x")).is_err());
        for more in ["base = \"https://a\"", "methods = [\"GET\"]", "upgrades = true"] {
            let text = format!("[[upstream]]\nname = \"a\"\ncredential = {{ kind = \"namespace\" }}\n{more}");
            assert!(parse(&text).unwrap_err()[0].message.contains("the broker of this appliance"), "{more}");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        for (text, line, words) in [
            ("[[upstream]]\nname = \"a\"\nbas = \"x\"", 3, "unknown field"),
            ("[[upstream]]\nname = \"a\"", 1, "base"),
            ("\n[[upstream]]\nname = \"a b\"\nbase = \"https://a\"", 2, "name"),
            ("[[upstream]]\nname = \"a\"\nbase = \"ftp://a\"\nscopes = { whole = \"x\" }", 1, "base URL"),
            ("[[upstream]]\nname = \"a\"\nbase = \"https://a\"", 1, "scopes"),
            (
                "[[upstream]]\nname=\"a\"\nbase=\"https://a\"\nscopes={whole=\"x\"}\npaths=[\"a\"]\ncredential={kind=\"bearer\",token=\"t\"}",
                1,
                "begin",
            ),
            (
                "[[upstream]]\nname=\"a\"\nbase=\"https://a\"\nscopes={whole=\"x\"}\ncredential={kind=\"bearer\"}",
                1,
                "token",
            ),
            (
                "[[upstream]]\nname=\"receipts\"\nbase=\"https://a\"\nscopes={whole=\"x\"}\ncredential={kind=\"bearer\",token=\"t\"}",
                1,
                "receipts",
            ),
        ] {
            let mistakes = parse(text).unwrap_err();
            assert_eq!(mistakes[0].line, line, "{mistakes:?}");
            assert!(mistakes[0].message.contains(words), "{mistakes:?}");
        }
        let one = "[[upstream]]\nname=\"a\"\nbase=\"https://a\"\nscopes={whole=\"x\"}\ncredential={kind=\"bearer\",token=\"t\"}\n";
        assert!(parse(&one.repeat(2)).unwrap_err()[0].message.contains("two"));
        let lends = "[[upstream]]\nname=\"b\"\ncredential={kind=\"namespace\"}\n";
        let mounts = one.replace("base=\"https://a\"", "mounts={b=\"https://a\"}");
        assert!(parse(&format!("{lends}{mounts}")).unwrap_err()[0].message.contains("path /b"));
    }
}

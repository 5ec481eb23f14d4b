//! Settings of the deployment: its address, and who we are to it.

use url::Url;

use super::parse;
use super::reader::{Need, Reader};
use super::setting::Optional;
use crate::base::{ClientId, Secret};

pub(super) const ROOT_URL: Optional<Url> = Optional::new("TASKCLUSTER_ROOT_URL", "root-url", parse::service_url)
    .help("deployment whose auth service knows the callers; if not set, Keylender's own clients");
pub(super) const CLIENT_ID: Optional<ClientId> = Optional::new("TASKCLUSTER_CLIENT_ID", "client-id", parse::of)
    .help("who we are to that deployment; with it, mail goes through its notify service");
pub(super) const ACCESS_TOKEN: Optional<Secret> = Optional::secret(
    ["TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_ACCESS_TOKEN_FILE"],
    ["token", "token-file"],
    parse::secret,
)
.help("the access token of that client");

pub(super) const NEEDS: [Need; 2] = [(CLIENT_ID.info, ACCESS_TOKEN.info), (ACCESS_TOKEN.info, CLIENT_ID.info)];

/// Permanent Taskcluster credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Who we are.
    pub client_id: ClientId,
    /// What proves it.
    pub access_token: Secret,
}

pub(super) fn credentials(read: &mut Reader) -> Option<Credentials> {
    let (client_id, access_token) = (read.find(&CLIENT_ID), read.find(&ACCESS_TOKEN));
    Some(Credentials { client_id: client_id?, access_token: access_token? })
}

#[cfg(test)]
mod tests {
    use super::super::flags;
    use super::super::tests::{problems_of, try_load};
    use super::*;

    #[test]
    fn taskcluster_credentials_come_in_pairs_and_by_their_short_flags() {
        let flags = [("TASKCLUSTER_CLIENT_ID", "project/lender"), ("TASKCLUSTER_ACCESS_TOKEN", "hunter2")];
        let credentials = try_load(&flags, &[], "").unwrap().settings.credentials.unwrap();
        assert_eq!(credentials.client_id.as_str(), "project/lender");
        assert_eq!(credentials.access_token, Secret::new("hunter2"));
        let alone = problems_of("TASKCLUSTER_CLIENT_ID=a");
        assert!(alone.contains("needs TASKCLUSTER_ACCESS_TOKEN as well"), "{alone}");
        for (name, flag) in [("TASKCLUSTER_CLIENT_ID", "client-id"), ("TASKCLUSTER_ACCESS_TOKEN", "token")] {
            assert!(flags_named(name).contains(&flag));
        }
    }

    fn flags_named(name: &str) -> Vec<&'static str> {
        flags().filter(|flag| flag.name == name).map(|flag| flag.flag).collect()
    }
}

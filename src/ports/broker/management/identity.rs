//! Who we are to the broker over the management API.

use async_trait::async_trait;
use reqwest::StatusCode;

use super::call::Call;
use super::credentials::OurLogin;
use super::users::{PermissionRow, UserRow, permission_path};
use super::{ManagementBroker, wire};
use crate::base::{AccountName, Result, VhostName};
use crate::ports::broker::identity::{Acting, Credentials, Identity, Proven};
use crate::ports::broker::users::{Permission, User};

#[async_trait]
impl Identity for ManagementBroker {
    async fn whoami(&self) -> Result<User> {
        wire::parse_one::<UserRow, _>(&self.http.send(Call::get("whoami")).await?)
    }

    async fn rights(&self, vhost: &VhostName) -> Result<Proven> {
        let user = self.whoami().await?;
        let path = permission_path(vhost, &AccountName::parse(&user.name)?)?;
        let permission = self.http.one::<PermissionRow, Permission>(path).await?;
        Ok(Proven { user, access: permission.map(|permission| permission.access) })
    }

    fn act_as(&self, login: Option<Credentials>) -> Result<()> {
        self.http.logins.give(login.as_ref().map(our_login).transpose()?);
        Ok(())
    }

    fn acting(&self) -> Acting {
        self.http.logins.acting()
    }

    async fn prove(&self, login: &Credentials, vhost: &VhostName) -> Result<Option<Proven>> {
        let Some(answer) = self.http.ask_as(our_login(login)?, Call::get("whoami")).await? else { return Ok(None) };
        let user = wire::parse_one::<UserRow, User>(&answer)?;
        let path = permission_path(vhost, &login.user)?;
        let Some(answer) = self.http.ask_as(our_login(login)?, Call::get(path)).await? else { return Ok(None) };
        let access = match answer.status {
            StatusCode::NOT_FOUND => None,
            _ => Some(wire::parse_one::<PermissionRow, Permission>(&answer)?.access),
        };
        Ok(Some(Proven { user, access }))
    }
}

fn our_login(login: &Credentials) -> Result<OurLogin> {
    OurLogin::new(login.user.as_str(), &login.password)
}

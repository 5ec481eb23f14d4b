//! The broker over RabbitMQ's management API.

use std::borrow::Cow;

use async_trait::async_trait;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;

use super::http::{Answer, Call, Http, segment};
use super::logins::OurLogin;
use super::wire::{
    self, BindingRow, ConnectionRow, ExchangeRow, NodeRow, OverviewRow, PermissionRow, QueueRow, UserBody, UserRow,
};
use super::{
    Access, Acting, Alarm, Binding, Broker, Calls, Connection, Credentials, Exchange, Node, Overview, Permission,
    Proven, Queue, User, UserWish, advice, require_deletable_exchange, versions,
};
use crate::base::{AccountName, Error, Result, Secret, VhostName};
use crate::ports::resolve::Resolver;
use crate::ports::tls::Tls;

/// Where the management API is, and who we are to it.
#[derive(Clone, Debug)]
pub struct ManagementSettings {
    /// The address with everything before `/users`, such as `https://broker.example:15671/api`; no login in it.
    pub url: Url,
    /// A broker user with the tag `administrator`.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Trust and client certificate, when the address is https.
    pub tls: Tls,
}

/// A [`Broker`] on RabbitMQ 3.6 to 4.x. It connects when it is asked something, not before.
pub struct ManagementBroker {
    http: Http,
}

impl ManagementBroker {
    /// A client for these settings. `Invalid` when the address or a certificate cannot be used.
    pub fn new(settings: &ManagementSettings, resolver: Resolver) -> Result<Self> {
        Ok(Self { http: Http::new(settings, resolver)? })
    }

    /// A list that is always there: a 404 means that this is not the management API.
    async fn list<R: DeserializeOwned, T: From<R>>(&self, path: &str) -> Result<Vec<T>> {
        let answer = self.http.send(Call::list(path)).await?;
        match answer.status.is_success() {
            true => parse_rows::<R, T>(path, &answer.body),
            false => Err(advice::unexpected(&answer)),
        }
    }

    /// A list of things in a vhost: a 404 means that there is no such vhost.
    async fn list_in<R: DeserializeOwned, T: From<R>>(&self, path: &str) -> Result<Vec<T>> {
        let answer = self.http.send(Call::list(path)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Err(advice::unknown("vhost")),
            status if status.is_success() => parse_rows::<R, T>(path, &answer.body),
            _ => Err(advice::unexpected(&answer)),
        }
    }

    /// One thing, or none.
    async fn one<R: DeserializeOwned, T: From<R>>(&self, path: String) -> Result<Option<T>> {
        let answer = self.http.send(Call::get(path)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            _ => parse_one::<R, T>(&answer).map(Some),
        }
    }

    /// Deletes a thing. False when there was none.
    async fn delete(&self, call: Call) -> Result<bool> {
        let answer = self.http.send(call).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST => Err(advice::not_deletable(&answer)),
            _ => Ok(true),
        }
    }

    /// Closes the connections of a user one by one, for brokers that cannot at once.
    async fn close_one_by_one(&self, user: &AccountName, reason: &str) -> Result<()> {
        let all: Vec<Connection> =
            self.list::<ConnectionRow, _>("connections?disable_stats=true&columns=name,user").await?;
        let mut failure = None;
        for connection in all.iter().filter(|connection| connection.user == user.as_str()) {
            if let Err(error) = self.close_connection(&connection.name, reason).await {
                failure = Some(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Why a permission was refused: the broker's 400 does not tell an unknown user or vhost from a bad pattern.
    async fn why_no_permission(&self, vhost: &VhostName, user: &AccountName, answer: &Answer) -> Error {
        match (self.user(user).await, self.vhost_exists(vhost).await) {
            (Ok(None), _) => advice::unknown("user"),
            (_, Ok(false)) => advice::unknown("vhost"),
            _ => advice::refused(answer),
        }
    }
}

#[async_trait]
impl Broker for ManagementBroker {
    async fn overview(&self) -> Result<Overview> {
        let answer = self.http.send(Call::get("overview?columns=rabbitmq_version,cluster_name")).await?;
        Ok(Overview { time: answer.time, ..parse_one::<OverviewRow, _>(&answer)? })
    }

    async fn whoami(&self) -> Result<User> {
        parse_one::<UserRow, _>(&self.http.send(Call::get("whoami")).await?)
    }

    fn act_as(&self, login: Option<Credentials>) -> Result<()> {
        self.http.logins.give(login.as_ref().map(our_login).transpose()?);
        Ok(())
    }

    fn counts(&self) -> &Calls {
        &self.http.calls
    }

    fn acting(&self) -> Acting {
        self.http.logins.acting()
    }

    async fn prove(&self, login: &Credentials, vhost: &VhostName) -> Result<Option<Proven>> {
        let Some(answer) = self.http.ask_as(our_login(login)?, Call::get("whoami")).await? else { return Ok(None) };
        let user = parse_one::<UserRow, User>(&answer)?;
        let path = permission_path(vhost, &login.user)?;
        let Some(answer) = self.http.ask_as(our_login(login)?, Call::get(path)).await? else { return Ok(None) };
        let access = match answer.status {
            StatusCode::NOT_FOUND => None,
            _ => Some(parse_one::<PermissionRow, Permission>(&answer)?.access),
        };
        Ok(Some(Proven { user, access }))
    }

    async fn vhost_exists(&self, vhost: &VhostName) -> Result<bool> {
        let path = format!("vhosts/{}?columns=name", segment(vhost.as_str())?);
        Ok(self.one::<Value, Value>(path).await?.is_some())
    }

    async fn alarms(&self) -> Result<Vec<Alarm>> {
        let answer = self.http.send(Call::health_check("health/checks/alarms")).await?;
        if let Some(alarms) = versions::alarms_of_health_check(answer.status, &answer.body) {
            return Ok(alarms);
        }
        let nodes = self.list::<Value, Value>("nodes?columns=name,mem_alarm,disk_free_alarm").await?;
        Ok(versions::alarms_of_nodes(&nodes))
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        self.list::<NodeRow, _>("nodes?columns=name,running,partitions").await
    }

    async fn access(&self, vhost: &VhostName, user: &AccountName) -> Result<Option<Access>> {
        let permission = self.one::<PermissionRow, Permission>(permission_path(vhost, user)?).await?;
        Ok(permission.map(|permission| permission.access))
    }

    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()> {
        let path = format!("users/{}", segment(wish.name.as_str())?);
        let mut answer = self.http.send(Call::put(path.clone(), &UserBody::new(wish)?)?).await?;
        if answer.status == StatusCode::BAD_REQUEST && !wish.permissions.is_empty() {
            // A new user's permission may be what it does not take. Then the call for that permission says so.
            let bare = UserWish { permissions: &[], ..wish.clone() };
            answer = self.http.send(Call::put(path, &UserBody::new(&bare)?)?).await?;
        }
        match answer.status {
            StatusCode::BAD_REQUEST => Err(advice::user_refused(&answer)),
            StatusCode::NOT_FOUND => Err(advice::unexpected(&answer)),
            _ => Ok(()),
        }
    }

    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()> {
        self.put_login(wish).await?;
        for (vhost, access) in wish.permissions {
            self.put_permission(vhost, wish.name, access).await?;
        }
        Ok(())
    }

    async fn delete_user(&self, name: &AccountName) -> Result<bool> {
        let answer = self.http.send(Call::delete(format!("users/{}", segment(name.as_str())?))).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST => Err(advice::user_refused(&answer)),
            _ => Ok(true),
        }
    }

    async fn user(&self, name: &AccountName) -> Result<Option<User>> {
        self.one::<UserRow, _>(format!("users/{}", segment(name.as_str())?)).await
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.list::<UserRow, _>("users?columns=name,tags").await
    }

    async fn put_permission(&self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        let call = Call::put(permission_path(vhost, user)?, &wire::access_body(access))?;
        let answer = self.http.send(call).await?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Err(self.why_no_permission(vhost, user, &answer).await),
            _ => Ok(()),
        }
    }

    async fn delete_permission(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.delete(Call::delete(permission_path(vhost, user)?)).await
    }

    async fn permissions(&self) -> Result<Vec<Permission>> {
        self.list::<PermissionRow, _>("permissions").await
    }

    async fn queues(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        let path = format!("queues/{}?{}", segment(vhost.as_str())?, versions::QUEUE_LIST_QUERY);
        self.list_in::<QueueRow, _>(&path).await
    }

    async fn queues_with_consumers(&self, vhost: &VhostName) -> Result<Vec<Queue>> {
        let path = format!("queues/{}?columns=name,consumers", segment(vhost.as_str())?);
        self.list_in::<QueueRow, _>(&path).await
    }

    async fn queue(&self, vhost: &VhostName, name: &str) -> Result<Option<Queue>> {
        self.one::<QueueRow, _>(path_in("queues", vhost, name)?).await
    }

    async fn delete_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        self.delete(Call::delete(path_in("queues", vhost, name)?)).await
    }

    async fn purge_queue(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        self.delete(Call::delete(format!("{}/contents", path_in("queues", vhost, name)?))).await
    }

    async fn exchanges(&self, vhost: &VhostName) -> Result<Vec<Exchange>> {
        let path = format!("exchanges/{}?disable_stats=true&columns=name,type", segment(vhost.as_str())?);
        self.list_in::<ExchangeRow, _>(&path).await
    }

    async fn delete_exchange(&self, vhost: &VhostName, name: &str) -> Result<bool> {
        require_deletable_exchange(name)?;
        self.delete(Call::delete(path_in("exchanges", vhost, name)?)).await
    }

    async fn bindings(&self, vhost: &VhostName) -> Result<Vec<Binding>> {
        let columns = "source,destination,destination_type,routing_key";
        let path = format!("bindings/{}?columns={columns}", segment(vhost.as_str())?);
        let mut bindings: Vec<Binding> = self.list_in::<BindingRow, _>(&path).await?;
        bindings.retain(|binding| !binding.source.is_empty());
        Ok(bindings)
    }

    async fn connections(&self) -> Result<Vec<Connection>> {
        let path = "connections?columns=name,user,vhost,node,connected_at,peer_host,client_properties.connection_name";
        self.list::<ConnectionRow, _>(path).await
    }

    async fn close_connection(&self, name: &str, reason: &str) -> Result<bool> {
        self.delete(Call::delete(format!("connections/{}", segment(name)?)).because(reason)).await
    }

    async fn close_connections_of(&self, user: &AccountName, reason: &str) -> Result<()> {
        let call = Call::delete(format!("connections/username/{}", segment(user.as_str())?)).because(reason);
        let answer = self.http.send(call).await?;
        match answer.status {
            status if versions::lacks_bulk_close(status) => self.close_one_by_one(user, reason).await,
            StatusCode::BAD_REQUEST => Err(advice::refused(&answer)),
            _ => Ok(()),
        }
    }
}

fn our_login(login: &Credentials) -> Result<OurLogin> {
    OurLogin::new(login.user.as_str(), &login.password)
}

fn permission_path(vhost: &VhostName, user: &AccountName) -> Result<String> {
    path_in("permissions", vhost, user.as_str())
}

fn path_in(kind: &str, vhost: &VhostName, name: &str) -> Result<String> {
    Ok(format!("{kind}/{}/{}", segment(vhost.as_str())?, segment(name)?))
}

/// One object. Anything but a success with the right JSON means that this is not the management API.
fn parse_one<R: DeserializeOwned, T: From<R>>(answer: &Answer) -> Result<T> {
    if !answer.status.is_success() {
        return Err(advice::unexpected(answer));
    }
    match serde_json::from_str::<R>(&text(&answer.body)) {
        Ok(row) => Ok(row.into()),
        Err(_) => Err(advice::not_a_broker(&answer.body)),
    }
}

/// A list, without its odd rows; that there were some is logged.
fn parse_rows<R: DeserializeOwned, T: From<R>>(path: &str, body: &[u8]) -> Result<Vec<T>> {
    let (rows, odd) = wire::rows::<R, T>(&text(body)).ok_or_else(|| advice::not_a_broker(body))?;
    if odd > 0 {
        let list = path.split('?').next().unwrap_or(path);
        warn!(list, rows.odd = odd, "the broker's list of {list} has {odd} rows that we cannot read");
    }
    Ok(rows)
}

/// A body as text. A name that is not UTF-8 loses the bytes that are not, and does not fail the list.
fn text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

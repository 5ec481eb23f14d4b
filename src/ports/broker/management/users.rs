//! Users over the management API.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{Answer, Call, path_in, segment};
use super::{ManagementBroker, errors, wire};
use crate::base::{AccountName, Error, Result, VhostName};
use crate::ports::broker::cluster::Cluster;
use crate::ports::broker::password::{ALGORITHM, PasswordHash};
use crate::ports::broker::users::{
    Access, Limits, Login, Permission, TopicAccess, TopicPermission, User, UserLimits, UserWish, Users,
};
use crate::ports::broker::versions;

impl ManagementBroker {
    /// Tells the broker of a user. True when that made it, with all its permissions: of a user that was there, they do not
    /// count (rabbitmq.md, fact 5).
    async fn tell(&self, wish: &UserWish<'_>) -> Result<bool> {
        let path = format!("users/{}", segment(wish.name.as_str())?);
        let answer = self.http.send(Call::put(path.clone(), &UserBody::new(wish)?)?).await?;
        if answer.status == StatusCode::BAD_REQUEST && !wish.permissions.is_empty() {
            // A new user's permission may be what it does not take. Then the call for that permission says so.
            let bare = UserWish { permissions: &[], ..wish.clone() };
            let answer = self.http.send(Call::put(path, &UserBody::new(&bare)?)?).await?;
            return told(&answer).map(|()| false);
        }
        told(&answer).map(|()| answer.status == StatusCode::CREATED)
    }

    /// The limits of a user, none of one that the broker does not know.
    async fn limits_of(&self, user: &AccountName) -> Result<Limits> {
        let path = format!("user-limits/{}", segment(user.as_str())?);
        let answer = self.http.send(Call::get(path).if_offered()).await?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(Limits::default()),
            _ => {
                let rows: Vec<UserLimits> = wire::parse_rows::<UserLimitsRow, _>("user-limits", &answer.body)?;
                Ok(rows.into_iter().next().map(|row| row.limits).unwrap_or_default())
            }
        }
    }

    /// Why a permission was refused: the broker's 400 does not tell an unknown user or vhost from a bad pattern.
    async fn why_no_permission(&self, vhost: &VhostName, user: &AccountName, answer: &Answer) -> Error {
        match (self.user(user).await, self.vhost_exists(vhost).await) {
            (Ok(None), _) => errors::unknown("user"),
            (_, Ok(false)) => errors::unknown("vhost"),
            _ => errors::unreadable(answer),
        }
    }
}

/// Whether the broker took what it was told of a user.
fn told(answer: &Answer) -> Result<()> {
    match answer.status {
        StatusCode::BAD_REQUEST => Err(errors::user_refused(answer)),
        StatusCode::NOT_FOUND => Err(errors::unexpected(answer)),
        _ => Ok(()),
    }
}

#[async_trait]
impl Users for ManagementBroker {
    async fn put_login(&self, wish: &UserWish<'_>) -> Result<()> {
        self.tell(wish).await.map(drop)
    }

    async fn put_user(&self, wish: &UserWish<'_>) -> Result<()> {
        if self.tell(wish).await? {
            return Ok(());
        }
        for (vhost, access) in wish.permissions {
            self.put_permission(vhost, wish.name, access).await?;
        }
        Ok(())
    }

    async fn delete_user(&self, name: &AccountName) -> Result<bool> {
        let answer = self.http.send(Call::delete(format!("users/{}", segment(name.as_str())?))).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::BAD_REQUEST => Err(errors::user_refused(&answer)),
            _ => Ok(true),
        }
    }

    async fn delete_users(&self, names: &[AccountName]) -> Result<()> {
        if names.len() > 1 {
            let call = Call::post("users/bulk-delete".to_owned(), &json!({ "users": names }))?;
            let answer = self.http.send(call.if_offered()).await?;
            if versions::is_done(answer.status) {
                return Ok(());
            }
            // 3.x refuses all for one that is not there, and from 4.2 on one may be protected: each tells its own.
        }
        try_join_all(names.iter().map(|name| self.delete_user(name))).await.map(drop)
    }

    async fn user(&self, name: &AccountName) -> Result<Option<User>> {
        self.http.one::<UserRow, _>(format!("users/{}", segment(name.as_str())?)).await
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.http.list::<UserRow, _>("users?columns=name,tags,password_hash").await
    }

    async fn put_permission(&self, vhost: &VhostName, user: &AccountName, access: &Access) -> Result<()> {
        let call = Call::put(permission_path(vhost, user)?, &access_body(access))?;
        let answer = self.http.send(call).await?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Err(self.why_no_permission(vhost, user, &answer).await),
            _ => Ok(()),
        }
    }

    async fn delete_permission(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.http.delete(Call::delete(permission_path(vhost, user)?)).await
    }

    async fn permissions(&self) -> Result<Vec<Permission>> {
        self.http.list::<PermissionRow, _>("permissions").await
    }

    async fn put_topic_permission(&self, vhost: &VhostName, user: &AccountName, access: &TopicAccess) -> Result<()> {
        let TopicAccess { exchange, write, read } = access;
        let body = json!({"exchange": exchange, "write": write, "read": read});
        let answer = self.http.send(Call::put(topic_path(vhost, user)?, &body)?).await?;
        match answer.status {
            StatusCode::BAD_REQUEST if versions::lacks_exchange(&answer.body) => Err(errors::unknown("exchange")),
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Err(self.why_no_permission(vhost, user, &answer).await),
            _ => Ok(()),
        }
    }

    async fn delete_topic_permissions(&self, vhost: &VhostName, user: &AccountName) -> Result<bool> {
        self.http.delete(Call::delete(topic_path(vhost, user)?)).await
    }

    async fn topic_permissions(&self) -> Result<Vec<TopicPermission>> {
        self.http.list::<TopicPermissionRow, _>("topic-permissions").await
    }

    async fn put_limits(&self, user: &AccountName, limits: &Limits) -> Result<()> {
        // Not deleted unseen: the deletion of a limit of nobody's is an error of the broker's, as if it were in trouble.
        let before = self.limits_of(user).await?;
        for (name, value, has) in [
            ("max-connections", limits.max_connections, before.max_connections),
            ("max-channels", limits.max_channels, before.max_channels),
        ] {
            let path = format!("user-limits/{}/{name}", segment(user.as_str())?);
            let call = match value {
                Some(value) => Call::put(path, &json!({ "value": value }))?,
                None if has.is_some() => Call::delete(path),
                None => continue,
            };
            let answer = self.http.send(call.if_offered()).await?;
            match answer.status {
                status if versions::lacks_user_limits(status) => {
                    return Err(errors::too_old("limits of users", "3.8.10"));
                }
                StatusCode::NOT_FOUND => return Err(errors::unknown("user")),
                StatusCode::BAD_REQUEST if self.user(user).await?.is_none() => return Err(errors::unknown("user")),
                StatusCode::BAD_REQUEST if versions::lacks_feature_flag(&answer.body) => {
                    return Err(errors::flag_off("limits of users", "user_limits"));
                }
                StatusCode::BAD_REQUEST => return Err(errors::refused(&answer)),
                _ => {}
            }
        }
        Ok(())
    }

    async fn limits(&self) -> Result<Vec<UserLimits>> {
        let answer = self.http.send(Call::list("user-limits").if_offered()).await?;
        match answer.status {
            // A broker that has no such list has no limits.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(Vec::new()),
            _ => wire::parse_rows::<UserLimitsRow, _>("user-limits", &answer.body),
        }
    }
}

/// The body that makes a user what it should be. **Invariant:** it always carries tags, hash and algorithm, for
/// the broker clears the password when they are left out (rabbitmq.md, facts 1, 2, 5).
#[derive(Serialize)]
pub(super) struct UserBody<'a> {
    tags: String,
    password_hash: &'a str,
    hashing_algorithm: &'static str,
    /// Honoured only when the user is created; then there is no moment without permissions.
    permissions: Map<String, Value>,
}

impl<'a> UserBody<'a> {
    pub(super) fn new(wish: &'a UserWish<'_>) -> Result<Self> {
        Ok(Self {
            tags: versions::tags_to_send(wish.tags)?,
            password_hash: match &wish.login {
                Login::Hash(hash) => hash.as_str(),
                Login::Locked => "",
            },
            hashing_algorithm: ALGORITHM,
            permissions: wish
                .permissions
                .iter()
                .map(|(vhost, access)| (vhost.as_str().to_owned(), access_body(access)))
                .collect(),
        })
    }
}

/// The body that gives access. All three patterns are mandatory.
fn access_body(access: &Access) -> Value {
    json!({"configure": access.configure, "write": access.write, "read": access.read})
}

pub(super) fn permission_path(vhost: &VhostName, user: &AccountName) -> Result<String> {
    path_in("permissions", vhost, user.as_str())
}

#[derive(Deserialize)]
pub(super) struct UserRow {
    name: String,
    #[serde(default)]
    tags: Value,
    #[serde(default, deserialize_with = "wire::lenient")]
    password_hash: Option<String>,
}

impl From<UserRow> for User {
    fn from(UserRow { name, tags, password_hash }: UserRow) -> Self {
        // One of another algorithm is none of ours, and fits no password of ours.
        let login =
            |hash: String| if hash.is_empty() { Login::Locked } else { Login::Hash(PasswordHash::from_broker(hash)) };
        Self { name, tags: versions::tags(&tags), login: password_hash.map(login) }
    }
}

#[derive(Deserialize)]
pub(super) struct PermissionRow {
    vhost: String,
    user: String,
    configure: String,
    write: String,
    read: String,
}

impl From<PermissionRow> for Permission {
    fn from(row: PermissionRow) -> Self {
        let access = Access { configure: row.configure, write: row.write, read: row.read };
        Self { vhost: row.vhost, user: row.user, access }
    }
}

fn topic_path(vhost: &VhostName, user: &AccountName) -> Result<String> {
    path_in("topic-permissions", vhost, user.as_str())
}

#[derive(Deserialize)]
struct TopicPermissionRow {
    vhost: String,
    user: String,
    exchange: String,
    write: String,
    read: String,
}

impl From<TopicPermissionRow> for TopicPermission {
    fn from(row: TopicPermissionRow) -> Self {
        let access = TopicAccess { exchange: row.exchange, write: row.write, read: row.read };
        Self { vhost: row.vhost, user: row.user, access }
    }
}

#[derive(Deserialize)]
struct UserLimitsRow {
    user: String,
    value: LimitsRow,
}

/// A negative number is no limit.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LimitsRow {
    max_connections: Option<i64>,
    max_channels: Option<i64>,
}

impl From<UserLimitsRow> for UserLimits {
    fn from(UserLimitsRow { user, value }: UserLimitsRow) -> Self {
        let limit = |value: Option<i64>| value.and_then(|value| u32::try_from(value).ok());
        let limits = Limits { max_connections: limit(value.max_connections), max_channels: limit(value.max_channels) };
        Self { user, limits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Secret;
    use crate::ports::broker::management::wire::rows;

    #[test]
    fn a_user_body_is_always_complete() {
        let name = AccountName::parse("ns").unwrap();
        let access = Access { configure: "^queue/ns/".into(), ..Access::default() };
        let permissions = [(VhostName::parse("/").unwrap(), access)];
        let mut wish = UserWish { name: &name, login: Login::Locked, tags: &[], permissions: &permissions };
        let body = serde_json::to_string(&UserBody::new(&wish).unwrap()).unwrap();
        assert_eq!(
            body,
            r#"{"tags":"","password_hash":"","hashing_algorithm":"rabbit_password_hashing_sha256","permissions":{"/":{"configure":"^queue/ns/","write":"","read":""}}}"#
        );

        wish.login = Login::Hash(PasswordHash::of(&Secret::new("p")));
        let body = serde_json::to_value(UserBody::new(&wish).unwrap()).unwrap();
        assert_eq!(body["password_hash"].as_str().unwrap().len(), 48);
    }

    #[test]
    fn a_list_of_nothing_but_odd_rows_is_no_empty_list() {
        assert!(rows::<UserRow, User>("[]").is_some());
        assert!(rows::<UserRow, User>(r#"[1, {}, null]"#).is_none());
    }

    #[test]
    fn one_odd_row_does_not_hide_the_others() {
        let text = r#"[{"name":"a","tags":"administrator"},{"tags":[]},7,{"name":"b","tags":["x"],"limits":{}}]"#;
        let (users, odd) = rows::<UserRow, User>(text).unwrap();
        assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(odd, 2);
        assert!(rows::<UserRow, User>(r#"{"items":[]}"#).is_none());
    }
}

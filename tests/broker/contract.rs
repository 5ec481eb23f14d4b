//! What every implementation of `Broker` promises. It needs no node itself, so that hermetic tests can include it.

mod grants;
mod messages;
mod queue_limits;
mod resources;
mod subscriptions;
mod topology;

use async_trait::async_trait;
use keylender::base::{AccountName, Kind, Secret, VhostName};
use keylender::ports::broker::{
    Access, Acting, Binding, Broker, Credentials, Login, PasswordHash, Permission, User, UserWish, Version,
};

pub use grants::*;
pub use messages::*;
pub use queue_limits::*;
pub use resources::*;
pub use subscriptions::*;
pub use topology::*;

/// The world around a broker: what other people do with it.
#[async_trait(?Send)]
pub trait World {
    /// The broker under test, as its administrator sees it.
    fn broker(&self) -> &dyn Broker;
    /// Which broker it is.
    async fn version(&self) -> Version {
        Version::parse(&self.broker().overview().await.unwrap().version).unwrap()
    }
    /// A vhost of the test's own.
    fn vhost(&self) -> &VhostName;
    /// Somebody declares a queue there.
    async fn declare_queue(&self, name: &str);
    /// Somebody declares an exchange there.
    async fn declare_exchange(&self, name: &str);
    /// Somebody binds what is there to an exchange that is there.
    async fn bind(&self, binding: &Binding);
    /// Whether this login works there.
    async fn can_login(&self, user: &AccountName, password: &Secret) -> bool;
    /// A client logs in and stays. Listed once this returns.
    async fn connect(&self, user: &AccountName, password: &Secret) -> Box<dyn Client>;
}

/// A client that is connected.
#[async_trait(?Send)]
pub trait Client {
    /// Its connection's name, as the broker lists it.
    fn name(&self) -> String;
    /// Whether the broker still serves it.
    async fn is_served(&mut self) -> bool;
    /// Waits until it is closed; what the broker told it.
    async fn reason(&mut self) -> String;
}

/// Runs the whole suite, each promise as a test of its own, in worlds that `$new` makes from the promise's name.
#[macro_export]
macro_rules! contract {
    ($new:expr) => {
        $crate::contract!($new;
            tells_what_it_is
            a_login_is_proven_without_becoming_it
            we_become_another_administrator_and_fall_back_when_it_is_refused
            a_user_logs_in_with_its_password_and_no_other
            a_locked_user_cannot_log_in_until_unlocked
            a_repeated_wish_changes_nothing
            a_wish_replaces_password_tags_and_permissions
            a_new_password_leaves_connections_open
            closing_connections_tells_the_reason_and_leaves_the_user
            closing_one_connection_leaves_the_others
            a_deleted_user_loses_connections_and_permissions
            users_are_deleted_together_also_when_one_is_not_there
            permissions_elsewhere_stay
            permissions_need_user_and_vhost
            odd_names_of_users_come_back_as_they_were
            odd_names_of_queues_and_exchanges_come_back_as_they_were
            messages_come_out_as_they_were_published_and_in_order
            what_is_not_acknowledged_is_back_in_the_queue
            what_comes_while_a_queue_is_taken_stays_there
            messages_of_unknown_queues_are_refused
            bindings_are_told_until_one_of_their_ends_is_gone
            a_queue_without_copies_is_on_one_node_which_runs
            topic_permissions_hold_for_their_exchange_until_all_are_taken_away
            topic_permissions_need_user_and_vhost
            topic_permissions_may_need_their_exchange
            a_user_has_exactly_the_limits_that_were_put
            what_is_declared_is_told_exactly_until_it_is_removed
            what_is_there_otherwise_is_a_conflict_and_what_has_a_key_is_replaced
            what_is_the_brokers_own_is_left_out_and_refused
            a_vhost_comes_and_goes_with_all_that_is_in_it
            a_vhost_is_made_with_the_type_of_its_queues_and_keeps_it
            names_that_no_url_can_hold_are_refused
            the_brokers_own_exchanges_stay
            unknown_things_are_no_failures
            an_unknown_vhost_has_no_lists
            a_queue_is_limited_until_it_is_let_go
            a_queue_of_ours_hands_out_what_comes_until_it_is_acknowledged
            tags_that_would_become_others_are_refused
        );
    };
    ($new:expr; $($promise:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            $crate::contract::$promise(&$new(stringify!($promise)).await).await;
        })*
    };
}

fn everything() -> Access {
    Access { configure: ".*".into(), write: ".*".into(), read: ".*".into() }
}

/// A name of this test's own: users belong to the whole broker.
fn account(world: &dyn World, suffix: &str) -> AccountName {
    AccountName::parse(&format!("{}-{suffix}", world.vhost())).unwrap()
}

async fn put(world: &dyn World, name: &AccountName, login: Login) {
    let permissions = [(world.vhost().clone(), everything())];
    world.broker().put_user(&UserWish { name, login, tags: &[], permissions: &permissions }).await.unwrap();
}

/// A user with full access and a fresh password.
async fn new_user(world: &dyn World, suffix: &str) -> (AccountName, Secret) {
    let (name, password) = (account(world, suffix), Secret::generate());
    put(world, &name, Login::Hash(PasswordHash::of(&password))).await;
    (name, password)
}

async fn permissions_of(world: &dyn World, user: &AccountName) -> Vec<Permission> {
    let all = world.broker().permissions().await.unwrap();
    all.into_iter().filter(|permission| permission.user == user.as_str()).collect()
}

pub async fn tells_what_it_is(world: &dyn World) {
    let broker = world.broker();
    assert!(broker.overview().await.unwrap().version.contains('.'));
    assert_eq!(broker.whoami().await.unwrap().tags, ["administrator"]);
    assert_eq!(broker.alarms().await.unwrap(), []);
    let nodes = broker.nodes().await.unwrap();
    assert!(nodes.len() == 1 && nodes[0].is_running && nodes[0].partitions.is_empty(), "{nodes:?}");
    assert!(broker.vhost_exists(world.vhost()).await.unwrap());
}

/// An administrator of the test's own.
async fn new_administrator(world: &dyn World) -> Credentials {
    let (user, password) = (account(world, "admin"), Secret::generate());
    let (tags, permissions) = (["administrator".to_owned()], [(world.vhost().clone(), everything())]);
    let login = Login::Hash(PasswordHash::of(&password));
    world.broker().put_user(&UserWish { name: &user, login, tags: &tags, permissions: &permissions }).await.unwrap();
    Credentials { user, password }
}

pub async fn a_login_is_proven_without_becoming_it(world: &dyn World) {
    let (broker, us) = (world.broker(), world.broker().whoami().await.unwrap());
    let login = new_administrator(world).await;
    let proven = broker.prove(&login, world.vhost()).await.unwrap().unwrap();
    assert_eq!((proven.user.name.as_str(), proven.user.tags.len()), (login.user.as_str(), 1));
    assert_eq!(proven.access, Some(everything()));
    let wrong = Credentials { password: Secret::new("another"), ..login.clone() };
    assert_eq!(broker.prove(&wrong, world.vhost()).await.unwrap(), None);
    broker.delete_permission(world.vhost(), &login.user).await.unwrap();
    assert_eq!(broker.prove(&login, world.vhost()).await.unwrap().unwrap().access, None);
    assert_eq!(broker.whoami().await.unwrap(), us);
    broker.delete_user(&login.user).await.unwrap();
}

pub async fn we_become_another_administrator_and_fall_back_when_it_is_refused(world: &dyn World) {
    let (broker, us) = (world.broker(), world.broker().whoami().await.unwrap());
    let login = new_administrator(world).await;
    broker.act_as(Some(login.clone())).unwrap();
    assert_eq!(broker.whoami().await.unwrap().name, login.user.as_str());
    assert_eq!(broker.acting(), Acting { user: login.user.to_string(), is_refused: false });
    let rights = broker.rights(world.vhost()).await.unwrap();
    assert_eq!((rights.user.name.as_str(), rights.access), (login.user.as_str(), Some(everything())));
    broker.delete_permission(world.vhost(), &login.user).await.unwrap();
    assert_eq!(broker.rights(world.vhost()).await.unwrap().access, None);

    broker.delete_user(&login.user).await.unwrap();
    assert_eq!(broker.whoami().await.unwrap(), us, "the request that is refused is made again");
    assert_eq!(broker.acting(), Acting { user: us.name.clone(), is_refused: true });
    assert_eq!(broker.prove(&login, world.vhost()).await.unwrap(), None);
    broker.act_as(None).unwrap();
    assert_eq!(broker.acting(), Acting { user: us.name, is_refused: false });
}

pub async fn a_user_logs_in_with_its_password_and_no_other(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    assert!(world.can_login(&user, &password).await);
    assert!(!world.can_login(&user, &Secret::new("another")).await);
    assert!(!world.can_login(&user, &Secret::new("")).await);
    assert!(!world.can_login(&account(world, "stranger"), &password).await);
}

pub async fn a_locked_user_cannot_log_in_until_unlocked(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    put(world, &user, Login::Locked).await;
    assert!(!world.can_login(&user, &password).await);
    assert!(!world.can_login(&user, &Secret::new("")).await);
    put(world, &user, Login::Hash(PasswordHash::of(&password))).await;
    assert!(world.can_login(&user, &password).await);

    put(world, &user, Login::Hash(PasswordHash::of(&Secret::new("")))).await;
    assert!(!world.can_login(&user, &Secret::new("")).await);

    let born_locked = account(world, "locked");
    put(world, &born_locked, Login::Locked).await;
    assert!(!world.can_login(&born_locked, &Secret::new("")).await);
}

pub async fn a_repeated_wish_changes_nothing(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    let user_name = user.clone();
    let told = async || {
        let user = world.broker().user(&user).await.unwrap().unwrap();
        // The salt of its hash is new.
        (User { login: None, ..user }, permissions_of(world, &user_name).await)
    };
    let before = told().await;
    put(world, &user, Login::Hash(PasswordHash::of(&password))).await;
    assert_eq!(told().await, before);
    assert!(world.can_login(&user, &password).await);
}

pub async fn a_wish_replaces_password_tags_and_permissions(world: &dyn World) {
    let (user, old) = new_user(world, "u").await;
    let new = Secret::generate();
    let tags = ["management".to_owned(), "policymaker".to_owned()];
    let narrow = Access { configure: "^a$".into(), write: String::new(), read: "^b/".into() };
    let permissions = [(world.vhost().clone(), narrow.clone())];
    let login = Login::Hash(PasswordHash::of(&new));
    world.broker().put_user(&UserWish { name: &user, login, tags: &tags, permissions: &permissions }).await.unwrap();

    assert!(world.can_login(&user, &new).await);
    assert!(!world.can_login(&user, &old).await);
    let listed = world.broker().users().await.unwrap().into_iter().find(|listed| listed.name == user.as_str());
    for User { name, tags: told, login } in [world.broker().user(&user).await.unwrap(), listed].into_iter().flatten() {
        assert_eq!((name.as_str(), told.as_slice()), (user.as_str(), tags.as_slice()));
        assert!(matches!(login, Some(Login::Hash(hash)) if hash.matches(&new) && !hash.matches(&old)));
    }
    let permission = Permission { vhost: world.vhost().to_string(), user: user.to_string(), access: narrow };
    assert_eq!(permissions_of(world, &user).await, [permission]);
}

pub async fn a_new_password_leaves_connections_open(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    let mut client = world.connect(&user, &password).await;
    put(world, &user, Login::Hash(PasswordHash::of(&Secret::generate()))).await;
    put(world, &user, Login::Locked).await;
    assert!(client.is_served().await);
    assert!(!world.can_login(&user, &password).await);
}

pub async fn closing_connections_tells_the_reason_and_leaves_the_user(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    let (other, other_password) = new_user(world, "other").await;
    let mut clients = [world.connect(&user, &password).await, world.connect(&user, &password).await];
    let mut bystander = world.connect(&other, &other_password).await;
    world.broker().close_connections_of(&user, "your password was röplaced").await.unwrap();
    for client in &mut clients {
        assert!(client.reason().await.contains(r"your password was r\u{f6}placed"), "4.x says ASCII only");
    }
    assert!(bystander.is_served().await);
    assert!(world.can_login(&user, &password).await);
}

pub async fn closing_one_connection_leaves_the_others(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    let (mut one, mut two) = (world.connect(&user, &password).await, world.connect(&user, &password).await);
    let listed = world.broker().connections().await.unwrap();
    let listed = listed.iter().find(|connection| connection.name == one.name()).unwrap();
    assert_eq!((listed.user.as_str(), listed.vhost.as_deref()), (user.as_str(), Some(world.vhost().as_str())));
    assert!(listed.connected_at.is_some());

    assert!(world.broker().close_connection(&one.name(), "too old").await.unwrap());
    assert!(one.reason().await.contains("too old"));
    assert!(two.is_served().await);
}

pub async fn a_deleted_user_loses_connections_and_permissions(world: &dyn World) {
    let (user, password) = new_user(world, "u").await;
    let mut client = world.connect(&user, &password).await;
    assert!(world.broker().delete_user(&user).await.unwrap());
    assert!(client.reason().await.contains("is deleted"));
    assert!(!world.can_login(&user, &password).await);
    assert_eq!(world.broker().user(&user).await.unwrap(), None);
    assert_eq!(permissions_of(world, &user).await, []);
    assert!(!world.broker().delete_user(&user).await.unwrap());
}

pub async fn permissions_elsewhere_stay(world: &dyn World) {
    let (user, elsewhere) = (account(world, "u"), VhostName::parse("/").unwrap());
    put(world, &user, Login::Locked).await;
    world.broker().put_permission(&elsewhere, &user, &everything()).await.unwrap();
    put(world, &user, Login::Locked).await;
    assert_eq!(permissions_of(world, &user).await.len(), 2);

    assert!(world.broker().delete_permission(&elsewhere, &user).await.unwrap());
    assert!(!world.broker().delete_permission(&elsewhere, &user).await.unwrap());
    let left = permissions_of(world, &user).await;
    assert_eq!(left.iter().map(|permission| permission.vhost.as_str()).collect::<Vec<_>>(), [world.vhost().as_str()]);
    assert!(world.broker().delete_user(&user).await.unwrap());
}

pub async fn permissions_need_user_and_vhost(world: &dyn World) {
    let nowhere = VhostName::parse("no such vhost").unwrap();
    let (user, nobody) = (account(world, "u"), account(world, "nobody"));
    put(world, &user, Login::Locked).await;
    let broker = world.broker();

    let error = broker.put_permission(world.vhost(), &nobody, &everything()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such user"));
    let error = broker.put_permission(&nowhere, &user, &everything()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such vhost"));
    for name in [&user, &nobody] {
        let permissions = [(nowhere.clone(), everything())];
        let wish = UserWish { name, login: Login::Locked, tags: &[], permissions: &permissions };
        let error = broker.put_user(&wish).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such vhost"));
    }
}

/// Everything that a URL or a query could take for its own.
const ODD_NAMES: [&str; 9] = ["a/b", "a b", "100%", "%2F", "a+b", "a?b=c&d", "a#b", "grün/日本", "..."];

pub async fn odd_names_of_users_come_back_as_they_were(world: &dyn World) {
    for suffix in ODD_NAMES {
        let (user, password) = new_user(world, suffix).await;
        assert!(world.can_login(&user, &password).await, "{user}");
        assert_eq!(world.broker().user(&user).await.unwrap().unwrap().name, user.as_str());
        assert!(world.broker().users().await.unwrap().iter().any(|listed| listed.name == user.as_str()));
        assert_eq!(permissions_of(world, &user).await.len(), 1, "{user}");
        world.broker().close_connections_of(&user, "test").await.unwrap();
        assert!(world.broker().delete_permission(world.vhost(), &user).await.unwrap(), "{user}");
        assert!(world.broker().delete_user(&user).await.unwrap(), "{user}");
    }
}

pub async fn names_that_no_url_can_hold_are_refused(world: &dyn World) {
    for name in ["", ".", ".."] {
        assert_eq!(world.broker().queue(world.vhost(), name).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(world.broker().depth(world.vhost(), name).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(world.broker().delete_queue(world.vhost(), name).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(world.broker().purge_queue(world.vhost(), name).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(world.broker().delete_exchange(world.vhost(), name).await.unwrap_err().kind(), Kind::Invalid);
        assert_eq!(world.broker().close_connection(name, "test").await.unwrap_err().kind(), Kind::Invalid);
    }
}

pub async fn the_brokers_own_exchanges_stay(world: &dyn World) {
    for name in ["amq.topic", "amq.anything"] {
        assert_eq!(world.broker().delete_exchange(world.vhost(), name).await.unwrap_err().kind(), Kind::Forbidden);
    }
}

pub async fn unknown_things_are_no_failures(world: &dyn World) {
    let (broker, vhost, nobody) = (world.broker(), world.vhost(), account(world, "nobody"));
    assert_eq!(broker.user(&nobody).await.unwrap(), None);
    assert!(!broker.delete_user(&nobody).await.unwrap());
    assert!(!broker.delete_permission(vhost, &nobody).await.unwrap());
    assert_eq!(broker.queue(vhost, "nothing").await.unwrap(), None);
    assert!(!broker.delete_queue(vhost, "nothing").await.unwrap());
    assert!(!broker.purge_queue(vhost, "nothing").await.unwrap());
    assert_eq!(broker.depth(vhost, "nothing").await.unwrap(), None);
    assert_eq!(broker.connection_count(&nobody).await.unwrap(), 0);
    assert!(!broker.delete_exchange(vhost, "nothing").await.unwrap());
    assert!(!broker.close_connection("127.0.0.1:1 -> 127.0.0.1:2", "test").await.unwrap());
    broker.close_connections_of(&nobody, "test").await.unwrap();
    assert!(!broker.vhost_exists(&VhostName::parse("nowhere").unwrap()).await.unwrap());
}

pub async fn an_unknown_vhost_has_no_lists(world: &dyn World) {
    let nowhere = VhostName::parse("nowhere").unwrap();
    for error in [
        world.broker().queues(&nowhere).await.unwrap_err(),
        world.broker().exchanges(&nowhere).await.unwrap_err(),
        world.broker().bindings(&nowhere).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.message()), (Kind::NotFound, "the broker has no such vhost"));
    }
    assert_eq!(world.broker().queues(world.vhost()).await.unwrap(), []);
}

pub async fn tags_that_would_become_others_are_refused(world: &dyn World) {
    let name = account(world, "u");
    for tag in ["a,b", "", " a"] {
        let wish = UserWish { name: &name, login: Login::Locked, tags: &[tag.to_owned()], permissions: &[] };
        assert_eq!(world.broker().put_user(&wish).await.unwrap_err().kind(), Kind::Invalid, "{tag:?}");
    }
    assert_eq!(world.broker().user(&name).await.unwrap(), None);
}

//! A store as keylender wrote it at schema 2 is taken up: everything that was lent works on, and the file is kept as it was.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use keylender::base::audit::Action;
use keylender::base::{AccountName, Clock, Kind, NamespaceName, Secret, Timestamp};
use keylender::domain::accounts::{Accounts, Administrator, LoginWish, Owner, Terms, Wish};
use keylender::domain::auth::Caller;
use keylender::domain::namespaces::{Claim, Namespaces, When, Which};
use keylender::ports::broker::{MemoryBroker, Users};
use keylender::store::{KeySource, Store};

use crate::simulation::{config, vhost};

/// Shortly after the last rotation in the store.
const NOW: i64 = 1_539_604_800_000 + 3 * 5_400_000;
/// What was lent by the program that wrote the store, and is lent by it until the next rotation.
const LENT: [(&str, &str); 3] = [
    ("t-first", "amqp://t-first-1:IUsZPHX7SrmgRl4EtT1GjQ@h:1/%2F"),
    ("t-rotated", "amqp://t-rotated-2:_3Q47XaPSZS5n53j0_l0Gg@h:1/%2F"),
    ("t-twice", "amqp://t-twice-1:TlTzdXZDTyC5RlZ-yx6oMA@h:1/%2F"),
];

fn unpack(dir: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/stores");
    let packed = fs::read(fixtures.join("schema-2.redb.gz")).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    fs::write(dir.join("keylender.redb"), bytes).unwrap();
    fs::write(dir.join("key"), fs::read(fixtures.join("schema-2.key")).unwrap()).unwrap();
    fs::set_permissions(dir.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn name(text: &str) -> NamespaceName {
    NamespaceName::parse(text).unwrap()
}

fn account(text: &str) -> AccountName {
    AccountName::parse(text).unwrap()
}

/// The schema of a store's file, and one of its accounts as it lies there.
fn look_into(path: &Path) -> (String, String) {
    type Rows = redb::TableDefinition<'static, &'static str, &'static [u8]>;
    use redb::ReadableDatabase;
    let tx = redb::Database::open(path).unwrap().begin_read().unwrap();
    let value = |table: Rows, key| {
        let bytes = tx.open_table(table).unwrap().get(key).unwrap().unwrap().value().to_vec();
        String::from_utf8(bytes).unwrap()
    };
    (value(Rows::new("meta"), "schema"), value(Rows::new("accounts"), "t-first-1"))
}

struct Upgraded {
    store: Store,
    broker: MemoryBroker,
    accounts: Accounts,
    namespaces: Namespaces,
}

fn upgraded(dir: &Path) -> Upgraded {
    let clock = Clock::manual(Timestamp::from_millis(NOW));
    let store = Store::open(dir, &KeySource::File(dir.join("key")), clock).unwrap();
    let broker = MemoryBroker::default();
    let accounts = Accounts::new(store.clone(), broker.handle().users(), None);
    let namespaces = Namespaces::new(store.clone(), accounts.clone(), broker.handle().bus(), config());
    Upgraded { store, broker, accounts, namespaces }
}

#[tokio::test]
async fn a_store_of_schema_2_is_taken_up_with_all_that_it_lent() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    let Upgraded { store, broker, accounts, namespaces } = upgraded(dir.path());
    let (caller, forever) =
        (Caller::local("tests", "r"), || Claim { expires: Some(Timestamp::MAX), ..Claim::default() });
    store.verify_audit().await.unwrap();

    // The broker has lost everything: what the store knows is enough.
    for (namespace, lent) in LENT {
        let claimed = namespaces.claim(&caller, &name(namespace), forever()).await.unwrap().into_inner();
        assert_eq!(claimed.connection_string.expose(), lent);
    }
    assert_eq!(namespaces.claim(&caller, &name("t-ending"), forever()).await.unwrap_err().kind(), Kind::Busy);
    assert_eq!(accounts.reconcile().await.unwrap().failed, 0);
    assert!(accounts.drifts().await.unwrap().is_empty());
    for (_, lent) in LENT {
        let (user, rest) = lent.trim_start_matches("amqp://").split_once(':').unwrap();
        assert!(broker.can_login(user, &Secret::new(rest.split('@').next().unwrap())), "{user}");
    }
    assert!(broker.user(&account("t-ending-1")).await.unwrap().is_none());

    for begun in ["t-first", "t-rotating", "t-drifted"] {
        assert!(namespaces.rotate(&name(begun), &caller, When::Now).await.unwrap(), "{begun}");
    }
    namespaces.claim(&caller, &name("t-waiting"), forever()).await.unwrap();
    assert!(namespaces.expire(&name("t-ending"), &caller, Which::Any).await.unwrap());
    assert_eq!(namespaces.count().unwrap(), 6);

    let administrator = Administrator::new(accounts.clone(), broker.handle().identity(), vhost()).unwrap();
    let before = administrator.login().unwrap().unwrap().user;
    assert!(administrator.rotate(&caller).await.unwrap().is_retired);
    assert!(broker.user(&before).await.unwrap().is_none());
    assert!(accounts.drifts().await.unwrap().is_empty());
    store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn every_account_of_schema_2_gets_the_owner_that_it_had() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    let Upgraded { store, broker, accounts, .. } = upgraded(dir.path());
    let administrator = Administrator::new(accounts.clone(), broker.handle().identity(), vhost()).unwrap();
    let administrator = administrator.login().unwrap().unwrap().user;
    for (theirs, owner) in [
        (account("t-first-1"), Owner::Namespace(name("t-first"))),
        (account("t-waiting-2"), Owner::Namespace(name("t-waiting"))),
        (administrator, Owner::Administrator),
    ] {
        for (who, is_refused) in [(Owner::Relay("r".into()), true), (owner, false)] {
            let wish = Wish { owner: who, login: LoginWish::Locked, terms: Terms::default() };
            let (accounts, theirs) = (accounts.clone(), theirs.clone());
            let wished = store.write(move |tx| {
                tx.audit(Caller::local("tests", "r").note(Action::AccountAdjust, &theirs));
                accounts.wish(tx, &theirs, wish)
            });
            assert_eq!(wished.await.is_err_and(|error| error.kind() == Kind::Conflict), is_refused);
        }
    }
}

#[test]
fn the_file_of_schema_2_is_kept_for_the_program_that_wrote_it() {
    let dir = tempfile::tempdir().unwrap();
    unpack(dir.path());
    drop(upgraded(dir.path()));
    let snapshot = dir.path().join("keylender.redb.schema-2");
    assert_eq!(snapshot.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (schema, account) = look_into(&snapshot);
    assert!(schema == "2" && account.contains(r#""access_settled":true"#), "{schema} {account}");
    let (schema, account) = look_into(&dir.path().join("keylender.redb"));
    assert!(schema == "3" && account.contains(r#""owner":{"Namespace":"t-first"}"#), "{schema} {account}");
}

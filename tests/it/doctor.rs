//! The doctor: each thing that is not as it should be is a finding that says what to do, while it runs and while it rests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use keylender::app::settings::SmtpSettings;
use keylender::base::{AccountName, Secret, VhostName};
use keylender::ports::broker::{Access, Alarm, Login, PasswordHash, UserWish, Users, Version};
use keylender::ports::mail::Security;
use serde_json::Value;

use crate::world::World;

const HOUR: Duration = Duration::from_secs(3600);

async fn findings(world: &World) -> Vec<(String, String, String)> {
    let document = world.operate("GET", "/doctor", None).await;
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    let all = document["findings"].as_array().unwrap();
    all.iter().map(|each| (text(each, "about"), text(each, "grade"), text(each, "text"))).collect()
}

/// Grade and text of what was found about something.
async fn about(world: &World, about: &str) -> (String, String) {
    let found = findings(world).await.into_iter().find(|(name, ..)| name == about);
    found.map(|(_, grade, text)| (grade, text)).unwrap_or_else(|| panic!("nothing about {about}"))
}

/// A world in which an operator has set up everything that the doctor looks at, as far as a test can.
async fn well() -> World {
    let world = World::start().await;
    fs::set_permissions(&world.settings.data_dir, fs::Permissions::from_mode(0o700)).unwrap();
    world.operate("POST", "/broker/rotate", None).await;
    for each in ["rotate", "expire", "reconcile", "monitor", "deliver", "hosts"] {
        world.operate("POST", &format!("/loops/{each}/run"), None).await;
    }
    world
}

#[tokio::test]
async fn an_appliance_that_is_well_has_no_problems() {
    let world = well().await;
    world.broker.set_time(world.clock.now());
    // The disk is that of the machine which runs the test.
    let is_problem = |(about, grade, _): &(String, String, String)| grade == "problem" && about != "disk";
    let problems: Vec<_> = findings(&world).await.into_iter().filter(is_problem).collect();
    assert!(problems.is_empty(), "{problems:?}");
    for name in ["store", "broker", "clock", "data directory", "broker clock", "broker rights", "administrator"] {
        assert_eq!(about(&world, name).await.0, "well", "{name}");
    }
    let (grade, text) = about(&world, "key").await;
    assert!(grade == "warning" && text.contains("KEY_PASSPHRASE"), "{text}");
    let (grade, text) = about(&world, "broker version").await;
    assert!(grade == "warning" && text.contains("3.10.8"), "{text}");
    let (grade, text) = about(&world, "loops").await;
    assert!(grade == "well" && text.ends_with("run in time"), "{text}");
    assert!(about(&world, "mail").await.1.starts_with("none is sent: 0 mails"));
}

#[tokio::test]
async fn the_doctor_looks_at_the_way_back() {
    let world = well().await;
    let (grade, text) = about(&world, "backups").await;
    assert!(grade == "warning" && text.contains("keylender backup now"), "{text}");
    let taken = world.operate("POST", "/backups", None).await;
    let (grade, text) = about(&world, "backups").await;
    assert!(grade == "warning" && text.contains("keylender loop run drill"), "{text}");
    world.operate("POST", "/loops/drill/run", None).await;
    assert_eq!(about(&world, "backups").await.0, "well");
    world.clock.advance(Duration::from_secs(49 * 3600));
    let (grade, text) = about(&world, "backups").await;
    assert!(grade == "problem" && text.contains("the newest is of"), "{text}");
    std::fs::write(world.settings.data_dir.join("backups").join(taken["name"].as_str().unwrap()), "rotten").unwrap();
    let (grade, text) = about(&world, "backups").await;
    assert!(grade == "problem" && text.contains("its label cannot be read"), "{text}");
}

#[tokio::test]
async fn whatever_is_wrong_with_the_broker_is_found() {
    let world = World::start().await;
    let (grade, text) = about(&world, "broker rights").await;
    assert!(grade == "problem" && text.contains("rabbitmqctl set_permissions"), "{text}");
    assert!(about(&world, "administrator").await.1.contains("keylender broker rotate"));
    world.broker.set_time(world.clock.now().plus(HOUR));
    assert_eq!(about(&world, "broker clock").await.0, "problem");
    world.broker.raise_alarms(vec![Alarm { node: "rabbit@a".into(), resource: "disk".into() }]);
    assert!(about(&world, "broker alarms").await.1.contains("disk is short on rabbit@a"));
    world.broker.raise_alarms(Vec::new());
    world.broker.partition(vec!["rabbit@b".into()]);
    assert!(about(&world, "broker alarms").await.1.contains("lost sight of rabbit@b"));

    let world = well().await;
    world.broker.wipe();
    world.operate("GET", "/broker", None).await;
    let (grade, text) = about(&world, "administrator").await;
    assert!(grade == "problem" && text.contains("keylender loop run reconcile"), "{text}");
}

#[tokio::test]
async fn what_the_broker_makes_of_clients_is_said() {
    let world = well().await;
    let is_said = async |what: &str| findings(&world).await.iter().any(|(about, ..)| about == what);
    let name = AccountName::parse("taskcluster-a-1").unwrap();
    let client = world.client("c", &["pulse:namespace:*"]).await;
    let claimed = world.claim(&client, "taskcluster-a", "{}").await;
    let text = claimed.json()["connectionString"].as_str().unwrap().to_owned();
    let password = Secret::new(text.split([':', '@']).nth(2).unwrap());
    let vhost = &world.settings.namespaces.amqp.vhost;
    world.broker.connect(name.as_str(), &password, vhost, world.clock.now()).unwrap();
    assert!(!is_said("connections").await && !is_said("connection strings").await);

    world.broker.keep_no_statistics();
    let (grade, text) = about(&world, "connections").await;
    assert!(grade == "warning" && text.contains("CONNECTION_MAX_LIFETIME closes none"), "{text}");
    world.broker.play(Version::parse("4.3.6").unwrap());
    let (grade, text) = about(&world, "connection strings").await;
    assert!(grade == "warning" && text.contains("TASKCLUSTER_AMQP_QUERY=frameMax=8192"), "{text}");
}

#[tokio::test]
async fn a_pattern_that_the_next_broker_reads_otherwise_is_found_before_it_comes() {
    let world = World::with(|settings| {
        settings.namespaces.access.write = r"^queue/{{namespace}}/[\w-.]+$".into();
        settings.namespaces.access.read = "^queue/{{namespace}}/q{,3}$".into();
    })
    .await;
    let (grade, text) = about(&world, "patterns").await;
    assert_eq!(grade, "warning");
    assert!(text.contains("Erlang 28") && !text.contains("USER_CONFIG_PERMISSION"), "{text}");
    assert!(text.contains(r"`[\w-.]` of USER_WRITE_PERMISSION is refused: put the hyphen last"), "{text}");
    assert!(text.contains("`{,3}` of USER_READ_PERMISSION means something else: write"), "{text}");
    // Then it is too late, and the health check names what is refused.
    world.broker.play(Version::parse("4.3.6").unwrap());
    assert!(findings(&world).await.iter().all(|(about, ..)| about != "patterns"));
}

#[tokio::test]
async fn files_that_others_may_read_are_found() {
    let world = well().await;
    fs::set_permissions(world.settings.data_dir.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let (grade, text) = about(&world, "data directory").await;
    assert!(grade == "problem" && text.contains("chmod 600"), "{text}");
    assert_eq!(about(&world, "key").await.0, "problem");
}

#[tokio::test]
async fn loops_that_do_not_run_and_brakes_that_hold_are_found() {
    let world = well().await;
    world.operate("POST", "/loops/rotate/pause", None).await;
    assert!(about(&world, "loops").await.1.contains("keylender loop resume rotate"));
    for each in ["expire", "reconcile", "monitor", "deliver"] {
        world.operate("POST", &format!("/loops/{each}/pause"), None).await;
    }
    world.operate("POST", "/loops/rotate/resume", None).await;
    let rotate = async |world: &World| {
        let found = findings(world).await.into_iter().find(|(_, _, text)| text.contains("rotate"));
        found.map(|(_, grade, text)| (grade, text))
    };
    // A clock that was set makes the brake hold.
    world.clock.set(world.clock.now().plus(4 * HOUR));
    let ran = keylender::app::operate::Operator::connect(&world.settings).unwrap();
    ran.call("POST", "/loops/rotate/run", None).await.unwrap_err();
    let (grade, text) = rotate(&world).await.unwrap();
    assert!(grade == "problem" && text.contains("keylender loop release rotate"), "{text}");
}

#[tokio::test]
async fn a_mail_server_that_is_away_is_found_without_sending_anything() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::with(|settings| {
        let (security, host, port) = (Security::Plain, nobody.ip().to_string(), nobody.port());
        settings.notices.smtp = Some(SmtpSettings { security, host, port, login: None });
    })
    .await;
    let (grade, text) = about(&world, "mail").await;
    assert!(grade == "problem" && text.contains("SMTP_URL"), "{text}");
}

#[tokio::test]
async fn the_doctor_comes_while_the_appliance_rests() {
    let mut world = well().await;
    world.stop().await;
    // Through the store itself. The broker of the settings is none, and loops do not run: that is no problem of theirs.
    assert_eq!(about(&world, "data directory").await.0, "well");
    assert_eq!(about(&world, "loops").await.0, "well");
    assert_eq!(about(&world, "broker").await.0, "problem");
}

#[tokio::test]
async fn a_user_of_somebody_else_in_the_way_of_a_claim_is_named_and_no_loop_fails_for_it() {
    let world = well().await;
    let client = world.client("tests", &["pulse:namespace:*"]).await;
    world.broker.go_away();
    assert_eq!(world.claim(&client, "taskcluster-mine", "{}").await.status, 503);
    world.broker.come_back();
    let name = AccountName::parse("taskcluster-mine-1").unwrap();
    let theirs = Secret::new("theirs");
    let tags = ["monitoring".to_owned()];
    let elsewhere = VhostName::parse("elsewhere").unwrap();
    world.broker.add_vhost(&elsewhere);
    let may = [(elsewhere, Access { configure: ".*".into(), write: ".*".into(), read: ".*".into() })];
    let wish = UserWish { name: &name, login: Login::Hash(PasswordHash::of(&theirs)), tags: &tags, permissions: &may };
    world.broker.put_user(&wish).await.unwrap();

    let said = world.appliance().loops.run("reconcile").await.unwrap();
    assert!(said.contains("taskcluster-mine-1 is left as it is: the broker has a user"), "{said}");
    let theirs_at =
        async || world.broker.permissions().await.unwrap().into_iter().filter(|it| it.user == name.as_str());
    assert_eq!(theirs_at().await.count(), 1, "nothing of theirs is taken away");
    let (grade, text) = about(&world, "broker users").await;
    assert_eq!(grade, "warning");
    assert!(text.contains("names of ours: taskcluster-mine-1; they are left alone"), "{text}");
    let removed = world.operate("POST", "/namespaces/taskcluster-mine/expire?reason=r", None).await;
    assert!(world.broker.can_login("taskcluster-mine-1", &theirs), "{removed}");
    assert_eq!(world.appliance().loops.run("reconcile").await.unwrap(), "");
    assert!(!findings(&world).await.iter().any(|(about, ..)| about == "broker users"));
}

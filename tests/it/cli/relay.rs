//! Profiles of relays on the command line, without an appliance.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keylender::app::settings::RelaySettings;
use keylender::base::Clock;
use keylender::proto::relay_profile::Profile;
use serde_json::{Value, json};

use super::{Home, Outcome};
use crate::world::World;

#[test]
fn a_built_in_profile_is_printed_to_be_copied_and_passes_the_check() {
    let home = Home::new();
    // What holds on this host is no matter.
    home.write_settings("PORT=eighty\n");
    for name in ["mig-2015", "mig-2018", "mig-2019", "plain"] {
        let file = home.dir.path().join(name);
        fs::write(&file, home.run(&["relay", "profile", name]).well()).unwrap();
        let said = home.run(&["relay", "check", file.to_str().unwrap()]).well();
        assert!(said.starts_with("the relay `") && said.contains("1 vhosts"), "{said}");
    }
    assert_eq!(home.run(&["relay", "profile", "mig-2016"]).code, 2);
    assert_eq!(home.run(&["relay", "schema"]).json()["title"], "Profile of a relay");
}

#[test]
fn every_mistake_of_a_profile_is_told_with_its_place() {
    let home = Home::new();
    let file = home.dir.path().join("relay.toml");
    fs::write(&file, "name = 'r'\n[[acount]]\nname = 'a'\n[[vhost]]\n").unwrap();
    let file = file.to_str().unwrap();
    let said = home.run(&["relay", "check", file]).lines(1).replace(file, "relay.toml");
    insta::assert_snapshot!(said, @"
    relay.toml:2:3: unknown key `acount`; the nearest known one is `account`
    relay.toml:4:1: `name` is missing from [[vhost]]; add it
    keylender: this is no profile that can be used
    ");
    assert!(home.run(&["relay", "check", "nowhere.toml"]).sentence(1).contains("the profile cannot be read"));
}

#[test]
fn a_rotation_wants_a_reason_and_an_account_that_is_applied() {
    let home = Home::new();
    home.write_settings(
        "RELAY_PROFILE=plain\nRABBIT_BASE_URL=http://localhost:1/api\nRABBIT_USERNAME=admin\nRABBIT_PASSWORD=x\n",
    );
    assert_eq!(home.run(&["relay", "rotate", "shop"]).code, 2, "no reason");
    for more in [["--plan", "--close-connections"], ["--reason", "to see"]] {
        let said = home.run(&[["relay", "rotate", "shop"].as_slice(), &more].concat()).sentence(1);
        assert!(said.contains("the account `shop` is not applied yet"), "{said}");
    }
    let said = home.run(&["relay", "rotate", "nobody", "--reason", "to see"]).sentence(1);
    assert_eq!(said, "the profile of the relay declares no account `nobody`");
    let shown = home.run(&["relay", "show"]).well();
    assert!(shown.contains("shop       in-turn") && shown.contains("HOLDERS"), "{shown}");
}

/// A relay with a file for each program of it that reads one.
const PARTS: &str = "
name = 'mig'
[[vhost]]
name = 'mig'
[[account]]
name = 'scheduler'
delivery = 'render'
[[account.grant]]
vhost = 'mig'
configure = ''
write = ''
read = ''
[[part]]
name = 'scheduler'
kind = 'mig-scheduler'
age = '2018-11'
account = 'scheduler'
mode = '0640'
[part.settings.mq]
host = 'relay1.example.net'
port = 5671
[part.settings.postgres]
host = 'db.example.net'
password = { file = 'DIRECTORY/password' }
[[part]]
name = 'api'
kind = 'mig-api'
age = '2018-11'
[part.settings.server]
host = 'https://api.example.net'
[part.settings.postgres]
host = 'db.example.net'
password = 'written here'
";

#[tokio::test]
async fn files_of_programs_are_written_with_the_password_of_today_and_compared_with_what_is_there() {
    let home = Home::new();
    let directory = home.dir.path().join("mig");
    fs::create_dir(&directory).unwrap();
    fs::write(home.dir.path().join("password"), "from a file\n").unwrap();
    let text = PARTS.replace("DIRECTORY", home.dir.path().to_str().unwrap());
    let relay = RelaySettings { profile: Profile::parse(&text).unwrap(), from: "a story".into() };
    let world = World::at(Clock::system(), |settings| settings.relay = Some(relay)).await;
    let (data, to) = (world.settings.data_dir.to_str().unwrap().to_owned(), directory.to_str().unwrap());
    let run = async |arguments: &[&str]| {
        let mut command = home.command(&[&["relay", "render"], arguments].concat());
        command.args(["--data-dir", &data]);
        Outcome::of(tokio::process::Command::from(command).output().await.unwrap())
    };
    let early = run(&["scheduler"]).await.sentence(1);
    assert!(early.contains("is not applied yet"), "{early}");
    world.operate("POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await;

    let printed = run(&["scheduler"]).await.well();
    let lent = world.operate("GET", "/relay/accounts/scheduler/credentials", None).await;
    let password = lent["password"].as_str().unwrap();
    for line in [format!("pass = \"{password}\""), "password = \"from%20a%20file\"".into(), "vhost = \"mig\"".into()] {
        assert!(printed.lines().any(|has| has == line), "{line}: {printed}");
    }
    let missing = run(&["--check", to]).await;
    assert!(missing.code == 1 && missing.stdout.contains("it is missing"), "{missing:?}");
    for part in ["scheduler", "api"] {
        let said = run(&[part, "--to", to]).await;
        assert!(said.code == 0 && said.stderr.contains(&format!("wrote {to}/{part}.cfg")), "{said:?}");
    }
    let file = directory.join("scheduler.cfg");
    assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    run(&["--check", to]).await.well();

    world.operate("POST", "/relay/accounts/scheduler/rotate", Some(json!({ "reason": "to see" }))).await;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let differs = run(&["--check", to]).await;
    assert_eq!(differs.code, 1);
    assert!(differs.stdout.contains("its mode is 0644 and not 0640; mq.pass"), "{}", differs.stdout);
    assert!(!differs.stdout.contains(password), "no secret is repeated");
    let checked: Value = run(&["--check", to, "--json"]).await.stdout.parse().unwrap();
    assert_eq!(checked["files"][1]["differs"], json!([]));
    assert_eq!(run(&["nothing"]).await.sentence(1), "the profile of the relay declares no part of this name");

    let lends = world.audited("relay.lend").await;
    assert!(lends.iter().any(|entry| entry["details"]["part"] == "scheduler"), "{lends:?}");
    assert_eq!(world.audited("relay.render").await[0]["object"], "api");
    fs::remove_file(home.dir.path().join("password")).unwrap();
    let unread = run(&["scheduler"]).await.sentence(1);
    assert_eq!(unread, "the setting postgres.password cannot be read here; the log says why");
}

#[test]
fn parts_that_no_program_could_read_are_told_with_their_place() {
    let home = Home::new();
    let file = home.dir.path().join("relay.toml");
    let wrong = PARTS
        .replace("account = 'scheduler'\nmode = '0640'", "account = 'agent'\nmode = '9'")
        .replace("port = 5671", "port = 70000\nuser = 'x'")
        .replace("[part.settings.server]", "path = 'etc/'\n[part.settings.sever]");
    fs::write(&file, wrong).unwrap();
    let file = file.to_str().unwrap();
    let said = home.run(&["relay", "check", file]).lines(1).replace(file, "relay.toml");
    insta::assert_snapshot!(said, @r#"
    relay.toml:17:11: `account`: `agent` is not declared here; add [[account]] for it
    relay.toml:18:8: `mode`: expected a mode such as 0640
    relay.toml:21:8: `mq.port` of mig-scheduler: expected a whole number from 1 to 65535 without quotes
    relay.toml:22:8: `mq.user` of mig-scheduler: comes from the login of the broker's account; remove it here
    relay.toml:30:8: `path`: expected the path of a file, such as /etc/mig/scheduler.cfg
    relay.toml:31:1: `sever` of mig-api: unknown section; the nearest known one is `server`
    relay.toml:31:7: `server.host` of mig-api: is missing; add a URL without a slash at the end, such as "http://localhost:12345"
    keylender: this is no profile that can be used
    "#);
}

#[test]
fn certificates_that_a_written_file_names_are_warned_about() {
    let home = Home::new();
    let directory = home.dir.path();
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/certificates");
    let text = format!(
        "name = 'r'\n[[part]]\nname = 'tls'\nkind = 'rabbitmq-tls'\n[part.settings]\ncacertfile = '{data}/authority.pem'\n\
         certfile = '{data}/nameless.pem'\nkeyfile = '{data}/none.pem'\n"
    );
    fs::write(directory.join("relay.toml"), text).unwrap();
    let profile = directory.join("relay.toml");
    home.write_settings(&format!(
        "RELAY_PROFILE={}\nRABBIT_BASE_URL=http://localhost:1/api\nRABBIT_USERNAME=admin\nRABBIT_PASSWORD=x\n",
        profile.display()
    ));
    let said = home.run(&["relay", "render", "tls", "--to", directory.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stderr.contains("nameless.pem: ") && said.stderr.contains("names no host"), "{}", said.stderr);
    let written = fs::read_to_string(directory.join("rabbitmq.conf")).unwrap();
    assert!(written.contains("ssl_options.fail_if_no_peer_cert = true"), "{written}");
}

#[test]
fn recipes_for_a_cluster_are_printed_for_the_version_of_the_broker() {
    let home = Home::new();
    let join = home.run(&["relay", "recipe", "join", "rabbit@relay2", "rabbit@relay1"]).well();
    assert!(join.contains("rabbitmqctl join_cluster rabbit@relay1"), "{join}");
    let forget =
        |version: &str| home.run(&["relay", "recipe", "forget", "rabbit@b", "rabbit@a", "--broker", version]).well();
    assert!(forget("3.8.9").contains("rabbitmq-queues shrink rabbit@b\nrabbitmqctl forget_cluster_node rabbit@b"));
    assert!(forget("3.10").contains("# Members of quorum queues on rabbit@b go with it"));
    let limbo = home.run(&["relay", "recipe", "limbo", "--off", "rabbit@b"]).well();
    assert!(limbo.contains("forget_cluster_node rabbit@b"), "{limbo}");
    let recover = home.run(&["relay", "recipe", "recover", "rabbit@a", "--lost", "rabbit@b"]).well();
    assert!(recover.contains("rabbit@a"), "{recover}");
    let wrong = home.run(&["relay", "recipe", "forget", "b; reboot", "rabbit@a"]).sentence(1);
    assert!(wrong.contains("is no name of a node, such as rabbit@relay1"), "{wrong}");
    assert!(home.run(&["relay", "recipe", "limbo", "--broker", "2.7"]).sentence(1).contains("from 3.8 to 4.3"));
}

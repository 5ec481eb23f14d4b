//! `keylender claim`, `keylender namespace`: against an appliance in this process, with a broker in memory.

use keylender::app::settings::RelaySettings;
use keylender::base::Clock;
use keylender::proto::relay_profile::Profile;
use serde_json::{Value, json};

use super::{Home, Outcome};
use crate::sign::Client;
use crate::world::{NAMESPACE, World};

struct Claimant {
    home: Home,
    world: World,
    client: Client,
}

impl Claimant {
    async fn new() -> Self {
        let world = World::at(Clock::system(), |_| {}).await;
        let client = world.client("builds", &["pulse:namespace:taskcluster-*"]).await;
        Self { home: Home::new(), world, client }
    }

    async fn claim(&self, arguments: &[&str]) -> Outcome {
        let url = format!("http://{}", self.world.address());
        let mut command = self.home.command(&["claim", "--url", &url]);
        command.env("TASKCLUSTER_CLIENT_ID", self.client.id.as_str());
        command.env("TASKCLUSTER_ACCESS_TOKEN", self.client.token.expose()).args(arguments);
        Outcome::of(tokio::process::Command::from(command).output().await.unwrap())
    }
}

#[tokio::test]
async fn a_claim_prints_the_connection_string_in_three_forms() {
    let claimant = Claimant::new().await;
    let string = claimant.claim(&[NAMESPACE]).await.well().trim_end().to_owned();
    assert!(string.starts_with("amqp://taskcluster-foo-1:") && string.ends_with("/%2F"), "{string}");
    let document = claimant.claim(&[NAMESPACE, "--json"]).await.json();
    assert_eq!(document["connectionString"], json!(string));
    let lines = claimant.claim(&[NAMESPACE, "--env"]).await.well();
    let script =
        format!("{lines}printf %s \"$KEYLENDER_NAMESPACE $KEYLENDER_CONNECTION_STRING $KEYLENDER_RECLAIM_AT\"");
    let shell = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
    let expected = format!("{NAMESPACE} {string} {}", document["reclaimAt"].as_str().unwrap());
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), expected);
}

#[tokio::test]
async fn an_account_of_the_relay_is_fetched_in_the_same_forms() {
    let profile = "name = 'r'\n[[vhost]]\nname = 'v'\n[[account]]\nname = \"o'clock\"\n[[account.grant]]\nvhost = 'v'\n\
                   configure = ''\nwrite = ''\nread = ''\n";
    let relay = RelaySettings { profile: Profile::parse(profile).unwrap(), from: "a story".into() };
    let world = World::at(Clock::system(), |settings| settings.relay = Some(relay)).await;
    let client = world.client("builds", &["keylender:relay:lend:*"]).await;
    let claimant = Claimant { home: Home::new(), world, client };
    let fetch = async |more: &[&str]| claimant.claim(&[&["--account", "o'clock"], more].concat()).await;
    assert!(fetch(&[]).await.sentence(1).contains("is not applied yet"));
    claimant.world.operate("POST", "/relay/apply", Some(json!({ "reason": "to see" }))).await;
    let document = fetch(&["--json"]).await.json();
    let (password, string) = (document["password"].as_str().unwrap(), fetch(&[]).await.well());
    assert_eq!(document["vhosts"][0]["connectionString"], string.trim_end());
    let script =
        "printf %s \"$KEYLENDER_ACCOUNT $KEYLENDER_USERNAME $KEYLENDER_PASSWORD $KEYLENDER_CONNECTION_STRING\"";
    let expected = format!("o'clock o'clock {password} {}", string.trim_end());
    assert_eq!(fetch(&["--exec", "sh", "-c", script]).await.stdout, expected);
    let lines = fetch(&["--env"]).await.well();
    let shell = std::process::Command::new("/bin/sh").arg("-c").arg(format!("{lines}{script}")).output().unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), expected);
    let link = fetch(&["--wrap", "--for", "20 minutes"]).await.stdout;
    assert!(link.contains("/wraps/") && !link.contains(password), "{link}");
    assert_eq!(fetch(&["--contact", "a@example.com"]).await.code, 1);
    assert_eq!(claimant.claim(&[]).await.code, 2);
}

#[tokio::test]
async fn a_claim_runs_a_command_with_the_credentials_and_ends_like_it() {
    let claimant = Claimant::new().await;
    let script = "printf %s \"$KEYLENDER_NAMESPACE $KEYLENDER_CONNECTION_STRING\"; exit 7";
    let ran = claimant.claim(&[NAMESPACE, "--exec", "sh", "-c", script]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (7, ""));
    assert!(ran.stdout.starts_with("taskcluster-foo amqp://taskcluster-foo-1:"), "{}", ran.stdout);
    let missing = claimant.claim(&[NAMESPACE, "--exec", "/no/such/program"]).await.sentence(1);
    assert!(missing.starts_with("cannot run /no/such/program"), "{missing}");
}

#[tokio::test]
async fn a_command_of_a_claim_makes_its_files_as_the_shell_would_have_it() {
    let claimant = Claimant::new().await;
    let umask = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    let here = umask(std::process::Command::new("/bin/sh").args(["-c", "umask; ulimit -c"]).output().unwrap());
    let ran = claimant.claim(&[NAMESPACE, "--exec", "sh", "-c", "umask; ulimit -c"]).await;
    assert_eq!(ran.well(), here);
}

#[tokio::test]
async fn what_a_claim_asks_for_arrives() {
    let claimant = Claimant::new().await;
    let claimed = claimant.claim(&[NAMESPACE, "--lasts", "1 day", "--contact", "a@example.com", "--json"]).await.json();
    let shown = claimant.world.operate("GET", "/namespaces/taskcluster-foo", None).await;
    assert_eq!((&shown["contact"], &shown["expires"]), (&json!("a@example.com"), &claimed["expires"]));
    let times = ["expires", "created"].map(|member| claimed[member].as_str().unwrap().parse().unwrap());
    let [expires, created]: [keylender::base::Timestamp; 2] = times;
    let lasts = expires.since(created).as_secs();
    assert!((86_390..=86_400).contains(&lasts), "{lasts}");
}

#[tokio::test]
async fn temporary_credentials_claim_too() {
    let mut claimant = Claimant::new().await;
    let start = claimant.world.clock.now();
    let temporary = claimant.client.issue(start, None, &["pulse:namespace:taskcluster-foo"]);
    claimant.client = temporary.clone();
    assert_eq!(claimant.claim(&[NAMESPACE]).await.code, 3, "without the certificate it is a wrong token");
    let url = format!("http://{}", claimant.world.address());
    let mut command = claimant.home.command(&["claim", NAMESPACE, "--url", &url]);
    command.env("TASKCLUSTER_CLIENT_ID", temporary.id.as_str());
    command.env("TASKCLUSTER_ACCESS_TOKEN", temporary.token.expose());
    command.env("TASKCLUSTER_CERTIFICATE", temporary.certificate().unwrap());
    let outcome = Outcome::of(tokio::process::Command::from(command).output().await.unwrap());
    assert!(outcome.well().starts_with("amqp://"));
}

#[tokio::test]
async fn a_claim_that_fails_says_why_by_its_code() {
    let mut claimant = Claimant::new().await;
    let invalid = claimant.claim(&["taskcluster-a.b"]).await.lines(1);
    assert!(invalid.contains("Invalid namespace provided"), "{invalid}");
    assert_eq!(claimant.claim(&[]).await.code, 2);
    assert_eq!(claimant.claim(&[NAMESPACE, "--json", "--env"]).await.code, 2);
    claimant.world.broker.go_away();
    let away = claimant.claim(&["taskcluster-bar"]).await.sentence(1);
    assert!(away.starts_with("the broker is not well: nothing was lent"), "{away}");
    claimant.world.broker.come_back();

    let forbidden = claimant.claim(&["other"]).await.lines(3);
    assert!(forbidden.contains("sufficient scopes") && !forbidden.contains("requestInfo"), "{forbidden}");
    claimant.client = claimant.client.with_token("wrong");
    assert_eq!(claimant.claim(&[NAMESPACE]).await.sentence(3), "Unauthorized: Bad mac");
    let nobody = claimant.home.run(&["claim", NAMESPACE]).sentence(3);
    assert!(nobody.starts_with("TASKCLUSTER_CLIENT_ID is not set"), "{nobody}");

    claimant.world.stop().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = claimant.home.command(&["claim", NAMESPACE, "--url", &format!("http://{free}")]);
    command.env("TASKCLUSTER_CLIENT_ID", "builds").env("TASKCLUSTER_ACCESS_TOKEN", "x");
    let nowhere = Outcome::of(command.output().unwrap()).sentence(1);
    assert!(nowhere.starts_with("the appliance does not answer"), "{nowhere}");
}

#[tokio::test]
async fn operators_see_namespaces_while_it_runs_and_while_it_rests() {
    let mut claimant = Claimant::new().await;
    for name in ["taskcluster-b", "taskcluster-a"] {
        claimant.claim(&[name, "--contact", "a@example.com"]).await.well();
    }
    let data_dir = claimant.world.settings.data_dir.to_str().unwrap().to_owned();
    let mut seen: Vec<(String, Value)> = Vec::new();
    for runs in [true, false] {
        if !runs {
            claimant.world.stop().await;
        }
        let run = async |arguments: &[&str]| {
            let mut command = claimant.home.command(arguments);
            command.args(["--data-dir", &data_dir]);
            Outcome::of(tokio::process::Command::from(command).output().await.unwrap())
        };
        let list = run(&["namespace", "list"]).await.well();
        assert!(list.lines().nth(1).unwrap().starts_with("taskcluster-a  "), "{list}");
        assert!(list.lines().nth(2).unwrap().ends_with("  a@example.com"), "{list}");
        run(&["namespace", "own", "taskcluster-a", "team@example.org"]).await.well();
        let show = run(&["namespace", "show", "taskcluster-a"]).await.well();
        assert!(show.contains("owners         team@example.org\n"), "{show}");
        run(&["namespace", "disown", "taskcluster-a", "team@example.org"]).await.well();
        assert!(show.contains("active slot    1\n"), "{show}");
        assert!(show.contains("taskcluster-a-1  true        true\ntaskcluster-a-2  false       true\n"), "{show}");
        assert_eq!(show.ends_with("The broker could not be asked who is connected.\n"), !runs, "{show}");
        assert!(!show.contains("amqp://"));
        seen.push((list, run(&["namespace", "list", "--json"]).await.json()));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].1.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_wrapped_claim_prints_a_link_that_opens_once() {
    let claimant = Claimant::new().await;
    let wrapped = claimant.claim(&[NAMESPACE, "--wrap", "--for", "20 minutes"]).await;
    assert!(wrapped.stderr.starts_with("It opens once, until "), "{}", wrapped.stderr);
    let link = wrapped.stdout.trim_end().to_owned();
    let path = link.strip_prefix(&format!("http://{}", claimant.world.address())).unwrap();
    let open = async || claimant.world.ask(&crate::wire::Ask::new("POST", path).body("")).await;
    let opened = open().await.json();
    assert_eq!(opened["connectionString"], json!(claimant.claim(&[NAMESPACE]).await.well().trim_end()));
    assert_eq!(open().await.status, 410);
    assert_eq!(claimant.claim(&["other", "--wrap"]).await.code, 3, "refused like a claim");
    assert_eq!(claimant.claim(&[NAMESPACE, "--wrap", "--for", "8 days"]).await.code, 1);
    assert_eq!(claimant.claim(&[NAMESPACE, "--for", "1 hour"]).await.code, 2);
}

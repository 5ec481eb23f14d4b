//! The metrics: every byte of them by the format's rules, bounded whatever clients send, and shown to whom they are for.

use std::collections::{BTreeMap, BTreeSet};

use keylender::base::Secret;
use keylender::web::peer::TrustProxy;
use serde_json::json;

use crate::wire::Ask;
use crate::world::{NAMESPACE, World};

const TOKEN: &str = "a-token-for-prometheus";

/// Samples by name and labels, as Prometheus would read them. It panics at the first byte that is not by the rules.
#[derive(Debug, Default)]
struct Scrape {
    samples: BTreeMap<(String, Vec<(String, String)>), f64>,
    types: BTreeMap<String, String>,
}

fn is_name(text: &str, colon: bool) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':'))
}

/// Name, labels and value of a line; a label's value may hold any character, escaped.
fn sample(line: &str) -> (String, Vec<(String, String)>, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = (line[..end].to_owned(), &line[end..]);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"").unwrap();
            assert!(is_name(label, false), "{line}");
            let (mut text, mut chars) = (String::new(), value.char_indices());
            let end = loop {
                match chars.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => text.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        other => panic!("{line}: \\{other}"),
                    }),
                    (_, c) => text.push(c),
                }
            };
            labels.push((label.to_owned(), text));
            rest = &value[end + 1..];
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}').unwrap_or_else(|| panic!("{line}"));
    }
    (name, labels, rest.strip_prefix(' ').unwrap().parse().unwrap_or_else(|_| panic!("{line}")))
}

impl Scrape {
    fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let (mut scrape, mut family, mut is_typed) = (Self::default(), String::new(), false);
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(is_name(name, true) && !help.is_empty() && !scrape.types.contains_key(name), "{line}");
                (family, is_typed) = (name.to_owned(), false);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(name == family && !is_typed && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                is_typed = scrape.types.insert(name.to_owned(), kind.to_owned()).is_none();
            } else {
                let (name, labels, value) = sample(line);
                let ends: &[&str] =
                    if scrape.types[&family] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(is_typed && ends.iter().any(|end| name == format!("{family}{end}")), "{line}");
                let names: BTreeSet<_> = labels.iter().map(|(label, _)| label).collect();
                assert_eq!(names.len(), labels.len(), "{line}");
                assert!(scrape.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        scrape
    }

    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
        *self.samples.get(&(name.to_owned(), labels)).unwrap_or(&0.0)
    }

    /// The values of a label.
    fn values(&self, label: &str) -> BTreeSet<&str> {
        let labels = self.samples.keys().flat_map(|(_, labels)| labels);
        labels.filter(|(name, _)| name == label).map(|(_, value)| value.as_str()).collect()
    }

    /// What never changes: which series there are.
    fn check_histograms(&self) {
        let histograms = self.types.iter().filter(|(_, kind)| *kind == "histogram");
        for (name, _) in histograms {
            let counts = self.samples.iter().filter(|((sample, _), _)| *sample == format!("{name}_count"));
            for ((_, labels), count) in counts {
                let mut buckets: Vec<(f64, f64)> = Vec::new();
                for ((sample, of), value) in &self.samples {
                    if *sample == format!("{name}_bucket") && of.starts_with(labels) {
                        let bound = &of.last().unwrap().1;
                        buckets.push((bound.replace("+Inf", "inf").parse().unwrap(), *value));
                    }
                }
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{name} {labels:?}: {buckets:?}");
                assert_eq!(buckets.last().unwrap(), &(f64::INFINITY, *count), "{name} {labels:?}");
            }
        }
    }
}

async fn scrape(world: &World) -> Scrape {
    let answer = world.ask(&Ask::get("/metrics")).await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let scrape = Scrape::read(answer.text());
    scrape.check_histograms();
    scrape
}

#[tokio::test]
async fn the_metrics_are_by_the_rules_of_the_format_and_count_what_was_done() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:taskcluster-foo"]).await;
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    assert_eq!(world.claim(&client, NAMESPACE, "{}").await.status, 200);
    assert_eq!(world.claim(&client, "taskcluster-bar", "{}").await.status, 403);
    let wrong = Ask::claim(NAMESPACE, "{}").with("Authorization", "Bearer builds/wrong");
    assert_eq!(world.ask(&wrong).await.status, 401);
    assert_eq!(world.ask(&Ask::get("/v1/credentials")).await.status, 503);
    world.broker.go_away();
    assert_eq!(world.operate("POST", "/loops/hosts/run", None).await["report"], json!(""));

    let scrape = scrape(&world).await;
    let lends = |kind, outcome| scrape.get("keylender_lends_total", &[("kind", kind), ("outcome", outcome)]);
    assert_eq!((lends("namespace", "lent"), lends("namespace", "refused")), (2.0, 0.0));
    assert_eq!((lends("host-credentials", "lent"), lends("host-credentials", "failed")), (0.0, 1.0));
    assert_eq!(scrape.get("keylender_denials_total", &[("cause", "scopes")]), 1.0);
    assert_eq!(scrape.get("keylender_denials_total", &[("cause", "credentials")]), 1.0);
    assert_eq!(scrape.get("keylender_authentication_failures_total", &[("scheme", "bearer")]), 1.0);
    let claims = |status| {
        let labels = [("method", "write"), ("route", "/v1/namespace/{namespace}"), ("status", status)];
        scrape.get("keylender_http_requests_total", &labels)
    };
    assert_eq!((claims("2xx"), claims("4xx"), claims("5xx")), (2.0, 2.0, 0.0));
    assert_eq!(scrape.get("keylender_namespaces", &[]), 1.0);
    assert_eq!(scrape.get("keylender_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert!(scrape.get("keylender_broker_calls_total", &[("outcome", "answered")]) >= 4.0);
    assert!(scrape.get("keylender_audit_entries_total", &[]) >= 5.0);
    assert!(scrape.get("keylender_store_bytes", &[]) > 0.0);
    assert!(scrape.get("process_resident_memory_bytes", &[]) > 1e6);
    let begin = crate::world::BEGIN.as_millis() as f64 / 1e3;
    assert_eq!(scrape.get("keylender_loop_last_success_timestamp_seconds", &[("loop", "hosts")]), begin);
    assert_eq!(scrape.get("process_start_time_seconds", &[]), begin);
}

#[tokio::test]
async fn no_path_name_or_header_of_a_client_becomes_a_label() {
    let world = World::start().await;
    let client = world.client("builds", &["pulse:namespace:*"]).await;
    let bombard = async |round: usize| {
        for number in 0..60 {
            let odd = format!("{round}x{number}\\\"%0a{}", "y".repeat(number));
            let target = format!("/{}/{number}", odd.replace(['\\', '"'], "%22"));
            world.ask(&Ask::get(&target)).await;
            world.ask(&Ask::new(["PATCH", "BREW", "TRACE"][number % 3], "/v1/ping")).await;
            world.ask(&Ask::get(&format!("/v1/namespace/taskcluster-{round}-{number}"))).await;
            world.ask(&Ask::get("/v1/namespaces").with("Authorization", &format!("S{number} x"))).await;
            let claim = Ask::claim(&format!("taskcluster-{round}-{number}"), "{}");
            world.ask(&claim.clone().with("Authorization", &format!("S{number} x"))).await;
            if number % 10 == 0 {
                world.ask_as(&client, &claim).await;
                world.ask(&Ask::get(&format!("/api/keylender/v1/loops/{round}-{number}/plan"))).await;
            }
        }
    };
    bombard(0).await;
    scrape(&world).await;
    let before = scrape(&world).await;
    bombard(1).await;
    let after = scrape(&world).await;
    assert_eq!(
        before.samples.keys().collect::<Vec<_>>(),
        after.samples.keys().collect::<Vec<_>>(),
        "the same series, whatever was asked for"
    );
    let routes = after.values("route");
    assert!(routes.len() < 12 && routes.contains("none"), "{routes:?}");
    assert!(routes.iter().all(|route| *route == "none" || route.starts_with('/')), "{routes:?}");
    assert_eq!(after.values("method"), BTreeSet::from(["other", "read", "write"]));
}

#[tokio::test]
async fn other_hosts_need_the_token_and_a_private_way() {
    let from_afar = |token: &str, proto: &str| {
        let ask = Ask::get("/metrics").with("X-Forwarded-For", "192.0.2.1").with("X-Forwarded-Proto", proto);
        ask.with("Authorization", token)
    };
    let world = World::with(|settings| {
        settings.listen.trust_proxy = TrustProxy::DirectPeer;
        settings.metrics_token = Some(Secret::new(TOKEN));
    })
    .await;
    let right = format!("Bearer {TOKEN}");
    assert_eq!(world.ask(&from_afar(&right, "https")).await.status, 200);
    assert_eq!(world.ask(&Ask::get("/metrics")).await.status, 200, "this host needs none");
    let refusal = world.ask(&from_afar("Bearer another", "https")).await;
    assert_eq!((refusal.status, refusal.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(world.ask(&from_afar(&format!("Basic {TOKEN}"), "https")).await.status, 401);
    assert_eq!(world.ask(&from_afar(&right, "http")).await.status, 403, "others on the way could read it");
    let closed = World::with(|settings| settings.listen.trust_proxy = TrustProxy::DirectPeer).await;
    assert_eq!(closed.ask(&from_afar(&right, "https")).await.status, 403);
    assert_eq!(closed.ask(&from_afar("Bearer ", "https")).await.status, 403);
}

/// Prometheus checks the language; whether there is anything behind the names only we can.
#[tokio::test]
async fn the_example_alerts_are_about_figures_that_there_are() {
    let world = World::start().await;
    // Some figures begin with the first of their kind: an error, a run.
    assert_eq!(world.ask(&Ask::get("/v1/credentials")).await.status, 503);
    world.operate("POST", "/loops/hosts/run", None).await;
    let scrape = scrape(&world).await;
    let (mut alerts, mut named) = (0, BTreeSet::new());
    for line in include_str!("../../docs/alerts.yml").lines() {
        let Some(rule) = line.trim().strip_prefix("expr: ") else { continue };
        alerts += 1;
        for (at, _) in rule.match_indices("keylender_").chain(rule.match_indices("process_")) {
            let end = rule[at..].find(|c: char| !is_name(&format!("_{c}"), false)).map_or(rule.len(), |len| at + len);
            let name = &rule[at..end];
            assert!(scrape.types.contains_key(name), "{rule}: there is no {name}");
            named.insert(name);
            let Some((matcher, _)) = rule[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                continue;
            };
            let (label, value) = matcher.split_once('=').unwrap();
            // `job` is Prometheus' own.
            let pair = (label.to_owned(), value.trim_matches('"').to_owned());
            let is_there = scrape.samples.keys().any(|(sample, labels)| sample == name && labels.contains(&pair));
            assert!(is_there || label == "job", "{rule}: no {name} has {matcher}");
        }
    }
    assert!(alerts > 10 && named.len() > 10, "{alerts} alerts about {named:?}");
}

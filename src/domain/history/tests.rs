//! Random histories, told by their entries and by a model that keeps every lend by itself.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::audit::Action;

const NAMES: [&str; 2] = ["a", "b"];
/// How long credentials of a host last here, in milliseconds.
const LASTS: i64 = 40;

/// Something that happens, to the first or second of its kind.
#[derive(Clone, Debug)]
enum Event {
    Claim { namespace: usize, slot: usize, holder: usize, from: usize },
    Renew { namespace: usize, slot: usize, is_settled: bool },
    Revoke { namespace: usize },
    Delete { namespace: usize },
    HostLend { host: usize, from: usize },
    HostRevoke { host: usize, is_refused: bool },
    Client { client: usize, action: usize },
    Failed { namespace: usize },
    Noise,
}

fn event() -> impl Strategy<Value = Event> {
    let two = || 0..2_usize;
    prop_oneof![
        4 => (two(), two(), two(), two())
            .prop_map(|(namespace, slot, holder, from)| Event::Claim { namespace, slot, holder, from }),
        3 => (two(), two(), any::<bool>())
            .prop_map(|(namespace, slot, is_settled)| Event::Renew { namespace, slot, is_settled }),
        1 => two().prop_map(|namespace| Event::Revoke { namespace }),
        1 => two().prop_map(|namespace| Event::Delete { namespace }),
        4 => (two(), two()).prop_map(|(host, from)| Event::HostLend { host, from }),
        1 => (two(), any::<bool>()).prop_map(|(host, is_refused)| Event::HostRevoke { host, is_refused }),
        4 => (two(), 0..5_usize).prop_map(|(client, action)| Event::Client { client, action }),
        1 => two().prop_map(|namespace| Event::Failed { namespace }),
        1 => Just(Event::Noise),
    ]
}

/// Kind, object, part, holder, address.
type Row = (HoldingKind, String, String, String, String);

/// One lend, with the moment that ended it.
#[derive(Clone, Debug)]
struct Lend {
    row: Row,
    from: i64,
    until: i64,
}

/// Every lend by itself, and the entries that were written.
#[derive(Default)]
struct Model {
    lends: Vec<Lend>,
    leaving: Vec<String>,
    /// Clients with the end of their time.
    clients: [Option<i64>; 2],
    entries: Vec<Vec<u8>>,
}

impl Model {
    fn write(&mut self, now: i64, actor: Value, action: &str, object: &str, outcome: &str, details: Value) {
        let time = Timestamp::from_millis(now);
        let entry = json!({ "seq": self.entries.len() + 1, "time": time, "actor": actor, "action": action,
                            "object": object, "outcome": outcome, "details": details, "prev": "" });
        self.entries.push(entry.to_string().into_bytes());
    }

    fn lend(&mut self, row: (HoldingKind, &str, &str, &str, &str), from: i64, until: i64) {
        let (kind, object, part, holder, address) = row;
        let row = (kind, object.into(), part.into(), holder.into(), address.into());
        self.lends.push(Lend { row, from, until });
    }

    fn end(&mut self, now: i64, is_meant: impl Fn(&Row) -> bool) {
        for lend in self.lends.iter_mut().filter(|lend| is_meant(&lend.row)) {
            lend.until = lend.until.min(now);
        }
    }

    fn happen(&mut self, now: i64, event: &Event) {
        let address = |from: usize| ["192.0.2.1", "2001:db8::1"][from];
        match event {
            Event::Claim { namespace, slot, holder, from } => {
                let (name, account) = (NAMES[*namespace], format!("{}-{}", NAMES[*namespace], slot + 1));
                let (holder, from) = (NAMES[*holder], address(*from));
                let details = json!({ "account": account, "address": from });
                self.write(now, json!({ "client": holder }), "namespace.claim", name, "done", details);
                self.lend((HoldingKind::Namespace, name, &account, &format!("client {holder}"), from), now, i64::MAX);
            }
            Event::Renew { namespace, slot, is_settled } => {
                let (name, account) = (NAMES[*namespace], format!("{}-{}", NAMES[*namespace], slot + 1));
                let by = json!({ "loop": "rotate" });
                self.write(now, by.clone(), "namespace.renew", name, "done", json!({ "account": account }));
                self.leaving.push(account.clone());
                if *is_settled {
                    self.write(now, by, "account.settle", &account, "done", json!({ "wish": 2 }));
                    self.leaving.retain(|leaving| *leaving != account);
                    self.end(now, |row| row.2 == account);
                }
            }
            Event::Revoke { namespace } => {
                let name = NAMES[*namespace];
                let accounts = [1, 2].map(|slot| format!("{name}-{slot}"));
                let details = json!({ "accounts": accounts });
                self.write(now, json!("appliance"), "namespace.revoke", name, "done", details);
                for account in &accounts {
                    self.write(now, json!("appliance"), "account.settle", account, "done", json!({}));
                    self.leaving.retain(|leaving| leaving != account);
                }
                self.end(now, |row| row.0 == HoldingKind::Namespace && row.1 == name);
            }
            Event::Delete { namespace } => {
                let name = NAMES[*namespace];
                self.write(now, json!("appliance"), "account.delete", &format!("{name}-1"), "done", json!({}));
                self.write(now, json!("appliance"), "namespace.delete", name, "done", json!({}));
                self.end(now, |row| row.0 == HoldingKind::Namespace && row.1 == name);
            }
            Event::HostLend { host, from } => {
                let (name, address) = (format!("{}.example", NAMES[*host]), address(*from));
                let expiry = Timestamp::from_millis(now + LASTS);
                let details = json!({ "address": address, "client_id": format!("h/{name}"), "expiry": expiry });
                self.write(now, json!({ "host": name }), "host.lend", &name, "done", details);
                let row = (HoldingKind::Host, name.as_str(), &*format!("h/{name}"), &*format!("host {name}"), address);
                self.lend(row, now, now + LASTS);
            }
            Event::HostRevoke { host, is_refused } => {
                let name = format!("{}.example", NAMES[*host]);
                let details = json!({ "is_refused": is_refused });
                self.write(now, json!("appliance"), "host.revoke", &name, "done", details);
                if *is_refused {
                    self.end(now, |row| row.1 == name);
                }
            }
            Event::Client { client, action } => self.happen_to_client(now, *client, *action),
            Event::Failed { namespace } => {
                let account = format!("{}-1", NAMES[*namespace]);
                self.write(now, json!({ "client": "a" }), "account.settle", &account, "failed", json!({}));
            }
            Event::Noise => self.write(now, json!("anonymous"), "host.refuse", "10.0.0.1", "refused", json!({})),
        }
    }

    /// What does not fit the state of the client does not happen, as in the product.
    fn happen_to_client(&mut self, now: i64, client: usize, action: usize) {
        let (name, end) = (NAMES[client], self.clients[client]);
        let (verb, begins) = match (action, end) {
            (0, None) => ("client.create", Some(now + 2 * LASTS)),
            (1, Some(end)) => ("client.reset", Some(end)),
            (2, Some(_)) => ("client.disable", None),
            (3, Some(end)) => ("client.enable", Some(end)),
            (4, Some(_)) => ("client.delete", None),
            _ => return,
        };
        let details = match verb {
            "client.create" => json!({ "expires": Timestamp::from_millis(now + 2 * LASTS) }),
            _ => json!({}),
        };
        self.write(now, json!({ "local": "uid 0" }), verb, name, "done", details);
        if verb != "client.enable" {
            self.end(now, |row| row.0 == HoldingKind::Client && row.1 == name);
        }
        match verb {
            "client.create" => self.clients[client] = begins,
            "client.delete" => self.clients[client] = None,
            _ => {}
        }
        if let Some(until) = begins {
            self.lend((HoldingKind::Client, name, name, &format!("client {name}"), ""), now, until);
        }
    }

    /// What was held at a moment.
    fn at(&self, moment: i64) -> Vec<Row> {
        let held = self.lends.iter().filter(|lend| lend.from <= moment && moment < lend.until);
        sorted(held.map(|lend| lend.row.clone()))
    }
}

fn sorted(rows: impl Iterator<Item = Row>) -> Vec<Row> {
    rows.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn row(holding: &Holding) -> Row {
    let Holding { kind, object, part, holder, from, .. } = holding.clone();
    (kind, object, part, holder, from.unwrap_or_default())
}

fn fold(entries: &[Vec<u8>], wanted: Wanted) -> Vec<Holding> {
    let mut fold = Fold::new(wanted);
    assert!(entries.iter().all(|entry| fold.read(entry)));
    fold.finish().0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn at_any_time_the_log_tells_what_was_lent(history in prop::collection::vec((1..30_i64, event()), 0..60)) {
        let (mut model, mut now, mut moments) = (Model::default(), 1000, vec![0]);
        for (pause, event) in &history {
            now += pause;
            model.happen(now, event);
            moments.extend([now - 1, now]);
        }
        moments.push(now + 3 * LASTS);
        let all = fold(&model.entries, Wanted::default());
        for moment in moments {
            let expected = model.at(moment);
            let time = Timestamp::from_millis(moment);
            let at = fold(&model.entries, Wanted { since: Some(time), until: Some(time), ..Wanted::default() });
            prop_assert_eq!(&sorted(at.iter().map(row)), &expected, "at {}", moment);
            let lasts = |holding: &&Holding| {
                holding.since <= time && holding.until.is_none_or(|(until, _)| time < until)
            };
            prop_assert_eq!(sorted(all.iter().filter(lasts).map(row)), expected, "in the history at {}", moment);
        }
    }
}

#[test]
fn entries_of_earlier_and_later_versions_are_survived() {
    let entry = |action: &str, object: &str, details: Value| {
        json!({ "seq": 1, "time": "2026-11-20T12:00:00.000Z", "actor": { "client": "c" }, "action": action,
                "object": object, "outcome": "done", "details": details, "prev": "" })
        .to_string()
        .into_bytes()
    };
    let mut fold = Fold::new(Wanted::default());
    for (action, object) in [("namespace.claim", "a"), ("namespace.renew", "a"), ("namespace.revoke", "a")] {
        assert!(fold.read(&entry(action, object, json!({}))), "without details");
    }
    assert!(fold.read(&entry("host.lend", "h", json!({ "expiry": "soon", "address": 7 }))));
    assert!(fold.read(&entry("moon.lend", "m", json!([1].len()).as_object().cloned().unwrap_or_default().into())));
    assert!(!fold.read(b"a checkpoint of another form") && !fold.read(b"{}"));
    let held: Vec<String> = fold.finish().0.into_iter().map(|holding| holding.object).collect();
    assert_eq!(held, ["a", "h"]);
}

#[test]
fn a_log_that_was_pruned_says_where_it_begins() {
    let mut model = Model::default();
    for now in [1000, 2000, 3000] {
        model.happen(now, &Event::Claim { namespace: 0, slot: 0, holder: 0, from: 0 });
    }
    let numbered: Vec<(u64, Vec<u8>)> = (1..).zip(model.entries).collect();
    let tell_from = |first: u64| {
        let mut reader = Reader::new(Wanted::default());
        for (seq, bytes) in numbered.iter().filter(|(seq, _)| *seq >= first) {
            reader.take(*seq, bytes).unwrap();
        }
        reader.finish()
    };
    assert_eq!(tell_from(1).begins, None);
    let told = tell_from(3);
    assert_eq!(told.begins, Some(Begins { seq: 3, time: Timestamp::from_millis(3000) }));
    assert_eq!(told.holdings.len(), 1, "what the rest of it says");
}

#[test]
fn the_details_that_are_read_are_those_that_are_written() {
    for (action, details) in [
        (Action::NamespaceClaim, &["account"][..]),
        (Action::NamespaceRenew, &["account"]),
        (Action::NamespaceFinish, &["account"]),
        (Action::NamespaceRevoke, &["accounts"]),
        (Action::HostLend, &["client_id", "expiry"]),
        (Action::HostRevoke, &["is_refused"]),
        (Action::ClientCreate, &["expires"]),
    ] {
        assert!(details.iter().all(|detail| action.details().contains(detail)), "{action}");
    }
}

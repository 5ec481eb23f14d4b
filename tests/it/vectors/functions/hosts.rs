//! The groups of vectors about machines: DNS answers, lists of networks, spellings of addresses.

use keylender::domain::hosts::{Step, Verdict, judge};
use keylender::ports::dns::{Answer, Data, Kind, Question, Record, Status};
use keylender::proto::addresses::AddressList;
use serde_json::Value;

use super::{each, group, read, text};

#[test]
fn host_secrets_ip2name_vectors() {
    each("/host_secrets_ip2name", 9, |id, input, expected| {
        let address = text(&input["ip"]).parse().unwrap();
        let mut answers = Vec::new();
        let verdict = loop {
            match judge(address, &answers) {
                Step::Ask(question) => answers.push(recorded_answer(&question, input)),
                Step::Done(verdict) => break verdict,
            }
        };
        match (id, verdict) {
            // An empty name is no host name (taskcluster.md 6.3).
            ("ip2name-09", verdict) => assert!(matches!(verdict, Verdict::Refused(_))),
            // The same address in another spelling is the same address (taskcluster.md 6.3).
            ("ip2name-11", verdict) => assert_eq!(verdict, Verdict::Verified("v6.domain.name".parse().unwrap())),
            (_, Verdict::Verified(name)) => assert_eq!(name.as_str(), text(&expected["hostname"])),
            (_, Verdict::Refused(_)) => assert!(expected["error"].is_string()),
        }
    });
}

fn recorded_answer(question: &Question, input: &Value) -> Answer {
    let texts = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let data: Vec<Data> = match question.kind {
        Kind::Ptr => texts(&input["ptr"]).iter().map(|name| Data::Ptr(text(name).into())).collect(),
        _ => texts(&input["forward"][&question.name])
            .iter()
            .map(|address| Data::Address(text(address).parse().unwrap()))
            .collect(),
    };
    let record = |data| Record { name: question.name.clone(), ttl_seconds: 60, data };
    let records = data.into_iter().map(record).collect();
    Answer { question: question.clone(), server: "recorded".into(), status: Status::Answered, records }
}

#[test]
fn host_secrets_ip_allowed_vectors() {
    each("/host_secrets_ip_allowed", 9, |_, input, expected| {
        let words: Vec<&str> = input["allowed_ips"].as_array().unwrap().iter().map(text).collect();
        match AddressList::parse(&words.join(" ")) {
            Ok(list) => assert_eq!(list.includes(text(&input["ip"]).parse().unwrap()), expected["allowed"] == true),
            Err(_) => assert!(expected["error"].is_string()),
        }
    });
}

#[test]
fn host_secrets_ip_normalize_vectors() {
    for vector in read::<Vec<Value>>(&group("/host_secrets_ip_normalize")) {
        let canonical = text(&vector["input"]).parse::<std::net::IpAddr>().unwrap().to_canonical();
        // ipnorm-7: the original's other spelling is the same address; addresses are compared, never their texts.
        assert_eq!(canonical, text(&vector["expected"]).parse::<std::net::IpAddr>().unwrap(), "{}", vector["id"]);
    }
}

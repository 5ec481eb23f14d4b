//! From DNS answers to a verdict: which host an address is. Pure, so that every rule is one test away.

use std::net::IpAddr;
use std::slice::Iter;

use crate::base::HostName;
use crate::ports::dns::{Answer, Data, Kind, Question, Status};

use super::Cause;

/// Aliases in a row. RFC 2317 needs one in the reverse tree, and nobody needs more than a few.
const ALIASES_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This host: its name leads back to the address.
    Verified(HostName),
    Refused(Cause),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This must be known first.
    Ask(Question),
    Done(Verdict),
}

/// Where a question led, along its aliases.
enum Found<'a> {
    Ask(Question),
    Refused(Cause),
    /// The records at the end; none when there is no such name or none of this kind.
    Records(Vec<&'a Data>),
}

/// Judges an address by the answers so far, which are to the questions that this asked for, in their order.
///
/// Verified is an address with exactly one PTR record, that holds a host name, which has exactly one address record of
/// the same family, which is this address (taskcluster.md 6.3; vector group `host_secrets_ip2name`). Aliases are
/// followed in both trees, a bounded number of them, so this ends whatever the answers are.
pub fn judge(address: IpAddr, answers: &[Answer]) -> Step {
    match verdict(address, &mut answers.iter()) {
        Ok(name) => Step::Done(Verdict::Verified(name)),
        Err(step) => step,
    }
}

fn verdict(address: IpAddr, answers: &mut Iter<'_, Answer>) -> Result<HostName, Step> {
    let refuse = |cause| Step::Done(Verdict::Refused(cause));
    let names = follow(Question::reverse(address), answers)?;
    let name = match names.as_slice() {
        [] => return Err(refuse(Cause::NoName)),
        [Data::Ptr(name)] => HostName::of_dns(name).map_err(|_| refuse(Cause::InvalidName(name.clone())))?,
        several => return Err(refuse(Cause::SeveralNames(several.len()))),
    };
    let kind = if address.is_ipv4() { Kind::A } else { Kind::Aaaa };
    let addresses = follow(Question { name: name.as_str().to_owned(), kind }, answers)?;
    match addresses.as_slice() {
        [] => Err(refuse(Cause::NoAddress(name))),
        [Data::Address(other)] if *other == address => Ok(name),
        [Data::Address(other)] => Err(refuse(Cause::OtherAddress(name, *other))),
        several => Err(refuse(Cause::SeveralAddresses(name, several.len()))),
    }
}

fn follow<'a>(question: Question, answers: &mut Iter<'a, Answer>) -> Result<Vec<&'a Data>, Step> {
    match trail(question, answers) {
        Found::Records(records) => Ok(records),
        Found::Ask(question) => Err(Step::Ask(question)),
        Found::Refused(cause) => Err(Step::Done(Verdict::Refused(cause))),
    }
}

fn trail<'a>(question: Question, answers: &mut Iter<'a, Answer>) -> Found<'a> {
    let Question { name: mut asked, kind } = question;
    let mut aliases = 0;
    loop {
        let Some(answer) = answers.next() else { return Found::Ask(Question { name: asked, kind }) };
        if let Status::Failed(why) = &answer.status {
            return Found::Refused(Cause::Unanswered(why.clone()));
        }
        let mut name = asked.as_str();
        loop {
            let at_name = |wanted: fn(&Data, Kind) -> bool| {
                let here = answer.records.iter().filter(move |record| is_same(&record.name, name));
                here.map(|record| &record.data).filter(move |data| wanted(data, kind)).collect::<Vec<_>>()
            };
            let records = at_name(is_of_kind);
            if !records.is_empty() {
                return Found::Records(records);
            }
            match at_name(|data, _| matches!(data, Data::Cname(_))).as_slice() {
                [] => break,
                [Data::Cname(target)] if aliases < ALIASES_MAX => (name, aliases) = (target, aliases + 1),
                _ => return Found::Refused(Cause::Aliases),
            }
        }
        // The end of a chain of aliases that leaves this answer is asked for by itself.
        if name == asked || answer.status == Status::NoSuchName {
            return Found::Records(Vec::new());
        }
        asked = name.to_owned();
    }
}

fn is_of_kind(data: &Data, kind: Kind) -> bool {
    match data {
        Data::Ptr(_) => kind == Kind::Ptr,
        Data::Address(address) => kind == if address.is_ipv4() { Kind::A } else { Kind::Aaaa },
        Data::Cname(_) => false,
    }
}

/// Names in DNS have no letter case, and some servers write the dot at the end.
fn is_same(a: &str, b: &str) -> bool {
    let bare = |name: &'_ str| name.strip_suffix('.').unwrap_or(name).len();
    a[..bare(a)].eq_ignore_ascii_case(&b[..bare(b)])
}

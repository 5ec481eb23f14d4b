//! A file of addresses and their names, as `/etc/hosts`: it answers like a DNS server of this machine's own.

use std::net::IpAddr;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;

use super::dns::{Answer, Data, Kind, Question, Record, Status};

/// Bytes of the file that are read. Larger ones exist to block advertisements; the first lines are this machine's.
const LEN_MAX: u64 = 1 << 20;
/// How long what it says is believed, so that an edit shows soon.
const TTL_SECONDS: u32 = 10;

/// Where the file is. It is read for each question.
#[derive(Clone, Debug)]
pub(super) struct HostsFile(PathBuf);

impl HostsFile {
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What the file says, if it says anything. A file that is not there says nothing.
    pub async fn ask(&self, question: &Question) -> Option<Answer> {
        let mut text = Vec::new();
        let file = tokio::fs::File::open(&self.0).await.ok()?;
        let len = file.take(LEN_MAX).read_to_end(&mut text).await.ok()?;
        if u64::try_from(len).is_ok_and(|len| len == LEN_MAX) {
            // The last line may be cut.
            text.truncate(text.iter().rposition(|byte| *byte == b'\n').unwrap_or(0));
        }
        let data = look_up(&String::from_utf8_lossy(&text), question);
        let record = |data| Record { name: question.name.clone(), ttl_seconds: TTL_SECONDS, data };
        let records: Vec<Record> = data.into_iter().map(record).collect();
        let server = self.0.display().to_string();
        let answer = Answer { question: question.clone(), server, status: Status::Answered, records };
        (!answer.records.is_empty()).then_some(answer)
    }
}

/// The first name of an address, which is the one that counts (hosts(5)), or the different addresses of a name.
fn look_up(text: &str, question: &Question) -> Vec<Data> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        match question.kind {
            Kind::Ptr if Question::reverse(address) == *question => {
                return words.next().map(|name| Data::Ptr(name.to_owned())).into_iter().collect();
            }
            Kind::Ptr => {}
            kind => {
                let is_asked = address.is_ipv4() == (kind == Kind::A);
                let data = Data::Address(address);
                if is_asked && words.any(|name| name.eq_ignore_ascii_case(&question.name)) && !found.contains(&data) {
                    found.push(data);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n127.0.0.1\tlocalhost lo # here\n127.0.0.1 other\n::1 localhost\n\
                        192.0.2.7 Twice\n192.0.2.8 twice\nnonsense\n192.0.2.9\n";

    fn ask(name: &str, kind: Kind) -> Vec<Data> {
        look_up(FILE, &Question { name: name.into(), kind })
    }

    fn reverse(address: &str) -> Vec<Data> {
        look_up(FILE, &Question::reverse(address.parse().unwrap()))
    }

    fn addresses(addresses: &[&str]) -> Vec<Data> {
        addresses.iter().map(|address| Data::Address(address.parse().unwrap())).collect()
    }

    #[test]
    fn the_first_name_of_an_address_counts_and_all_addresses_of_a_name() {
        assert_eq!(reverse("127.0.0.1"), [Data::Ptr("localhost".into())]);
        assert_eq!(reverse("::1"), [Data::Ptr("localhost".into())]);
        assert_eq!(reverse("192.0.2.9"), []);
        assert_eq!(reverse("192.0.2.1"), []);
        assert_eq!(ask("localhost", Kind::A), addresses(&["127.0.0.1"]));
        assert_eq!(ask("localhost", Kind::Aaaa), addresses(&["::1"]));
        assert_eq!(ask("LO", Kind::A), addresses(&["127.0.0.1"]));
        assert_eq!(ask("twice", Kind::A), addresses(&["192.0.2.7", "192.0.2.8"]));
        assert_eq!(ask("here", Kind::A), []);
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_says_nothing() {
        let question = Question::reverse("127.0.0.1".parse().unwrap());
        assert_eq!(HostsFile::new("/nowhere".into()).ask(&question).await, None);
    }
}

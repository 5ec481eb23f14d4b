//! A DNS server in this process, over UDP and TCP, that says what a test wants said.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType, rdata};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Aliases that the server follows by itself, as caching servers do.
const ALIASES: usize = 16;

/// What the server does with questions about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Says that it failed.
    ServFail,
    /// Says that it does not want to.
    Refused,
    /// Says nothing.
    Silent,
    /// Says over UDP only that the answer is too long for it.
    Truncated,
    /// Answers after a while.
    Slow(Duration),
}

#[derive(Default)]
struct Zone {
    records: Vec<Record>,
    moods: HashMap<String, Mood>,
    /// Every question, as `UDP PTR name`.
    asked: Vec<String>,
    follows: bool,
}

/// The server. It lives as long as the test's runtime.
#[derive(Clone)]
pub struct DnsServer {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl DnsServer {
    pub async fn start() -> Self {
        // A port that is free for both; another program may take the second one first.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let zone = Arc::new(Mutex::new(Zone { follows: true, ..Zone::default() }));
        let server = Self { address: udp.local_addr().unwrap(), zone };
        tokio::spawn(server.clone().serve_udp(udp.into()));
        tokio::spawn(server.clone().serve_tcp(tcp));
        server
    }

    /// Gives an address a name and the name the address.
    pub fn host(&self, address: &str, name: &str) -> &Self {
        self.ptr(address, name).address(name, address)
    }

    pub fn ptr(&self, address: &str, name: &str) -> &Self {
        self.add(&reverse(address), RData::PTR(rdata::PTR(fqdn(name))))
    }

    pub fn address(&self, name: &str, address: &str) -> &Self {
        self.add(name, RData::from(address.parse::<IpAddr>().unwrap()))
    }

    pub fn alias(&self, name: &str, target: &str) -> &Self {
        self.add(name, RData::CNAME(rdata::CNAME(fqdn(target))))
    }

    pub fn add(&self, name: &str, data: RData) -> &Self {
        self.zone.lock().unwrap().records.push(Record::from_rdata(fqdn(name), 3600, data));
        self
    }

    /// Forgets what is said about a name.
    pub fn forget(&self, name: &str) -> &Self {
        self.zone.lock().unwrap().records.retain(|record| record.name != fqdn(name));
        self
    }

    /// Forgets an address and a name.
    pub fn forget_host(&self, address: &str, name: &str) -> &Self {
        self.forget(&reverse(address)).forget(name)
    }

    /// How long everything may be remembered.
    pub fn ttl(&self, seconds: u32) -> &Self {
        self.zone.lock().unwrap().records.iter_mut().for_each(|record| record.ttl = seconds);
        self
    }

    pub fn mood(&self, name: &str, mood: Mood) -> &Self {
        self.zone.lock().unwrap().moods.insert(fqdn(name).to_lowercase().to_ascii(), mood);
        self
    }

    /// Leaves it to the asker to follow aliases, as servers do that answer for one zone only.
    pub fn does_not_follow(&self) -> &Self {
        self.zone.lock().unwrap().follows = false;
        self
    }

    /// The questions since the last time this was asked.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.zone.lock().unwrap().asked)
    }

    async fn serve_udp(self, socket: Arc<UdpSocket>) {
        let mut buffer = [0; 4096];
        loop {
            let Ok((len, from)) = socket.recv_from(&mut buffer).await else { return };
            let (this, socket, question) = (self.clone(), socket.clone(), buffer[..len].to_vec());
            tokio::spawn(async move {
                if let Some(answer) = this.answer(&question, "UDP").await {
                    socket.send_to(&answer, from).await.unwrap();
                }
            });
        }
    }

    async fn serve_tcp(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(self.clone().talk(stream));
        }
    }

    async fn talk(self, mut stream: TcpStream) {
        while let Ok(len) = stream.read_u16().await {
            let mut question = vec![0; len.into()];
            stream.read_exact(&mut question).await.unwrap();
            if let Some(answer) = self.answer(&question, "TCP").await {
                stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    }

    async fn answer(&self, question: &[u8], way: &str) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries[0].clone();
        let (mood, records, exists) = {
            let mut zone = self.zone.lock().unwrap();
            let name = query.name().to_lowercase().to_ascii();
            zone.asked.push(format!("{way} {} {}", query.query_type(), name.trim_end_matches('.')));
            let (records, exists) = zone.find(query.name(), query.query_type());
            (zone.moods.get(&name).copied(), records, exists)
        };
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.metadata.recursion_desired = true;
        answer.add_query(query);
        match mood {
            Some(Mood::Silent) => return None,
            Some(Mood::ServFail) => answer.metadata.response_code = ResponseCode::ServFail,
            Some(Mood::Refused) => answer.metadata.response_code = ResponseCode::Refused,
            Some(Mood::Truncated) if way == "UDP" => answer.metadata.truncation = true,
            other => {
                if let Some(Mood::Slow(pause)) = other {
                    tokio::time::sleep(pause).await;
                }
                answer.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
                answer.add_answers(records);
            }
        }
        Some(answer.to_vec().unwrap())
    }
}

impl Zone {
    fn find(&self, name: &Name, kind: RecordType) -> (Vec<Record>, bool) {
        let (mut found, mut name) = (Vec::new(), name.clone());
        for _ in 0..ALIASES {
            let here: Vec<&Record> = self.records.iter().filter(|record| record.name == name).collect();
            let of_kind: Vec<&Record> = here.iter().copied().filter(|record| record.record_type() == kind).collect();
            let alias = here.iter().find_map(|record| match &record.data {
                RData::CNAME(target) => Some((*record, target.0.clone())),
                _ => None,
            });
            match (of_kind.is_empty(), alias) {
                (true, Some((record, target))) => {
                    found.push(record.clone());
                    if !self.follows {
                        return (found, true);
                    }
                    name = target;
                }
                (is_empty, _) => {
                    found.extend(of_kind.into_iter().cloned());
                    let exists = !is_empty || !here.is_empty();
                    return (found, exists);
                }
            }
        }
        (found, true)
    }
}

/// The name under which DNS keeps the name of an address.
pub fn reverse(address: &str) -> String {
    Name::from(address.parse::<IpAddr>().unwrap()).to_ascii()
}

fn fqdn(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    name
}

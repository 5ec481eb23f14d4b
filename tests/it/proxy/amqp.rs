//! A broker of AMQP 0-9-1, as far as a login: it writes down who logged in, and then says back what it hears.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// The mechanism, the user and the password.
pub type Login = [String; 3];

pub struct Broker {
    pub address: SocketAddr,
    pub logins: Arc<Mutex<Vec<Login>>>,
}

impl Broker {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, logins) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Login>>>::default());
        let noted = logins.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, noted.clone()));
            }
        });
        Self { address, logins }
    }

    /// Who logged in so far.
    pub fn logins(&self) -> Vec<Login> {
        self.logins.lock().unwrap().clone()
    }
}

async fn converse(mut stream: TcpStream, logins: Arc<Mutex<Vec<Login>>>) -> Option<()> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.ok()?;
    assert_eq!(header, HEADER);
    // Version 0-9, no properties, mechanisms and locales.
    let start = [&[0, 9, 0, 0, 0, 0][..], &long(b"PLAIN AMQPLAIN"), &long(b"en_US")].concat();
    stream.write_all(&frame(10, &start)).await.ok()?;
    let (method, payload) = read(&mut stream).await?;
    assert_eq!(method, 11);
    let table = u32::from_be_bytes(payload[..4].try_into().unwrap()) as usize;
    // The mechanism with its length, then the response with its own, of four bytes.
    let rest = &payload[4 + table..];
    let (mechanism, rest) = rest[1..].split_at(rest[0].into());
    let response = String::from_utf8(rest[4..][..usize::from(rest[3])].to_vec()).unwrap();
    let words: Vec<_> = response.split('\0').collect();
    logins.lock().unwrap().push([&String::from_utf8_lossy(mechanism), words[1], words[2]].map(str::to_owned));
    let (mut reader, mut writer) = stream.split();
    tokio::io::copy(&mut reader, &mut writer).await.ok().map(drop)
}

/// A client that logs in, by PLAIN, and what it is answered first.
pub struct Client(pub TcpStream);

impl Client {
    /// Says who it is once it was greeted.
    pub async fn log_in(address: SocketAddr, user: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(HEADER).await.unwrap();
        let (method, _) = read(&mut stream).await.unwrap();
        assert_eq!(method, 10);
        let response = format!("\0{user}\0guess");
        let answer = [&[0, 0, 0, 0, 5][..], b"PLAIN", &long(response.as_bytes()), b"\x05en_US"].concat();
        stream.write_all(&frame(11, &answer)).await.unwrap();
        Self(stream)
    }

    /// What comes back of a few bytes; nothing when the connection is over.
    pub async fn echo(&mut self, text: &str) -> Option<String> {
        self.0.write_all(text.as_bytes()).await.ok()?;
        let mut back = vec![0; text.len()];
        self.0.read_exact(&mut back).await.ok()?;
        String::from_utf8(back).ok()
    }

    /// The code and the words by which it was refused.
    pub async fn refusal(mut self) -> (u16, String) {
        let (method, payload) = read(&mut self.0).await.expect("it is told why");
        assert_eq!(method, 50);
        let len = usize::from(payload[2]);
        (u16::from_be_bytes([payload[0], payload[1]]), String::from_utf8(payload[3..3 + len].to_vec()).unwrap())
    }
}

fn long(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

fn frame(method: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32 + 4).to_be_bytes();
    [&[1, 0, 0][..], &length, &[0, 10], &method.to_be_bytes(), payload, &[0xce]].concat()
}

async fn read(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    let mut header = [0; 7];
    stream.read_exact(&mut header).await.ok()?;
    let mut rest = vec![0; u32::from_be_bytes(header[3..].try_into().unwrap()) as usize + 1];
    stream.read_exact(&mut rest).await.ok()?;
    Some((u16::from_be_bytes([rest[2], rest[3]]), rest[4..rest.len() - 1].to_vec()))
}

//! A mail server in this process, on threads: EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, and what can go wrong there.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How it behaves. All may be changed while it runs.
#[derive(Clone, Default)]
pub struct Manners {
    /// Answer to RCPT for addresses that begin with the text.
    pub refuse: Option<(&'static str, &'static str)>,
    /// Whether it takes a mail, and then never answers.
    pub hang: bool,
    /// Whether it hangs up at once, as if it were away.
    pub away: bool,
    /// The only login it takes, in base64; it asks for one then.
    pub login: Option<String>,
    /// Its certificate; it offers STARTTLS then.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether it speaks TLS from the first byte.
    pub wrapped: bool,
}

/// A mail that it took.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub text: String,
    pub was_secret: bool,
}

impl Mail {
    pub fn header(&self, name: &str) -> String {
        let line = self.text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.text)).to_owned()
    }
}

/// The server; it lives as long as the test process.
#[derive(Clone)]
pub struct SmtpServer {
    pub address: SocketAddr,
    manners: Arc<Mutex<Manners>>,
    mails: Arc<Mutex<Vec<Mail>>>,
    said: Arc<Mutex<String>>,
}

impl SmtpServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, manners: Arc::default(), mails: Arc::default(), said: Arc::default() };
        let this = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let this = this.clone();
                std::thread::spawn(move || this.serve(stream));
            }
        });
        server
    }

    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.manners.lock().unwrap());
    }

    /// The mails it took so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// Every command it heard, without the mails.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    fn serve(&self, stream: TcpStream) {
        let manners = self.manners.lock().unwrap().clone();
        if manners.away {
            return;
        }
        match manners.tls.clone() {
            Some(tls) if manners.wrapped => {
                let connection = ServerConnection::new(tls).unwrap();
                self.converse(StreamOwned::new(connection, stream), true, true);
            }
            tls => {
                let wants_tls = self.converse(stream.try_clone().unwrap(), true, false);
                if let (Some(tls), Some(true)) = (tls, wants_tls) {
                    let connection = ServerConnection::new(tls).unwrap();
                    self.converse(StreamOwned::new(connection, stream), false, true);
                }
            }
        }
    }

    /// Talks until the client has enough (`None`), or until it wants TLS.
    fn converse(&self, mut stream: impl Read + Write, greet: bool, is_secret: bool) -> Option<bool> {
        let mut to = String::new();
        if greet {
            say(&mut stream, "220 sink ready")?;
        }
        loop {
            let line = line(&mut stream)?;
            let manners = self.manners.lock().unwrap().clone();
            self.said.lock().unwrap().push_str(&format!("{line}\n"));
            let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => {
                    let tls = if manners.tls.is_some() && !is_secret { "250-STARTTLS\r\n" } else { "" };
                    let auth = if manners.login.is_some() { "250-AUTH PLAIN\r\n" } else { "" };
                    format!("250-sink\r\n{tls}{auth}250 8BITMIME")
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go on")?;
                    return Some(true);
                }
                "AUTH" if manners.login.is_some_and(|login| line.ends_with(&login)) => "235 welcome".into(),
                // As unkind as can be: it repeats what it was told.
                "AUTH" => format!("535 not {line}"),
                "RCPT" => {
                    to = line.trim_start_matches("RCPT TO:<").trim_end_matches('>').to_owned();
                    match manners.refuse {
                        Some((who, answer)) if to.starts_with(who) => answer.into(),
                        _ => "250 ok".into(),
                    }
                }
                "DATA" => {
                    say(&mut stream, "354 go on")?;
                    let text = mail(&mut stream)?;
                    self.mails.lock().unwrap().push(Mail { to: to.clone(), text, was_secret: is_secret });
                    if manners.hang {
                        loop {
                            std::thread::park();
                        }
                    }
                    "250 taken".into()
                }
                "QUIT" => {
                    say(&mut stream, "221 bye");
                    return None;
                }
                _ => "250 ok".into(),
            };
            say(&mut stream, &answer)?;
        }
    }
}

fn say(stream: &mut impl Write, text: &str) -> Option<()> {
    stream.write_all(format!("{text}\r\n").as_bytes()).and_then(|()| stream.flush()).ok()
}

fn line(stream: &mut impl Read) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    Some(String::from_utf8(line).unwrap().trim_end().to_owned())
}

fn mail(stream: &mut impl Read) -> Option<String> {
    let mut text = String::new();
    loop {
        match line(stream)?.as_str() {
            "." => return Some(text),
            line => text += &format!("{}\n", line.strip_prefix('.').unwrap_or(line)),
        }
    }
}

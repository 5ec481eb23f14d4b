//! A chromedriver of our own on a free loopback port, and one browser behind it. Both end with the value.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// How chromedriver says where it listens.
const STARTED: &str = "started successfully on port ";
/// A browser that has not ended by then is left to chromedriver's end.
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a window and without a word to anybody but us: what Chromium asks of the network by itself is refused here.
const SWITCHES: [&str; 13] = [
    "--headless=new",
    // Pictures are of pages at rest.
    "--force-prefers-reduced-motion",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A running chromedriver with one session.
pub struct Driver {
    pub client: Client,
    process: Child,
    port: u16,
    session: String,
}

impl Driver {
    pub async fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts: scripts/test installs it");
        let port = port_of(&mut process);
        let options = json!({ "binary": chromium(), "args": SWITCHES });
        let capabilities: Capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
        let connected = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        let client = connected.unwrap_or_else(|error| {
            drop(process.kill());
            panic!("no browser: {error}")
        });
        let session = client.session_id().await.unwrap().unwrap();
        Self { client, process, port, session }
    }

    /// Sends a command of the browser's own protocol.
    pub async fn tell(&self, cmd: &'static str, params: Value) -> Result<Value, CmdError> {
        self.client.issue_cmd(Told { cmd, params }).await
    }

    /// Asks chromedriver to end the browser; killing it alone would leave the browser behind.
    fn end_session(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(END_TIMEOUT))?;
        let path = format!("/session/{}", self.session);
        write!(stream, "DELETE {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: 0\r\n\r\n", self.port)?;
        // The answer begins when the browser is gone.
        stream.read_exact(&mut [0])
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.end_session());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Distributions call it by one of two names.
fn chromium() -> &'static str {
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    known.into_iter().find(|path| Path::new(path).exists()).expect("a Chromium: scripts/test installs it")
}

fn port_of(process: &mut Child) -> u16 {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.find_map(|line| line.split_once(STARTED)?.1.trim_end_matches('.').parse().ok());
    // It may say more, and must not wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    port.expect("chromedriver says its port")
}

/// A command of the Chrome DevTools Protocol, as chromedriver takes it.
#[derive(Debug)]
struct Told {
    cmd: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for Told {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.cmd, "params": self.params }).to_string()))
    }
}

//! Processes of this bench beside its own: it is started once more, with another part to play.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};

use crate::upstream;
use crate::wire::PART_LEN;

const UPSTREAM: &str = "upstream";
const RELAY: &str = "relay";

/// A running one. It ends with this, and with this process however that ends.
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Helper {
    /// What everything is measured against.
    pub fn upstream() -> Self {
        Self::start(&[UPSTREAM])
    }

    /// The least that somebody in between can do: it copies bytes between two sockets and looks at none of them.
    pub fn relay(upstream: SocketAddr) -> Self {
        Self::start(&[RELAY, &upstream.to_string()])
    }

    fn start(part: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args(part).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { stdin: child.stdin.take(), child, address: line.trim().parse().unwrap() }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().unwrap();
    }
}

/// Plays the part that the arguments name, until standard input ends; returns if they name none.
pub fn play(arguments: &[String]) {
    let relay_to = match arguments.get(1).map(String::as_str) {
        Some(UPSTREAM) => None,
        Some(RELAY) => Some(arguments[2].parse().unwrap()),
        _ => return,
    };
    std::thread::spawn(|| {
        // Whoever started us is gone, whatever this says.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            // A proxy that is killed breaks off its connections: an error is nobody's.
            match relay_to {
                None => drop(tokio::spawn(async { drop(upstream::converse(stream).await) })),
                Some(upstream) => drop(tokio::spawn(async move { drop(relay(stream, upstream).await) })),
            }
        }
    });
}

async fn relay(mut stream: TcpStream, upstream: SocketAddr) -> std::io::Result<()> {
    let mut other = TcpStream::connect(upstream).await?;
    other.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut stream, &mut other, PART_LEN, PART_LEN).await?;
    Ok(())
}

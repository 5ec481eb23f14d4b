//! Stories about syslog servers, which are real sockets here.

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram};

use super::*;
use crate::base::Timestamp;

fn start(target: Target) -> (Syslog, Sender) {
    let clock = Clock::manual(Timestamp::from_millis(1_539_604_800_054));
    Syslog::start(SyslogSettings { target, facility: Facility::parse("daemon").unwrap() }, clock).unwrap()
}

/// The line of RFC 5424 that this text becomes.
fn expected(priority: u8, text: &str) -> String {
    let (host, process) = (host_name(), std::process::id());
    format!("<{priority}>1 2018-10-15T12:00:00.054Z {host} keylender {process} - - {text}")
}

/// A port of this host where nobody listens now.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn soon<T>(event: impl Future<Output = io::Result<T>>) -> T {
    timeout(Duration::from_secs(20), event).await.expect("it comes soon").unwrap()
}

async fn next_frame(stream: &mut TcpStream) -> String {
    let mut len = 0;
    loop {
        match stream.read_u8().await.unwrap() {
            b' ' => break,
            digit => len = len * 10 + usize::from(digit - b'0'),
        }
    }
    let mut frame = vec![0; len];
    stream.read_exact(&mut frame).await.unwrap();
    String::from_utf8(frame).unwrap()
}

#[test]
fn facilities_have_their_usual_names_and_codes() {
    for (name, code) in [("kern", 0), ("daemon", 3), ("authpriv", 10), ("local0", 16), ("local7", 23)] {
        assert_eq!(Facility::parse(name), Some(Facility(code)), "{name}");
    }
    assert_eq!((Facility::parse(""), Facility::parse("Daemon"), Facility::parse("local8")), (None, None, None));
}

#[tokio::test]
async fn a_line_reaches_the_socket_of_this_host_as_its_daemons_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = UnixDatagram::bind(dir.path().join("log")).unwrap();
    let (syslog, sender) = start(Target::Local(dir.path().join("log")));
    syslog.write(Severity::Informational, b" keylender: listening\n");
    let mut datagram = [0; LINE_LEN_MAX];
    let len = soon(server.recv(&mut datagram)).await;
    let expected = format!("<30>keylender[{}]: keylender: listening", std::process::id());
    assert_eq!(String::from_utf8_lossy(&datagram[..len]), expected, "as syslog(3) writes it");
    sender.close().await;
}

#[tokio::test]
async fn a_line_reaches_a_port_for_datagrams_and_is_cut_between_characters() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (syslog, sender) = start(Target::Udp("127.0.0.1".into(), server.local_addr().unwrap().port()));
    syslog.write(Severity::Error, "€".repeat(LINE_LEN_MAX).as_bytes());
    let mut datagram = [0; 2 * LINE_LEN_MAX];
    let len = soon(server.recv(&mut datagram)).await;
    let line = str::from_utf8(&datagram[..len]).unwrap();
    assert!(line.starts_with(&expected(27, "€€")) && (LINE_LEN_MAX - 2..=LINE_LEN_MAX).contains(&len), "{len}");
    sender.close().await;
}

#[tokio::test]
async fn lines_over_a_connection_are_counted_in_octets_and_all_sent_before_the_end() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (syslog, sender) = start(Target::Tcp("localhost".into(), server.local_addr().unwrap().port()));
    let lines = ["one", "two\nlines", "drei€"];
    lines.iter().for_each(|line| syslog.write(Severity::Debug, line.as_bytes()));
    sender.close().await;
    let (mut stream, _) = soon(server.accept()).await;
    for line in lines {
        assert_eq!(next_frame(&mut stream).await, expected(31, line));
    }
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_is_away_stops_nobody_and_gets_what_was_queued_when_it_is_back() {
    let port = free_port().await;
    let (syslog, sender) = start(Target::Tcp("127.0.0.1".into(), port));
    let surplus = 10;
    for number in 0..QUEUE_LEN_MAX + surplus {
        syslog.write(Severity::Warning, number.to_string().as_bytes());
    }
    assert_eq!(syslog.losses().take(), 0, "telling would be lost as well");
    let server = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let (mut stream, _) = soon(server.accept()).await;
    for number in 0..QUEUE_LEN_MAX {
        assert_eq!(next_frame(&mut stream).await, expected(28, &number.to_string()));
    }
    sender.close().await;
    assert_eq!(syslog.losses().take(), surplus as u64);
}

#[tokio::test]
async fn a_server_that_hung_up_gets_the_next_line_over_a_new_connection() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (syslog, sender) = start(Target::Tcp("127.0.0.1".into(), server.local_addr().unwrap().port()));
    for line in ["one", "two", "three"] {
        syslog.write(Severity::Informational, line.as_bytes());
        let (mut stream, _) = soon(server.accept()).await;
        assert_eq!(next_frame(&mut stream).await, expected(30, line));
    }
    sender.close().await;
}

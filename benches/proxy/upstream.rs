//! The upstream, in a process of its own: it answers little, sends many bytes, or takes as many, and computes nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{self, PART_LEN};

/// Answered at once, by services of any kind.
pub const SMALL: &str = "/api/queue/v1/ping";
/// Answered after [`WORK`].
pub const SLOW: &str = "/api/queue/v1/slow";
/// Followed by how many bytes to answer.
pub const BIG: &str = "/api/queue/v1/big?n=";
/// Takes a body; answers when its first byte was there, in microseconds since 1970.
pub const SINK: &str = "/api/queue/v1/sink";

/// What a quick service takes to look something up.
const WORK: Duration = Duration::from_millis(2);
const ANSWER: &[u8] = b"{\"alive\": true, \"uptime\": 123456.789, \"status\": \"all systems go\"}";

/// Answers on a connection until it ends.
pub async fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut buffer, mut filled) = (vec![0; PART_LEN], 0);
    let small = answer(ANSWER);
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let Some(head_len) = wire::head_len(&buffer[..filled]) else { continue };
        let head = &buffer[..head_len];
        let target = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
        if target == SMALL.as_bytes() {
            stream.write_all(&small).await?;
        } else if target == SLOW.as_bytes() {
            tokio::time::sleep(WORK).await;
            stream.write_all(&small).await?;
        } else if let Some(count) = target.strip_prefix(BIG.as_bytes()) {
            let count = std::str::from_utf8(count).unwrap().parse().unwrap();
            send(&mut stream, count).await?;
        } else if target == SINK.as_bytes() {
            let missing = wire::content_len(head) - (filled - head_len) as u64;
            let first = swallow(&mut stream, &mut buffer, missing).await?;
            stream.write_all(&answer(first.to_string().as_bytes())).await?;
        } else {
            panic!("nobody asks for {}", String::from_utf8_lossy(target));
        }
        // Nobody sends a request before the answer to the one before.
        filled = 0;
    }
}

async fn send(stream: &mut TcpStream, count: u64) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {count}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let part = vec![b'x'; PART_LEN];
    let mut missing = count;
    while missing > 0 {
        let len = missing.min(PART_LEN as u64);
        stream.write_all(&part[..usize::try_from(len).unwrap()]).await?;
        missing -= len;
    }
    Ok(())
}

/// Takes the rest of a body. Says when its first byte was there: now, if it came with the head.
async fn swallow(stream: &mut TcpStream, buffer: &mut [u8], mut missing: u64) -> std::io::Result<u128> {
    let mut first = None;
    while missing > 0 {
        let read = stream.read(buffer).await?;
        assert!(read > 0, "a body broke off");
        first.get_or_insert_with(micros);
        missing -= read as u64;
    }
    Ok(first.unwrap_or_else(micros))
}

fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Microseconds since 1970, to compare moments of two processes.
#[expect(clippy::disallowed_methods, reason = "base::Clock tells milliseconds")]
pub fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}

//! Long bodies: they stream, in little memory.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::command;

/// Bytes of a body in either direction.
const LEN: usize = 1 << 30;
const PART: usize = 256 << 10;
/// What the proxy may take beside its program, in kilobytes.
const MEMORY_KB_MAX: u64 = 20 << 10;

#[tokio::test]
async fn a_gigabyte_passes_both_ways_in_twenty_megabytes() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", upstream.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = upstream.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let proxy = command::Plain::start(&["--root-url", &root, "--client-id", "a", "--access-token", "b"]).await;

    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(b"GET /api/x/v1/down HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(drain(&mut stream).await >= LEN, "all of it came");
    let head = format!("PUT /api/x/v1/up HTTP/1.1\r\nHost: a\r\nContent-Length: {LEN}\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let part = vec![b'x'; PART];
    for _ in 0..LEN / PART {
        stream.write_all(&part).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&LEN.to_string()), "{answer}");

    let taken = proxy.memory_kb();
    assert!(taken < MEMORY_KB_MAX, "{taken} kB");
    serving.abort();
}

/// Reads what comes until nothing more does.
async fn drain(stream: &mut TcpStream) -> usize {
    let (mut part, mut len) = (vec![0; PART], 0);
    while len < LEN {
        match tokio::time::timeout(Duration::from_secs(60), stream.read(&mut part)).await.unwrap() {
            Ok(0) | Err(_) => break,
            Ok(read) => len += read,
        }
    }
    len
}

/// Answers one request: a long body, or how long the one was that came.
async fn serve(mut stream: TcpStream) {
    let (mut part, mut head) = (vec![0; PART], Vec::new());
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&part[..read]),
        }
    }
    if head.starts_with(b"GET") {
        let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n");
        stream.write_all(start.as_bytes()).await.unwrap();
        for _ in 0..LEN / PART {
            if stream.write_all(&part).await.is_err() {
                return;
            }
        }
        return;
    }
    let end = head.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let mut len = head.len() - end;
    while len < LEN {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => break,
            Ok(read) => len += read,
        }
    }
    let text = len.to_string();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
    let _ = stream.write_all(answer.as_bytes()).await;
}

//! A management API that says yes to everything, or, on demand, fails with an error that repeats the whole request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The broker; it lives as long as the test process.
pub struct FakeBroker {
    /// Where it listens on loopback.
    pub port: u16,
    echo: Arc<AtomicBool>,
    seen: Arc<Mutex<String>>,
}

impl FakeBroker {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (echo, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(String::new())));
        let (echoes, sees) = (echo.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (echoes, sees) = (echoes.clone(), sees.clone());
                std::thread::spawn(move || converse(stream, &echoes, &sees));
            }
        });
        Self { port, echo, seen }
    }

    /// From now on changes fail, with an error that repeats what was asked.
    pub fn echo_errors(&self, echo: bool) {
        self.echo.store(echo, Ordering::SeqCst);
    }

    /// Everything that was asked so far.
    pub fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers requests on one connection until it closes.
fn converse(stream: TcpStream, echo: &AtomicBool, seen: &Mutex<String>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let request = head.clone() + &String::from_utf8_lossy(&body);
        seen.lock().unwrap().push_str(&request);
        let (status, answer) = answer(&head, &request, echo.load(Ordering::SeqCst));
        let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", answer.len()) };
        let response = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{length}\r\n{answer}");
        if writer.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(head: &str, request: &str, echo: bool) -> (u16, String) {
    let target = head.split(' ').nth(1).unwrap_or_default();
    match head.split(' ').next().unwrap_or_default() {
        "GET" if target.starts_with("/api/overview") => {
            (200, r#"{"rabbitmq_version":"3.10.8","cluster_name":"canary","management_version":"3.10.8"}"#.into())
        }
        "GET" if target.starts_with("/api/whoami") => (200, r#"{"name":"admin","tags":["administrator"]}"#.into()),
        "GET" if target.starts_with("/api/vhosts") => (200, r#"{"name":"/"}"#.into()),
        // A new account asks whether somebody else has a user of its name.
        "GET" if target.starts_with("/api/users/") => {
            (404, r#"{"error":"Object Not Found","reason":"Not Found"}"#.into())
        }
        "GET" => (200, "[]".into()),
        _ if echo => {
            let reason = serde_json::Value::String(request.to_owned());
            (500, format!(r#"{{"error":"internal","reason":{reason}}}"#))
        }
        _ => (204, String::new()),
    }
}

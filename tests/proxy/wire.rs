//! HTTP/1.1 down to the byte, for both sides: what clients of libraries would tidy up is what the vectors are about.
//!
//! Heads are read as Latin-1, one character a byte, which is also how the recording wrote them down.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A head may be this long; the longest that a vector sends has 2 MB.
const HEAD_LEN_MAX: usize = 4 << 20;

/// Name and value, in the order they came.
pub type Headers = Vec<(String, String)>;

/// A first line and what follows it up to the empty line.
pub struct Head {
    pub line: String,
    pub headers: Headers,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

/// A body as far as it came.
#[derive(Default)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Headers,
    pub is_whole: bool,
}

/// A stream with what was read of it and not yet used.
pub struct Reader<R> {
    stream: R,
    buffer: Vec<u8>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = latin1(bytes);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self { line, headers: lines.filter_map(header).collect() }
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How the body behind this head is framed; `without` is what holds if the head does not say.
    pub fn framing(&self, without: Framing) -> Framing {
        let is_chunked = self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let len = self.header("content-length").and_then(|len| len.parse().ok());
        if is_chunked { Framing::Chunked } else { len.map_or(without, Framing::Length) }
    }
}

impl Framing {
    /// As the vectors call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Length(_) => "length",
            Self::Chunked => "chunked",
            Self::Close => "close",
        }
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Waits for more. False at the end, also at one by an error.
    pub async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(len) if len > 0)
    }

    pub fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Everything up to a mark, which is left out. `None` if the stream ends before.
    async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        let mut from = 0;
        loop {
            if let Some(at) = self.buffer[from..].windows(mark.len()).position(|window| window == mark) {
                let mut found: Vec<u8> = self.buffer.drain(..from + at + mark.len()).collect();
                found.truncate(from + at);
                return Some(found);
            }
            from = self.buffer.len().saturating_sub(mark.len());
            if self.buffer.len() > HEAD_LEN_MAX || !self.more().await {
                return None;
            }
        }
    }

    pub async fn head(&mut self) -> Option<Head> {
        self.until(b"\r\n\r\n").await.map(|bytes| Head::parse(&bytes))
    }

    /// Reads into `body`, so that a caller who gives up keeps what came before.
    pub async fn body(&mut self, framing: Framing, body: &mut Body) {
        body.is_whole = match framing {
            Framing::None => true,
            Framing::Length(len) => self.take(len, &mut body.bytes).await,
            Framing::Chunked => self.chunks(body).await.is_some(),
            Framing::Close => {
                while self.more().await {}
                body.bytes.append(&mut self.buffer);
                true
            }
        };
    }

    async fn take(&mut self, len: usize, into: &mut Vec<u8>) -> bool {
        while self.buffer.len() < len {
            if !self.more().await {
                into.append(&mut self.buffer);
                return false;
            }
        }
        into.extend(self.buffer.drain(..len));
        true
    }

    async fn chunks(&mut self, body: &mut Body) -> Option<()> {
        loop {
            let line = latin1(&self.until(b"\r\n").await?);
            let len = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if len == 0 {
                break;
            }
            (self.take(len, &mut body.bytes).await && self.take(2, &mut Vec::new()).await).then_some(())?;
        }
        loop {
            let line = self.until(b"\r\n").await?;
            if line.is_empty() {
                return Some(());
            }
            body.trailers.extend(latin1(&line).split_once(':').map(|(name, value)| (name.into(), value.trim().into())));
        }
    }
}

pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of a text of a vector's head.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("heads in vectors are Latin-1")).collect()
}

/// A body as vectors write it: a text, `{base64}`, or `{fill, length}`.
pub fn body(value: &Value) -> Vec<u8> {
    if let Some(text) = value["base64"].as_str() {
        return STANDARD.decode(text).expect("base64 in a vector");
    }
    match (value["fill"].as_str(), value["length"].as_u64()) {
        (Some(fill), Some(len)) => fill.bytes().cycle().take(len as usize).collect(),
        _ => value.as_str().unwrap_or_default().into(),
    }
}

/// The pairs of a vector's list of headers.
pub fn headers(value: &Value) -> Headers {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    value.as_array().into_iter().flatten().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// Header lines, each with its end.
pub fn lines(headers: &Headers) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// A body in one chunk for each of its parts.
pub fn chunked<'a>(parts: impl IntoIterator<Item = &'a [u8]>, trailers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        bytes.extend(format!("{:x}\r\n", part.len()).bytes());
        bytes.extend(part);
        bytes.extend(b"\r\n");
    }
    bytes.extend(format!("0\r\n{}\r\n", lines(trailers)).bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_is_read_as_it_is_framed_and_a_cut_is_seen() {
        let written = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n\
            HTTP/1.1 201 OK\r\nX-U: \u{e9}\r\nContent-Length: 5\r\n\r\nhal";
        let written = bytes(written);
        let mut reader = Reader::new(written.as_slice());
        let head = reader.head().await.unwrap();
        let mut first = Body::default();
        reader.body(head.framing(Framing::Close), &mut first).await;
        assert_eq!((first.bytes, first.is_whole), (b"abc".to_vec(), true));
        assert_eq!(first.trailers, [("X-Sum".into(), "3".into())]);
        let head = reader.head().await.unwrap();
        assert_eq!((head.line.as_str(), head.header("x-u")), ("HTTP/1.1 201 OK", Some("\u{e9}")));
        let mut second = Body::default();
        reader.body(head.framing(Framing::Close), &mut second).await;
        assert_eq!((second.bytes, second.is_whole), (b"hal".to_vec(), false));
    }
}

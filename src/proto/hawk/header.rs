//! The `Authorization` header of a signed request (taskcluster.md 1.1, vector group `hawk_header_grammar`).

use std::fmt;

use super::is_value;
use super::mac::{self, Target};
use crate::base::Secret;
use crate::proto::Refusal;

/// Longest header. It is also what limits the scopes of temporary credentials: their certificate travels in `ext`.
pub const HEADER_LEN_MAX: usize = 4096;

/// The known attributes, in the order of [`Header::parse`]'s final pattern.
const NAMES: [&str; 8] = ["id", "ts", "nonce", "hash", "ext", "mac", "app", "dlg"];

/// The attributes of a header. One that was parsed borrows from the text and holds no empty values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header<'a> {
    /// Who signs.
    pub id: &'a str,
    /// When, in seconds since 1970, as it was written: the text is signed, not the number.
    pub ts: &'a str,
    /// Some text that the same signer does not use twice in the same second.
    pub nonce: &'a str,
    /// The hash of the body, see [`mac::payload_hash`].
    pub hash: Option<&'a str>,
    /// Taskcluster's extension, see [`crate::proto::ext`].
    pub ext: Option<&'a str>,
    /// The signature, in padded base64.
    pub mac: &'a str,
    /// Part of the signed text when present; Taskcluster gives it no meaning.
    pub app: Option<&'a str>,
    /// Signed beside `app`; Taskcluster gives it no meaning.
    pub dlg: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// Reads the value of an `Authorization` header.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut rest = attributes(text)?;
        let mut values = [None; NAMES.len()];
        while !rest.is_empty() {
            let (name, value, after) = attribute(rest).ok_or(Refusal::new("Bad Request: Bad header format"))?;
            let slot = NAMES
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| Refusal::new(format!("Bad Request: Unknown attribute: {name}")))?;
            if value.is_empty() || !is_value(value) {
                return Err(Refusal::new(format!("Bad Request: Bad attribute value: {name}")));
            }
            if values[slot].replace(value).is_some() {
                return Err(Refusal::new(format!("Bad Request: Duplicate attribute: {name}")));
            }
            rest = after;
        }
        let [Some(id), Some(ts), Some(nonce), hash, ext, Some(mac), app, dlg] = values else {
            return Err(Refusal::new("Bad Request: Missing attributes"));
        };
        Ok(Self { id, ts, nonce, hash, ext, mac, app, dlg })
    }

    /// The text of this header signed with `key`; whatever stands in `mac` is replaced. The values must consist of
    /// value characters, which ids, base64 and numbers always do (vector group `hawk_header`).
    pub fn signed(&self, key: &Secret, target: &Target<'_>) -> String {
        let mac = mac::sign(key, &self.signed_text(target));
        Header { mac: &mac, ..*self }.to_string()
    }

    /// The text that `mac` signs. It covers every attribute but `id` and `mac`.
    pub fn signed_text(&self, target: &Target<'_>) -> String {
        let mut text = mac::normalized("hawk.1.header", self.ts, self.nonce, target);
        let app = self.app.map(|app| [app, self.dlg.unwrap_or("")]);
        for line in [self.hash.unwrap_or(""), self.ext.unwrap_or("")].into_iter().chain(app.into_iter().flatten()) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// In the order of the JavaScript client.
impl fmt::Display for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"Hawk id="{}", ts="{}", nonce="{}""#, self.id, self.ts, self.nonce)?;
        let optional = [("hash", self.hash), ("ext", self.ext), ("mac", Some(self.mac)), ("app", self.app)];
        for (name, value) in optional.into_iter().chain([("dlg", self.dlg)]) {
            if let Some(value) = value {
                write!(f, r#", {name}="{value}""#)?;
            }
        }
        Ok(())
    }
}

/// What follows the scheme, if that is Hawk.
fn attributes(text: &str) -> Result<&str, Refusal> {
    if text.len() > HEADER_LEN_MAX {
        return Err(Refusal::new("Bad Request: Header length too long"));
    }
    let (scheme, rest) = text.split_at(word_len(text));
    let attributes = rest.trim_start_matches(is_space);
    if scheme.is_empty() || (!rest.is_empty() && rest.len() == attributes.len()) {
        return Err(Refusal::new("Bad Request: Invalid header syntax"));
    }
    if !scheme.eq_ignore_ascii_case("hawk") {
        return Err(Refusal::new("Unauthorized"));
    }
    if attributes.is_empty() {
        return Err(Refusal::new("Bad Request: Invalid header syntax"));
    }
    Ok(attributes)
}

/// Splits `name="value"` and the comma behind it from the rest. A comma may also stand behind the last attribute.
fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_at(word_len(text));
    let (value, after) = rest.strip_prefix("=\"")?.split_once('"')?;
    let after = after.trim_start_matches(is_space);
    let rest = if after.is_empty() { after } else { after.strip_prefix(',')?.trim_start_matches(is_space) };
    (!name.is_empty() && !value.contains('\\')).then_some((name, value, rest))
}

fn word_len(text: &str) -> usize {
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_hawk_header_says_what_is_wrong() {
        for (text, message) in [
            ("", "Bad Request: Invalid header syntax"),
            (" Hawk id=\"a\"", "Bad Request: Invalid header syntax"),
            ("Hawk ", "Bad Request: Invalid header syntax"),
            ("Hawk,id=\"a\"", "Bad Request: Invalid header syntax"),
            ("Bearer", "Unauthorized"),
            ("Hawk id=\"a\"", "Bad Request: Missing attributes"),
            ("Hawk id=\"\"", "Bad Request: Bad attribute value: id"),
            ("Hawk id=\"a\tb\"", "Bad Request: Bad attribute value: id"),
            ("Hawk port=\"1\"", "Bad Request: Unknown attribute: port"),
            ("Hawk id=\"a\",,ts=\"1\"", "Bad Request: Bad header format"),
            ("Hawk ,", "Bad Request: Bad header format"),
            ("Hawk id=\"a", "Bad Request: Bad header format"),
            ("Hawk =\"a\"", "Bad Request: Bad header format"),
            ("Hawk id =\"a\"", "Bad Request: Bad header format"),
            ("Häwk id=\"a\"", "Bad Request: Invalid header syntax"),
        ] {
            assert_eq!(Header::parse(text).unwrap_err().message(), message, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let header = Header { id: "a/b@c", ts: "1", nonce: "n", mac: "m=", hash: Some("h"), ..Header::default() };
        assert_eq!(Header::parse(&header.to_string()).unwrap(), header);
        let full = Header { ext: Some("e"), app: Some("x y"), dlg: Some("[~]"), ..header };
        assert_eq!(Header::parse(&full.to_string()).unwrap(), full);
    }
}

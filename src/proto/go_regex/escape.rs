//! Escapes that stand for one character, and counts of repetitions.

use super::{
    refusal::{Reason, Refusal},
    scan::Scan,
};

/// Octal escapes have at most so many digits.
const OCTAL_LEN_MAX: usize = 3;
/// Above this a count is only known to be too large. Go stops reading there, too.
const COUNT_READ_MAX: u32 = 100_000_000;

/// Reads an escape that stands for one character, or for nothing.
pub(super) fn escape(scan: &mut Scan<'_>) -> Result<char, Refusal> {
    let at = scan.at();
    scan.next();
    let refused = || Refusal::new(Reason::Escape, at);
    let Some(c) = scan.next() else { return Err(Refusal::new(Reason::EscapeTrailing, at)) };
    let code = match c {
        'a' => 0x07,
        'f' => 0x0c,
        'n' => 0x0a,
        'r' => 0x0d,
        't' => 0x09,
        'v' => 0x0b,
        'x' => hexadecimal(scan).ok_or_else(refused)?,
        // One digit alone would mean a group.
        '1'..='7' if !scan.peek().is_some_and(|next| next.is_digit(8)) => return Err(refused()),
        '0'..='7' => octal(scan, c),
        'Z' => return Err(Refusal::with_swap(Reason::Escape, at, scan.at(), r"\z")),
        'u' => return Err(unicode(scan, at)),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return Err(refused()),
    };
    match char::from_u32(code) {
        Some(c) => Ok(c),
        None if code > u32::from(char::MAX) => Err(refused()),
        None => Err(Refusal::new(Reason::Surrogate, at)),
    }
}

fn octal(scan: &mut Scan<'_>, first: char) -> u32 {
    let mut code = first.to_digit(8).unwrap_or_default();
    for _ in 1..OCTAL_LEN_MAX {
        let Some(digit) = scan.peek().and_then(|c| c.to_digit(8)) else { break };
        code = code * 8 + digit;
        scan.next();
    }
    code
}

/// Reads two digits, or some in braces. What is too large stays too large.
fn hexadecimal(scan: &mut Scan<'_>) -> Option<u32> {
    if !scan.takes("{") {
        let first = scan.next()?.to_digit(16)?;
        return Some(first * 16 + scan.next()?.to_digit(16)?);
    }
    let digits = scan.take_through("}")?;
    let add = |code: u32, digit: char| Some(code.saturating_mul(16).saturating_add(digit.to_digit(16)?));
    if digits.is_empty() { None } else { digits.chars().try_fold(0, add) }
}

/// The refusal of `\u`, which is Java's and others', with what Go writes.
fn unicode(scan: &Scan<'_>, at: usize) -> Refusal {
    let end = scan.at() + 4;
    let digits = scan.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match digits {
        Some(digits) => Refusal::with_swap(Reason::Escape, at, end, format!(r"\x{{{digits}}}")),
        None => Refusal::new(Reason::Escape, at),
    }
}

/// Reads `{2}`, `{2,}` or `{2,3}`. Anything else in braces is text, also a count with a zero before it, and nothing
/// is read then.
pub(super) fn counts(scan: &mut Scan<'_>) -> Option<(u32, Option<u32>)> {
    let mut ahead = scan.clone();
    if !ahead.takes("{") {
        return None;
    }
    let min = count(&mut ahead)?;
    let max = if !ahead.takes(",") {
        Some(min)
    } else if ahead.peek() == Some('}') {
        None
    } else {
        Some(count(&mut ahead)?)
    };
    if !ahead.takes("}") {
        return None;
    }
    *scan = ahead;
    Some((min, max))
}

fn count(scan: &mut Scan<'_>) -> Option<u32> {
    let start = scan.at();
    let mut count: u32 = 0;
    while let Some(digit) = scan.peek().and_then(|c| c.to_digit(10)) {
        count = count.saturating_mul(10).saturating_add(digit).min(COUNT_READ_MAX);
        scan.next();
    }
    let digits = scan.since(start);
    if digits.is_empty() || digits.len() > 1 && digits.starts_with('0') { None } else { Some(count) }
}

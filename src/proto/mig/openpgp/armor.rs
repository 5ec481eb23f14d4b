//! The armor around a key: RFC 4880, section 6, as strictly as an agent reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// Longest line with data that Go's reader takes. Every program writes 64 or 76.
const LINE_LEN_MAX: usize = 96;
/// How `gpg` breaks lines.
const LINE_LEN: usize = 64;
/// RFC 4880, section 6.1.
const CRC24_START: u32 = 0x00b7_04ce;
const CRC24_POLYNOMIAL: u32 = 0x0186_4cfb;

/// What was in the armor.
pub(super) struct Block {
    pub bytes: Vec<u8>,
    /// Whether a checksum stood there. If so it is right.
    pub has_checksum: bool,
}

/// Takes the only block of a text apart. No error repeats anything of the text.
pub(super) fn open(text: &str) -> Result<Block, String> {
    if text.contains("PRIVATE KEY") {
        return Err("this is a private key, which nobody but its owner may have: consider it known to others, and \
            export the public one (gpg --armor --export)"
            .to_owned());
    }
    let mut lines = text.lines().map(str::trim_end).skip_while(|line| line.is_empty());
    if lines.next() != Some(BEGIN) {
        return Err(format!("the first line is not `{BEGIN}`"));
    }
    for header in lines.by_ref().take_while(|line| !line.is_empty()) {
        if !header.contains(": ") {
            return Err("a header of the block has no value, or no empty line is behind the headers".to_owned());
        }
    }
    let (mut data, mut checksum) = (String::new(), None);
    let mut ended = false;
    for line in lines.by_ref() {
        match line.strip_prefix('=') {
            _ if line == END => ended = true,
            _ if checksum.is_some() => return Err(format!("something is between the checksum and `{END}`")),
            Some(sum) => checksum = Some(sum),
            None if line.len() > LINE_LEN_MAX => {
                return Err(format!("a line is longer than {LINE_LEN_MAX} characters"));
            }
            None => data.push_str(line),
        }
        if ended {
            break;
        }
    }
    if !ended {
        return Err(format!("`{END}` is missing"));
    }
    if lines.clone().any(|line| line == BEGIN) {
        return Err("there are several keys: each goes into a file of its own".to_owned());
    }
    if lines.any(|line| !line.is_empty()) {
        return Err(format!("something is behind `{END}`"));
    }
    let bytes = STANDARD.decode(&data).map_err(|_| "between its lines is no base64".to_owned())?;
    let sum = checksum.map(|sum| STANDARD.decode(sum).unwrap_or_default());
    if sum.as_ref().is_some_and(|sum| sum.as_slice() != crc24(&bytes)) {
        return Err("its checksum is wrong: something is missing or was changed".to_owned());
    }
    Ok(Block { bytes, has_checksum: sum.is_some() })
}

/// A block of these bytes, without headers and with its checksum.
pub(super) fn close(bytes: &[u8]) -> String {
    let data = STANDARD.encode(bytes);
    let lines = data.as_bytes().chunks(LINE_LEN).map(String::from_utf8_lossy);
    let data: String = lines.flat_map(|line| [line, "\n".into()]).collect();
    format!("{BEGIN}\n\n{data}={}\n{END}\n", STANDARD.encode(crc24(bytes)))
}

fn crc24(bytes: &[u8]) -> [u8; 3] {
    let sum = bytes.iter().fold(CRC24_START, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| {
            let shifted = sum << 1;
            if shifted & 0x0100_0000 == 0 { shifted } else { shifted ^ CRC24_POLYNOMIAL }
        })
    });
    let [_, high, middle, low] = sum.to_be_bytes();
    [high, middle, low]
}

//! What a host gets when its agent is enrolled: files as an archive that every `tar` unpacks, the id that its agent goes by,
//! and what its queue is called.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use hkdf::Hkdf;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::Sha256;
use tar::{Builder, EntryType, Header};
use zeroize::Zeroizing;

use crate::base::{Secret, Timestamp};
use crate::proto::certificates::Certificate;
use crate::proto::mig::gcfg::Age;

/// Longest path in an archive: the field of its name. What stands in further fields is not read alike by all.
const PATH_LEN_MAX: usize = 100;
/// Archives are made of blocks, each file's head being one, and `tar` writes so many of them at once.
const BLOCK: usize = 512;
const RECORD: usize = 20 * BLOCK;
/// Those of a mode that say who may do what, and the three before them.
const MODE_MAX: u32 = 0o7777;
/// Longest text with certificates of an authority: more than any chain, and agents trust whatever is in it.
const AUTHORITY_LEN_MAX: usize = 64 * 1024;

/// What an id is made of, and how long it is. Agents from May 2016 on make another one if it is not `^[0-9a-zA-Z]{80,}$`.
const ID_SIGNS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ID_LEN: usize = 96;
/// The programs that want a dot in it, `^\S+\.\S+$`: it was so from 19 April (e90fc2e5) to 1 May 2016 (95e61107).
const ID_WITH_DOT: &str = "2016-04";
/// The first programs without the host's name in their queue's, from 19 April 2016 on (b02d545e).
const WITHOUT_HOST: &str = "2016-04";
/// Longest location of a queue: its name has 255 bytes at most, with `mig.agt.` before it.
const QUEUELOC_LEN_MAX: usize = 255 - "mig.agt.".len();
/// The systems that agents are built for.
const SYSTEMS: [&str; 3] = ["linux", "darwin", "windows"];

/// A file of a host.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it belongs: from the root on, without empty steps, `.` and `..`.
    pub path: String,
    /// Who may read and write it there, as the bits of its mode.
    pub mode: u32,
    /// What stands in it.
    pub text: Secret,
}

/// An archive with these files, for `tar -xC /`: in the form of 1988 that GNU's `tar`, BSD's and BusyBox's read alike. The files
/// are root's. Directories are not in it, so that those that are there keep their modes; `tar` makes the others, as its umask
/// says. BSD's goes through links only by `tar -xPC /`, and Darwin's `/etc` and `/var` are some; BusyBox's knows no `-P`. The
/// same files at the same second are the same archive.
///
/// # Errors
///
/// Says which path or mode cannot be, without a text.
pub fn tar(files: &[File], now: Timestamp) -> Result<Secret, String> {
    // All at once: a text that is moved to more room leaves a copy behind.
    let len: usize = files.iter().map(|file| 2 * BLOCK + file.text.expose().len()).sum();
    let mut archive = Zeroizing::new(Vec::with_capacity(len + 2 * RECORD));
    let mut builder = Builder::new(&mut *archive);
    let mut met = BTreeSet::new();
    for file in files {
        let header = header(file, now)?;
        if !met.insert(&file.path) {
            return Err(format!("{:?} is there twice", file.path));
        }
        builder.append(&header, file.text.expose().as_bytes()).map_err(|error| format!("{:?}: {error}", file.path))?;
    }
    builder.finish().map_err(|error| error.to_string())?;
    drop(builder);
    let len = archive.len().next_multiple_of(RECORD);
    archive.resize(len, 0);
    // Paths and texts are texts, and all else is ASCII.
    String::from_utf8(std::mem::take(&mut *archive)).map(Secret::new).map_err(|_| "the archive is no text".to_owned())
}

fn header(File { path, mode, text }: &File, now: Timestamp) -> Result<Header, String> {
    let relative = path.strip_prefix('/').ok_or_else(|| format!("{path:?} does not begin at the root"))?;
    if relative.split('/').any(|step| matches!(step, "" | "." | "..")) || relative.contains(char::is_control) {
        return Err(format!("{path:?} is not the plain path of a file"));
    }
    if relative.len() > PATH_LEN_MAX {
        return Err(format!("{path:?} is too long for an archive: {PATH_LEN_MAX} bytes are the most behind the root"));
    }
    if *mode > MODE_MAX {
        return Err(format!("{path:?} cannot have the mode {mode:o}"));
    }
    let mut header = Header::new_ustar();
    let named = header.set_path(relative).and_then(|()| header.set_username("root"));
    named.and_then(|()| header.set_groupname("root")).map_err(|error| format!("{path:?}: {error}"))?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(*mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(u64::try_from(now.as_seconds()).unwrap_or(0));
    header.set_size(text.expose().len() as u64);
    header.set_cksum();
    Ok(header)
}

/// A fresh id for an agent, made of a fresh secret: what stands in `.migagtid`, without a line end behind it, which would be a
/// part of it. It is the same for the same secret and says nothing of that.
pub fn agent_id(age: Age, seed: &Secret) -> String {
    let mut random = [0; 2 * ID_LEN];
    let expanded = Hkdf::<Sha256>::new(None, seed.expose().as_bytes()).expand(b"keylender agent id", &mut random);
    expanded.expect("HKDF gives up to 255 times the length of its hash");
    // Of two bytes each, so that none is likelier than another by more than 1 in 1820.
    let signs = random.chunks(2).map(|pair| ID_SIGNS[usize::from(u16::from_be_bytes([pair[0], pair[1]])) % 36]);
    let mut id: String = signs.map(char::from).collect();
    if Age::parse(ID_WITH_DOT) == Ok(age) {
        id.replace_range(ID_LEN / 2..=ID_LEN / 2, ".");
    }
    id
}

/// Whether agents of an age have the names of their hosts in their locations.
pub fn names_host(age: Age) -> bool {
    Age::parse(WITHOUT_HOST).is_ok_and(|since| age < since)
}

/// Where an agent takes its commands: its queue is `mig.agt.` and this. `os` is as Go calls the system, `host` as the agent calls
/// its host, and `id` what its file holds.
///
/// # Errors
///
/// Says what cannot be a part of it, or that it is too long.
pub fn queueloc(age: Age, os: &str, host: &str, id: &str) -> Result<String, String> {
    if !SYSTEMS.contains(&os) {
        return Err(format!("{os:?} is no system that agents are built for: {}", SYSTEMS.join(", ")));
    }
    let fits = |part: &str, others: &[u8]| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
    };
    if !fits(id, b".") {
        return Err("the id of an agent is made of 0-9, a-z and A-Z".to_owned());
    }
    let location = if !names_host(age) {
        format!("{os}.{id}")
    } else if fits(host, b"-._") {
        format!("{os}.{host}.{id}")
    } else {
        return Err(format!("{host:?} is no name of a host"));
    };
    if location.len() > QUEUELOC_LEN_MAX {
        let len = location.len();
        return Err(format!("the location of its queue would have {len} bytes: {QUEUELOC_LEN_MAX} are the most"));
    }
    Ok(location)
}

/// Whether a text is what hosts may get as the certificates of an authority: some in PEM, and above all no key.
///
/// # Errors
///
/// Says what is expected.
pub fn check_authority(text: &str) -> Result<(), &'static str> {
    if text.len() > AUTHORITY_LEN_MAX {
        return Err("expected at most 64 KiB");
    }
    if text.contains("PRIVATE KEY") {
        return Err("a private key is in it, which every host would get; take it out");
    }
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates.map_err(|_| "expected certificates in PEM")?;
    let is_read = !certificates.is_empty() && certificates.iter().all(|der| Certificate::read(der).is_ok());
    if is_read { Ok(()) } else { Err("expected certificates in PEM") }
}

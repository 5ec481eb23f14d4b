//! Stories about an exported audit log: whole, changed anywhere, cut off, and none at all.

use std::io::{self, BufReader, Read};

use super::*;

/// A log of some entries with all members, as it is exported, and its head.
async fn export() -> (Vec<u8>, Head) {
    let store = store();
    for (name, size) in [("a", 1), ("b", 2), ("c", 3)] {
        put(&store, name, size).await.unwrap();
    }
    let full = note("d").about(&Secret::new("pw")).request("r1").with("cause", "a \"quoted\" detail");
    write(&store, vec![full]).await;
    let entries = store.read(|tx| tx.entries(1, 10)).unwrap();
    let lines = entries.into_iter().flat_map(|(_, entry)| [entry, b"\n".to_vec()].concat()).collect();
    (lines, store.verify_audit().unwrap())
}

fn walk(lines: &[u8]) -> Result<Head> {
    verify_exported(lines, |_, _| ())
}

fn complaint(lines: &[u8]) -> String {
    walk(lines).unwrap_err().message().to_owned()
}

#[tokio::test]
async fn an_export_leads_to_the_head_of_its_store() {
    let (lines, head) = export().await;
    let mut steps = Vec::new();
    let walked = verify_exported(lines.as_slice(), |head, bytes| steps.push((head.seq, bytes))).unwrap();
    assert_eq!(walked, head);
    assert_eq!(steps.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(steps[3].1, lines.len() as u64);
    assert_eq!(walk(b"").unwrap(), Head::EMPTY);
}

#[tokio::test]
async fn every_changed_byte_of_an_exported_chain_is_found() {
    let (lines, head) = export().await;
    let last_begins = lines[..lines.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in 0..lines.len() {
        let line = lines[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        for byte in [lines[at] ^ 1, lines[at] ^ 0x20, lines[at] ^ 0x80, b'\n', b' ', b'0', 0] {
            let mut changed = lines.clone();
            changed[at] = byte;
            if changed == lines {
                continue;
            }
            match walk(&changed) {
                // A change inside of the last entry shows in the head, which who keeps it compares.
                Ok(walked) => assert!(at >= last_begins && walked != head, "byte {at} as {byte}"),
                Err(error) => {
                    let (named, next) = (format!("line {line}: audit entry {line} "), format!("line {}: ", line + 1));
                    let message = error.message();
                    assert!(message.starts_with(&named) || message.starts_with(&next), "byte {at}: {message}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_missing_and_every_added_byte_is_found() {
    let (lines, head) = export().await;
    for at in 0..lines.len() {
        let shorter = [&lines[..at], &lines[at + 1..]].concat();
        let longer = [&lines[..at], b" ", &lines[at..]].concat();
        for changed in [shorter, longer, lines[..at].to_vec()] {
            assert!(walk(&changed).map_or(true, |walked| walked != head), "byte {at}");
        }
    }
}

#[tokio::test]
async fn the_first_bad_entry_is_named_by_number_and_line() {
    let (whole, _) = export().await;
    let whole = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let of = |order: &[usize]| order.iter().map(|at| lines[*at]).collect::<String>();
    for (order, expected) in [
        (&[1, 2, 3][..], "line 1: audit entry 1 is missing"),
        (&[0, 2, 3], "line 2: audit entry 2 is missing"),
        (&[0, 1, 1, 2], "line 3: audit entry 3 carries another number"),
        (&[0, 2, 1, 3], "line 2: audit entry 2 is missing"),
    ] {
        assert_eq!(complaint(of(order).as_bytes()), expected);
    }
    let forged = whole.replacen("\"object\":\"b\"", "\"object\":\"x\"", 1);
    let expected = "line 3: audit entry 3 does not follow entry 2: one of the two was changed";
    assert_eq!(complaint(forged.as_bytes()), expected);
    assert_eq!(complaint(&whole.as_bytes()[..whole.len() - 1]), "line 4: audit entry 4 is cut off or far too long");
    assert_eq!(complaint(b"PK\x03\x04\nno log"), "line 1: audit entry 1 cannot be read");
}

#[test]
fn a_line_without_an_end_is_read_only_so_far() {
    let endless = BufReader::new(io::repeat(b'x').take(1 << 40));
    let error = verify_exported(endless, |_, _| ()).unwrap_err();
    assert_eq!(error.message(), "line 1: audit entry 1 is cut off or far too long");
}

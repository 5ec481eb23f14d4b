//! Stories about an exported audit log: whole, changed anywhere, cut off, and none at all.

use std::io::{self, BufReader, Read};

use super::*;

/// A log of some entries with all members, as it is exported, and what it says.
async fn export() -> (Vec<u8>, Verified) {
    let store = store();
    for (name, size) in [("a", 1), ("b", 2), ("c", 3)] {
        put(&store, name, size).await.unwrap();
    }
    let full = note("d").about(&Secret::new("pw")).request("r1").with("cause", "a \"quoted\" detail");
    write(&store, vec![full]).await;
    let head = store.verify_audit().await.unwrap();
    (lines_of(&store), Verified { head, entries: 4, signed_by: Some(store.signing_key()) })
}

/// The lines of an export.
fn lines_of(store: &Store) -> Vec<u8> {
    let base = store.read(|tx| tx.audit_base()).unwrap().map(|base| base.line().unwrap().into_bytes());
    let entries = store.survey_here(|tx| tx.entries(1, 1000)).unwrap().into_iter().map(|(_, entry)| entry);
    let end = store.checkpoint(None).unwrap().line().unwrap().into_bytes();
    base.into_iter().chain(entries).chain([end]).flat_map(|line| [line, b"\n".to_vec()].concat()).collect()
}

fn walk(lines: &[u8]) -> Result<Verified> {
    verify_exported(lines, |_, _| ())
}

fn complaint(lines: &[u8]) -> String {
    walk(lines).unwrap_err().message().to_owned()
}

#[tokio::test]
async fn an_export_leads_to_the_head_of_its_store() {
    let (lines, whole) = export().await;
    let mut steps = Vec::new();
    let walked = verify_exported(lines.as_slice(), |head, bytes| steps.push((head.seq, bytes))).unwrap();
    assert_eq!(walked, whole);
    assert_eq!(steps.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 4]);
    assert_eq!(steps[4].1, lines.len() as u64);
    assert_eq!(walk(b"").unwrap(), Verified { head: Head::EMPTY, entries: 0, signed_by: None });
    let empty = store();
    let signed = walk(&lines_of(&empty)).unwrap();
    assert_eq!(signed, Verified { head: Head::EMPTY, entries: 0, signed_by: Some(empty.signing_key()) });
}

#[tokio::test]
async fn every_changed_byte_of_an_exported_chain_is_found() {
    let (lines, _) = export().await;
    for at in 0..lines.len() {
        let line = lines[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        for byte in [lines[at] ^ 1, lines[at] ^ 0x20, lines[at] ^ 0x80, b'\n', b' ', b'0', 0] {
            let mut changed = lines.clone();
            changed[at] = byte;
            if changed == lines {
                continue;
            }
            let message = walk(&changed).map(|_| ()).expect_err(&format!("byte {at} as {byte}")).message().to_owned();
            let (named, next) = (format!("line {line}: "), format!("line {}: ", line + 1));
            assert!(message.starts_with(&named) || message.starts_with(&next), "byte {at}: {message}");
        }
    }
}

#[tokio::test]
async fn every_missing_and_every_added_byte_is_found() {
    let (lines, whole) = export().await;
    for at in 0..lines.len() {
        let shorter = [&lines[..at], &lines[at + 1..]].concat();
        let longer = [&lines[..at], b" ", &lines[at..]].concat();
        for changed in [shorter, longer, lines[..at].to_vec()] {
            assert!(walk(&changed).map_or(true, |walked| walked != whole), "byte {at}");
        }
    }
}

#[tokio::test]
async fn the_first_bad_entry_is_named_by_number_and_line() {
    let (whole, _) = export().await;
    let whole = String::from_utf8(whole).unwrap();
    let (whole, _) = whole.split_at(whole.rfind("{\"checkpoint\"").unwrap());
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

#[tokio::test]
async fn a_signed_head_fits_its_own_log_only() {
    let (lines, whole) = export().await;
    let text = String::from_utf8(lines.clone()).unwrap();
    let mut parts: Vec<&str> = text.split_inclusive('\n').collect();
    let end = parts.pop().unwrap();

    let cut = parts[..3].concat() + end;
    assert!(complaint(cut.as_bytes()).starts_with("line 4: the signed head is entry 4 with another hash"));
    let more = text.clone() + parts[0];
    assert_eq!(complaint(more.as_bytes()), "line 6: there is something behind the signed head");

    // Whoever writes a log anew can sign it, but not with our key.
    let (forged, other) = export().await;
    assert_eq!(walk(&forged).unwrap().entries, whole.entries);
    assert_ne!(other.signed_by, whole.signed_by);
    let mixed = parts.concat() + String::from_utf8(forged).unwrap().lines().last().unwrap() + "\n";
    assert_ne!(walk(mixed.as_bytes()).unwrap().signed_by, whole.signed_by);
}

#[tokio::test]
async fn what_is_left_after_pruning_is_verifiable_and_every_changed_byte_of_it_is_found() {
    let store = store();
    for n in 0..8 {
        put(&store, "a", n).await.unwrap();
    }
    let before = walk(&lines_of(&store)).unwrap();
    let note = |base: &Checkpoint| note(&format!("through {}", base.seq));
    let base = store.prune_audit(5, note).await.unwrap().unwrap();
    assert_eq!((base.seq, base.hash.len()), (5, 64));
    let head = store.verify_audit().await.unwrap();
    assert_eq!(head.seq, 9, "pruning is an entry, too");

    let lines = lines_of(&store);
    let walked = walk(&lines).unwrap();
    assert_eq!(walked, Verified { head, entries: 4, signed_by: before.signed_by });
    for at in 0..lines.len() {
        for byte in [lines[at] ^ 1, lines[at] ^ 0x20, b'\n', b'0'] {
            let mut changed = lines.clone();
            changed[at] = byte;
            assert!(changed == lines || walk(&changed).is_err(), "byte {at} as {byte}");
        }
    }
    // The rest stands on the checkpoint: without it, it is a log whose beginning is missing.
    let first = lines.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert_eq!(complaint(&lines[first..]), "line 1: audit entry 1 is missing");

    assert!(store.prune_audit(5, note).await.unwrap().is_none(), "nothing is left to prune");
    assert_eq!(store.prune_audit(u64::MAX, note).await.unwrap().unwrap().seq, 8, "the last entry stays");
    put(&store, "a", 1).await.unwrap();
    assert_eq!(store.verify_audit().await.unwrap().seq, 11);
    assert_eq!(store.checkpoint(Some(8)).unwrap().verify().unwrap().seq, 8, "the base can be signed again");
    assert_eq!(store.checkpoint(Some(3)).unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_log_whose_base_was_exchanged_is_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = on_disk(dir.path()).unwrap();
    for n in 0..4 {
        put(&store, "a", n).await.unwrap();
    }
    store.prune_audit(2, |_| note("x")).await.unwrap();
    drop(store);
    let other = on_disk(&dir.path().join("other")).unwrap();
    let forged = serde_json::to_vec(&other.checkpoint(None).unwrap()).unwrap();
    let db = redb::Database::open(dir.path().join("keylender.redb")).unwrap();
    let tx = db.begin_write().unwrap();
    let meta: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
    tx.open_table(meta).unwrap().insert("audit_base", forged.as_slice()).unwrap();
    tx.commit().unwrap();
    drop(db);
    let error = on_disk(dir.path()).unwrap().verify_audit().await.unwrap_err();
    assert_eq!(error.message(), "the checkpoint of the pruned entries is signed by another key");
}

//! Stories about archives as files: whole or refused, and what a crash leaves of one.

use super::*;
use crate::base::{ArchiveName, NamespaceName};

const RECORDS: [&[u8]; 3] = [b"the first messages", b"", b"the last ones"];
const WHEN: Timestamp = Timestamp::from_millis(1_795_176_000_000);

fn name(token: &str) -> ArchiveName {
    ArchiveName::at(WHEN, token).unwrap()
}

fn subject(token: &str) -> ArchiveSubject {
    ArchiveSubject {
        name: name(token),
        queue: "queue/a/\"jobs\"".into(),
        namespace: NamespaceName::parse("a").unwrap(),
        kind: "classic".into(),
        taken: WHEN,
        why: "it has more messages than it may".into(),
    }
}

/// An archive of three frames without its end.
fn begun(store: &Store, directory: &ArchiveDirectory, token: &str) -> ArchiveWriter {
    let mut writer = store.begin_archive(directory, &subject(token)).unwrap();
    for (count, records) in (1..).zip(RECORDS) {
        writer.append(count, records.len() as u64, records).unwrap();
    }
    writer
}

fn read(store: &Store, directory: &ArchiveDirectory, token: &str) -> Result<Vec<(u32, Vec<u8>)>> {
    let mut reader = store.open_archive(directory, &name(token))?;
    let mut all = Vec::new();
    while let Some(packed) = reader.next_frame()? {
        all.push((packed.messages, packed.unpack()?));
    }
    Ok(all)
}

fn frames() -> Vec<(u32, Vec<u8>)> {
    (1..).zip(RECORDS.map(<[u8]>::to_vec)).collect()
}

#[test]
fn every_changed_and_every_missing_byte_of_an_archive_is_found() {
    let home = tempfile::tempdir().unwrap();
    let (store, directory) = (store(), ArchiveDirectory::new(home.path().join("archives")));
    let file = begun(&store, &directory, "aaaaaa").finish(WHEN, 7, None).unwrap();
    assert_eq!((file.end.messages, file.end.payload_bytes, file.end.arrived), (6, 31, 7));
    let path = directory.file(&name("aaaaaa"));
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole.len() as u64, file.len);
    assert_eq!(read(&store, &directory, "aaaaaa").unwrap(), frames());
    // The reason is in the label, in clear; the messages behind it are not.
    let label_len = whole.iter().position(|byte| *byte == b'\n').unwrap();
    assert!(!whole[label_len..].windows(8).any(|bytes| bytes == b"messages"));
    assert_eq!(directory.list().unwrap(), [(name("aaaaaa"), file.len)]);

    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let error = read(&store, &directory, "aaaaaa").unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "byte {at}: {error:?}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(read(&store, &directory, "aaaaaa").is_err(), "cut at {at}");
    }
    fs::write(&path, [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(read(&store, &directory, "aaaaaa").is_err());
}

#[test]
fn a_frame_opens_only_in_its_place_and_in_its_archive() {
    let home = tempfile::tempdir().unwrap();
    let (store, directory) = (store(), ArchiveDirectory::new(home.path().into()));
    let parts = |token: &str| {
        let mut writer = store.begin_archive(&directory, &subject(token)).unwrap();
        let mut ends = vec![writer.file_len() as usize];
        for _ in 0..2 {
            writer.append(1, 4, b"same").unwrap();
            ends.push(writer.file_len() as usize);
        }
        writer.finish(WHEN, 0, None).unwrap();
        let bytes = fs::read(directory.file(&name(token))).unwrap();
        let [label, first, second, end] = [0..ends[0], ends[0]..ends[1], ends[1]..ends[2], ends[2]..bytes.len()];
        [label, first, second, end].map(|part| bytes[part].to_vec())
    };
    let [label, first, second, end] = parts("aaaaaa");
    let [_, other_first, ..] = parts("bbbbbb");
    let put = |parts: &[&Vec<u8>]| {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        fs::write(directory.file(&name("aaaaaa")), bytes).unwrap();
        read(&store, &directory, "aaaaaa")
    };
    assert_eq!(put(&[&label, &first, &second, &end]).unwrap().len(), 2);
    for wrong in [
        vec![&label, &second, &first, &end],
        vec![&label, &first, &end],
        vec![&label, &second, &end],
        vec![&label, &first, &first, &second, &end],
        vec![&label, &other_first, &second, &end],
        vec![&label, &first, &second],
        vec![&label, &first, &second, &end, &end],
        vec![&label, &end],
    ] {
        assert_eq!(put(&wrong).unwrap_err().kind(), Kind::Conflict);
    }
}

#[test]
fn what_a_crash_left_of_an_archive_keeps_all_whole_frames_and_says_that_it_is_cut() {
    let home = tempfile::tempdir().unwrap();
    let (store, directory) = (store(), ArchiveDirectory::new(home.path().into()));
    let path = directory.file(&name("aaaaaa"));
    let mut writer = store.begin_archive(&directory, &subject("aaaaaa")).unwrap();
    let label_len = writer.file_len() as usize;
    let mut ends = Vec::new();
    for (count, records) in (1..).zip(RECORDS) {
        writer.append(count, records.len() as u64, records).unwrap();
        ends.push(writer.file_len() as usize);
    }
    drop(writer);
    let left = fs::read(&path).unwrap();
    let mend = || store.mend_archive(&directory, &name("aaaaaa"), WHEN, "cut", |records| Ok(records.len() as u64));
    for len in label_len..=left.len() {
        fs::write(&path, &left[..len]).unwrap();
        let (found, file) = mend().unwrap();
        let whole = ends.iter().filter(|end| **end <= len).count();
        assert_eq!(found, subject("aaaaaa"));
        assert_eq!(file.end.messages, (1..=whole as u64).sum::<u64>(), "cut at {len}");
        assert_eq!(file.end.problem.as_deref(), Some("cut"));
        assert_eq!(read(&store, &directory, "aaaaaa").unwrap(), frames()[..whole]);
        assert_eq!(mend().unwrap(), (found, file), "it is finished now");
    }
    fs::write(&path, &left[..label_len - 1]).unwrap();
    assert_eq!(mend().unwrap_err().kind(), Kind::Conflict, "without a label nothing is known");
}

#[tokio::test]
async fn an_archive_opens_after_the_key_was_changed_and_not_for_another_store() {
    let [home, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (store, directory) = (on_disk(home.path()).unwrap(), ArchiveDirectory::new(home.path().join("archives")));
    let writer = begun(&store, &directory, "aaaaaa");
    store.change_key(None, note("a"), note("b"), |_| ()).await.unwrap();
    writer.finish(WHEN, 0, None).unwrap();
    begun(&store, &directory, "bbbbbb").finish(WHEN, 0, None).unwrap();
    for token in ["aaaaaa", "bbbbbb"] {
        assert_eq!(read(&store, &directory, token).unwrap(), frames());
    }
    let error = read(&on_disk(other.path()).unwrap(), &directory, "aaaaaa").unwrap_err();
    assert!(error.message().contains("another key"), "{error:?}");
    assert_eq!(read(&store, &directory, "cccccc").unwrap_err().kind(), Kind::NotFound);
}

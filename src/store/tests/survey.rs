//! Reading at length: beside everything else, so much at once, and a panic is an error. All on one thread, as these tests
//! are: whatever kept that would keep the test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;
use crate::store::survey::SURVEYS_MAX;

/// A survey that has begun, and goes on until the sender is dropped.
async fn long(store: &Store) -> (tokio::task::JoinHandle<Result<u64>>, mpsc::Sender<()>) {
    let (store, (begun, has_begun), (end, ended)) = (store.clone(), tokio::sync::oneshot::channel(), mpsc::channel());
    let survey = tokio::spawn(async move {
        let closure = move |tx: &Survey<'_>| {
            begun.send(()).unwrap();
            assert!(ended.recv().is_err());
            tx.count(&THINGS)
        };
        store.survey(closure).await
    });
    has_begun.await.unwrap();
    (survey, end)
}

#[tokio::test]
async fn a_long_survey_holds_up_neither_a_look_nor_a_change() {
    let store = store();
    put(&store, "a", 1).await.unwrap();
    let (survey, end) = long(&store).await;
    assert_eq!(store.read(|tx| tx.get(&THINGS, &id("a"))).unwrap().unwrap().size, 1);
    put(&store, "b", 2).await.unwrap();
    assert_eq!(store.survey(|tx| tx.scan(&THINGS, Bound::Unbounded, 10)).await.unwrap().len(), 2);
    drop(end);
    assert_eq!(survey.await.unwrap().unwrap(), 1, "it saw the store as it was when it began");
}

#[tokio::test]
async fn more_surveys_than_there_is_room_for_wait_in_line() {
    let store = store();
    let mut at_work = join_all((0..SURVEYS_MAX).map(|_| long(&store))).await;
    let mut next = Box::pin(store.survey(|tx| tx.count(&THINGS)));
    for _ in 0..100 {
        assert!((&mut next).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(at_work.pop());
    next.await.unwrap();
}

#[tokio::test]
async fn a_survey_that_panics_is_an_error_and_leaves_its_place() {
    let store = store();
    for _ in 0..=SURVEYS_MAX {
        let error = store.survey(|_| -> Result<()> { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
    }
    store.survey(|tx| tx.count(&THINGS)).await.unwrap();
}

#[tokio::test]
async fn what_is_made_of_a_table_is_made_once_for_each_change_of_it() {
    let (store, sizes, made) = (store(), Cached::default(), Arc::new(AtomicUsize::new(0)));
    let sum = || {
        let made = made.clone();
        sizes.get(&store, &THINGS, move |tx| {
            made.fetch_add(1, Ordering::SeqCst);
            Ok(tx.scan(&THINGS, Bound::Unbounded, 100)?.iter().map(|(_, thing)| thing.size).sum::<u64>())
        })
    };
    for (name, total) in [("a", 1), ("b", 2)] {
        put(&store, name, 1).await.unwrap();
        let sums = join_all((0..20).map(|_| sum())).await;
        assert!(sums.into_iter().all(|sum| *sum.unwrap() == total));
        assert_eq!(made.load(Ordering::SeqCst) as u64, total);
    }
}

#[tokio::test]
async fn chunks_are_all_records_and_go_on_behind_what_came_meanwhile() {
    let store = store();
    for name in ["a", "b", "d"] {
        put(&store, name, 1).await.unwrap();
    }
    let (mut chunks, mut seen) = (store.chunks(&THINGS, 2), Vec::new());
    while let Some(rows) = chunks.next().await.unwrap() {
        seen.push(rows.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().concat());
        put(&store, "c", 1).await.unwrap();
    }
    assert_eq!(seen, ["ab", "cd"]);
    assert!(chunks.next().await.unwrap().is_none());
}

//! Stories about searching the audit log: every filter, and pages that always come to an end.

use super::super::search::{ActionPattern, Filter, PAGE_LEN_MAX, SCAN_BYTES_MAX, SCAN_LEN_MAX};
use super::*;
use crate::base::audit::{Action, Outcome};

/// Numbers of all entries that fit, and how many pages they took.
fn all(store: &Store, filter: &Filter) -> (Vec<u64>, usize) {
    let (mut found, mut pages, mut next) = (Vec::new(), 0, Some(1));
    while let Some(from) = next {
        let page = store.survey_here(|tx| tx.search(from, filter)).unwrap();
        assert!(page.next.is_none_or(|next| next > from), "it moves");
        found.extend(page.entries.iter().map(|(seq, _)| *seq));
        (next, pages) = (page.next, pages + 1);
    }
    (found, pages)
}

#[tokio::test]
async fn filters_fit_what_they_say_and_together_what_all_of_them_say() {
    let clock = Clock::manual(Timestamp::from_millis(0));
    let store = Store::memory(clock.clone()).unwrap();
    let ops = || Actor::Client(id("ops"));
    write(&store, vec![Note::done(ops(), Action::QueueDelete, "a").about(&Secret::new("pw"))]).await;
    clock.advance(Duration::from_secs(10));
    write(&store, vec![Note::done(Actor::Loop("ops".into()), Action::QueuePurge, "a")]).await;
    clock.advance(Duration::from_secs(10));
    write(&store, vec![Note::done(Actor::Appliance, Action::QueueRuleSet, "b").outcome(Outcome::Failed)]).await;
    let none = Filter::default;
    let actor = |text: &str| Filter { actor: Some(text.into()), ..none() };
    let action = |text: &str| Filter { action: Some(text.parse().unwrap()), ..none() };
    let object = |text: &str| Filter { object: Some(text.into()), ..none() };
    let moment = |seconds: i64| Some(Timestamp::from_millis(seconds * 1000));
    let reference = |text: &str| Filter { references: store.references(&Secret::new(text)), ..none() };
    for (filter, expected) in [
        (none(), &[1, 2, 3][..]),
        (actor("ops"), &[1, 2]),
        (actor("client ops"), &[1]),
        (actor("loop"), &[2]),
        (actor("appliance"), &[3]),
        (actor(""), &[]),
        (action("queue.delete"), &[1]),
        (action("queue"), &[]),
        (action("queue."), &[1, 2]),
        (action("queue.*"), &[1, 2]),
        (action("queue.d*"), &[1]),
        (action("queue*"), &[1, 2, 3]),
        (action("*"), &[1, 2, 3]),
        (object("a"), &[1, 2]),
        (Filter { outcome: Some(Outcome::Failed), ..none() }, &[3]),
        (Filter { since: moment(10), ..none() }, &[2, 3]),
        (Filter { until: moment(10), ..none() }, &[1]),
        (Filter { since: moment(10), until: moment(20), ..none() }, &[2]),
        (reference("pw"), &[1]),
        (reference("other"), &[]),
        (Filter { actor: Some("ops".into()), ..action("queue.purge") }, &[2]),
        (Filter { actor: Some("ops".into()), ..object("b") }, &[]),
    ] {
        assert_eq!(all(&store, &filter).0, expected, "{filter:?}");
    }
    for text in ["", "Namespace", "a**", "*a", "a b"] {
        assert!(text.parse::<ActionPattern>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn pages_are_bounded_and_a_filter_that_fits_nothing_still_comes_to_the_end() {
    let store = store();
    let len = SCAN_LEN_MAX + PAGE_LEN_MAX + 1;
    write(&store, (0..len).map(|_| note("a")).collect()).await;
    let nothing = Filter { object: Some("b".into()), ..Filter::default() };
    assert_eq!(all(&store, &nothing), (vec![], 2));
    let (found, pages) = all(&store, &Filter::default());
    assert_eq!((found.len(), found.last().copied(), pages), (len, Some(len as u64), len / PAGE_LEN_MAX + 1));
    let first = store.survey_here(|tx| tx.search(0, &nothing)).unwrap();
    assert_eq!((first.seen, first.next), (SCAN_LEN_MAX as u64, Some(SCAN_LEN_MAX as u64 + 1)));
    let behind = store.survey_here(|tx| tx.search(u64::MAX, &nothing)).unwrap();
    assert_eq!((behind.seen, behind.next), (len as u64, None), "where the log ends is told");
}

#[tokio::test]
async fn long_entries_make_short_pages_and_the_longest_is_a_page_of_its_own() {
    let store = store();
    let long = |len: usize| note("a").with("cause", "x".repeat(len));
    write(&store, vec![long(SCAN_BYTES_MAX), long(SCAN_BYTES_MAX / 2), long(SCAN_BYTES_MAX / 4), note("b")]).await;
    assert_eq!(all(&store, &Filter::default()), (vec![1, 2, 3, 4], 2));
}

#[tokio::test]
async fn an_empty_log_has_one_empty_page() {
    assert_eq!(all(&store(), &Filter::default()), (vec![], 1));
}

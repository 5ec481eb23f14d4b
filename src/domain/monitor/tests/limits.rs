//! What holds for a queue: which rules can be, and what is over which threshold.

use super::*;
use crate::domain::monitor::limits::{Ages, Limits, Over};
use crate::domain::monitor::queue_rule::Rung;
use crate::ports::broker::Overflow;
use crate::ports::broker::Stream;

fn usual() -> Limits {
    Limits::new(10, 15)
}

#[test]
fn bytes_and_heads_have_a_warning_before_their_deletion_also_when_the_rule_names_none() {
    let bytes = |warn_bytes, delete_bytes| QueueRule { warn_bytes, delete_bytes, ..QueueRule::default() };
    assert_eq!(usual().ruled(&bytes(None, Some(100))).unwrap().warn.bytes, Some(50));
    assert_eq!(usual().ruled(&bytes(Some(70), None)).unwrap().delete.bytes, None);
    assert!(usual().ruled(&bytes(Some(100), Some(100))).is_err() && usual().ruled(&bytes(None, Some(0))).is_err());
    let head = QueueRule { delete_head_seconds: Some(60), ..QueueRule::default() };
    assert_eq!(usual().ruled(&head).unwrap().warn.head, Some(Duration::from_secs(30)));
}

#[test]
fn a_missing_count_is_over_nothing() {
    let mut limits = usual();
    limits.delete.bytes = Some(0);
    let ages = Ages { head: None, idle: Some(Duration::from_secs(60)) };
    assert_eq!(limits.delete_over(&Queue::default(), ages), None);
    assert!(limits.miss_something(&Queue { messages: Some(1), ..Queue::default() }));
    let now = Timestamp::from_millis(0);
    for over in [Over::Messages(0), Over::Unconsumed(Duration::ZERO), Over::Head(Duration::ZERO)] {
        assert!(!over.still(&Queue::default(), now), "{over:?}");
    }
}

#[test]
fn every_rung_comes_before_the_deletion_and_a_limit_says_when() {
    let rung = |messages| Rung { messages: Some(messages), ..Rung::default() };
    let rule = |limit: Option<Rung>, archive: Option<Rung>| QueueRule { limit, archive, ..QueueRule::default() };
    for (rule, fits) in [
        (rule(Some(rung(12)), Some(rung(14))), true),
        (rule(Some(rung(15)), None), false),
        (rule(None, Some(rung(15))), false),
        (rule(None, Some(Rung::default())), true),
        (rule(Some(Rung::default()), None), false),
        (rule(None, Some(Rung { unconsumed_seconds: Some(0), ..Rung::default() })), false),
        (QueueRule { overflow: Overflow::DropHead, ..rule(Some(rung(12)), None) }, true),
        (QueueRule { overflow: Overflow::DropHead, ..rule(None, None) }, false),
    ] {
        assert_eq!(usual().ruled(&rule).is_ok(), fits, "{rule:?}");
    }
}

#[test]
fn of_a_stream_only_what_a_rule_names_holds_and_a_warning_while_nothing_bounds_it() {
    let named = usual().ruled(&QueueRule { delete_messages: Some(50), ..QueueRule::default() }).unwrap();
    for (limits, is_bounded, messages) in [
        (usual(), true, (None, None)),
        (usual(), false, (Some(10), None)),
        (named, true, (None, Some(50))),
        (named, false, (Some(10), Some(50))),
    ] {
        let limits = limits.of(Some(Stream { is_bounded }));
        assert_eq!((limits.warn.messages, limits.delete.messages), messages, "{is_bounded}");
    }
    assert_eq!(usual().of(None), usual());
}

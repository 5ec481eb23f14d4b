//! What waits, in which order, how often, and until when.

use std::time::Duration;

use keylender::base::{Error, Kind};
use keylender::domain::auth::Caller;

use super::world::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn operator() -> Caller {
    Caller::local("tests", "r")
}

#[tokio::test]
async fn a_notice_goes_out_once_and_everything_is_audited() {
    let world = World::new();
    world.post("queue is full", &["a@x.example", "b@x.example", "a@x.example"]).await;
    assert_eq!(
        world.list().await[0].deliveries,
        [(mail("a@x.example"), State::Pending), (mail("b@x.example"), State::Pending)]
    );

    assert_eq!(world.deliver().await, Delivered { sent: 2, ..Delivered::default() });
    assert_eq!(world.deliver_after(DAY).await, Delivered::default());

    let mut to: Vec<_> = world.smtp.mails().iter().map(|mail| (mail.to.clone(), mail.header("Subject"))).collect();
    to.sort();
    assert_eq!(to, ["a", "b"].map(|who| (format!("{who}@x.example"), "queue is full".to_owned())));
    assert!(world.list().await[0].deliveries.iter().all(|(_, state)| is_delivered(state, "smtp")));
    assert_eq!(world.audited(), ["notice.post done", "notice.deliver done", "notice.deliver done"]);
    world.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn a_notice_whose_cause_fails_was_never_posted() {
    let world = World::new();
    let (notices, notice) = (world.notices.clone(), notice("x", &["a@x.example"]));
    let outcome: Result<()> = world
        .store
        .write(move |tx| {
            notices.post(tx, notice)?;
            Err(Error::conflict("the cause did not come about"))
        })
        .await;
    assert!(outcome.is_err() && world.list().await.is_empty());
    assert_eq!(world.deliver().await, Delivered::default());
}

#[tokio::test]
async fn a_notice_for_nobody_is_kept_to_be_looked_at() {
    let world = World::new();
    world.post("x", &["", " "]).await;
    assert_eq!(world.deliver().await, Delivered::default());
    assert!(world.list().await[0].deliveries.is_empty());
}

#[tokio::test]
async fn an_outage_delays_a_mail_by_doubling_pauses_and_keeps_its_id() {
    let world = World::new();
    world.smtp.behave(|manners| manners.away = true);
    world.post("x", &["a@x.example"]).await;
    let mut pause = Duration::ZERO;
    for attempt in 1..=9 {
        if !pause.is_zero() {
            assert_eq!(world.deliver_after(pause - MINUTE / 60).await, Delivered::default(), "too early");
            world.clock.advance(MINUTE / 60);
        }
        assert_eq!(world.deliver().await.failed, 1);
        pause = (MINUTE * (1 << (attempt - 1))).min(MINUTE * 60);
        let State::Retrying { attempts, due, fault } = world.state().await else { panic!("{:?}", world.state().await) };
        assert_eq!((attempts, due), (attempt, world.clock.now().plus(pause)));
        assert!(fault.starts_with("the mail server cannot be reached"), "{fault}");
    }
    world.smtp.behave(|manners| manners.away = false);
    assert_eq!(world.deliver_after(pause).await.sent, 1);
    let id = world.list().await[0].id.to_string();
    assert_eq!(world.smtp.mails()[0].header("Message-ID"), format!("<{id}.00@keylender.example>"));
}

#[tokio::test]
async fn a_crash_between_sending_and_writing_it_down_repeats_the_mail_under_its_id() {
    let mut world = World::new();
    world.smtp.behave(|manners| manners.hang = true);
    world.post("x", &["a@x.example"]).await;
    let (notices, smtp) = (world.notices.clone(), world.smtp.clone());
    let taken = async {
        while smtp.mails().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        _ = notices.deliver() => panic!("the server never answers"),
        () = taken => {} // and here the appliance dies
    }
    world.restart();
    world.smtp.behave(|manners| manners.hang = false);
    // Many more wait by now; the one that may have arrived goes into no digest.
    for number in 0..7 {
        world.post(&format!("later {number}"), &["a@x.example"]).await;
    }

    assert_eq!(world.deliver().await, Delivered::default(), "the pause of a failed try holds");
    assert_eq!(world.deliver_after(MINUTE).await, Delivered { sent: 2, gathered: 7, ..Delivered::default() });

    let ids: Vec<_> = world.smtp.mails().iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!((ids.len(), &ids[0]), (3, &ids[1]));
    assert_eq!(world.subjects()[1], "x");
}

#[tokio::test]
async fn what_is_tried_for_three_days_is_a_dead_letter_that_can_be_sent_again() {
    let world = World::new();
    world.smtp.behave(|manners| manners.away = true);
    world.post("x", &["a@x.example"]).await;
    let mut tries = 0;
    while !is_dead(&world.state().await) {
        world.deliver_after(MINUTE * 60).await;
        tries += 1;
        assert!(tries < 100);
    }
    assert_eq!(tries, 72);
    assert_eq!(world.deliver_after(DAY * 31).await, Delivered::default());
    assert_eq!(world.notices.list(Filter::Dead, None, 10).await.unwrap().len(), 1, "it is kept for an operator");

    world.smtp.behave(|manners| manners.away = false);
    let id = world.list().await[0].id.clone();
    assert_eq!(world.notices.resend(&id, &operator()).await.unwrap(), 1);
    assert_eq!(world.notices.resend(&id, &operator()).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(world.deliver().await.sent, 1);
    assert_eq!(world.notices.drop_dead(&id, &operator()).await.unwrap_err().kind(), Kind::Conflict);
    assert!(world.audited().contains(&"notice.resend done".into()));
}

#[tokio::test]
async fn a_refused_mail_is_given_up_at_once_and_the_next_one_goes() {
    let world = World::new();
    world.smtp.behave(|manners| manners.refuse = Some(("gone", "550 5.1.1 no such user")));
    world.post("x", &["gone@x.example", "no address", "b@x.example"]).await;
    assert_eq!(world.deliver().await, Delivered { sent: 1, dead: 2, ..Delivered::default() });

    let id = world.list().await[0].id.clone();
    let State::Over(End::Dead { fault, attempts: 1, .. }) = &world.list().await[0].deliveries[0].1 else { panic!() };
    assert_eq!(fault, "the mail server refused the mail: it answered 550");
    world.notices.drop_dead(&id, &operator()).await.unwrap();
    assert!(world.list().await.is_empty());
    assert_eq!(world.notices.resend(&id, &operator()).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_holds_up_no_other_and_keeps_its_order() {
    let world = World::with_webhook();
    world.smtp.behave(|manners| manners.refuse = Some(("slow", "451 later")));
    for number in 0..3 {
        world.post(&number.to_string(), &["slow@x.example", "b@x.example"]).await;
    }
    assert_eq!(world.deliver().await, Delivered { sent: 6, failed: 1, ..Delivered::default() });
    world.hook.answer("503 Away");
    world.smtp.behave(|manners| manners.refuse = None);
    world.post("3", &["slow@x.example"]).await;
    assert_eq!(world.deliver_after(MINUTE).await, Delivered { sent: 4, failed: 1, ..Delivered::default() });

    let slow: Vec<_> = world.smtp.mails().into_iter().filter(|mail| mail.to.starts_with("slow")).collect();
    assert_eq!(slow.iter().map(|mail| mail.header("Subject")).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[tokio::test]
async fn five_go_one_by_one_and_six_become_a_digest() {
    let world = World::new();
    for number in 0..5 {
        world.post(&format!("single {number}"), &["a@x.example"]).await;
    }
    assert_eq!(world.deliver().await, Delivered { sent: 5, ..Delivered::default() });
    for number in 0..6 {
        world.post(&format!("flood {number}"), &["b@x.example"]).await;
    }
    assert_eq!(world.deliver().await, Delivered { sent: 1, gathered: 6, ..Delivered::default() });

    let digest = world.smtp.mails().pop().unwrap();
    assert_eq!(digest.header("Subject"), "6 notices, the first: flood 0");
    let text = digest.text.split_once("\n\n").unwrap().1.to_owned();
    insta::assert_snapshot!(text.split("\n## flood 2").next().unwrap(), @"
    6 notices waited for you at the same time. Here they are, the oldest first.

    ## flood 0

    2018-10-15T12:00:00.000Z, queue.warn

    text of flood 0

    ## flood 1

    2018-10-15T12:00:00.000Z, queue.warn

    text of flood 1
    ");
    assert!(text.contains("## flood 5\n"), "{text}");
    let of_first = world.list().await[6].deliveries[0].1.clone();
    assert!(matches!(of_first, State::Over(End::Gathered { into, .. }) if into == world.list().await[0].id));
}

#[tokio::test]
async fn a_flood_of_long_notices_fits_into_mails_of_bounded_size() {
    let world = World::new();
    for number in 0..60 {
        let body = "é".repeat(100_000);
        world.try_post(Notice { body, ..notice(&number.to_string(), &["a@x.example"]) }).await.unwrap();
    }
    assert_eq!(world.deliver().await, Delivered { sent: 2, gathered: 60, ..Delivered::default() });
    for listed in world.list().await.iter().take(2) {
        assert!(world.notices.letter(&listed.id).unwrap().body.len() < 100_000);
    }
}

#[tokio::test]
async fn a_webhook_that_is_away_for_long_loses_the_oldest_beyond_five_thousand() {
    let world = World::with_webhook();
    world.hook.answer("503 Away");
    let notices = world.notices.clone();
    world
        .store
        .write(move |tx| (0..5_002).try_for_each(|number| notices.post(tx, notice(&number.to_string(), &[]))))
        .await
        .unwrap();
    assert_eq!(world.deliver().await, Delivered { dead: 2, failed: 1, ..Delivered::default() });
    let dead = world.notices.list(Filter::Dead, None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|listed| listed.subject.as_str()).collect::<Vec<_>>(), ["1", "0"]);
    assert_eq!(world.notices.waiting().unwrap(), 5_000);
}

#[tokio::test]
async fn a_clock_that_jumps_kills_nothing_and_delays_nothing() {
    let world = World::new();
    world.smtp.behave(|manners| manners.away = true);
    world.post("x", &["a@x.example"]).await;
    world.deliver().await;
    world.clock.advance(DAY * 400);
    assert_eq!(world.deliver().await.failed, 1, "old by the clock, but hardly tried");
    world.smtp.behave(|manners| manners.away = false);
    world.clock.set(Timestamp::from_millis(1_539_604_800_000));
    assert_eq!(world.deliver().await.sent, 1, "due in a year by the clock, but no pause is so long");
}

#[tokio::test]
async fn delivered_notices_are_forgotten_after_thirty_days() {
    let world = World::new();
    world.post("x", &["a@x.example"]).await;
    world.deliver().await;
    assert_eq!(world.deliver_after(DAY * 29).await.pruned, 0);
    assert_eq!(world.deliver_after(DAY).await.pruned, 1);
    assert!(world.list().await.is_empty());
    assert_eq!(world.audited().last().unwrap(), "notice.prune done");
}

#[tokio::test]
async fn a_list_shows_the_newest_first_page_by_page() {
    let world = World::new();
    for number in 0..4 {
        world.post(&number.to_string(), &[]).await;
    }
    let page = world.notices.list(Filter::All, None, 3).await.unwrap();
    assert_eq!(page.iter().map(|listed| listed.subject.as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    let rest = world.notices.list(Filter::All, Some(page[2].id.clone()), 3).await.unwrap();
    assert_eq!(rest.iter().map(|listed| listed.subject.as_str()).collect::<Vec<_>>(), ["0"]);
    assert_eq!(world.notices.letter(&rest[0].id).unwrap().body, "text of 0");
}

//! Applying a relay while the broker is in trouble: what the audit log says, and what is tried.

use keylender::base::Secret;
use keylender::ports::broker::{Resource, Resources, Users};
use serde_json::Value;

use crate::relay::{apply, asked_by_a_plan, make_user, reconcile, vhost, world};

#[tokio::test]
async fn the_audit_log_says_that_something_is_about_to_be_done_before_the_broker_is_asked() {
    let world = world("mig-2018").await;
    apply(&world).await;
    let steps = |entries: Vec<Value>| -> Vec<String> {
        let text = |entry: &Value| format!("{} {}", entry["details"]["step"], entry["object"]);
        entries.iter().map(|entry| text(entry).replace('"', "")).collect()
    };
    let (attempts, done) = (world.audited("relay.attempt").await, world.audited("relay.declare").await);
    let (first, last) = (&attempts[0], attempts.last().unwrap());
    assert_eq!(steps(vec![first.clone()]), ["create vhost mig"]);
    assert_eq!(attempts.len(), done.len() + world.audited("relay.delete_user").await.len());
    assert!(first["seq"].as_u64() < done[0]["seq"].as_u64());
    assert!(last["seq"].as_u64() < world.audited("relay.apply").await[0]["seq"].as_u64());

    // A loop that tries in vain at every pass says so once, and once more when it was put right and is wrong again.
    let mig = vhost("mig");
    let all = world.broker.resources(&mig).await.unwrap();
    let removed = all.iter().find(|one| matches!(one, Resource::Exchange(_))).unwrap().key();
    for rounds in 1..=2 {
        world.broker.remove_resource(&mig, &removed).await.unwrap();
        let asked = asked_by_a_plan(&world).await;
        for _ in 0..3 {
            world.broker.fail_after(asked);
            reconcile(&world).await.unwrap_err();
            world.broker.come_back();
        }
        assert_eq!(world.audited("relay.attempt").await.len(), attempts.len() + rounds);
        reconcile(&world).await.unwrap();
        assert_eq!(world.audited("relay.attempt").await.len(), attempts.len() + rounds);
    }
}

#[tokio::test]
async fn a_broker_that_is_away_is_not_asked_for_everything_that_is_declared() {
    let accounts = |n: usize| {
        format!("[[account]]\nname = 'a{n}'\n[[account.grant]]\nvhost = 'v'\nconfigure = ''\nwrite = ''\nread = ''\n")
    };
    let many: String = (0..100).map(accounts).collect();
    let world = world(&format!("name = 'r'\n[[vhost]]\nname = 'v'\n{many}")).await;
    world.broker.fail_after(asked_by_a_plan(&world).await);
    world.broker.forget_calls();
    let applied = apply(&world).await;
    assert_eq!(applied["failed"], 101);
    let texts = applied.to_string();
    assert!(texts.contains("not tried, because the broker did not answer"), "{texts}");
    assert!(world.broker.calls().len() < 60, "{}", world.broker.calls().len());
    world.broker.come_back();
    assert_eq!(apply(&world).await["failed"], 0);
}

#[tokio::test]
async fn among_many_accounts_a_user_of_somebody_else_is_left_and_the_others_are_made() {
    let account = |n: usize| format!("[[account]]\nname = 'a{n}'\n");
    let many: String = (0..100).map(account).collect();
    let world = world(&format!("name = 'r'\n[[vhost]]\nname = 'v'\n{many}")).await;
    let theirs = Secret::new("theirs");
    make_user(&world, "a7", &theirs).await;
    world.broker.forget_calls();
    let applied = apply(&world).await;
    assert_eq!((&applied["failed"], &applied["left"]), (&Value::from(0), &Value::from(1)), "{applied}");
    assert!(world.broker.can_login("a7", &theirs), "it is as it was");
    let users = world.broker.users().await.unwrap();
    assert_eq!(users.iter().filter(|user| user.name.starts_with('a') && user.name != "administrator").count(), 100);
    assert!(!world.broker.calls().iter().any(|call| call.starts_with("GET user a")), "one list tells who is there");
}

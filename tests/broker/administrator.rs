//! The administrator is replaced on a real broker, broken off at each of its requests: there is always one that works,
//! and in the end the password before is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use keylender::base::Secret;
use keylender::domain::auth::Caller;
use keylender::ports::broker::{Credentials, Users};
use serde_json::json;

use crate::appliance::Appliance;
use crate::node::node;
use crate::operate::keylender;
use crate::servers::{Fate, Gate};

/// Far more requests than a rotation makes.
const REQUESTS_MAX: u32 = 50;
/// A rotation takes a tenth of it; one that waits for an answer that never comes is dropped then.
const PATIENCE: Duration = Duration::from_secs(3);

/// An administrator that the operator made for this story, as the settings name it.
async fn operator(name: &str, password: &str) {
    node().admin("PUT", &format!("users/{name}"), json!({"password": password, "tags": "administrator"})).await;
}

async fn behind(gate: &Gate, name: &str) -> Appliance {
    operator(name, "settings").await;
    let url = format!("http://{}/api", gate.address).parse().unwrap();
    Appliance::by_hand(name, |settings| {
        let broker = settings.broker.as_mut().unwrap();
        (broker.base_url, broker.username, broker.password) = (url, name.to_owned(), Secret::new("settings"));
    })
    .await
}

async fn rotate(appliance: &Appliance) -> keylender::base::Result<bool> {
    let administrator = &appliance.running.appliance.administrator;
    administrator.rotate(&Caller::local("story", "r")).await.map(|rotated| rotated.is_retired)
}

fn login(appliance: &Appliance) -> Credentials {
    appliance.running.appliance.administrator.login().unwrap().unwrap()
}

async fn works(login: &Credentials) -> bool {
    node().can_manage(login.user.as_str(), &login.password).await
}

/// From the n-th request on, this is the fate of all. The counter tells how many came.
fn from_request(gate: &Gate, n: u32, fate: &Fate) -> Arc<AtomicU32> {
    let (came, fate) = (Arc::new(AtomicU32::new(0)), fate.clone());
    let counter = came.clone();
    gate.decide(move |_| if counter.fetch_add(1, Ordering::SeqCst) < n { Fate::Passes } else { fate.clone() });
    came
}

async fn broken_off_everywhere(name: &str, fate: Fate) {
    let gate = Gate::start().await;
    let mut appliance = behind(&gate, name).await;
    assert!(rotate(&appliance).await.unwrap());
    // From here on nothing hides behind the way back.
    node().admin("PUT", &format!("users/{name}"), json!({"password_hash": "", "tags": "administrator"})).await;
    for n in 0..REQUESTS_MAX {
        let before = login(&appliance);
        let came = from_request(&gate, n, &fate);
        let ended = tokio::time::timeout(PATIENCE, rotate(&appliance)).await;
        gate.decide(|_| Fate::Passes);
        assert!(works(&login(&appliance)).await, "{fate:?} from request {n}: the active one works");
        if came.load(Ordering::SeqCst) <= n {
            assert!(ended.unwrap().unwrap() && n >= 4, "{fate:?}: the faults came while it mattered: {n}");
            return;
        }
        // Killed, and started again.
        appliance = appliance.restart(|_| {}).await;
        assert!(works(&login(&appliance)).await, "{fate:?} from request {n}: after the restart");
        assert!(rotate(&appliance).await.unwrap(), "{fate:?} from request {n}");
        assert!(works(&login(&appliance)).await && !works(&before).await, "{fate:?} from request {n}: at the end");
        let stem = before.user.as_str().rsplit_once('-').unwrap().0;
        let users = node().broker().users().await.unwrap();
        assert_eq!(users.iter().filter(|user| user.name.starts_with(stem)).count(), 1, "{fate:?} from request {n}");
    }
    panic!("it never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_whose_requests_are_lost_from_anywhere_on_locks_nobody_out() {
    broken_off_everywhere("administrator.lost", Fate::Lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_whose_answers_are_lost_from_anywhere_on_locks_nobody_out() {
    broken_off_everywhere("administrator.unanswered", Fate::Unanswered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_is_abandoned_anywhere_locks_nobody_out() {
    broken_off_everywhere("administrator.abandoned", Fate::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_replaces_the_administrator_and_the_doctor_is_content() {
    let appliance = Appliance::by_hand("administrator.operate", |_| {}).await;
    for each in appliance.running.appliance.loops.names() {
        appliance.running.appliance.loops.pause(&Caller::local("story", "r"), each, false).await.unwrap();
    }
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&appliance.settings.data_dir, private).unwrap();
    let (code, said) = keylender(&appliance, "broker rotate").await;
    assert_eq!((code, said.starts_with("the administrator is keylender-admin-")), (0, true), "{said}");
    let shown = keylender(&appliance, "broker show").await.1;
    assert!(shown.contains("known from     store") && shown.contains("broker         RabbitMQ "), "{shown}");
    let (code, said) = keylender(&appliance, "doctor").await;
    // Its clock is the story's, not that of the broker.
    assert!(said.contains("problem  broker clock"), "{said}");
    let problems = said.lines().filter(|line| line.starts_with("problem  ") && !line.contains("  disk  "));
    assert_eq!((code, problems.count()), (1, 1), "{said}");
    // Other stories have administrators of their own on this broker.
    for line in ["well     broker rights", "well     broker alarms"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_do_not_notice_that_the_administrator_is_replaced() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "administrator.flight").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (administrator, stop) = (appliance.running.appliance.administrator.clone(), stop.clone());
            tokio::spawn(async move {
                let mut answers = 0;
                while !stop.is_cancelled() {
                    administrator.whoami().await.unwrap();
                    answers += 1;
                }
                answers
            })
        })
        .collect();
    for _ in 0..5 {
        assert!(rotate(&appliance).await.unwrap());
    }
    stop.cancel();
    for asker in asking {
        assert!(asker.await.unwrap() > 0);
    }
    let shown = appliance.running.appliance.administrator.status().unwrap();
    assert_eq!((shown.acting.as_str(), shown.is_refused), (login(&appliance).user.as_str(), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_that_the_broker_lost_is_made_good_by_the_login_of_the_settings() {
    let gate = Gate::start().await;
    let appliance = behind(&gate, "administrator.lost-user").await;
    rotate(&appliance).await.unwrap();
    let before = login(&appliance);
    node().broker().delete_user(&before.user).await.unwrap();
    // Claims go on meanwhile.
    let lent = appliance.lent("taskcluster-a").await;
    assert!(appliance.works(&lent).await);
    assert!(appliance.running.appliance.administrator.status().unwrap().is_refused);
    let report = appliance.running.appliance.loops.run("reconcile").await.unwrap();
    assert!(report.contains("refused its administrator"), "{report}");
    assert!(works(&login(&appliance)).await && !works(&before).await);
    assert_eq!(appliance.running.appliance.administrator.status().unwrap().acting, login(&appliance).user.as_str());
}

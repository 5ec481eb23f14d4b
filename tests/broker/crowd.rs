//! Many claims at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use keylender::domain::accounts::Reconciled;

use crate::appliance::{Appliance, Lent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_of_one_name_at_once_are_lent_one_and_the_same() {
    let appliance = Appliance::new("crowd.same").await;
    for (namespace, crowd) in [("taskcluster-two", 2), ("taskcluster-twenty", 20)] {
        let lent = join_all((0..crowd).map(|_| appliance.lent(namespace))).await;
        assert!(lent.iter().all(|each| *each == lent[0]), "{lent:?}");
        assert!(appliance.works(&lent[0]).await);
        assert_eq!(appliance.lent(namespace).await, lent[0]);
    }
    assert_eq!(appliance.audited("namespace.create", "done").len(), 2);
    assert_eq!(appliance.audited("account.settle", "done").len(), 4, "each user was made once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_of_different_names_go_side_by_side() {
    let appliance = Appliance::new("crowd.different").await;
    let names: Vec<String> = (0..20).map(|n| format!("taskcluster-{n}")).collect();
    let lent = join_all(names.iter().map(|name| appliance.lent(name))).await;
    for (name, lent) in names.iter().zip(&lent) {
        assert_eq!((&lent.user, &lent.document["namespace"]), (&appliance.user(name, 1), &name.as_str().into()));
    }
    let works = join_all(lent.iter().map(|lent| appliance.works(lent))).await;
    assert!(works.into_iter().all(|works| works));
}

/// The names in the list, page by page.
async fn listed(appliance: &Appliance, limit: usize) -> Vec<String> {
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let (status, page) = appliance.get(&format!("/api/pulse/v1/namespaces?limit={limit}{token}")).await;
        assert_eq!(status, 200, "{page}");
        let page_names = page["namespaces"].as_array().unwrap().iter();
        names.extend(page_names.map(|listed| listed["namespace"].as_str().unwrap().to_owned()));
        let Some(next) = page["continuationToken"].as_str() else { return names };
        token = format!("&continuationToken={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_names_are_lent_and_none_is_missing() {
    let appliance = Appliance::new("crowd.thousand").await;
    let names: BTreeSet<String> = (0..1000).map(|n| format!("taskcluster-{n:04}")).collect();
    let claims = names.iter().map(|name| async { (name.clone(), appliance.lent(name).await) });
    let lent: BTreeMap<String, Lent> = stream::iter(claims).buffer_unordered(32).collect().await;

    let passwords: BTreeSet<&str> = lent.values().map(|lent| lent.password.expose()).collect();
    assert_eq!(passwords.len(), names.len(), "each has a password of its own");
    for lent in lent.values().step_by(100) {
        assert!(appliance.works(lent).await);
    }
    assert_eq!(listed(&appliance, 300).await, names.iter().cloned().collect::<Vec<_>>());
    let (users, permissions) = appliance.at_the_broker().await;
    let wanted = names.iter().flat_map(|name| [1, 2].map(|slot| appliance.user(name, slot).to_string()));
    assert_eq!(users.into_iter().map(|user| user.name).collect::<BTreeSet<_>>(), wanted.collect());
    assert_eq!(permissions.len(), 2000);
    let done = appliance.running.appliance.accounts.reconcile().await.unwrap();
    assert_eq!(done, Reconciled { seen: 2000, ..Reconciled::default() });
}

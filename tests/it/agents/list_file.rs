//! The scheduler's whitelist on the appliance's host.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use keylender::base::Kind;
use serde_json::json;

use super::Fleet;
use crate::relay_rotation::try_to;

#[tokio::test]
async fn the_file_is_written_when_the_list_changes_and_never_over_what_somebody_else_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agents_whitelist.txt");
    let fleet = Fleet::with(&format!("whitelist = '{}'\n", path.display())).await;
    let text = || fs::read_to_string(&path).unwrap();
    fleet.keep().await.unwrap();
    assert_eq!(text(), "");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fleet.admit("linux.a").await;
    fleet.keep().await.unwrap();
    assert_eq!(text(), "linux.a\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640, "it keeps its mode");
    assert_eq!(fleet.keep().await.unwrap(), "");

    fs::write(&path, "linux.a\nlinux.hand\n").unwrap();
    fleet.admit("linux.b").await;
    fleet.keep().await.unwrap();
    assert_eq!(text(), "linux.a\nlinux.hand\n", "somebody else's is left");
    let alarms = fleet.rows("/alarms", "alarms", &["alarm", "text"]).await;
    assert!(alarms.iter().any(|alarm| alarm.contains("was edited by hand")), "{alarms:?}");

    let overwrite = Some(json!({ "reason": "a mistake" }));
    fleet.world.operate("POST", "/agents/whitelist/overwrite", overwrite).await;
    assert_eq!(text(), "linux.a\nlinux.b\n");
    // Or it is taken over.
    fs::write(&path, "linux.hand\n").unwrap();
    let store = Some(json!({ "text": text(), "reason": "it is right" }));
    fleet.world.operate("PUT", "/agents/whitelist", store).await;
    fleet.keep().await.unwrap();
    assert_eq!(
        fleet.rows("/alarms", "alarms", &["alarm"]).await.iter().filter(|key| key.contains("whitelist")).count(),
        0
    );
    fleet.admit("linux.c").await;
    fleet.keep().await.unwrap();
    assert_eq!(text(), "linux.c\nlinux.hand\n");
    fs::remove_file(&path).unwrap();
    fleet.keep().await.unwrap();
    assert_eq!(text(), "linux.c\nlinux.hand\n", "one that is gone is written again");
}

#[tokio::test]
async fn a_file_that_is_taken_over_strikes_no_host_that_enrolled_since_it_was_edited() {
    let fleet = Fleet::start().await;
    fleet.admit("linux.a").await;
    let enrolled = fleet.enrolled(super::WEB_ADDRESS).await;
    let input = Some(json!({ "text": "linux.hand\n", "reason": "it was edited" }));
    let plan = fleet.world.operate("PUT", "/agents/whitelist?plan=1", input.clone()).await;
    assert!(plan["plan"].to_string().contains("1 line of enrolled agents"), "{plan}");
    fleet.world.operate("PUT", "/agents/whitelist", input).await;
    let list = fleet.rows("/agents/whitelist", "lines", &["line"]).await;
    let mut both = [enrolled["queueloc"].as_str().unwrap(), "linux.hand"];
    // The id in a location is drawn.
    both.sort_unstable();
    assert_eq!(list, both);
}

#[tokio::test]
async fn one_that_cannot_be_written_is_told_and_stops_nothing_else() {
    let fleet = Fleet::with("whitelist = '/proc/no/such/place'\n").await;
    let error = fleet.keep().await.unwrap_err();
    assert!(error.message().contains("/proc/no/such/place cannot be written"), "{error}");
    let none = Fleet::start().await;
    let overwrite = try_to(&none.world, "POST", "/agents/whitelist/overwrite", Some(json!({ "reason": "x" }))).await;
    assert_eq!(overwrite.unwrap_err().kind(), Kind::Conflict);
}

//! What documents list is what the code lists.

use std::collections::BTreeSet;

use keylender::base::audit::{Action, COMMON_DETAILS};
use keylender::domain::auth::scopes;

const API: &str = include_str!("../../docs/api.md");
const AUDIT: &str = include_str!("../../docs/audit.md");

/// All that stands in backticks, outside of examples.
fn quoted(document: &str) -> impl Iterator<Item = &str> {
    document.split("```").step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2))
}

/// Without what stands for a name: documents may call it otherwise.
fn family(scope: &str) -> String {
    scope.split('<').next().unwrap_or_default().to_owned()
}

#[test]
fn every_scope_is_in_the_document_of_the_api_and_every_one_there_is_a_scope() {
    let is_scope = |text: &&str| ["keylender:", "pulse:", "auth:"].iter().any(|family| text.starts_with(family));
    let documented: BTreeSet<String> = quoted(API).filter(is_scope).map(family).collect();
    let listed: BTreeSet<String> = scopes::ALL.iter().map(|scope| family(&scope.to_string())).collect();
    assert_eq!(documented, listed);
}

#[test]
fn every_action_of_the_audit_log_is_in_its_document_with_its_details() {
    let rows = AUDIT.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: Vec<Vec<&str>> = rows
        .map(|row| {
            let mut columns = row.split('|');
            let (action, details) = (columns.next().unwrap(), columns.next().unwrap());
            let names = [action, details].into_iter().flat_map(|column| column.split(['`', ',', ' ']));
            names.filter(|name| !name.is_empty()).collect()
        })
        .collect();
    let listed: Vec<Vec<&str>> =
        Action::ALL.iter().map(|action| [&[action.as_str()], action.details()].concat()).collect();
    assert_eq!(documented, listed);
    for common in COMMON_DETAILS {
        assert!(quoted(AUDIT).any(|text| text == common), "{common}");
    }
}

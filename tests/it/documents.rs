//! What documents list is what the code lists.

use std::collections::BTreeSet;

use keylender::domain::auth::scopes;

const API: &str = include_str!("../../docs/api.md");

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

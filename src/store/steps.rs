//! Steps from older schemas, over rows as they lie in the file: the types that wrote them are gone.

use std::collections::HashMap;

use redb::{ReadableTable, WriteTransaction};
use serde_json::{Map, Value, json};

use super::fault;
use super::tx::definition;
use crate::base::{Error, Result};

/// From 2 to 3: an account says whose it is, has its vhost among others, and is settled for each broker.
pub(super) fn give_accounts_owners(tx: &WriteTransaction) -> Result<()> {
    let mut owners = HashMap::new();
    for (name, namespace) in rows(tx, "namespaces")? {
        note_owner(&mut owners, &namespace, &json!({ "Namespace": name }));
    }
    for (_, administrator) in rows(tx, "administrator")? {
        note_owner(&mut owners, &administrator, &json!("Administrator"));
    }
    let accounts = rows(tx, "accounts")?;
    let mut table = tx.open_table(definition("accounts")).map_err(|e| fault("opening a table", e))?;
    for (name, account) in accounts {
        // One that nothing points to would be the rest of a namespace: it is named after it.
        let left_by =
            || json!({ "Namespace": name.rsplit_once('-').map_or(name.as_str(), |(namespace, _)| namespace) });
        let owner = owners.remove(&name).unwrap_or_else(left_by);
        let account = with_owner(account, owner).ok_or_else(|| unreadable("accounts"))?;
        let bytes = serde_json::to_vec(&account).map_err(|e| Error::internal("writing an account", e))?;
        table.insert(name.as_str(), bytes.as_slice()).map_err(|e| fault("writing the store", e))?;
    }
    Ok(())
}

fn note_owner(owners: &mut HashMap<String, Value>, record: &Map<String, Value>, owner: &Value) {
    let accounts = record.get("accounts").and_then(Value::as_array).into_iter().flatten();
    owners.extend(accounts.filter_map(Value::as_str).map(|account| (account.to_owned(), owner.clone())));
}

/// The account as schema 3 has it.
fn with_owner(mut account: Map<String, Value>, owner: Value) -> Option<Map<String, Value>> {
    let mut take = |member: &str| account.remove(member);
    let (wish, settled) = (take("wish")?.as_u64()?, take("settled")?.as_u64()?);
    let knows_terms = take("access_settled")?.as_bool()? || settled == wish;
    let access = json!({ "configure": take("configure")?, "write": take("write")?, "read": take("read")? });
    let grants = json!([{ "vhost": take("vhost")?, "access": access }]);
    let new = json!({
        "owner": owner,
        "login": take("login")?,
        "terms": { "tags": take("tags")?, "grants": grants },
        "wish": wish,
        "terms_wish": if knows_terms { settled } else { wish },
        // One that was never settled may be somebody else's.
        "settled": if settled == 0 { json!({}) } else { json!({ "main": settled }) },
    });
    match new {
        Value::Object(new) => Some(new),
        _ => None,
    }
}

/// All rows of a table; none when there is none.
fn rows(tx: &WriteTransaction, name: &'static str) -> Result<Vec<(String, Map<String, Value>)>> {
    let table = tx.open_table(definition(name)).map_err(|e| fault("opening a table", e))?;
    let mut rows = Vec::new();
    for row in table.iter().map_err(|e| fault("reading the store", e))? {
        let (key, value) = row.map_err(|e| fault("reading the store", e))?;
        let record = serde_json::from_slice(value.value()).map_err(|e| unreadable(name).because(e))?;
        rows.push((key.value().to_owned(), record));
    }
    Ok(rows)
}

fn unreadable(table: &str) -> Error {
    Error::unavailable(format!("the store cannot be taken up: a record of `{table}` cannot be read"))
}

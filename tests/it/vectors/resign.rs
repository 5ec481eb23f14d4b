//! Recorded requests, signed again. Our own store draws its access tokens itself and takes a request only once, so what
//! was rightly signed with a recorded token is rightly signed with ours; what was not stays as it was.

use std::collections::BTreeMap;

use keylender::base::{ClientId, Secret};
use keylender::proto::ext::{self, Ext};
use keylender::proto::hawk::{Header, Target, mac};
use keylender::proto::tempcred::{Certificate, derive_token};
use serde_json::Value;

use super::text;
use crate::sign::Client;
use crate::wire::Ask;
use crate::world::World;

/// The recorded clients in our store: the recorded access token and ours, by id.
pub struct Clients(BTreeMap<ClientId, (Secret, Client)>);

impl Clients {
    /// Makes the recorded clients and roles (`meta.recorded_auth_clients_for_pulse_http`).
    pub async fn make(world: &World, recorded: &Value) -> Self {
        let mut clients = BTreeMap::new();
        for (id, client) in recorded.as_object().unwrap() {
            if id == "roles" {
                for role in client.as_array().unwrap() {
                    world.role(text(&role["roleId"]), &scopes(&role["scopes"])).await;
                }
            } else {
                let ours = world.client(id, &scopes(&client["scopes"])).await;
                clients.insert(ours.id.clone(), (Secret::new(text(&client["accessToken"])), ours));
            }
        }
        Self(clients)
    }

    /// The request of a vector with a signature of ours, if its own was right. `signed` is the recorded target as the
    /// client signed it, and `resource` that of the request now.
    pub fn resign(&self, world: &World, ask: &Ask, signed: Target<'_>, resource: &str) -> Ask {
        let Some(header) = ask.header("authorization").and_then(|text| Header::parse(text).ok()) else {
            return ask.clone();
        };
        let decoded = header.ext.map(|ext| Ext::decode(ext).unwrap()).unwrap_or_default();
        let certificate = decoded.certificate().map(|value| Certificate::read(value).unwrap());
        let issuer = certificate.as_ref().and_then(|certificate| certificate.issuer.as_deref()).unwrap_or(header.id);
        let Some((recorded, ours)) = ClientId::parse(issuer).ok().and_then(|id| self.0.get(&id)) else {
            return ask.clone();
        };
        let key = |token: &Secret| match &certificate {
            Some(certificate) => derive_token(token, &certificate.seed),
            None => token.clone(),
        };
        if mac::sign(&key(recorded), &header.signed_text(&signed)) != header.mac {
            return ask.clone();
        }
        let certified = certificate.clone().map(|mut certificate| {
            certificate.signature = mac::sign(&ours.token, &certificate.text(header.id));
            certificate.to_json()
        });
        let restricted = decoded.authorized_scopes().unwrap();
        let ext = ext::encode(certified.as_deref(), restricted.as_deref()).unwrap();
        let nonce = format!("{}{}", header.nonce, world.nonce());
        let header = Header { nonce: &nonce, ext: ext.as_deref(), ..header };
        ask.clone().with("Authorization", &header.signed(&key(&ours.token), &Target { resource, ..signed }))
    }
}

fn scopes(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(text).collect()
}

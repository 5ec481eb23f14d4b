//! A browser by hand: a cookie, and forms as a page of ours would send them.

use keylender::base::{OperatorName, Secret};
use keylender::domain::auth::Caller;
use keylender::domain::operators::{Role, Visitor};
use url::form_urlencoded::Serializer;

use crate::wire::{Answer, Ask};
use crate::world::World;

/// Where all requests of tests go to.
pub const OWN: &str = "http://keylender.test";

/// Somebody who signed in.
#[derive(Clone)]
pub struct Browser {
    pub operator: OperatorName,
    pub cookie: String,
}

impl Browser {
    /// An operator of this role with a session, both made here. They have no password, which would take time.
    pub async fn signed_in(world: &World, role: Role) -> Self {
        let operator = OperatorName::parse(role.name()).unwrap();
        let operators = &world.appliance().operators;
        // A second browser is of the same operator.
        drop(operators.create(&Caller::local("test", "r"), operator.clone(), role, None).await);
        let from = Visitor { address: [127, 0, 0, 1].into(), agent: "test".into(), request_id: "r".into() };
        let id = operators.begin_session(operator.clone(), "test", from).await.unwrap().into_inner();
        Self::with(operator, &id)
    }

    pub fn with(operator: OperatorName, id: &Secret) -> Self {
        Self { operator, cookie: format!("keylender_session={}", id.expose()) }
    }

    /// A page.
    pub async fn get(&self, world: &World, path: &str) -> Answer {
        world.ask(&Ask::get(path).with("Cookie", &self.cookie)).await
    }

    /// Sends a form as a page of this session does.
    pub async fn post(&self, world: &World, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token(world).await;
        world.ask(&self.form(path, fields, &token)).await
    }

    /// A form with a token.
    pub fn form(&self, path: &str, fields: &[(&str, &str)], token: &str) -> Ask {
        let token = [("csrf", token)];
        form(path, &[&token, fields].concat()).with("Cookie", &self.cookie)
    }

    /// The token that the pages of this session have in their forms.
    pub async fn token(&self, world: &World) -> String {
        let page = self.get(world, "/").await;
        let (_, rest) = page.text().split_once("name=\"csrf\" value=\"").expect("a form on the page");
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A form from a page of ours.
pub fn form(path: &str, fields: &[(&str, &str)]) -> Ask {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    Ask::new("POST", path)
        .with("Content-Type", "application/x-www-form-urlencoded")
        .with("Origin", OWN)
        .body(body.into_bytes())
}

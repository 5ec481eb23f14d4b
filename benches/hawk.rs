//! Whether a signed request is believed, beside the bare HMACs that this takes.

mod common;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::{Row, Target, alternate};
use keylender::base::{ClientId, Clock, Scope, Secret, Timestamp};
use keylender::domain::auth::verify::{Party, verify};
use keylender::proto::hawk::{self, Header, Question, mac};
use keylender::proto::roles::Roles;
use keylender::proto::{ext, tempcred};

const ROUNDS: usize = 15;
const REQUESTS: u32 = 5000;
const TARGET: hawk::Target<'static> = hawk::Target {
    method: "POST",
    resource: "/v1/namespace/taskcluster-bench",
    host: "keylender.example.com",
    port: 443,
};

fn main() {
    let token = Secret::generate_long();
    compare("Hawk verification, permanent credentials", 1, &signed("bench", &token, None), &token);

    let now = Clock::system().now();
    let name = ClientId::parse("bench/temporary").unwrap();
    let scopes = [Scope::parse("pulse:namespace:taskcluster-bench").unwrap()];
    let hour = Duration::from_secs(3600);
    let grant = tempcred::Grant { name: Some(&name), start: now.minus(hour), expiry: now.plus(hour), scopes: &scopes };
    let issuer = ClientId::parse("bench").unwrap();
    let seed = Secret::generate_long();
    let lent = tempcred::issue(&issuer, &token, &grant, seed.expose()).unwrap();
    let ext = ext::encode(Some(&lent.certificate), None).unwrap();
    let authorization = signed(name.as_str(), &lent.access_token, ext.as_deref());
    // The certificate's signature, the token that follows from it, and the request's signature.
    compare("Hawk verification, named temporary credentials", 3, &authorization, &token);
}

fn signed(id: &str, token: &Secret, ext: Option<&str>) -> String {
    let ts = Clock::system().now().as_seconds().to_string();
    Header { id, ts: &ts, nonce: "abcdef", ext, ..Header::default() }.signed(token, &TARGET)
}

fn compare(what: &str, macs: u32, authorization: &str, token: &Secret) {
    let hawk::Target { method, resource, host, port } = TARGET;
    let question = Question { method, resource, host, port, authorization: Some(authorization) };
    let party = Party {
        access_token: token.clone(),
        scopes: ["auth:create-client:bench/*", "pulse:namespace:taskcluster-*"]
            .map(|scope| Scope::parse(scope).unwrap())
            .to_vec(),
        expires: Timestamp::MAX,
        disabled: false,
    };
    let (roles, now) = (Roles::default(), Clock::system().now());
    let believed = || verify(black_box(&question), |_| Ok(Some(party.clone())), &roles, now).unwrap();
    let text = Header::parse(authorization).unwrap().signed_text(&TARGET);
    let bare = || (0..macs).map(|_| mac::sign(token, black_box(&text))).collect::<Vec<_>>();
    let (ours, reference) = alternate(ROUNDS, || microseconds(believed), || microseconds(bare));
    Row { what, unit: "µs", ours, reference, reference_is: "bare HMACs", target: Target::Below(10.0) }.print();
}

/// What one of many calls takes.
fn microseconds<T>(call: impl Fn() -> T) -> f64 {
    let begun = Instant::now();
    for _ in 0..REQUESTS {
        black_box(call());
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS)
}

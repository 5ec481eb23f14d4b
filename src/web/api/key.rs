//! Our own API: the key that seals secrets at rest.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Call, Endpoint, Reply, Routes, endpoint, nothing};
use crate::base::Result;
use crate::domain::actions::keys::ROTATE;
use crate::domain::auth::scopes;
use crate::web::state::App;

static SHOW: Endpoint = endpoint("showKey", "/key", scopes::KEY_SHOW, "Shows which key seals secrets at rest.")
    .command("key show")
    .answers::<KeyBody>();
pub(super) fn routes() -> Routes {
    Routes::default().serve(&SHOW, nothing, show).act(&ROTATE)
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeyBody {
    key_id: String,
    is_changing: bool,
}

async fn show(app: App, _: Call, (): ()) -> Result<Reply> {
    let (key_id, is_changing) = app.keys.state();
    Reply::json(&KeyBody { key_id, is_changing })
}

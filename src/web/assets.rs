//! Files inside the binary: schemas, and the console's style. No file is read from disk.

use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::api::{etag, knows};
use super::page;

/// The JSON schemas of the wire under `schemas/`, and what the console's pages load.
#[derive(RustEmbed)]
#[folder = "static"]
pub struct Assets;

/// Serves a file of the console. It is asked for again each time, and sent again only after a change.
pub async fn asset(Path(name): Path<String>, method: Method, target: Uri, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&name) else { return page::not_found(&method, &target) };
    let etag = etag(&file.data);
    let is_known = knows(&headers, &etag);
    let headers = [(header::ETAG, etag), (header::CACHE_CONTROL, "no-cache".into())];
    if is_known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        let kind = [(header::CONTENT_TYPE, file.metadata.mimetype().to_owned())];
        (kind, headers, file.data.into_owned()).into_response()
    }
}

//! A stand-in for a broker's management API that remembers its users, and has a queue and an exchange of each namespace.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Users, or permissions, by what stands behind them in the path.
type Rows = Arc<Mutex<BTreeMap<String, Value>>>;

/// The answer for what is not there.
type Missing = (StatusCode, Json<Value>);

/// A broker that serves as long as this process lives.
#[derive(Clone)]
pub struct StandIn {
    pub address: SocketAddr,
    /// Whether the queues and exchanges are there: before their namespaces, they would be garbage.
    pub is_filled: Arc<AtomicBool>,
}

pub async fn stand_in(namespaces: impl Iterator<Item = String> + Clone) -> StandIn {
    let is_filled = Arc::new(AtomicBool::new(false));
    let queue = |name| json!({"name": format!("queue/{name}/jobs"), "messages": 12, "state": "running"});
    let exchange = |name| json!({"name": format!("exchange/{name}/jobs"), "type": "topic"});
    let queues: Value = namespaces.clone().map(queue).collect();
    let exchanges: Value = namespaces.map(exchange).collect();
    let answer = |document: Value| get(async move || Json(document));
    let filled = |rows: Value| {
        let is_filled = is_filled.clone();
        get(async move || Json(if is_filled.load(Ordering::Relaxed) { rows } else { json!([]) }))
    };
    let router = Router::new()
        .nest("/api/users", rows())
        .nest("/api/permissions", rows())
        .route("/api/overview", answer(json!({"rabbitmq_version": "3.10.8", "cluster_name": "bench"})))
        .route("/api/whoami", answer(json!({"name": "administrator", "tags": "administrator"})))
        .route("/api/vhosts/{name}", answer(json!({"name": "/"})))
        .route("/api/health/checks/alarms", answer(json!({"status": "ok"})))
        .route("/api/queues/{vhost}", filled(queues))
        .route("/api/exchanges/{vhost}", filled(exchanges))
        // Connections, bindings.
        .fallback(async || Json(json!([])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(tokio::spawn(async move { axum::serve(listener, router).await }));
    StandIn { address, is_filled }
}

fn missing() -> Missing {
    (StatusCode::NOT_FOUND, Json(json!({"error": "Object Not Found"})))
}

/// What is put at a path is there, and in the list of all.
fn rows() -> Router {
    let one = get(async |State(rows): State<Rows>, Path(path): Path<String>| {
        rows.lock().unwrap().get(&path).cloned().map(Json).ok_or_else(missing)
    });
    let one = one.put(async |State(rows): State<Rows>, Path(path): Path<String>, Json(mut row): Json<Value>| {
        match path.split_once('/') {
            Some((vhost, user)) => (row["vhost"], row["user"]) = (vhost.into(), user.into()),
            None => row["name"] = path.as_str().into(),
        }
        rows.lock().unwrap().insert(path, row);
        StatusCode::CREATED
    });
    let one = one.delete(async |State(rows): State<Rows>, Path(path): Path<String>| {
        rows.lock().unwrap().remove(&path).map(|_| StatusCode::NO_CONTENT).ok_or_else(missing)
    });
    let all = async |State(rows): State<Rows>| Json(rows.lock().unwrap().values().cloned().collect::<Value>());
    Router::new().route("/", get(all)).route("/{*path}", one).with_state(Rows::default())
}

//! The smallest cache over HTTP: one route over a locked map, on the same libraries as the door, to compare the door with.
//!
//! `quartet bench http --compare` loads it beside Quartet (docs/performance.md).  It listens on the loopback port that is its
//! argument, on one thread as the door does.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;

type Map = Arc<Mutex<HashMap<String, Bytes>>>;

async fn read(State(map): State<Map>, Path(key): Path<String>) -> Result<Bytes, StatusCode> {
    map.lock().expect("nobody panics").get(&key).cloned().ok_or(StatusCode::NOT_FOUND)
}

async fn write(State(map): State<Map>, Path(key): Path<String>, value: Bytes) {
    map.lock().expect("nobody panics").insert(key, value);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("which port?")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let router = Router::new().route("/cache/{key}", get(read).put(write)).with_state(Map::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                // A client that leaves in the middle of a request is no concern of a benchmark.
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

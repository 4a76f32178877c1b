//! The server: connections, each with a bound on what it may take.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::patient::Patient;
use super::problem::Problem;
use super::serve::{LONGEST_HEAD, Limits};
use crate::runtime::Stop;

/// How long answers under way may take when the service stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long after the machine has no more sockets one is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` says so, and then what is under way.
pub(super) async fn run(listener: TcpListener, router: Router, limits: Limits, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    while !stop.is_asked() {
        let connection = tokio::select! {
            accepted = listener.accept() => accepted,
            // What is done is let go of.
            Some(_) = connections.join_next() => continue,
            () = stop.asked() => break,
        };
        let connection = match connection {
            Ok((connection, _)) => connection,
            Err(error) => {
                tracing::warn!(%error, "the feed cannot take a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            refuse(connection);
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        connections.spawn(async move {
            serve(connection, router, limits, stop).await;
            drop(place);
        });
    }
    drop(listener);
    let farewell = async { while connections.join_next().await.is_some() {} };
    timeout(FAREWELL, farewell).await.ok();
    connections.shutdown().await;
}

async fn serve(connection: TcpStream, router: Router, limits: Limits, mut stop: Stop) {
    connection.set_nodelay(true).ok();
    let connection = TokioIo::new(Patient::new(connection, limits.patience));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.patience)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(128);
    let mut serving = pin!(builder.serve_connection(connection, TowerToHyperService::new(router)));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.asked() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a client of the feed left");
    }
}

/// Says in one breath that there is no room, and closes.
fn refuse(connection: TcpStream) {
    let problem = Problem::crowded("too many connections are open: come again");
    let body = problem.body();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // A new connection has room for so little; if not, it is closed without a word.
    connection.try_write(answer.as_bytes()).ok();
}

//! The HTTP router of `outlast serve`: chat, durable streams, health, login and the page.
//!
//! It knows no gateway: that one stands before it is seen only in the client addresses. Every route checks `Host` and
//! `Origin`, and every route but health, login and the page's own files asks who is there. Under a foreign name health alone
//! answers, and says only that it does.

mod chat;
mod cors;
mod door;
mod reply;

use std::io;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use outlast_access::{Access, Gate};
use outlast_agent::Runs;
use outlast_runtime::{Phase, Phases};
use outlast_streams::http::Streams;
use tokio::net::TcpListener;

/// What the desktop serves.
#[derive(Clone)]
pub struct Desktop {
    /// The runs behind the chat.
    pub runs: Runs,
    /// The durable streams.
    pub streams: Streams,
    /// Who may come in.
    pub gate: Gate,
    /// Where one-time links are redeemed. None: there is no login.
    pub access: Option<Access>,
    /// Whether a request may set scout's pace by `Outlast-Drill-Pace`.
    pub pace_request: PaceRequest,
    /// The machine's id (`FLY_MACHINE_ID`), if it has one.
    pub machine: Option<String>,
}

/// Whether a request may stretch its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceRequest {
    /// It may, as a drill does.
    Allowed,
    /// It may not; asking for it is an error.
    Refused,
}

impl Desktop {
    /// Serves until `phases` reaches [`Phase::Draining`]; then no connection is accepted, and those with a response in
    /// progress are waited for.
    ///
    /// # Errors
    /// The listener failed for good.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener and its connections; runs go on.
    pub async fn serve(self, listener: TcpListener, phases: &Phases) -> io::Result<()> {
        let draining = {
            let phases = phases.clone();
            async move { phases.reached(Phase::Draining).await }
        };
        // Lines are small and each is waited for.
        let listener = listener.tap_io(|stream| {
            // It fails only on a socket that is dead already, which the first read will tell.
            stream.set_nodelay(true).ok();
        });
        axum::serve(listener, self.router()).with_graceful_shutdown(draining).await
    }

    /// All routes.
    pub fn router(self) -> Router {
        let streams = self
            .streams
            .router()
            .layer(from_fn_with_state(self.clone(), door::admit))
            .layer(from_fn_with_state(self.clone(), cors::answer));
        let guarded = Router::new()
            .route("/api/chat", post(chat::chat))
            .route("/api/abort/{request_id}", post(chat::abort))
            .route("/", get(door::page))
            .fallback(door::unknown)
            .layer(from_fn_with_state(self.clone(), door::admit));
        let open = Router::new()
            .route("/login", get(door::login))
            .route("/app.js", get(door::asset))
            .route("/app.css", get(door::asset))
            .route("/favicon.svg", get(door::asset))
            .layer(from_fn_with_state(self.clone(), door::admit_host));
        Router::new()
            .route("/api/health", get(chat::health))
            .merge(open)
            .merge(guarded)
            .with_state(self)
            .merge(streams)
    }
}

//! The admin listener: the pool, its exchanges, metrics and health.
//!
//! It sees the rest of the process only through observe and the phases, takes no place and waits for none.

use std::io;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use outlast_access::{Gate, Shown};
use outlast_observe::{Observe, PoolPart, RequestId};
use outlast_runtime::{Phase, Phases};
use serde_json::json;
use tokio::net::TcpListener;

/// What the admin listener shows.
#[derive(Clone)]
pub struct Dashboard {
    /// Where everything comes from.
    pub observe: Arc<Observe>,
    /// For health.
    pub phases: Phases,
    /// Who may see it: every route but `/livez` and `/readyz`.
    pub gate: Gate,
}

impl Dashboard {
    /// Serves until `phases` reaches [`Phase::Stopped`].
    ///
    /// # Errors
    /// The listener failed for good.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener and its connections.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let phases = self.phases.clone();
        let stopped = async move { phases.reached(Phase::Stopped).await };
        axum::serve(listener, self.router()).with_graceful_shutdown(stopped).await
    }

    fn router(self) -> Router {
        let guarded = Router::new()
            .route("/metrics", get(metrics))
            .route("/api/pool", get(pool))
            .route("/api/exchanges", get(exchanges))
            .route("/api/exchanges/{id}", delete(end_exchange))
            .fallback(unknown)
            .layer(from_fn_with_state(self.clone(), admit));
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .merge(guarded)
            .with_state(self)
    }
}

async fn admit(State(dashboard): State<Dashboard>, request: Request, next: Next) -> Response {
    let verdict = dashboard.gate.admit(&Shown::new(request.method(), request.headers()).visit());
    match verdict {
        Ok(()) => next.run(request).await,
        Err(denied) => {
            let status = StatusCode::from_u16(denied.status).unwrap_or(StatusCode::FORBIDDEN);
            let mut response = problem(status, &denied.for_programs());
            if status == StatusCode::UNAUTHORIZED {
                let bearer = header::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            }
            response
        }
    }
}

/// The process runs.
async fn livez() -> &'static str {
    "ok\n"
}

/// The process can do its work: it admits, some machine takes traffic, and the ledger balances.
async fn readyz(State(dashboard): State<Dashboard>) -> Response {
    let phase = dashboard.phases.current();
    if phase != Phase::Serving {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("the process is {}", phase.name()),
        );
    }
    // Those that were set right are history: they are counted, and make no process less fit.
    let unhealed = dashboard.observe.ledger_unhealed();
    if unhealed > 0 {
        let detail = format!("permits, gauge and sockets disagree in {unhealed} cases");
        return problem(StatusCode::SERVICE_UNAVAILABLE, &detail);
    }
    let pool = dashboard.observe.pool(PoolPart::Machines);
    let services = pool.map_or_else(Vec::new, |pool| pool.services);
    let idle = services
        .iter()
        .find(|service| !service.machines.iter().any(|machine| machine.state == "ready"));
    match idle {
        Some(service) => {
            let mut detail = format!("no machine of service {} takes traffic", service.name);
            for machine in &service.machines {
                detail.push_str(&format!("; {} is {}", machine.id, machine.state));
                // Not what they said: that is for those who may see the pool.
                let failed =
                    machine.checks.iter().filter(|one| one.gates && one.status != "passing");
                failed.for_each(|check| detail.push_str(&format!(", by check {}", check.name)));
            }
            problem(StatusCode::SERVICE_UNAVAILABLE, &detail)
        }
        None => "ok\n".into_response(),
    }
}

async fn metrics(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    let text = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, text)], dashboard.observe.metrics_text())
}

async fn pool(State(dashboard): State<Dashboard>) -> Response {
    match dashboard.observe.pool(PoolPart::All) {
        Some(pool) => Json(pool).into_response(),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the pool is not known yet"),
    }
}

async fn exchanges(State(dashboard): State<Dashboard>) -> impl IntoResponse {
    let exchanges = dashboard.observe.exchanges();
    let missing = dashboard.observe.evidence_missing();
    Json(json!({ "exchanges": exchanges, "evidence_missing": missing }))
}

async fn end_exchange(State(dashboard): State<Dashboard>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse::<RequestId>() else {
        return problem(StatusCode::BAD_REQUEST, "an exchange is named by its request id");
    };
    if dashboard.observe.end(id) {
        Json(json!({ "ended": id.to_string() })).into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "no exchange of that id is in progress")
    }
}

async fn unknown() -> Response {
    problem(StatusCode::NOT_FOUND, "the admin listener has no such path")
}

/// RFC 9457.
fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "type": "about:blank", "status": status.as_u16(), "detail": detail });
    let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, content_type, format!("{body}\n")).into_response()
}

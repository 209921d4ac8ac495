//! Who comes in, and what they see first.

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use outlast_access::{Denial, Shown};
use serde::Deserialize;

use crate::Desktop;
use crate::reply::json_error;

/// Lets through who has logged in.
pub(crate) async fn admit(
    State(desktop): State<Desktop>,
    request: Request,
    next: Next,
) -> Response {
    let verdict = desktop.gate.admit(&Shown::new(request.method(), request.headers()).visit());
    match verdict {
        Ok(()) => next.run(request).await,
        Err(denial) => denied(&denial, request.headers()),
    }
}

/// Lets through who comes by one of our names.
pub(crate) async fn admit_host(
    State(desktop): State<Desktop>,
    request: Request,
    next: Next,
) -> Response {
    let verdict = desktop.gate.check_host(&Shown::new(request.method(), request.headers()).visit());
    match verdict {
        Ok(()) => next.run(request).await,
        Err(denial) => denied(&denial, request.headers()),
    }
}

#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    ticket: Option<String>,
}

/// Redeems a one-time link for a cookie. Programs that only look where a link leads, as chats and mail filters do, ask
/// by HEAD: they must not use it up, nor learn whether it is good.
pub(crate) async fn login(
    State(desktop): State<Desktop>,
    Query(query): Query<LoginQuery>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    let Some(access) = &desktop.access else { return Redirect::to("/").into_response() };
    match access.redeem(query.ticket.as_deref().unwrap_or_default()) {
        Ok(cookie) => {
            let cookie = HeaderValue::from_str(&cookie.set_cookie()).expect("hex and attributes");
            // The ticket must not go on as a referrer, nor stay in a cache.
            let headers = [
                (header::SET_COOKIE, cookie),
                (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (headers, Redirect::to("/")).into_response()
        }
        Err(denial) => denied(&denial, &headers),
    }
}

/// The page itself.
pub(crate) async fn page(uri: Uri) -> Response {
    asset(uri).await
}

/// A file of the page.
pub(crate) async fn asset(uri: Uri) -> Response {
    let found = outlast_page::assets().iter().find(|asset| asset.path == uri.path());
    let Some(asset) = found else { return unknown(uri).await };
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CONTENT_SECURITY_POLICY, outlast_page::CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The page belongs to the program: a new one must not meet an old script.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, asset.body).into_response()
}

pub(crate) async fn unknown(uri: Uri) -> Response {
    json_error(StatusCode::NOT_FOUND, &format!("there is no {}", uri.path()))
}

/// A person gets a page, a program JSON.
fn denied(denial: &Denial, headers: &HeaderMap) -> Response {
    tracing::info!(reason = denial.reason.name(), status = denial.status, "not let in");
    let status = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::FORBIDDEN);
    let wants_html = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let mut response = if wants_html {
        let headers = [(header::CONTENT_SECURITY_POLICY, outlast_page::CONTENT_SECURITY_POLICY)];
        let heading = match status {
            StatusCode::UNAUTHORIZED => "Not logged in",
            _ => "Not let in",
        };
        let page = outlast_page::denied(heading, &denial.detail);
        (status, headers, Html(page)).into_response()
    } else {
        json_error(status, &denial.for_programs())
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

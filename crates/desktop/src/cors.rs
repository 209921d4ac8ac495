//! Pages of other origins (WHATWG Fetch section 3.3): those that come by one of our names, at another port, may use the
//! durable streams, as programs do, with the bearer token. Cookies are for our own page alone.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use outlast_access::Shown;
use outlast_streams::http::{METHODS, REQUEST_FIELDS, RESPONSE_FIELDS};

use crate::Desktop;

/// A browser asks anew after 10 minutes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Answers preflights, and says on every answer whether the page that asked may see it.
pub(crate) async fn answer(
    State(desktop): State<Desktop>,
    request: Request,
    next: Next,
) -> Response {
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let preflighted = asked.filter(|_| request.method() == Method::OPTIONS).cloned();
    let method = match &preflighted {
        None => request.method().clone(),
        // What is no method is as little allowed as one that changes something.
        Some(method) => Method::from_bytes(method.as_bytes()).unwrap_or(Method::POST),
    };
    let origin = allowed_origin(&desktop, &method, request.headers());
    // A preflight carries no login, and asks for nothing but these lists.
    let mut response = if preflighted.is_some() { preflight() } else { next.run(request).await };
    let fields = response.headers_mut();
    fields.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        fields.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let names = HeaderValue::from_static(RESPONSE_FIELDS);
        fields.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
    response
}

/// The origin of the page that asks, if it is one of ours and may send this method. A foreign page learns no more than that
/// there are methods, and one without an origin (`null`) can be anybody's.
fn allowed_origin(desktop: &Desktop, method: &Method, fields: &HeaderMap) -> Option<HeaderValue> {
    let origin = fields.get(header::ORIGIN).filter(|origin| *origin != "null")?;
    let shown = Shown::new(method, fields);
    desktop.gate.check_host(&shown.visit()).ok().map(|()| origin.clone())
}

fn preflight() -> Response {
    let fields = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS)),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_FIELDS)),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::NO_CONTENT, fields).into_response()
}

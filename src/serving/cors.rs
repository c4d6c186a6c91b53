//! Requests from pages of other origins: which of them a browser may let through.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::config;
use crate::engine::Engine;

/// What the page that a request comes from may do.
pub(super) struct Shared {
    origin: HeaderValue,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
}

/// Whether a browser asks what it may ask.
pub(super) fn is_question(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl Shared {
    /// None for a request that comes from no page, or from one of an origin that is not allowed.
    pub(super) fn of(engine: &Engine, headers: &HeaderMap) -> Option<Shared> {
        let origin = headers.get(header::ORIGIN)?;
        let properties = engine.properties();
        let mut allowed = properties.text(config::CORS_ORIGIN).split(',').map(str::trim);
        if !allowed.any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes()) {
            return None;
        }
        let listed = |name| HeaderValue::from_str(properties.text(name)).ok().filter(|value| !value.is_empty());
        let (methods, headers) = (listed(config::CORS_METHODS), listed(config::CORS_HEADERS));
        Some(Shared { origin: origin.clone(), methods, headers })
    }

    /// The answer to a browser's question.
    pub(super) fn permission(&self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        self.allow(headers);
        let lists = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, &self.headers),
        ];
        for (name, list) in lists {
            headers.extend(list.clone().map(|list| (name, list)));
        }
        response
    }

    /// Lets the page read an answer.
    pub(super) fn mark(&self, response: &mut Response) {
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
        self.allow(response.headers_mut());
    }

    fn allow(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

//! The paths of requests: which of several spellings they stand for.

use std::borrow::Cow;

use axum::http::Uri;

/// A path without doubled slashes, `.` and `..`, and without a slash at its end; None if its percent signs mean
/// nothing.
pub(super) fn normalised(path: &str) -> Option<Cow<'_, str>> {
    let is_normal = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(is_plain);
    if path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_normal)) {
        return Some(path.into());
    }
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match decoded(part)?.as_str() {
            "." => {}
            ".." => {
                parts.pop();
            }
            text => parts.push(encoded(text)),
        }
    }
    Some(format!("/{}", parts.join("/")).into())
}

/// Whether a byte is written as it is in a path.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A part of a path in which only letters, digits and `-._~` are written as they are.
fn encoded(part: &str) -> String {
    let written = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    part.bytes().map(written).collect()
}

/// A part of a path with its percent signs replaced; None if one is not followed by two digits, or the bytes are no
/// text.
pub(super) fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = others;
            continue;
        }
        let digits = std::str::from_utf8(others.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &others[2..];
    }
    String::from_utf8(bytes).ok()
}

/// The value of a parameter after the question mark, decoded; `+` is a blank.
pub(super) fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs.into_iter().find(|(own, _)| *own == name)?.1;
    decoded(&value.replace('+', " "))
}

/// The same address with another path; None if that is none.
pub(super) fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let all = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    parts.path_and_query = Some(all.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_many_spellings() {
        for path in ["/info", "//info", "/info/", "/./info", "/%2e%2e/info", "/x/../info", "/%69nfo", "info"] {
            assert_eq!(normalised(path).as_deref(), Some("/info"), "{path}");
        }
        assert_eq!(normalised("/INFO").as_deref(), Some("/INFO"));
        assert_eq!(normalised("/a/b-c_d.e~/%20\"").as_deref(), Some("/a/b-c_d.e~/%20%22"));
        assert_eq!(normalised("/").as_deref(), Some("/"));
        assert_eq!(normalised("/%zz"), None);
        assert_eq!(decoded("stream%2F%60X%60").as_deref(), Some("stream/`X`"));
        let uri: Uri = "/ws/query?version=1&request=%7B%7D+x".parse().expect("an address");
        assert_eq!(parameter(&uri, "request").as_deref(), Some("{} x"));
        assert_eq!(parameter(&uri, "access_token"), None);
    }
}

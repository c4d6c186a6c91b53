//! URLs taken apart as `java.net.URI` does: RFC 2396, with characters beyond ASCII allowed.
//!
//! | part of `http://me@host:80/a%20b?q=1#top` | value |
//! |---|---|
//! | scheme | `http` |
//! | host | `host` |
//! | port | 80 |
//! | path | `/a b`, decoded |
//! | query | `q=1`, decoded |
//! | fragment | `top`, decoded |
//!
//! A text with a scheme that is not followed by `/` is opaque (`mailto:a@b.c`) and has only a scheme and perhaps a
//! fragment. A relative reference such as `/a?b` is valid and has no scheme.

use super::call::Fault;

/// The decoded parts of a URI; what it does not have is `None`.
///
/// The path of a hierarchical URI may be empty, which is not the same as `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uri {
    pub scheme: Option<String>,
    pub host: Option<String>,
    pub port: Option<i32>,
    pub path: Option<String>,
    pub query: Option<String>,
    pub fragment: Option<String>,
}

const UNRESERVED: &str = "_-!.~'()*";

impl Uri {
    /// Takes a URI apart.
    ///
    /// # Errors
    /// The text is not a URI, with ksqlDB's message.
    pub(super) fn parse(text: &str) -> Result<Uri, Fault> {
        parse(text).ok_or_else(|| format!("URL input has invalid syntax: {text}").into())
    }
}

fn parse(text: &str) -> Option<Uri> {
    let mut uri = Uri::default();
    let (text, fragment) = cut(text, '#');
    if let Some(fragment) = fragment {
        uri.fragment = Some(decoded(legal(fragment, ";/?:@&=+$,[]")?));
    }
    let mut rest = text;
    if let Some(at) = text.find(['/', '?', ':']).filter(|at| text.as_bytes()[*at] == b':') {
        let scheme = &text[..at];
        let mut letters = scheme.chars();
        let is_scheme = letters.next()?.is_ascii_alphabetic()
            && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        if !is_scheme {
            return None;
        }
        uri.scheme = Some(scheme.to_owned());
        rest = &text[at + 1..];
        if !rest.starts_with('/') {
            // An opaque URI has nothing that could be taken apart.
            return legal(rest, ";/?:@&=+$,[]").filter(|r| !r.is_empty()).map(|_| uri);
        }
    }
    let (hierarchical, query) = cut(rest, '?');
    if let Some(query) = query {
        uri.query = Some(decoded(legal(query, ";/?:@&=+$,[]")?));
    }
    let mut path = hierarchical;
    if let Some(behind) = hierarchical.strip_prefix("//") {
        let (authority, rest) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        if authority.is_empty() && rest.is_empty() {
            return None;
        }
        (uri.host, uri.port) = server(authority)?;
        path = rest;
    }
    uri.path = Some(decoded(legal(path, ":@&=+$,/;")?));
    Some(uri)
}

/// The text up to a character, and what stands behind it if it is there.
fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// The text, if it has only characters that may stand there: letters, digits, marks, escapes, `more`, and beyond ASCII
/// all that is neither blank nor control.
fn legal<'a>(text: &'a str, more: &str) -> Option<&'a str> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let fits = match c {
            '%' => (0..2).all(|_| chars.next().is_some_and(|d| d.is_ascii_hexdigit())),
            c if c.is_ascii() => c.is_ascii_alphanumeric() || UNRESERVED.contains(c) || more.contains(c),
            c => !c.is_whitespace() && !c.is_control(),
        };
        if !fits {
            return None;
        }
    }
    Some(text)
}

/// The host and the port of an authority; neither if it is the name of something else than a server.
///
/// `None` refuses the URI. An authority such as `a_b` is legal, though no host name: then host and port are `None`
/// inside.
fn server(authority: &str) -> Option<(Option<String>, Option<i32>)> {
    let (user, address) = authority.rsplit_once('@').map_or((None, authority), |(user, address)| (Some(user), address));
    let known = user.is_none_or(|user| legal(user, ";:&=+$,").is_some());
    if known && let Some((host, port)) = address_of(address) {
        return Some((Some(host), port));
    }
    legal(authority, "$,;:@&=+").map(|_| (None, None))
}

/// The port is decimal digits after the last part of the host; an empty one, as in `host:`, counts as none. An IPv6
/// address stands in brackets and keeps them.
fn address_of(address: &str) -> Option<(String, Option<i32>)> {
    let end = match address.strip_prefix('[') {
        Some(inner) => inner.find(']')? + 2,
        None => address.find(':').unwrap_or(address.len()),
    };
    let (host, port) = address.split_at(end);
    let port = match port.strip_prefix(':') {
        Some("") | None if port.len() <= 1 => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        _ => return None,
    };
    let literal = host.starts_with('[') && host[1..host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok();
    (literal || host.parse::<std::net::Ipv4Addr>().is_ok() || is_hostname(host)).then(|| (host.to_owned(), port))
}

/// Labels of letters, digits and hyphens; the last one starts with a letter.
fn is_hostname(host: &str) -> bool {
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let is_label = |label: &&str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(inner)
    };
    labels.iter().all(is_label) && labels.last().is_some_and(|l| l.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// The text with its escapes as characters.
///
/// Bytes that are not UTF-8 become U+FFFD. A `+` stays a plus: only forms encode blanks so.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let escape = behind.get(..2).filter(|_| *first == b'%').and_then(|d| std::str::from_utf8(d).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart_as_java_does() {
        let host = |text: &str| parse(text).map(|uri| uri.host);
        assert_eq!(host("http://ex-ample.com:80/x"), Some(Some("ex-ample.com".to_owned())));
        assert_eq!(host("http://ex_ample.com"), Some(None));
        assert_eq!(host("http://[::1]:80/"), Some(Some("[::1]".to_owned())));
        assert_eq!(host("mailto:a@b.c"), Some(None));
        assert_eq!(host("http://a b"), None);
        assert_eq!(host("http://"), None);
        assert_eq!(parse("").and_then(|uri| uri.path), Some(String::new()));
        assert_eq!(parse("urn:x:y").expect("a URI").path, None);
        assert_eq!(parse("http://h:/").expect("a URI").port, None);
        assert_eq!(parse("/a%20b?c=%C3%A9").expect("a URI").query, Some("c=é".to_owned()));
    }
}

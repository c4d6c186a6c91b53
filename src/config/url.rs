//! Addresses of services that are asked over HTTP.

/// `http://HOST`, `https://HOST`, each with a port and a path or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether TLS is spoken.
    pub is_secure: bool,
    /// The name or address, without the brackets of IPv6.
    pub host: String,
    /// The port; 80 or 443 if none is given.
    pub port: u16,
    /// The host and the port as they are written.
    pub authority: String,
    /// The path without a slash at its end; empty if there is none.
    pub path: String,
}

impl Url {
    /// Reads an address; None if it is none.
    ///
    /// A name or password before the host is refused, since addresses are shown; so are a query and a fragment.
    pub fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let is_secure = scheme.eq_ignore_ascii_case("https");
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"@?#\\\"<>".contains(&byte);
        if !(is_secure || scheme.eq_ignore_ascii_case("http")) || !rest.bytes().all(is_plain) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            Some(port) => port.parse().ok()?,
            None if is_secure => 443,
            None => 80,
        };
        let path = path.trim_end_matches('/').to_owned();
        Some(Url { is_secure, host: host.to_owned(), port, authority: authority.to_owned(), path })
    }
}

/// The host without brackets, and the port if there is one.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    match rest.strip_prefix(':') {
        _ if host.is_empty() => None,
        Some(port) => Some((host, Some(port))),
        None if rest.is_empty() => Some((host, None)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_host() {
        let parts = |text: &str| Url::parse(text).map(|url| (url.is_secure, url.host, url.port, url.path));
        for (text, secure, host, port, path) in [
            ("http://localhost:4318", false, "localhost", 4318, ""),
            ("HTTPS://otel.example/", true, "otel.example", 443, ""),
            ("http://[::1]:1/a/b/", false, "::1", 1, "/a/b"),
            ("http://10.0.0.1", false, "10.0.0.1", 80, ""),
        ] {
            assert_eq!(parts(text), Some((secure, host.to_owned(), port, path.to_owned())), "{text}");
        }
        for text in [
            "",
            "localhost:4318",
            "ftp://localhost",
            "http://",
            "http://:4318",
            "http://localhost:port",
            "http://localhost:70000",
            "http://ann:secret@localhost",
            "http://localhost/?token=x",
            "http://local host",
            "http://[::1",
            "http://[x]:1",
            "http://[::1]x",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}

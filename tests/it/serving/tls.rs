//! TLS: what the service shows, what it asks of its clients, and how the command line trusts it.

use std::sync::Arc;

use futures_util::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::net::TcpStream;

use super::client::{Http, Server, post, request};
use super::{STREAM, talk, words};
use crate::command_line::Folder;

/// A CA of a test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(super) struct Certified {
    certificate: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// A certificate for a name.
    pub(super) fn certify(&self, name: &str) -> Certified {
        self.certify_as(CertificateParams::new(vec![name.to_owned()]).expect("a name"))
    }

    fn certify_as(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Certified { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// How a client trusts this CA, and shows a certificate if it has one.
    fn trusted(&self, own: Option<&Certified>, protocol: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a CA");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            None => config.with_no_client_auth(),
            Some(own) => config.with_client_auth_cert(own.chain(), own.key()).expect("a key"),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }
}

impl Certified {
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("a certificate")]
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }

    /// Both, in one text.
    fn both(&self) -> String {
        self.certificate.clone() + &self.key
    }
}

/// A server that speaks TLS at its first listener and clear text at its second one.
fn secure(folder: &Folder, certified: &Certified, settings: &[&str]) -> Server {
    let store = format!("ssl.keystore.location={}", folder.file("server.pem", certified.both()));
    let set = [store.as_str()].into_iter().chain(settings.iter().copied()).flat_map(|setting| ["--set", setting]);
    Server::start_at(folder, &["https://127.0.0.1:0", "127.0.0.1:0"], &set.collect::<Vec<_>>())
}

/// The certificate that a server shows at the beginning of a connection.
async fn shown(server: &Server, authority: &Authority) -> Vec<u8> {
    let stream = TcpStream::connect(server.address()).await.expect("a connection");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(authority.trusted(None, b"h2")));
    let stream = connector.connect("localhost".try_into().expect("a name"), stream).await.expect("TLS");
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    session.peer_certificates().expect("a certificate")[0].to_vec()
}

#[test]
fn both_versions_and_websockets_are_answered_over_tls_beside_clear_text() {
    talk(async {
        let (folder, authority) = (Folder::new(), Authority::new());
        let mut server = secure(&folder, &authority.certify("localhost"), &[]);
        server.asked_over(authority.trusted(None, b"http/1.1"));
        server.ksql(&format!("{STREAM} INSERT INTO s VALUES (1, 'a');")).await;
        let socket = server.connect().await.expect("TLS");
        let select = "ws://localhost/ws/query?request=%7B%22ksql%22%3A%22SELECT%20id%20FROM%20s%3B%22%7D";
        let (mut frames, _) = tokio_tungstenite::client_async(select, socket).await.expect("a WebSocket");
        let columns = frames.next().await.expect("a frame").expect("no error");
        assert!(columns.to_text().expect("text").contains("\"ID\""), "{columns:?}");
        server.asked_over(authority.trusted(None, b"h2"));
        let lines = "{\"target\":\"s\"}\n{\"id\":2,\"v\":\"b\"}\n";
        let answer = server.answer(Http::Two, request("POST", "/inserts-stream", &[], lines)).await;
        assert_eq!(answer.text(), "{\"seq\":0,\"status\":\"ok\"}\n");
        let listed = folder.ok(&["shell", "--server", server.second_address(), "-e", "SELECT id FROM s;"]);
        assert_eq!(words(&listed).iter().filter(|word| ["1", "2"].contains(word)).count(), 2, "{listed}");
    });
}

#[test]
fn clients_show_a_certificate_where_one_is_asked_for() {
    talk(async {
        let (folder, authority, other) = (Folder::new(), Authority::new(), Authority::new());
        let trusted = format!("ssl.truststore.location={}", folder.file("clients.pem", authority.pem()));
        let own = authority.certify("localhost");
        let foreign = other.certify("localhost");
        for (word, without) in [("REQUIRED", false), ("requested", true)] {
            let mut server = secure(&folder, &own, &[&format!("ssl.client.authentication={word}"), &trusted]);
            for (shown, is_answered) in [(None, without), (Some(&own), true), (Some(&foreign), false)] {
                server.asked_over(authority.trusted(shown, b"http/1.1"));
                let answered = server.try_get("/info").await;
                assert_eq!(answered, is_answered.then_some(200), "{word} {:?}", shown.map(|own| &own.certificate));
            }
            // The command line says what is missing.
            let (url, ca) = (format!("https://localhost:{}", server.port()), folder.file("ca.pem", authority.pem()));
            let list = ["shell", "--server", &url, "--ca-file", &ca, "-e", "SHOW STREAMS;"];
            if !without {
                let refused = folder.refused(3, &list);
                assert!(refused.contains("asks its clients for a certificate") && refused.contains("--client-cert"));
            }
            let file = folder.file("client.pem", own.both());
            folder.ok(&[&list[..], &["--client-cert", &file]].concat());
        }
    });
}

#[test]
fn a_certificate_that_changes_is_read_anew_and_a_bad_one_is_not_used() {
    talk(async {
        let (folder, authority) = (Folder::new(), Authority::new());
        let (first, second) = (authority.certify("localhost"), authority.certify("localhost"));
        let server = secure(&folder, &first, &[]);
        assert_eq!(shown(&server, &authority).await, first.chain()[0].to_vec());
        // The key of another one does not fit.
        folder.file("server.pem", second.certificate.clone() + &first.key);
        folder.file("server.new", second.both());
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        assert_eq!(shown(&server, &authority).await, first.chain()[0].to_vec());
        std::fs::rename(folder.path("server.new"), folder.path("server.pem")).expect("renamed");
        while shown(&server, &authority).await != second.chain()[0].to_vec() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn what_cannot_be_a_certificate_is_refused_with_the_remedy() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let certified = authority.certify("localhost");
    let good = folder.file("good.pem", certified.both());
    let (jks, empty) = (folder.file("store.jks", [0xFE, 0xED, 0xFE, 0xED, 0]), folder.file("empty.pem", ""));
    let p12 = folder.file("store.p12", [0x30, 0x82, 0x0A, 0x00]);
    let other = folder.file("other.pem", authority.certify("localhost").key);
    let refused = |settings: &[&str]| {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let arguments: Vec<&str> = ["serve", "--listen", "https://127.0.0.1:0"].into_iter().chain(set).collect();
        folder.refused(2, &arguments)
    };
    let at = |file: &str| format!("ssl.keystore.location={file}");
    for (settings, expected) in [
        (vec![], "ssl.keystore.location is not set, and TLS needs it"),
        (vec![at(&jks)], "keytool -importkeystore"),
        (vec![at(&p12)], "openssl pkcs12 -in STORE"),
        (vec![at(&good), "ssl.keystore.type=JKS".to_owned()], "ssl.keystore.type=JKS cannot be read, only PEM"),
        (vec![at(&empty)], "has no certificate"),
        (vec![at("nowhere.pem")], "cannot read nowhere.pem"),
        (vec![at(&good), format!("tidemill.ssl.key.location={other}")], "the key must be its own"),
        (vec![at(&good), "ssl.client.authentication=REQUIRED".to_owned()], "ssl.truststore.location is not set"),
    ] {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let said = refused(&settings);
        assert!(said.contains(expected), "{settings:?}: {said}");
    }
    assert!(!folder.data().exists(), "a folder was made");
}

#[test]
fn the_command_line_says_what_is_wrong_with_a_certificate() {
    talk(async {
        let (folder, authority) = (Folder::new(), Authority::new());
        let ca = folder.file("ca.pem", authority.pem());
        let mut server = secure(&folder, &authority.certify("localhost"), &[]);
        let url = format!("https://localhost:{}", server.port());
        let trusting = |url: &str, more: &[&str]| {
            let all = [&["run", "--server", url, "-e", "SHOW STREAMS;"], more].concat();
            folder.run(&all)
        };
        let done = trusting(&url, &["--ca-file", &ca]);
        assert_eq!(done.status, 0, "{done:?}");
        server.asked_over(authority.trusted(None, b"http/1.1"));
        assert_eq!(server.answer(Http::One, post("/ksql", &json!({ "ksql": STREAM }))).await.status, 200);
        let exported = folder.ok(&["export", "--server", &url, "--ca-file", &ca]);
        assert!(exported.contains("CREATE STREAM"), "{exported}");
        let says = |ran: crate::command_line::Ran, text: &str| {
            assert_eq!(ran.status, 3, "{ran:?}");
            assert!(ran.err.contains(text), "{ran:?}");
        };
        says(trusting(&url, &[]), "is signed by no CA that is trusted");
        let by_number = format!("https://{}", server.address());
        says(trusting(&by_number, &["--ca-file", &ca]), &format!("is not one of {}", server.address()));
        let clear = format!("https://localhost:{}", server.second_address().rsplit(':').next().expect("a port"));
        says(trusting(&clear, &["--ca-file", &ca]), "does not speak TLS there");
        let mut past = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        past.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let server = secure(&Folder::new(), &authority.certify_as(past), &[]);
        says(trusting(&format!("https://localhost:{}", server.port()), &["--ca-file", &ca]), "has expired");
    });
}

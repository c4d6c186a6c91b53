//! PostgreSQL's protocol as a driver speaks it: types, parameters, errors, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::error::{Error, ErrorPosition, SqlState};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::access::users;
use super::client::Server;
use super::talk;
use crate::command_line::Folder;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

const MADE: &str = "SET 'auto.offset.reset'='earliest';
    CREATE STREAM s (id INT KEY, b BOOLEAN, l BIGINT, d DOUBLE, m DECIMAL(10, 3), t STRING, y BYTES, da DATE, ti TIME,
        ts TIMESTAMP, a ARRAY<INT>, mp MAP<STRING, INT>) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
    CREATE TABLE kept AS SELECT id, LATEST_BY_OFFSET(b) AS b, LATEST_BY_OFFSET(l) AS l, LATEST_BY_OFFSET(d) AS d,
        LATEST_BY_OFFSET(m) AS m, LATEST_BY_OFFSET(t) AS t FROM s GROUP BY id;
    INSERT INTO s VALUES (1, true, 5000000000, 1.5, 12345.678, 'it''s', TO_BYTES('00ff', 'hex'),
        '2024-02-29', '10:20:30',
        '2024-02-29T10:20:30.123', ARRAY[1, 2], MAP('k' := 7));
    INSERT INTO s (id, t) VALUES (2, '${x}');";

/// A server with rows, and where PostgreSQL's protocol is spoken.
async fn started(folder: &Folder, settings: &[&str]) -> (Server, String) {
    let server = Server::start_for_postgres(folder, settings);
    let address = server.second_address().to_owned();
    (server, address)
}

async fn connect(address: &str, user: &str, password: &str) -> Result<Client, Error> {
    let (host, port) = address.rsplit_once(':').expect("a port");
    let mut config = Config::new();
    config.host(host).port(port.parse().expect("a port")).user(user).password(password).dbname("any");
    let (client, connection) = tokio::time::timeout(PATIENCE, config.connect(NoTls)).await.expect("in time")?;
    // An error ends the client, too, which tells it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Runs a test with a client of a server that has rows.
fn with_client<F: Future<Output = ()>>(test: impl FnOnce(Client, Arc<Server>) -> F) {
    talk(async {
        let folder = Folder::new();
        let (server, address) = started(&folder, &[]).await;
        server.ksql(MADE).await;
        let client = connect(&address, "ann", "").await.expect("a client");
        let server = Arc::new(server);
        // The server lives as long as the test, whether or not that uses it.
        test(client, server.clone()).await;
    });
}

/// The rows of a text as text.
async fn texts(client: &Client, text: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(text).await.unwrap_or_else(|e| panic!("{text}: {e:?}"));
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// The code, message, hint and place of an error.
fn parts(error: &Error) -> (SqlState, String, Option<String>, Option<u32>) {
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
    let place = error.position().map(|position| match position {
        ErrorPosition::Original(place) => *place,
        ErrorPosition::Internal { position, .. } => *position,
    });
    (error.code().clone(), error.message().to_owned(), error.hint().map(str::to_owned), place)
}

#[test]
fn values_have_the_types_of_postgresql_as_text_and_in_binary_form() {
    with_client(|client, _server| async move {
        let text = texts(&client, "SELECT * FROM s LIMIT 1;").await.remove(0);
        let text: Vec<&str> = text.iter().map(|text| text.as_deref().unwrap_or("NULL")).collect();
        let expected = [
            "1",
            "t",
            "5000000000",
            "1.5",
            "12345.678",
            "it's",
            "\\x00ff",
            "2024-02-29",
            "10:20:30",
            "2024-02-29 10:20:30.123",
            "{1,2}",
            "{\"k\":7}",
        ];
        assert_eq!(text, expected);
        let row = client.query_one("SELECT * FROM s LIMIT 1", &[]).await.expect("a row");
        let types: Vec<&Type> = row.columns().iter().map(|column| column.type_()).collect();
        assert_eq!(
            types,
            [
                &Type::INT4,
                &Type::BOOL,
                &Type::INT8,
                &Type::FLOAT8,
                &Type::NUMERIC,
                &Type::TEXT,
                &Type::BYTEA,
                &Type::DATE,
                &Type::TIME,
                &Type::TIMESTAMP,
                &Type::INT4_ARRAY,
                &Type::JSON,
            ]
        );
        assert_eq!(
            (row.get::<_, i32>("id"), row.get::<_, bool>("b"), row.get::<_, i64>("l")),
            (1, true, 5_000_000_000)
        );
        assert_eq!(
            (row.get::<_, f64>("d"), row.get::<_, &str>("t"), row.get::<_, &[u8]>("y")),
            (1.5, "it's", &[0, 255][..])
        );
        assert_eq!(row.get::<_, chrono::NaiveDate>("da").to_string(), "2024-02-29");
        assert_eq!(row.get::<_, chrono::NaiveTime>("ti").to_string(), "10:20:30");
        assert_eq!(row.get::<_, chrono::NaiveDateTime>("ts").to_string(), "2024-02-29 10:20:30.123");
        assert_eq!(row.get::<_, Vec<i32>>("a"), [1, 2]);
        assert_eq!(row.get::<_, serde_json::Value>("mp"), serde_json::json!({ "k": 7 }));
        let nulls = client.query_one("SELECT b, l FROM kept WHERE id = 2", &[]).await.expect("a row");
        assert_eq!((nulls.get::<_, Option<bool>>(0), nulls.get::<_, Option<i64>>(1)), (None, None));
    });
}

#[test]
fn parameters_are_constants_of_the_type_that_fits() {
    with_client(|client, _server| async move {
        let prepared = client.prepare("SELECT \"t\" FROM public.kept WHERE \"id\" = $1").await.expect("prepared");
        assert_eq!((prepared.params(), prepared.columns()[0].name()), (&[Type::INT4][..], "t"));
        for (id, expected) in [(1, vec!["it's"]), (2, vec!["${x}"]), (-3, vec![])] {
            let rows = client.query(&prepared, &[&id]).await.expect("rows");
            assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), expected);
        }
        for text in ["it's", "${x}", "x' OR '1' = '1", "$1"] {
            let rows = client.query("SELECT id FROM kept WHERE t = $1 OR t = '$1'", &[&text]).await.expect("rows");
            assert_eq!(rows.len(), usize::from(["it's", "${x}"].contains(&text)), "{text}");
        }
        let rows =
            client.query("SELECT id FROM kept WHERE l = $1 AND b = $2 LIMIT $3", &[&5_000_000_000i64, &true, &1i64]);
        assert_eq!(rows.await.expect("rows").len(), 1);
        let null: Option<i32> = None;
        assert_eq!(client.query("SELECT id FROM kept WHERE id = $1", &[&null]).await.expect("rows").len(), 0);
    });
}

#[test]
fn what_changes_something_is_refused_and_errors_say_where() {
    with_client(|client, server| async move {
        for text in [
            "INSERT INTO s (id) VALUES (3)",
            "DROP TABLE kept",
            "create stream x (a int)",
            "TERMINATE ALL",
            "UPDATE s SET a = 1",
        ] {
            let (code, message, hint, _) = parts(&client.simple_query(text).await.expect_err(text));
            assert_eq!(code, SqlState::READ_ONLY_SQL_TRANSACTION, "{message}");
            assert!(hint.is_some(), "{text}");
        }
        assert_eq!(server.ksql("LIST TABLES;").await[0]["tables"][0]["name"], "KEPT");
        let error = client.simple_query("SELECT 'ä';\nSELECT id FORM kept").await.expect_err("FORM");
        let (code, _, _, place) = parts(&error);
        assert_eq!((code, place), (SqlState::SYNTAX_ERROR, Some(23)));
        let (code, message, _, place) = parts(&client.simple_query("SELECT * FROM nope").await.expect_err("missing"));
        assert_eq!((code, place), (SqlState::UNDEFINED_TABLE, Some(15)), "{message}");
        let (code, _, hint, _) = parts(&client.simple_query("SELECT * FROM s EMIT CHANGES").await.expect_err("push"));
        assert!(code == SqlState::FEATURE_NOT_SUPPORTED && hint.is_some_and(|hint| hint.contains("/query-stream")));
        let prepared = client.prepare("SELECT id FROM kept WHERE t = $1 AND nope = 1").await.expect_err("missing");
        assert_eq!(parts(&prepared).3, Some(38));
        let text = "SET 'tidemill.pull.memory.bytes'='1048576';
            SELECT LPAD(k.t, 2000000, 'x') FROM kept k JOIN s ON k.id = s.id";
        assert_eq!(parts(&client.simple_query(text).await.expect_err("memory")).0, SqlState::OUT_OF_MEMORY);
    });
}

#[test]
fn a_connection_has_transactions_and_settings_without_effect() {
    with_client(|mut client, _server| async move {
        assert_eq!(
            texts(&client, "SELECT 1; SHOW application_name; SET application_name = 'x'; SHOW application_name").await,
            { [["1"], [""], ["x"]].map(|row| row.map(|text| Some(text.to_owned())).to_vec()) }
        );
        assert!(
            texts(&client, "SHOW server_version").await[0][0].as_deref().is_some_and(|text| text.starts_with("14.0"))
        );
        assert_eq!(texts(&client, "").await.len() + texts(&client, " ; -- nothing").await.len(), 0);
        assert!(texts(&client, "SHOW TABLES").await[0].contains(&Some("KEPT".to_owned())));
        assert_eq!(texts(&client, "DESCRIBE kept").await.len(), 6);
        let transaction = client.transaction().await.expect("begun");
        transaction.query("SELECT nope FROM kept", &[]).await.expect_err("missing");
        let failed = transaction.simple_query("SELECT 1").await.expect_err("after an error");
        assert_eq!(parts(&failed).0, SqlState::IN_FAILED_SQL_TRANSACTION);
        transaction.rollback().await.expect("ended");
        // Portals live as long as a transaction, and give so many rows at a time.
        let transaction = client.transaction().await.expect("begun");
        let portal = transaction.bind("SELECT id FROM s", &[]).await.expect("bound");
        let counts = [transaction.query_portal(&portal, 1).await, transaction.query_portal(&portal, 5).await];
        assert_eq!(counts.map(|rows| rows.expect("rows").len()), [1, 1]);
        transaction.commit().await.expect("ended");
    });
}

#[test]
fn tools_find_streams_and_tables_in_the_catalog() {
    with_client(|client, _server| async move {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1";
        let rows = client.query(tables, &[&"public"]).await.expect("rows");
        assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), ["kept", "s"]);
        let columns = "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = 'kept'::regclass ORDER BY attnum";
        let rows = client.query(columns, &[]).await.expect("rows");
        let all: Vec<(&str, u32)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(all, [("id", 23), ("b", 16), ("l", 20), ("d", 701), ("m", 1700), ("t", 25)]);
    });
}

#[test]
fn a_query_is_cancelled_by_its_client() {
    with_client(|client, _server| async move {
        let token = client.cancel_token();
        let endless = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";
        let mut asked = Box::pin(client.simple_query(endless));
        let error = loop {
            tokio::select! {
                answer = &mut asked => break answer.expect_err("cancelled"),
                // It may have come before the query has begun: then another one is sent.
                cancelled = token.cancel_query(NoTls) => cancelled.expect("sent"),
            }
        };
        assert_eq!(parts(&error).0, SqlState::QUERY_CANCELED);
        assert_eq!(texts(&client, "SELECT 1").await.len(), 1);
    });
}

/// A server with a user who has a verifier of SCRAM, and one whose line has none.
async fn guarded(folder: &Folder) -> (Server, String) {
    let lines = users(folder, &[("rita", "read"), ("will", "write")]);
    let (start, rest) = lines.rsplit_once(":SCRAM-SHA-256$").expect("a verifier");
    let lines = format!("{start}:{}", rest.rsplit_once(':').expect("a role").1);
    let file = format!("tidemill.users.location={}", folder.file("users", lines));
    started(folder, &["--set", "authentication.method=BASIC", "--set", &file]).await
}

#[test]
fn users_prove_that_they_know_their_passwords() {
    talk(async {
        let folder = Folder::new();
        let (_server, address) = guarded(&folder).await;
        for user in ["rita", "will"] {
            let client = connect(&address, user, &format!("{user}!")).await.expect("a client");
            assert_eq!(texts(&client, "SELECT current_user").await[0][0].as_deref(), Some(user));
        }
        for (user, password) in [("rita", "wrong"), ("rita", "will!"), ("will", "wrong"), ("nobody", "rita!")] {
            let error = connect(&address, user, password).await.expect_err("refused");
            assert_eq!(parts(&error).0, SqlState::INVALID_PASSWORD, "{user}");
        }
    });
}

#[test]
fn a_password_is_sent_only_by_users_without_a_verifier() {
    talk(async {
        let folder = Folder::new();
        let (_server, address) = guarded(&folder).await;
        let startup = |user: &str| [b"\0\0\0\x13\0\x03\0\0user\0", user.as_bytes(), b"\0\0"].concat();
        // The client says no more, so the server ends.
        let asked = async |user: &str, more: &[u8]| {
            let mut stream = TcpStream::connect(&address).await.expect("a connection");
            stream.write_all(&[&startup(user), more].concat()).await.expect("sent");
            stream.shutdown().await.expect("the end of what is sent");
            let mut all = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an end in time");
            all
        };
        let by_scram = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0".as_slice();
        assert_eq!(asked("rita", b"").await, by_scram);
        assert_eq!(asked("none", b"").await, by_scram, "a name that there is not");
        assert_eq!(asked("will", b"").await, b"R\0\0\0\x08\0\0\0\x03");
        // Messages that are none of the mechanism, or whose parts are not as long as they say, end the connection.
        for more in [
            &b"p\0\0\0\x0arita!\0"[..],
            b"p\0\0\0\x12SCRAM-SHA-256\0",
            b"p\0\0\0\x16SCRAM-SHA-256\0\x7f\xff\xff\xff",
            b"p\0\0\0\x1aSCRAM-SHA-256\0\0\0\0\x04\xff\xff\xff\xff",
            b"p\0\0\0\x20SCRAM-SHA-256\0\0\0\0\x0ap=x,,n=,r=a",
        ] {
            assert_eq!(asked("rita", more).await, by_scram, "{more:?}");
        }
    });
}

/// Sends bytes, and reads to the end.
async fn raw(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let mut all = Vec::new();
    // A connection may also be reset.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an end in time");
    all
}

#[test]
fn what_is_no_message_ends_a_connection_and_no_other() {
    talk(async {
        let folder = Folder::new();
        let (_server, address) = started(&folder, &[]).await;
        let client = connect(&address, "ann", "").await.expect("a client");
        let startup = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";
        for after in [&b"Q\xff\xff\xff\xff"[..], b"Q\0\0\0\x03", b"\0\0\0\0\x04", b"B\0\0\0\x08\0\0\xff\xff"] {
            let answer = raw(&address, &[startup, after].concat()).await;
            assert!(answer.windows(5).any(|text| text == b"FATAL"), "{after:?}: {}", String::from_utf8_lossy(&answer));
        }
        raw(&address, b"\x7f\xff\xff\xff\0\x03\0\0").await;
        raw(&address, b"GET / HTTP/1.1\r\n\r\n").await;
        raw(&address, &[&startup[..], b"P\0\0\0\x06\xff\xff"].concat()).await;
        assert_eq!(texts(&client, "SELECT 1").await.len(), 1);
    });
}

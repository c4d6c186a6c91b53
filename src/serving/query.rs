//! `POST /query` and `POST /query-stream`: the rows of one SELECT, or the records of one PRINT.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{Notify, mpsc, oneshot};

use super::accept::{self, DELIMITED, EVENTS, JSON, PROTOBUF, V1};
use super::endpoints::not_allowed;
use super::otlp::Trace;
use super::owners::Owned;
use super::refusal::Refusal;
use super::repeats::Around;
use super::request::{self, Asked, Fields};
use super::rows::{Head, LAST_EVENT, Layout};
use super::slots::Slot;
use super::users::Caller;
use super::waits::Waits;
use super::{Service, ksql, print, small, stalls};
use crate::config;
use crate::engine::{Bookmark, Follower, PushQuery, PushRow};
use crate::pull::{PullRows, Soon};
use crate::statements::{HOST, Nature, Outcome, RecordLines, Until};

/// How often a query is looked at that nobody has woken.
const LOOK: Duration = Duration::from_secs(5);

/// The same for one that ends where its sources ended when it began: what it has read wakes nobody if no row comes of it.
const LOOK_FOR_THE_END: Duration = Duration::from_millis(100);

/// The longest text of a query that is answered on the thread that serves connections, in bytes.
const MOST_SOON: usize = 1_024;

/// An answer that may wait for its client however long, in bytes.
const SMALL_BYTES: usize = 64 << 10;

/// The header in which a browser that connects again says the last id that it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// How many pieces of an answer may wait for its client.
pub(super) const WAITING: usize = 16;

/// What a SELECT or PRINT shows.
pub(super) enum Shown {
    /// All rows of a table, by the id of the query.
    Rows(String, PullRows),
    /// Rows as they come.
    Query(Box<Running>, Until),
    /// The records of a topic as they come.
    Topic(Follower, RecordLines),
}

/// What is answered to a SELECT or PRINT.
enum Answer {
    /// All of it.
    Whole(Vec<Bytes>),
    Query(Box<Running>, Until),
    Topic(Follower, RecordLines),
}

/// A query that shows rows, its slot among those that may, and the note of who started it.
pub(super) struct Running {
    pub query: PushQuery,
    _slot: Slot,
    _owned: Owned,
}

/// `POST /query`.
pub(super) async fn query(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Response> {
    let chosen = accept::choose(request.headers(), &[DELIMITED, V1, JSON, PROTOBUF], V1).map(|chosen| match chosen {
        JSON => V1,
        other => other,
    });
    rows(service, caller, request, request::OLD, chosen).await
}

/// `POST /query-stream`.
pub(super) async fn query_stream(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Response> {
    let chosen = accept::choose(request.headers(), STREAMS, DELIMITED);
    rows(service, caller, request, request::NEW, chosen).await
}

/// What `/query-stream` can answer with.
const STREAMS: &[&str] = &[DELIMITED, JSON, V1, PROTOBUF, EVENTS];

/// `GET /query-stream`: the same for a browser's EventSource, with the fields in the query of the address.
pub(super) async fn events(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Response> {
    // Of others, ksqlDB's server takes no GET here.
    let Some(EVENTS) = accept::choose(request.headers(), STREAMS, DELIMITED) else { return Err(not_allowed("POST")) };
    let body = request::of_address(request.uri(), request::NEW).map_err(Refusal::into_response)?;
    rows(service, caller, request.map(|_| Body::from(body)), request::NEW, Some(EVENTS)).await
}

async fn rows(
    service: Arc<Service>,
    caller: Caller,
    request: Request,
    fields: Fields,
    chosen: Option<&'static str>,
) -> Result<Response, Response> {
    let Some(layout) = chosen.and_then(Layout::of) else { return Err(small::not_acceptable()) };
    // A browser that has seen the last event would start the query again; this tells it that nothing more comes.
    let last_seen = request.headers().get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
    if layout == Layout::Events && last_seen.as_deref() == Some(LAST_EVENT) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let refused = |refusal: Refusal| refusal.into_response();
    let is_old = fields.text == request::OLD.text;
    let print_as = print::Form::wanted(&request, is_old);
    let trace = Trace::of(&request);
    let body = service.bodies.read(request.into_body()).await.map_err(refused)?;
    let mut asked = Asked::read(&body, fields).map_err(refused)?.traced(trace);
    if layout == Layout::Events {
        // Browsers go on by themselves.
        asked.properties.insert(config::PUSH_TOKENS.to_owned(), true.into());
        // The id of an event is its number where the query cannot go on behind it.
        asked.token = asked.token.or(last_seen.filter(|id| Bookmark::is_token(id)));
    }
    ksql::wait_for(&service, asked.sequence).await.map_err(refused)?;
    let host = asked.wants_host.then_some(HOST);
    let pulled = move |id: String, PullRows { columns, rows }: PullRows| {
        layout.pulled(&Head { id: &id, columns: &columns, marks_keys: true, host }, rows)
    };
    if let Some((id, rows)) = soon(&service, &asked).await {
        return Ok(answer_of(layout, whole(&service, layout, pulled(id, rows))));
    }
    let asker = service.clone();
    // The client is there as long as somebody wants the answer.
    let waits = Waits::default();
    let is_gone = waits.is_over();
    let laid_out = move || match select(&asker, &asked, &caller, &is_gone)? {
        // All rows of a table take their time.
        Shown::Rows(id, rows) => Ok(Answer::Whole(pulled(id, rows))),
        Shown::Query(query, until) => Ok(Answer::Query(query, until)),
        Shown::Topic(records, lines) => Ok(Answer::Topic(records, lines)),
    };
    let answer = ksql::on_a_thread(laid_out).await.map_err(|refusal| {
        let refusal = print::refusal(refusal, if is_old { print::NOT_FOUND } else { "Topic does not exist: " });
        let refusal = if is_old { refusal.with_cause() } else { refusal.with_text().untyped() };
        refusal.into_response()
    })?;
    Ok(match answer {
        Answer::Whole(all) => answer_of(layout, whole(&service, layout, all)),
        Answer::Query(query, until) => {
            let (send, receive) = mpsc::channel(WAITING);
            tokio::spawn(show(*query, until, layout, send));
            answer_of(layout, body_of(layout, pieces(receive)))
        }
        Answer::Topic(records, lines) => print::answer(records, lines, print_as),
    })
}

/// The rows of a SELECT of a few keys, with the id of the query, if it has to wait for no more than the turn that the query
/// of its table is in. Another thread would cost more than the query.
///
/// `None` for everything else, refusals included.
async fn soon(service: &Service, asked: &Asked) -> Option<(String, PullRows)> {
    let text = asked.text.as_deref().filter(|text| text.len() <= MOST_SOON && asked.token.is_none())?;
    if !text.trim_ascii_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("SELECT")) {
        return None;
    }
    let version = service.engine.catalog().version;
    let around = if asked.sets_nothing() { Around::of(text) } else { None };
    if let Some((prepared, key)) = around.as_ref().and_then(|around| service.repeats.find(around, version)) {
        let rows = found(service, Soon::at(&service.engine, prepared, key)).await?;
        return Some((query_id(service), rows));
    }
    let began = asked.trace.now();
    let parsed = ksql::parse(service, text, asked.shown_as.as_deref()).ok()?;
    let [statement] = parsed.as_slice() else { return None };
    let parsed_at = asked.trace.now();
    let look = asked.session(service).ok()?.soon(statement).ok()??;
    around.iter().for_each(|around| service.repeats.note(around, version, |literal| look.prepared(literal)));
    let rows = found(service, look).await?;
    // What was tried in vain is done anew elsewhere, and noted there.
    asked.trace.has(&parsed);
    asked.trace.took("parse", None, began..parsed_at, false);
    asked.trace.took("execute", Some(statement), parsed_at..asked.trace.now(), false);
    Some((query_id(service), rows))
}

/// The rows that a look finds; `None` if it would have to wait for more than a turn, or is refused.
async fn found(service: &Service, look: Soon) -> Option<PullRows> {
    let (send, found) = oneshot::channel();
    // Who has gone is told nothing.
    look.find(&service.engine, Box::new(|found| drop(send.send(found)))).ok()?;
    look.rows(found.await.ok()?.ok()??).ok()
}

/// The numbers in the ids of queries that are answered once.
#[derive(Default)]
pub(super) struct Ids(AtomicI64);

impl Ids {
    /// The time, as ksqlDB has it, or a little more: no two are the same, however many come in a millisecond.
    fn next(&self, now_ms: i64) -> i64 {
        let next = |last: i64| now_ms.max(last + 1);
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_else(|last| last))
    }
}

/// The id of a query that is answered once.
fn query_id(service: &Service) -> String {
    format!("query_{}", service.ids.next(service.engine.clock().wall_ms()))
}

/// An answer in a layout.
fn answer_of(layout: Layout, body: Body) -> Response {
    let mut response = ([(header::CONTENT_TYPE, layout.media_type())], body).into_response();
    if layout == Layout::Events {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}

/// A body of pieces as they come.
pub(super) fn received(receive: mpsc::Receiver<Bytes>) -> Body {
    Body::from_stream(pieces(receive).map(Ok::<_, Infallible>))
}

/// A body of pieces that are all there. Of a large one a client must take some now and then.
fn whole(service: &Service, layout: Layout, pieces: Vec<Bytes>) -> Body {
    if pieces.iter().map(Bytes::len).sum::<usize>() <= SMALL_BYTES {
        return body_of(layout, stream::iter(pieces));
    }
    let placed = move |(place, piece)| layout.placed(place, piece);
    stalls::body_of(pieces.into_iter().enumerate().map(placed), service.patience())
}

/// A body of pieces in a layout.
fn body_of(layout: Layout, pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    let placed = move |(place, piece)| Ok::<_, Infallible>(layout.placed(place, piece));
    Body::from_stream(pieces.enumerate().map(placed))
}

/// Pieces as they come.
fn pieces(receive: mpsc::Receiver<Bytes>) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(receive, async |mut receive: mpsc::Receiver<Bytes>| {
        receive.recv().await.map(|piece| (piece, receive))
    })
}

/// Starts the one query or PRINT of a request.
///
/// # Errors
/// The request has not exactly one statement, or it is neither SELECT nor PRINT, or it is refused.
pub(super) fn select(
    service: &Service,
    asked: &Asked,
    caller: &Caller,
    is_gone: &dyn Fn() -> bool,
) -> Result<Shown, Refusal> {
    let text = asked.text.as_deref().unwrap_or_default();
    if text.is_empty() && asked.is_old {
        return Err(Refusal::new(40000, "\"ksql\" field must be populated"));
    }
    let name = asked.shown_as.as_deref();
    let parsed = asked.trace.step("parse", || ksql::parse(service, text, name))?;
    asked.trace.has(&parsed);
    let [statement] = parsed.as_slice() else {
        let message = format!("Expected exactly one KSQL statement; found {} instead", parsed.len());
        return Err(Refusal::of_text(40001, message, text));
    };
    let session = asked.session(service).map_err(Refusal::unnamed)?.stopping(is_gone);
    let mut refusal = match asked.is_old {
        true => Refusal::new(40000, "Statement type not supported for this resource"),
        false => Refusal::of_text(40001, "Neither a query nor a print statement", &statement.text),
    };
    let mut slot = None;
    let mut may = |nature| match nature {
        Nature::Scan | Nature::Push => {
            let limit = service.engine.properties().size(config::MAX_PUSH_QUERIES);
            match service.slots.take(limit) {
                Ok(taken) => slot = Some(taken),
                Err(count) => refusal = over_the_limit(nature, count, limit, text),
            }
            slot.is_some()
        }
        _ => true,
    };
    match asked.trace.step_of("execute", Some(statement), || session.rows(statement, &mut may)) {
        Ok(Some(Outcome::Rows(rows))) => Ok(Shown::Rows(query_id(service), rows)),
        Ok(Some(Outcome::Push { query, until, .. })) => {
            let slot = slot.ok_or_else(|| Refusal::new(50000, "a query has begun without a slot"))?;
            let owned = service.owners.note(query.id(), caller);
            Ok(Shown::Query(Box::new(Running { query, _slot: slot, _owned: owned }), until))
        }
        Ok(Some(Outcome::Print { records, lines })) => Ok(Shown::Topic(records, lines)),
        Ok(_) => Err(refusal),
        Err(error) => {
            let error = error.at(statement.span);
            let named = error.parts().last().cloned().unwrap_or_else(|| session.completed(statement));
            let refusal = Refusal::of_statement(&error, &named, Vec::new());
            // Of a statement that is understood, ksqlDB does not say that its refusal is JSON.
            let refusal = if refusal.is_unread() { refusal } else { refusal.untyped() };
            Err(refusal.shown_as(name, text, [&error]))
        }
    }
}

/// The refusal of one query more that shows rows, when there are as many as may be.
fn over_the_limit(nature: Nature, count: usize, limit: usize, text: &str) -> Refusal {
    if nature == Nature::Scan {
        return Refusal::new(40003, "Maximum number of push queries exceeded").untyped();
    }
    let message = format!(
        "Not executing statement(s) '{text}' as it would cause the number of active, push queries to exceed the \
         configured limit. Terminate existing PUSH queries, or increase the 'ksql.max.push.queries' setting via the \
         'ksql-server.properties' file. Current push query count: {count}. Configured limit: {limit}.\nStatement: {text}"
    );
    Refusal::statement(40001, message, text).untyped()
}

/// Sends the rows of a query until it is over, is ended from outside, or its client has gone.
async fn show(running: Running, until: Until, layout: Layout, to: mpsc::Sender<Bytes>) {
    let query = &running.query;
    let head = Head { id: query.id(), columns: &query.columns, marks_keys: false, host: None };
    let mut last = Vec::new();
    let mut rows = Following::new(query, until);
    let token = |rows: &Following| rows.bookmark.as_ref().filter(|_| query.tells_tokens).map(Bookmark::token);
    let told = |rows: &Following| token(rows).and_then(|token| layout.token(&token));
    let begin = std::iter::once(layout.behind(layout.head(&head), || token(&rows)));
    // Who has seen nothing yet goes on from here, too.
    for piece in begin.chain(told(&rows)) {
        if to.send(piece).await.is_err() {
            return;
        }
    }
    loop {
        match rows.next(&to).await {
            Some(Followed::Row(row)) => {
                let row = layout.row(&row).map(|row| layout.behind(row, || token(&rows)));
                let token = if rows.waiting.is_empty() { told(&rows) } else { None };
                for piece in row.into_iter().chain(token) {
                    if !sent(query, &to, piece).await {
                        return;
                    }
                }
            }
            // A browser connects again, then, and goes on.
            Some(Followed::Over(_)) if layout == Layout::Events && rows.bookmark.is_some() && query.is_closing() => {
                return;
            }
            Some(Followed::Over(message)) => {
                last.extend(told(&rows).filter(|_| !rows.waiting.is_empty()));
                last.extend(layout.end(Some(message)));
            }
            Some(Followed::Failed(refusal)) => last.extend(layout.error(&refusal.body())),
            None => return,
        }
        if !last.is_empty() || rows.is_over {
            break;
        }
    }
    for piece in last {
        if to.send(piece).await.is_err() {
            return;
        }
    }
}

/// Sends a piece as soon as there is room; false if the client has gone, or the query was ended meanwhile.
async fn sent(query: &PushQuery, to: &mpsc::Sender<Bytes>, piece: Bytes) -> bool {
    loop {
        tokio::select! {
            // The usual case asks for no timer.
            biased;
            room = to.reserve() => {
                return match room {
                    Ok(room) => {
                        room.send(piece);
                        true
                    }
                    Err(_) => false,
                };
            }
            () = tokio::time::sleep(LOOK_FOR_THE_END) => {
                if query.is_ended() {
                    return false;
                }
            }
        }
    }
}

/// A query whose rows are followed.
pub(super) struct Following<'a> {
    query: &'a PushQuery,
    until: Until,
    woken: Arc<Notify>,
    waiting: VecDeque<PushRow>,
    /// Where the reader stands, if a later query could go on from there.
    bookmark: Option<Bookmark>,
    left: Option<usize>,
    /// Whether the end was told.
    pub is_over: bool,
}

/// What comes next of a query.
pub(super) enum Followed {
    Row(PushRow),
    /// No more rows come, for this reason.
    Over(&'static str),
    Failed(Refusal),
}

impl<'a> Following<'a> {
    /// Follows a query from its first row.
    pub(super) fn new(query: &'a PushQuery, until: Until) -> Following<'a> {
        let woken = Arc::new(Notify::new());
        let waker = woken.clone();
        query.listen(Box::new(move || waker.notify_one()));
        let bookmark = query.begin().cloned();
        Following { query, until, woken, waiting: VecDeque::new(), bookmark, left: until.rows, is_over: false }
    }

    /// The next row, or the end; None if nobody takes rows any more.
    pub(super) async fn next<T>(&mut self, to: &mpsc::Sender<T>) -> Option<Followed> {
        loop {
            if self.left == Some(0) {
                return Some(self.over("Limit Reached"));
            }
            if self.query.is_ended() {
                return Some(self.over("Query Completed"));
            }
            if let Some(row) = self.waiting.pop_front() {
                self.bookmark.iter_mut().for_each(|bookmark| bookmark.pass(&row));
                self.left = self.left.map(|left| left - 1);
                return Some(Followed::Row(row));
            }
            match self.query.rows(Duration::ZERO) {
                Ok(mut rows) => {
                    self.bookmark.iter_mut().for_each(|bookmark| rows.retain(|row| !bookmark.has_seen(row)));
                    self.waiting = rows;
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Followed::Failed(Refusal::new(50000, error.message())));
                }
            }
            if !self.waiting.is_empty() {
                continue;
            }
            if (self.until.is_at_ends && self.query.has_read_all()) || self.query.is_over() {
                return Some(self.over("Query Completed"));
            }
            tokio::select! {
                () = self.woken.notified() => {}
                () = to.closed() => return None,
                () = tokio::time::sleep(if self.until.is_at_ends { LOOK_FOR_THE_END } else { LOOK }) => {}
            }
        }
    }

    fn over(&mut self, message: &'static str) -> Followed {
        self.is_over = true;
        Followed::Over(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Properties;
    use crate::engine::{Engine, Settings, Store};
    use crate::statements::{self, Session};

    #[test]
    fn queries_of_the_same_millisecond_have_ids_of_their_own() {
        let ids = Ids::default();
        assert_eq!([5, 5, 5, 6, 100, 99].map(|now_ms| ids.next(now_ms)), [5, 6, 7, 8, 100, 101]);
    }

    /// A key has as many windows as are kept: going through them is not for the thread that serves connections.
    #[test]
    fn of_windows_only_one_is_looked_at_on_the_thread_of_its_connection() {
        let settings = Settings::new(Store::Memory, Arc::new(ManualClock::new()), statements::compile_kept);
        let settings = settings.with(&[(config::OFFSET_RESET, "earliest")]).expect("properties");
        let engine = Engine::open(settings).expect("an engine");
        let mut session = Session::new(&engine, Properties::default());
        let text = "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
            CREATE TABLE plain AS SELECT v, COUNT(*) AS c FROM s GROUP BY v;
            CREATE TABLE windows AS SELECT v, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY v;
            INSERT INTO s (ROWTIME, v) VALUES (1000, 1); INSERT INTO s (ROWTIME, v) VALUES (2000, 1);";
        let parsed = statements::parse(text).expect("statements");
        parsed.iter().try_for_each(|statement| session.run(statement).map(drop)).expect("done");
        engine.settle().expect("settled");
        let rows = |text: &str| {
            let parsed = statements::parse(text).expect("a statement");
            let Ok(Some(Outcome::Rows(slow))) = session.rows(&parsed[0], &mut |_| true) else { panic!("rows") };
            let look = session.soon(&parsed[0]).expect("a look")?;
            let rows = look.wait(&engine).expect("rows").expect("it can be read").rows.len();
            assert_eq!(rows, slow.rows.len());
            Some(rows)
        };
        assert_eq!(rows("SELECT * FROM plain WHERE v = 1;"), Some(1));
        assert_eq!(rows("SELECT * FROM windows WHERE v = 1 AND WINDOWSTART = 1000;"), Some(1));
        assert_eq!(rows("SELECT * FROM windows WHERE v = 1;"), None);
    }
}

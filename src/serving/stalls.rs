//! Slow clients: what is ready as a whole waits for its client only so long as that takes some of it now and then.

use std::io;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;

use super::Service;
use crate::config;

/// How many pieces are taken of what waits before the client has taken them.
const AHEAD: usize = 16;

impl Service {
    /// How long a client may take nothing of an answer.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.engine.properties().number(config::CLIENT_STALL_MS) as u64)
    }
}

/// Gives a client the next piece; None if it has gone, or takes nothing for too long.
pub(super) async fn give<T>(to: &mpsc::Sender<T>, piece: T, patience: Duration) -> Option<()> {
    to.send_timeout(piece, patience).await.ok()
}

/// A body of pieces that are there. If its client takes nothing for too long, they are dropped, and the answer breaks off.
pub(super) fn body_of(
    pieces: impl IntoIterator<Item = Bytes, IntoIter: Send> + Send + 'static,
    patience: Duration,
) -> Body {
    let (send, receive) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut is_late = false;
        let mut pieces = pieces.into_iter();
        while let Some(piece) = pieces.next().filter(|_| !is_late) {
            is_late = give(&send, Ok(piece), patience).await.is_none();
        }
        drop(pieces);
        if is_late {
            // A client that takes something after all is told that this is not the end; of one that has gone, nobody.
            let _ = send.send(Err(io::Error::from(io::ErrorKind::TimedOut))).await;
        }
    });
    Body::from_stream(stream::unfold(receive, async |mut receive: mpsc::Receiver<io::Result<Bytes>>| {
        receive.recv().await.map(|piece| (piece, receive))
    }))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn pieces(count: usize) -> (std::sync::Arc<()>, impl Iterator<Item = Bytes> + Send + 'static) {
        let alive = std::sync::Arc::new(());
        let held = alive.clone();
        (alive, (0..count).map(move |_| (held.clone(), Bytes::from_static(b"x")).1))
    }

    #[test]
    fn an_answer_that_is_not_taken_is_dropped_and_breaks_off() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(dropped_and_broken_off());
    }

    /// Lets time pass, which stands still otherwise.
    async fn pass(time: Duration) {
        tokio::time::timeout(time, std::future::pending::<()>()).await.expect_err("nothing else");
    }

    async fn dropped_and_broken_off() {
        let ((_, few), (alive, many)) = (pieces(100), pieces(100));
        let whole = to_bytes(body_of(few, Duration::from_secs(60)), 1000).await.expect("all of it");
        assert_eq!(whole.len(), 100);
        let body = body_of(many, Duration::from_secs(60));
        pass(Duration::from_secs(59)).await;
        assert_eq!(std::sync::Arc::strong_count(&alive), 2, "it waits");
        pass(Duration::from_secs(2)).await;
        assert_eq!(std::sync::Arc::strong_count(&alive), 1, "it was dropped");
        assert!(to_bytes(body, 1000).await.is_err(), "not an answer that seems whole");
    }
}

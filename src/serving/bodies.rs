//! The memory of request bodies: together they have a budget, so that no number of clients fills the memory with them.
//!
//! The first bytes of a body are free, so that small requests are read however many large ones wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::refusal::Refusal;
use super::{MOST_BODY, PATIENCE};

/// How many bytes of a body are free.
const FREE_BYTES: usize = 64 << 10;

/// The budget, and how much of it is taken.
pub(super) struct Bodies {
    most_bytes: usize,
    taken_bytes: Arc<AtomicUsize>,
}

/// A body that was read; it counts until it is dropped.
pub(super) struct Read {
    bytes: Bytes,
    _share: Share,
}

/// A part of the budget.
struct Share {
    bytes: usize,
    taken_bytes: Arc<AtomicUsize>,
}

impl Bodies {
    pub(super) fn new(most_bytes: usize) -> Bodies {
        Bodies { most_bytes, taken_bytes: Arc::default() }
    }

    /// All of a request's body.
    ///
    /// # Errors
    /// It is too large, does not come in time, the client stops in its middle, or there is no room for it now.
    pub(super) async fn read(&self, body: Body) -> Result<Read, Refusal> {
        let late = || Refusal::new(40800, "the body of the request has not come in time").untyped();
        tokio::time::timeout(PATIENCE, self.read_all(body.into_data_stream())).await.map_err(|_| late())?
    }

    async fn read_all(&self, mut body: BodyDataStream) -> Result<Read, Refusal> {
        let mut share = Share { bytes: 0, taken_bytes: self.taken_bytes.clone() };
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.next().await {
            let broken = |error| Refusal::new(40000, format!("the request has broken off: {error}")).untyped();
            let frame = frame.map_err(broken)?;
            let size = bytes.len() + frame.len();
            if size > MOST_BODY {
                let message = format!("the body of a request has at most {MOST_BODY} bytes");
                return Err(Refusal::new(41300, message).untyped());
            }
            if !share.grow(size.saturating_sub(FREE_BYTES), self.most_bytes) {
                let message = "the bodies of requests take too much memory together; try again";
                return Err(Refusal::new(42900, message).untyped());
            }
            bytes.extend_from_slice(&frame);
        }
        Ok(Read { bytes: bytes.freeze(), _share: share })
    }
}

impl Share {
    /// Takes more of the budget; whether there is so much.
    fn grow(&mut self, bytes: usize, most_bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        self.bytes += more;
        self.taken_bytes.fetch_add(more, Ordering::Relaxed) + more <= most_bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.taken_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Read {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bodies: &Bodies, size: usize) -> Result<Read, u32> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(bodies.read(Body::from(vec![b' '; size]))).map_err(|refusal| refusal.code)
    }

    #[test]
    fn large_bodies_share_a_budget_and_small_ones_are_free() {
        let bodies = Bodies::new(1 << 20);
        let large = read(&bodies, 1 << 20).expect("room");
        assert_eq!(large.len(), 1 << 20);
        assert_eq!(read(&bodies, 1 << 20).err(), Some(42900));
        assert_eq!(read(&bodies, FREE_BYTES).map(|read| read.len()), Ok(FREE_BYTES));
        drop(large);
        read(&bodies, 1 << 20).expect("room again");
        assert_eq!(bodies.taken_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(read(&Bodies::new(usize::MAX), MOST_BODY + 1).err(), Some(41300));
    }
}

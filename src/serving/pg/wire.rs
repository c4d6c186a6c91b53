//! Messages of PostgreSQL's protocol over a connection: none is longer than it may be, and a client that has gone is
//! noticed while its query runs.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use bytes::BytesMut;
use pgwire::error::PgWireResult;
use pgwire::messages::startup::PasswordMessageFamily;
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::serving::MOST_BODY;

/// How many bytes of answers wait before they are sent.
const SENT_AT_ONCE: usize = 64 << 10;

/// How many bytes are read of a client whose query is running.
const READ_AHEAD: usize = 64 << 10;

/// The longest message before a client has said who it is, in bytes.
const MOST_AT_START: usize = 10_000;

/// A connection, over TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that carries messages.
pub(super) struct Wire {
    stream: Pin<Box<dyn Stream>>,
    read: BytesMut,
    write: BytesMut,
    context: DecodeContext,
    is_admitted: bool,
}

impl Wire {
    /// A connection at its first byte.
    pub(super) fn new(stream: impl Stream + 'static) -> Wire {
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        context.awaiting_frontend_ssl = true;
        Wire { stream: Box::pin(stream), read: BytesMut::new(), write: BytesMut::new(), context, is_admitted: false }
    }

    /// The connection itself, to speak TLS over it.
    ///
    /// # Errors
    /// The client has sent more already, which would then seem to have come over TLS.
    pub(super) fn into_stream(self) -> io::Result<Pin<Box<dyn Stream>>> {
        if self.read.is_empty() { Ok(self.stream) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// From now on no more is said about encryption.
    pub(super) fn expect_startup(&mut self) {
        self.context.awaiting_frontend_ssl = false;
    }

    /// From now on messages have a type.
    pub(super) fn expect_messages(&mut self) {
        self.context.awaiting_frontend_startup = false;
    }

    /// From now on messages may be long.
    pub(super) fn admit(&mut self) {
        self.is_admitted = true;
    }

    /// The next message; None if the client has gone.
    ///
    /// Can be given up while it waits, without a loss.
    ///
    /// # Errors
    /// The connection has failed, or the message is too long or none of the protocol.
    pub(super) async fn next(&mut self) -> io::Result<Option<PgWireFrontendMessage>> {
        loop {
            self.check_length()?;
            if let Some(message) = parts(|| PgWireFrontendMessage::decode(&mut self.read, &self.context))? {
                return Ok(Some(message));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next message, by which a client proves who it is.
    ///
    /// # Errors
    /// The client has gone or sends something else, or the message cannot be read as `read` does.
    pub(super) async fn proof<T>(&mut self, read: fn(PasswordMessageFamily) -> PgWireResult<T>) -> io::Result<T> {
        match self.next().await? {
            Some(PgWireFrontendMessage::PasswordMessageFamily(message)) => parts(|| read(message)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// # Errors
    /// The message that has begun is longer than it may be.
    fn check_length(&self) -> io::Result<()> {
        let most = if self.is_admitted { MOST_BODY } else { MOST_AT_START };
        let at = usize::from(!self.context.awaiting_frontend_startup);
        match self.read.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) {
            Some(length) if length as usize > most || length < 4 => Err(invalid("the length of a message is wrong")),
            _ => Ok(()),
        }
    }

    /// Returns when the client has gone; reads some of what it sends meanwhile.
    pub(super) async fn gone(&mut self) {
        while self.read.len() < READ_AHEAD {
            if !matches!(self.stream.read_buf(&mut self.read).await, Ok(1..)) {
                return;
            }
        }
        std::future::pending().await
    }

    /// Adds a message to what is sent next.
    ///
    /// # Errors
    /// It is longer than a message may be.
    pub(super) fn put(&mut self, message: PgWireBackendMessage) -> io::Result<()> {
        message.encode(&mut self.write).map_err(invalid)
    }

    /// Sends what waits if that is much.
    ///
    /// # Errors
    /// The connection has failed.
    pub(super) async fn make_room(&mut self) -> io::Result<()> {
        if self.write.len() >= SENT_AT_ONCE { self.flush().await } else { Ok(()) }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// The connection has failed.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.write).await?;
        self.stream.flush().await
    }

    /// Ends the connection after what waits; over TLS with its last word.
    pub(super) async fn close(&mut self) {
        // Whoever has gone already misses nothing.
        if self.flush().await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }
}

/// Reads the parts of a message, of which pgwire takes it for granted that they are as long as they say.
fn parts<T>(read: impl FnOnce() -> PgWireResult<T>) -> io::Result<T> {
    let read = catch_unwind(AssertUnwindSafe(read)).map_err(|_| invalid("the parts of a message are wrong"))?;
    read.map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

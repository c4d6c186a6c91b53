//! How a connection begins: the version of HTTP that its client speaks, by the first bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::PATIENCE;

/// What a client begins HTTP/2 with.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with bytes that are read before its own.
pub(super) struct Begun<S> {
    before: Bytes,
    stream: S,
}

impl<S> Begun<S> {
    pub(super) fn new(before: Bytes, stream: S) -> Begun<S> {
        Begun { before, stream }
    }
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// Reads the first bytes, until they say which version the client speaks; whether that is HTTP/2. None if they do
    /// not come in time.
    pub(super) async fn of(stream: S) -> Option<(Begun<S>, bool)> {
        tokio::time::timeout(PATIENCE, Begun::first_bytes(stream)).await.ok()?.ok()
    }

    async fn first_bytes(mut stream: S) -> io::Result<(Begun<S>, bool)> {
        let mut bytes = [0; PREFACE.len()];
        let mut read = 0;
        while read < PREFACE.len() && PREFACE.starts_with(&bytes[..read]) {
            match stream.read(&mut bytes[read..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        Ok((Begun::new(Bytes::copy_from_slice(&bytes[..read]), stream), bytes == *PREFACE))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, to);
        }
        let count = self.before.len().min(to.remaining());
        to.put_slice(&self.before[..count]);
        self.before.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Which version a client begins with that sends these pieces, and what is read of the connection to its end.
    fn begun(pieces: &'static [&'static [u8]], stays: bool) -> Option<(bool, Vec<u8>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (mut client, server) = tokio::io::duplex(64);
            let sending = async move {
                for piece in pieces {
                    client.write_all(piece).await.expect("sent");
                    tokio::task::yield_now().await;
                }
                stays.then_some(client)
            };
            let beginning = async {
                let (mut begun, is_second) = Begun::of(server).await?;
                let mut all = Vec::new();
                begun.read_to_end(&mut all).await.expect("an end");
                Some((is_second, all))
            };
            tokio::join!(sending, beginning).1
        })
    }

    #[test]
    fn the_first_bytes_say_the_version_and_are_read_again() {
        let first = b"GET / HTTP/1.1\r\n\r\n".to_vec();
        assert_eq!(begun(&[b"GET / HTTP/1.1\r\n\r\n"], false), Some((false, first)));
        assert_eq!(begun(&[b"P", b"OST"], false), Some((false, b"POST".to_vec())));
        assert_eq!(begun(&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\nmore"], false), {
            Some((true, [&PREFACE[..], b"more"].concat()))
        });
        assert_eq!(
            begun(&[b"PRI * HTTP/1.1\r\n\r\n", b"not the preface"], false).map(|(second, _)| second),
            Some(false)
        );
        assert_eq!(begun(&[b"PRI"], false), None, "the client has gone");
    }

    #[test]
    fn a_client_that_says_nothing_is_not_waited_for() {
        assert_eq!(begun(&[], true), None);
        assert_eq!(begun(&[b"PRI * HTTP/2.0"], true), None);
    }
}

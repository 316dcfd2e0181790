//! A connection that never blocks: it keeps the bytes that are still to be sent, and the beginning of an incomplete answer.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;

/// The capacity that an empty buffer keeps.
const CAPACITY_KEPT: usize = 1024 * 1024;

/// What goes out over a connection.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    /// How many of them are sent.
    sent: usize,
    /// Whether the socket took as much as it can; it will say when it takes more.
    is_full: bool,
}

impl Outgoing {
    /// Where further bytes go.
    #[inline]
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Notes that the socket takes more.
    pub(super) fn has_room(&mut self) {
        self.is_full = false;
    }

    /// Sends as much as the socket takes.
    ///
    /// # Errors
    /// If the connection is gone.
    #[inline]
    pub(super) fn send(&mut self, stream: &mut impl Write) -> std::io::Result<()> {
        while self.sent < self.bytes.len() && !self.is_full {
            match stream.write(&self.bytes[self.sent..]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.sent == self.bytes.len() && self.sent > 0 {
            self.bytes.clear();
            self.bytes.shrink_to(CAPACITY_KEPT);
            self.sent = 0;
        }
        Ok(())
    }
}

/// The socket and what came in over it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// The beginning of something that is not whole yet.
    rest: Vec<u8>,
}

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// So many bytes, and maybe there are more.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The end.
    Closed,
}

impl Connection {
    /// Takes over a socket.
    ///
    /// # Errors
    /// If the socket cannot be told not to block.
    pub(super) fn new(stream: std::net::TcpStream) -> std::io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection { stream: TcpStream::from_std(stream), rest: Vec::new() })
    }

    /// Reads once.
    ///
    /// # Errors
    /// If the connection is gone.
    #[inline]
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<Received> {
        loop {
            return match self.stream.read(buffer) {
                Ok(0) => Ok(Received::Closed),
                Ok(length) => Ok(Received::Bytes(length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Passes the kept bytes and the new ones behind them to `see`, and keeps those that it does not take.
    ///
    /// # Errors
    /// Those of `see`.
    #[inline]
    pub(super) fn take_in(
        &mut self,
        new: &[u8],
        see: impl FnOnce(&[u8]) -> Result<usize, String>,
    ) -> Result<(), String> {
        if self.rest.is_empty() {
            let taken = see(new)?;
            self.rest.extend_from_slice(&new[taken..]);
            return Ok(());
        }
        self.rest.extend_from_slice(new);
        let taken = see(&self.rest)?;
        self.rest.drain(..taken);
        if self.rest.is_empty() {
            self.rest.shrink_to(CAPACITY_KEPT);
        }
        Ok(())
    }
}

//! What a connection was last doing, so that one that keeps the door waiting can be told from one that works.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::command::Services;

/// No such time.
const NEVER: u64 = u64::MAX;

/// One connection's times, in milliseconds of the server's clock.
pub(super) struct Activity {
    services: Arc<Services>,
    /// Requests that are being answered.
    in_flight: AtomicU32,
    /// When the last request was answered, or the connection was made.
    idle_since: AtomicU64,
    /// When bytes came that are not a whole request yet.
    head_since: AtomicU64,
    /// When the client stopped to take what is written.
    unread_since: AtomicU64,
    /// Something was written since this was last looked at.
    has_written: AtomicBool,
    /// Its bytes are not only requests, so `head_since` says nothing.
    is_http2: AtomicBool,
}

impl Activity {
    pub(super) fn new(services: Arc<Services>) -> Activity {
        let now = services.clock.now().millis();
        Activity {
            services,
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(now),
            head_since: AtomicU64::new(NEVER),
            unread_since: AtomicU64::new(NEVER),
            has_written: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
        }
    }

    fn now(&self) -> u64 {
        self.services.clock.now().millis()
    }

    /// A whole request has come.
    pub(super) fn begin(&self, is_http2: bool) {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since.store(NEVER, Relaxed);
        self.is_http2.store(is_http2, Relaxed);
    }

    /// A request was answered.
    pub(super) fn end(&self) {
        self.idle_since.store(self.now(), Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    fn received(&self) {
        if self.in_flight.load(Relaxed) == 0 && self.head_since.load(Relaxed) == NEVER {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    fn written(&self, is_taken: bool) {
        if is_taken {
            self.has_written.store(true, Relaxed);
        }
        let known = self.unread_since.load(Relaxed) == NEVER;
        if is_taken != known {
            self.unread_since.store(if is_taken { NEVER } else { self.now() }, Relaxed);
        }
    }

    /// Why the connection is to be cut, or after how many milliseconds to look again.
    fn judge(&self) -> Result<u64, &'static str> {
        let settings = &self.services.settings;
        let patience = settings.http_request_timeout().as_millis() as u64;
        let now = self.now();
        let left =
            |since: u64, time: u64| since.saturating_add(time).checked_sub(now).filter(|&left| left > 0);
        let unread_since = self.unread_since.load(Relaxed);
        if left(unread_since, patience).is_none() {
            return Err("the client does not read");
        }
        if self.in_flight.load(Relaxed) > 0 {
            return Ok(patience);
        }
        if self.has_written.swap(false, Relaxed) {
            // A long response may take its time, and what the client sends meanwhile waits.
            self.idle_since.store(now, Relaxed);
            self.head_since.fetch_update(Relaxed, Relaxed, |since| (since != NEVER).then_some(now)).ok();
        }
        let head_since = self.head_since.load(Relaxed);
        if head_since != NEVER && !self.is_http2.load(Relaxed) {
            return left(head_since, patience).ok_or("the head of a request did not come");
        }
        let idle = settings.http_idle_timeout().as_millis() as u64;
        let left = left(self.idle_since.load(Relaxed), idle).ok_or("idle")?;
        Ok(left.min(patience))
    }

    /// Waits until the connection is to be cut and says why.
    pub(super) async fn overdue(&self) -> &'static str {
        loop {
            match self.judge() {
                Ok(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
                Err(reason) => return reason,
            }
        }
    }
}

/// A socket that notes what it does.  The connection counts as one until it is dropped.
pub(super) struct ActiveStream {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl ActiveStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> ActiveStream {
        ActiveStream { stream, activity }
    }
}

impl AsyncRead for ActiveStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.activity.received();
        }
        polled
    }
}

impl AsyncWrite for ActiveStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.written(polled.is_ready());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.written(polled.is_ready());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.services.metrics.requests.part();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Now};
    use crate::server;
    use crate::settings::Settings;

    const PATIENCE: u64 = 20;
    const IDLE: u64 = 75;

    fn activity() -> Activity {
        let start = Now::at(Duration::from_hours(1), Duration::ZERO);
        let settings =
            Settings { http_request_timeout: PATIENCE, http_idle_timeout: IDLE, ..Settings::default() };
        let services = server::services(settings, Clock::manual(start), 7);
        assert!(services.metrics.requests.admit(1));
        Activity::new(Arc::new(services))
    }

    impl Activity {
        fn after(&self, seconds: u64) -> Result<u64, &'static str> {
            self.services.clock.advance(Duration::from_secs(seconds));
            self.judge()
        }
    }

    #[test]
    fn a_connection_without_requests_is_idle() {
        let activity = activity();
        assert!(activity.after(IDLE - 1).is_ok());
        activity.begin(false);
        assert!(activity.after(10 * IDLE).is_ok(), "a request may take its time");
        activity.end();
        assert_eq!(activity.after(IDLE - 1), Ok(1000));
        assert_eq!(activity.after(1), Err("idle"));
    }

    #[test]
    fn a_head_is_waited_for_from_its_first_byte() {
        let activity = activity();
        assert!(activity.after(IDLE - 1).is_ok());
        activity.received();
        assert!(activity.after(PATIENCE - 1).is_ok());
        activity.received();
        assert_eq!(activity.after(1), Err("the head of a request did not come"));
        activity.begin(false);
        activity.end();
        assert!(activity.after(PATIENCE).is_ok());
    }

    #[test]
    fn a_long_response_may_take_its_time_while_it_is_read() {
        let activity = activity();
        activity.begin(false);
        activity.end();
        activity.received();
        for _ in 0..10 {
            activity.written(true);
            assert!(activity.after(PATIENCE).is_ok());
            activity.written(false);
            assert!(activity.after(PATIENCE - 1).is_ok());
        }
        assert_eq!(activity.after(1), Err("the client does not read"));
    }

    #[test]
    fn bytes_between_requests_of_http2_begin_nothing() {
        let activity = activity();
        activity.begin(true);
        activity.end();
        activity.received();
        assert!(activity.after(PATIENCE).is_ok());
        assert_eq!(activity.after(IDLE - PATIENCE), Err("idle"));
    }
}

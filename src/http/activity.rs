//! The latest activity of a connection, by which one that keeps the door waiting is told from one that works.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::flight::{Account, Direction};
use super::progress::{Pace, Patience};
use crate::command::Services;

/// Looks at a connection per shortest time limit.
const LOOKS: u32 = 4;

/// The activity of one connection since the last look.  Noting it does not read the clock.
pub(super) struct Activity {
    services: Arc<Services>,
    /// Bodies of requests that are not answered yet.
    pub(super) requests: Arc<Account>,
    /// Responses that the client has not read yet.
    pub(super) responses: Arc<Account>,
    /// Requests that are being answered.
    in_flight: AtomicU32,
    /// A request has ended.
    has_answered: AtomicBool,
    /// An incomplete request has begun.
    has_begun: AtomicBool,
    /// The client has taken some of the written bytes.
    has_taken: AtomicBool,
    /// The client does not take the written bytes.
    is_stuck: AtomicBool,
    /// Not all its bytes are requests, so `has_begun` says nothing.
    is_http2: AtomicBool,
}

impl Activity {
    pub(super) fn new(services: Arc<Services>) -> Activity {
        Activity {
            requests: Account::new(Arc::clone(&services), Direction::In),
            responses: Account::new(Arc::clone(&services), Direction::Out),
            services,
            in_flight: AtomicU32::new(0),
            has_answered: AtomicBool::new(false),
            has_begun: AtomicBool::new(false),
            has_taken: AtomicBool::new(false),
            is_stuck: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
        }
    }

    /// A whole request has come.
    pub(super) fn begin(&self, is_http2: bool) {
        self.in_flight.fetch_add(1, Relaxed);
        self.has_begun.store(false, Relaxed);
        self.is_http2.store(is_http2, Relaxed);
    }

    /// A request was answered.
    pub(super) fn end(&self) {
        self.has_answered.store(true, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    fn received(&self) {
        if self.in_flight.load(Relaxed) == 0 {
            self.has_begun.store(true, Relaxed);
        }
    }

    fn written(&self, is_taken: bool) {
        if is_taken {
            self.has_taken.store(true, Relaxed);
        }
        self.is_stuck.store(!is_taken, Relaxed);
    }

    /// Waits until the connection must be cut, and says why.
    pub(super) async fn overdue(&self) -> &'static str {
        let mut watch = Watch::new(self.services.clock.now().millis());
        loop {
            let settings = self.services.settings.current();
            let times = Times { request: settings.http_request_timeout, idle: settings.http_idle_timeout };
            drop(settings);
            tokio::time::sleep(times.request.min(times.idle) / LOOKS).await;
            if let Some(reason) = watch.look(self, self.services.clock.now().millis(), times) {
                return reason;
            }
        }
    }
}

/// How long a client may take.
#[derive(Clone, Copy)]
struct Times {
    request: Duration,
    idle: Duration,
}

/// The times since when the state that regular looks see has lasted, in milliseconds of the server's clock.
struct Watch {
    idle_since: u64,
    begun_since: Option<u64>,
    stuck_since: Option<u64>,
    reading: Patience,
}

impl Watch {
    fn new(now: u64) -> Watch {
        Watch { idle_since: now, begun_since: None, stuck_since: None, reading: Patience::default() }
    }

    /// Why the connection must be cut, if it must.
    fn look(&mut self, activity: &Activity, now: u64, times: Times) -> Option<&'static str> {
        let lasts = |since: u64, time: Duration| now.saturating_sub(since) >= time.as_millis() as u64;
        let has_answered = activity.has_answered.swap(false, Relaxed);
        let has_taken = activity.has_taken.swap(false, Relaxed);
        let since = |is_so: bool, before: Option<u64>| is_so.then_some(before.unwrap_or(now));

        self.stuck_since = since(activity.is_stuck.load(Relaxed), self.stuck_since.filter(|_| !has_taken));
        if self.stuck_since.is_some_and(|since| lasts(since, times.request)) {
            return Some("the client does not read");
        }
        // Streams of HTTP/2 are watched one by one and first, so here it is enough that anything moves.
        let (pace, time) = match activity.is_http2.load(Relaxed) {
            true => (Pace::Any, times.request * 2),
            false => (Pace::Steady, times.request),
        };
        if self.reading.is_over(activity.responses.progress(), pace, now, time) {
            return Some("the client reads too slowly");
        }
        // A long response may take its time, and further requests of the client wait.
        if activity.in_flight.load(Relaxed) > 0 || has_answered || has_taken {
            (self.idle_since, self.begun_since) = (now, None);
            return None;
        }
        let has_begun = activity.has_begun.load(Relaxed) && !activity.is_http2.load(Relaxed);
        self.begun_since = since(has_begun, self.begun_since);
        match self.begun_since {
            Some(since) => lasts(since, times.request).then_some("the head of a request did not come"),
            None => lasts(self.idle_since, times.idle).then_some("idle"),
        }
    }
}

/// A socket that notes its activity.  The connection is counted until this is dropped.
pub(super) struct ActiveStream {
    stream: TcpStream,
    activity: Arc<Activity>,
}

impl ActiveStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>) -> ActiveStream {
        ActiveStream { stream, activity }
    }

    /// The socket, whose activity is not noted any more.
    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
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
    use crate::clock::Clock;
    use crate::server;
    use crate::settings::Settings;

    const TIMES: Times = Times { request: Duration::from_secs(20), idle: Duration::from_secs(75) };

    /// A connection that is looked at every second.
    struct Observed {
        activity: Activity,
        watch: Watch,
        now: u64,
    }

    impl Observed {
        fn new() -> Observed {
            let services = server::services(Settings::default(), Clock::machine(), 7);
            assert!(services.metrics.requests.admit(1));
            Observed { activity: Activity::new(Arc::new(services)), watch: Watch::new(0), now: 0 }
        }

        /// Why it is cut within this many seconds, and after how many of them.
        fn after(&mut self, seconds: u64) -> Option<(u64, &'static str)> {
            (1..=seconds).find_map(|second| {
                self.now += 1000;
                let reason = self.watch.look(&self.activity, self.now, TIMES)?;
                Some((second, reason))
            })
        }

        fn request(&mut self, is_http2: bool) {
            self.activity.received();
            self.activity.begin(is_http2);
            self.activity.end();
            self.activity.written(true);
        }
    }

    #[test]
    fn a_connection_without_requests_is_idle() {
        let mut observed = Observed::new();
        assert_eq!(observed.after(74), None);
        observed.activity.begin(false);
        assert_eq!(observed.after(750), None, "a request may take its time");
        observed.activity.end();
        assert_eq!(observed.after(80), Some((76, "idle")));
    }

    #[test]
    fn a_head_is_waited_for_from_its_first_byte() {
        let mut observed = Observed::new();
        assert_eq!(observed.after(74), None);
        observed.activity.received();
        assert_eq!(observed.after(10), None);
        observed.request(false);
        observed.activity.received();
        assert_eq!(observed.after(10), None);
        observed.activity.received();
        assert_eq!(observed.after(20), Some((12, "the head of a request did not come")));
    }

    #[test]
    fn a_long_response_may_take_its_time_while_it_is_read() {
        let mut observed = Observed::new();
        observed.request(false);
        observed.activity.received();
        for _ in 0..10 {
            observed.activity.written(true);
            observed.activity.written(false);
            assert_eq!(observed.after(20), None);
        }
        assert_eq!(observed.after(20), Some((1, "the client does not read")));
    }

    #[test]
    fn bytes_between_requests_of_http2_begin_nothing() {
        let mut observed = Observed::new();
        observed.request(true);
        observed.activity.received();
        assert_eq!(observed.after(80), Some((76, "idle")));
    }
}

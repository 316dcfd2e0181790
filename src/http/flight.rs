//! Bytes in flight: responses that clients have not read yet, and bodies of requests that are not answered yet.
//!
//! Each connection has an account for each direction.  Bytes in flight are charged to it and to the total until they are
//! dropped.  A large response or body begins only while both are below their limits, so one of them at most exceeds each
//! limit.  Small ones are bounded by their number and go on longer, so that large ones do not keep them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::progress::Progress;
use crate::command::Services;
use crate::http::endpoint::{Problem, Unread, problems};

/// The most bytes of a small response or body.
pub(super) const SMALL: usize = 16 * 1024;

/// Bytes beyond the limit of the total that only small responses and bodies may use.
const RESERVE: usize = 64 << 20;

/// The direction in which bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    /// Bodies of requests.
    In,
    /// Responses.
    Out,
}

/// The bytes that one connection has in flight in one direction.
pub(super) struct Account {
    services: Arc<Services>,
    direction: Direction,
    progress: Progress,
}

impl Account {
    pub(super) fn new(services: Arc<Services>, direction: Direction) -> Arc<Account> {
        Arc::new(Account { services, direction, progress: Progress::default() })
    }

    /// How fast its bytes move.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Lets a request begin that may turn out small.
    ///
    /// # Errors
    /// If there is no room even for small ones.
    pub(super) fn admit_any(&self) -> Result<(), Problem> {
        let limit = self.services.settings.current().http_in_flight_limit;
        if self.total().load(Relaxed) < limit.saturating_add(RESERVE) {
            return Ok(());
        }
        Err(self.refuse("http-in-flight-limit", limit))
    }

    /// Lets a response or body of this many bytes begin or go on; `charged` of them are charged already.
    ///
    /// # Errors
    /// If it is large and a limit is already reached.
    pub(super) fn admit(&self, bytes: usize, charged: usize) -> Result<(), Problem> {
        self.admit_alone(bytes, charged)?;
        let limit = self.services.settings.current().http_in_flight_limit;
        if bytes > SMALL && self.total().load(Relaxed).saturating_sub(charged) >= limit {
            return Err(self.refuse("http-in-flight-limit", limit));
        }
        Ok(())
    }

    /// As [`Account::admit`], whatever other connections have in flight.
    ///
    /// # Errors
    /// If it is large and the connection's own limit is already reached.
    pub(super) fn admit_alone(&self, bytes: usize, charged: usize) -> Result<(), Problem> {
        let limit = self.services.settings.current().http_connection_in_flight_limit;
        if bytes > SMALL && self.progress.held().saturating_sub(charged) >= limit {
            return Err(self.refuse("http-connection-in-flight-limit", limit));
        }
        Ok(())
    }

    /// Charges this many bytes, also to a stream of HTTP/2 if there is one.
    pub(super) fn charge(self: &Arc<Account>, bytes: usize, stream: Option<Arc<Progress>>) -> Charge {
        let charge = Charge { account: Arc::clone(self), stream, bytes: AtomicUsize::new(0) };
        charge.grow(bytes);
        charge
    }

    fn total(&self) -> &AtomicUsize {
        let requests = &self.services.metrics.requests;
        match self.direction {
            Direction::In => &requests.request_bytes,
            Direction::Out => &requests.response_bytes,
        }
    }

    fn refuse(&self, setting: &str, limit: usize) -> Problem {
        let what = match self.direction {
            Direction::In => "bodies of requests that are not answered yet",
            Direction::Out => "responses that are not read yet",
        };
        Problem::new(problems::TOO_MUCH_IN_FLIGHT)
            .detail(format!("the setting {setting} allows {limit} bytes of {what}"))
            .with("setting", setting)
    }
}

impl Unread for Account {
    fn admit_response(&self, bytes: usize) -> Result<(), Problem> {
        self.admit(bytes, 0)
    }
}

/// Bytes that are charged until this is dropped.
pub(super) struct Charge {
    account: Arc<Account>,
    stream: Option<Arc<Progress>>,
    bytes: AtomicUsize,
}

impl Charge {
    pub(super) fn stream(&self) -> Option<&Progress> {
        self.stream.as_deref()
    }

    /// Charges this many more bytes.
    fn grow(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.account.total().fetch_add(bytes, Relaxed);
        self.account.progress.hold(bytes);
        if let Some(stream) = &self.stream {
            stream.hold(bytes);
        }
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// Charges up to this many bytes in total.
    ///
    /// # Errors
    /// As [`Account::admit`].
    pub(super) fn reach(&self, bytes: usize) -> Result<(), Problem> {
        let charged = self.bytes.load(Relaxed);
        if bytes > charged {
            self.account.admit(bytes, charged)?;
            self.grow(bytes - charged);
        }
        Ok(())
    }

    /// A charge of this many bytes, taken from this one as far as they are charged already.
    pub(super) fn split(&mut self, bytes: usize) -> Charge {
        let missing = bytes.saturating_sub(*self.bytes.get_mut());
        self.grow(missing);
        *self.bytes.get_mut() -= bytes;
        let (account, stream) = (Arc::clone(&self.account), self.stream.clone());
        Charge { account, stream, bytes: AtomicUsize::new(bytes) }
    }

    /// Gives the charge back.
    pub(super) fn clear(&mut self) {
        let bytes = std::mem::take(self.bytes.get_mut());
        if bytes == 0 {
            return;
        }
        self.account.total().fetch_sub(bytes, Relaxed);
        self.account.progress.release(bytes);
        if let Some(stream) = &self.stream {
            stream.release(bytes);
        }
    }

    /// The client has taken this many of its bytes; they stay charged while the rest is held.
    pub(super) fn take(&self, bytes: usize) {
        self.account.progress.take(bytes);
        if let Some(stream) = &self.stream {
            stream.take(bytes);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tokio_util::sync::CancellationToken;
    use tower::Service;

    use super::super::router::router;
    use super::*;
    use crate::clock::Clock;
    use crate::http::endpoint::{Context, Crowded};
    use crate::random::Random;
    use crate::server;
    use crate::settings::Settings;

    const OWN: usize = 100_000;
    const ALL: usize = 250_000;

    /// Accounts of as many connections of one server.
    fn accounts<const COUNT: usize>() -> [Arc<Account>; COUNT] {
        let settings = Settings {
            http_connection_in_flight_limit: OWN,
            http_in_flight_limit: ALL,
            ..Settings::default()
        };
        let services = Arc::new(server::services(settings, Clock::machine(), 7));
        std::array::from_fn(|_| Account::new(Arc::clone(&services), Direction::Out))
    }

    #[track_caller]
    fn check(admitted: Result<(), Problem>, setting: Option<&str>) {
        let document = admitted.err().map(|problem| problem.document());
        let named = |setting: &&str| document.as_ref().is_some_and(|text| text.contains(*setting));
        assert_eq!(setting.filter(named), setting, "{document:?}");
        assert_eq!(document.is_some(), setting.is_some(), "{document:?}");
    }

    #[test]
    fn a_connection_begins_nothing_large_at_its_limit() {
        let [account] = accounts();
        check(account.admit(10 * OWN, 0), None);
        let charge = account.charge(OWN - 1, None);
        check(account.admit(10 * OWN, 0), None);
        let more = account.charge(1, None);
        check(account.admit(SMALL + 1, 0), Some("http-connection-in-flight-limit"));
        check(account.admit(SMALL + 1, 1), None);
        check(account.admit(SMALL, 0), None);
        drop((charge, more));
        check(account.admit(10 * OWN, 0), None);
        assert_eq!((account.progress.held(), account.total().load(Relaxed)), (0, 0));
    }

    #[test]
    fn all_connections_together_have_a_limit_and_small_ones_a_later_one() {
        let [one, two, three] = accounts();
        let _charges = [one.charge(ALL / 2, None), two.charge(ALL / 2, None)];
        check(three.admit(SMALL + 1, 0), Some("http-in-flight-limit"));
        check(three.admit(SMALL, 0), None);
        check(three.admit_alone(SMALL + 1, 0), None);
        check(one.admit_alone(SMALL + 1, 0), Some("http-connection-in-flight-limit"));
        check(three.admit_any(), None);
        let _reserve = three.charge(RESERVE, None);
        check(three.admit_any(), Some("http-in-flight-limit"));
    }

    /// The door would refuse it too, but only after it has cost as much as one that is sent.
    #[tokio::test]
    async fn a_response_that_would_be_refused_is_not_made() {
        let [account] = accounts();
        let context = Context::new(
            Arc::clone(&account.services),
            0,
            Random::with_seed(7),
            CancellationToken::new(),
            None,
        );
        let mut router = router(context);
        let mut ask = async |method: &str, path: &str, tags: &str, body: Vec<u8>| {
            let request = Request::builder().method(method).uri(path).header("if-none-match", tags);
            let request = request
                .header("content-type", if method == "PUT" { "text/plain" } else { "application/json" });
            let mut request = request.body(Body::from(body)).expect("a request");
            request.extensions_mut().insert(Crowded(Arc::<Account>::clone(&account)));
            let Ok(response) = router.call(request).await;
            response.status().as_u16()
        };
        assert_eq!(ask("PUT", "/cache/large", "", vec![b'x'; SMALL + 1]).await, 201);
        assert_eq!(ask("PUT", "/cache/small", "", vec![b'x'; SMALL]).await, 201);
        let full = account.charge(OWN, None);
        let batch = |key: &str| format!("{{\"keys\":[\"{key}\"]}}").into_bytes();
        for (key, status) in [("large", 503), ("small", 200)] {
            let path = format!("/cache/{key}");
            assert_eq!(ask("GET", &path, "", Vec::new()).await, status, "{key}");
            assert_eq!(ask("GET", &path, "\"other\"", Vec::new()).await, status, "{key}");
            assert_eq!(ask("GET", &path, "*", Vec::new()).await, 304, "{key}");
            assert_eq!(ask("POST", "/cache/batch/get", "", batch(key)).await, status, "{key}");
        }
        drop(full);
        assert_eq!(ask("GET", "/cache/large", "", Vec::new()).await, 200);
    }

    #[test]
    fn parts_of_a_charge_end_by_themselves() {
        let [account] = accounts();
        let stream = Arc::new(Progress::default());
        let mut whole = account.charge(10, Some(Arc::clone(&stream)));
        let (first, second) = (whole.split(7), whole.split(7));
        assert_eq!((stream.held(), *whole.bytes.get_mut()), (14, 0));
        drop((first, whole));
        assert_eq!((stream.held(), account.progress.held(), account.total().load(Relaxed)), (7, 7, 7));
        drop(second);
        assert_eq!((stream.held(), account.progress.held(), account.total().load(Relaxed)), (0, 0, 0));
    }
}

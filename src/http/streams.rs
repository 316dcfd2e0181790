//! The streams of HTTP/2: each has a task of its own, and is reset if its response is not read in time.
//!
//! A client may leave one stream unread while it reads others, so the watch of the connection does not find it.

use std::sync::Arc;

use hyper::rt::Executor;

use super::progress::{Pace, Patience, Progress};
use crate::command::Services;

/// Looks at a stream per time limit.
const LOOKS: u32 = 4;

tokio::task_local! {
    static CURRENT: Arc<Progress>;
}

/// Starts the tasks.
#[derive(Clone)]
pub(super) struct Streams(Arc<Services>);

impl Streams {
    pub(super) fn new(services: Arc<Services>) -> Streams {
        Streams(services)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let (services, progress) = (Arc::clone(&self.0), Arc::new(Progress::default()));
        let watched = Arc::clone(&progress);
        tokio::spawn(CURRENT.scope(progress, async move {
            tokio::select! {
                biased;
                () = stream => {}
                // Dropping a stream that has not ended resets it.
                () = overdue(&services, &watched) => {
                    tracing::debug!("resetting an HTTP/2 stream: the client does not read");
                }
            }
        }));
    }
}

/// The bytes held for the stream of this task; none for HTTP/1.
pub(super) fn current() -> Option<Arc<Progress>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Waits until the client has had enough time.
async fn overdue(services: &Services, progress: &Progress) {
    let mut patience = Patience::default();
    loop {
        let time = services.settings.current().http_request_timeout;
        tokio::time::sleep(time / LOOKS).await;
        if patience.is_over(progress, Pace::Steady, services.clock.now().millis(), time) {
            return;
        }
    }
}

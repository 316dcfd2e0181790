//! The two tasks of a client: one renews everything it holds, and one tells holders what is lost.
//!
//! They are two because the first one waits for the server, which may be why something is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::holding::Holding;
use crate::term::{LONGEST, now};
use crate::transport::Transport;

/// A holding is renewed together with others up to this part of its length before its time, which saves round trips.
const TOGETHER: f64 = 0.05;

/// How long the server may take to answer a renewal, as a part of what is left of the shortest lease in it.
const PATIENCE: f64 = 0.4;

/// Bounds of that time.
const PATIENCE_MIN: Duration = Duration::from_millis(20);
const PATIENCE_MAX: Duration = Duration::from_secs(5);

/// All that is renewed.
struct Book {
    transport: Transport,
    holdings: Mutex<Vec<Arc<Holding>>>,
    renew: Notify,
    watch: Notify,
}

/// Keeps holdings alive from the first one until it is dropped.
pub(crate) struct Renewal {
    book: Arc<Book>,
    /// None before the first holding, and the tasks of a runtime that may have ended since.
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Renewal {
    pub(crate) fn new(transport: Transport) -> Renewal {
        let holdings = Mutex::new(Vec::new());
        let book = Book { transport, holdings, renew: Notify::new(), watch: Notify::new() };
        Renewal { book: Arc::new(book), tasks: Mutex::default() }
    }

    /// Renews it from now on.
    pub(crate) fn keep(&self, holding: &Arc<Holding>) {
        self.book.holdings().push(Arc::clone(holding));
        self.start();
        self.book.renew.notify_one();
        self.book.watch.notify_one();
    }

    /// Starts the tasks if none run: a runtime that ends, as each test has one, takes its tasks along.
    fn start(&self) {
        let mut tasks = self.tasks();
        if !tasks.is_empty() && !tasks.iter().any(AbortHandle::is_finished) {
            return;
        }
        tasks.drain(..).for_each(|task| task.abort());
        let (renewing, watching) = (Arc::clone(&self.book), Arc::clone(&self.book));
        let renew = tokio::spawn(async move { renewing.renew_all().await });
        let watch = tokio::spawn(async move { watching.watch_all().await });
        tasks.extend([renew.abort_handle(), watch.abort_handle()]);
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews it no longer.
    pub(crate) fn forget(&self, holding: &Arc<Holding>) {
        self.book.holdings().retain(|other| !Arc::ptr_eq(other, holding));
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.tasks().drain(..).for_each(|task| task.abort());
    }
}

impl Book {
    fn holdings(&self) -> MutexGuard<'_, Vec<Arc<Holding>>> {
        self.holdings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to renew now, if anything is due, or else when something is.
    fn due(&self, at: Instant) -> std::result::Result<Vec<Arc<Holding>>, Option<Instant>> {
        let holdings = self.holdings();
        let next = holdings.iter().map(|holding| holding.due()).min();
        if next.is_none_or(|next| next > at) {
            return Err(next);
        }
        let is_due = |holding: &&Arc<Holding>| holding.due() <= at + holding.term().length.mul_f64(TOGETHER);
        Ok(holdings.iter().filter(is_due).cloned().collect())
    }

    async fn renew_all(&self) {
        loop {
            match self.due(now()) {
                Ok(batch) => self.renew(&batch).await,
                Err(next) => sleep_until(next, &self.renew).await,
            }
        }
    }

    async fn renew(&self, batch: &[Arc<Holding>]) {
        let sent = now();
        let renewals: Vec<_> = batch.iter().map(|holding| holding.renewals()).collect();
        let commands: Vec<_> = renewals.iter().flat_map(|(commands, _)| commands.iter().cloned()).collect();
        let answered = self.transport.batch(&commands, patience(batch, sent)).await;
        let mut rest = answered.as_deref().unwrap_or_default();
        for (holding, (commands, asked)) in batch.iter().zip(&renewals) {
            let Some((own, others)) = rest.split_at_checked(commands.len()) else {
                holding.try_again(now());
                continue;
            };
            rest = others;
            if !holding.is_released() {
                holding.settle(own, asked, sent);
            }
        }
        self.holdings().retain(|holding| !holding.lost.is_cancelled());
        self.watch.notify_one();
    }

    async fn watch_all(&self) {
        loop {
            let next = {
                let mut holdings = self.holdings();
                holdings.retain(|holding| holding.look().is_ok());
                holdings.iter().map(|holding| holding.lost_at()).min()
            };
            sleep_until(next, &self.watch).await;
        }
    }
}

/// Until this time, or until something has changed.
async fn sleep_until(next: Option<Instant>, changed: &Notify) {
    let wait = next.map_or(LONGEST, |next| next.saturating_duration_since(now()));
    // Either is a reason to look again.
    let _ = tokio::time::timeout(wait, changed.notified()).await;
}

/// How long to wait for the answer to these renewals.
fn patience(batch: &[Arc<Holding>], at: Instant) -> Duration {
    let first = batch.iter().map(|holding| holding.lost_at()).min().unwrap_or(at);
    first.saturating_duration_since(at).mul_f64(PATIENCE).clamp(PATIENCE_MIN, PATIENCE_MAX)
}

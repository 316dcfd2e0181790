//! Remembering the results of requests with an id.

use super::Model;
use super::events::Events;
use super::idempotency::{Bound, Done};
use crate::lock::records::Record;
use crate::lock::refused::Refused;

impl Model {
    /// The result of the request when it was made before; none if this is the first time.
    ///
    /// # Errors
    /// If its id was used for another request.
    pub(in crate::lock) fn done_before(&self, request: &Bound) -> Result<Option<Done>, Refused> {
        match self.request_ids.find(&request.key) {
            Some(entry) if entry.fingerprint == request.fingerprint => Ok(Some(entry.done)),
            Some(_) => Err(Refused::RequestIdUsed),
            None => Ok(None),
        }
    }

    /// Remembers the result of a request with an id.  A restart keeps it, unless the request waits.
    pub(in crate::lock) fn remember(&mut self, request: &Bound, done: Done, events: &mut Events) {
        if request.is_none() {
            return;
        }
        let (key, fingerprint) = (&request.key, request.fingerprint);
        if !matches!(done, Done::Waiting(_)) {
            events.record(&Record::RequestDone { key, fingerprint, done });
        }
        self.request_ids.remember(key, fingerprint, done, self.now);
    }

    /// Forgets a request that came to nothing: it may be made anew.
    pub(in crate::lock) fn forget_request(&mut self, key: &[u8], events: &mut Events) {
        if !key.is_empty() {
            self.request_ids.forget(key);
            events.record(&Record::RequestForgotten { key });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::identifiers::{RequestId, WaiterId};
    use crate::lock::limits::{REQUEST_ID_MEMORY, REQUEST_IDS_MAX};
    use crate::lock::model::idempotency::{Fingerprint, OperationKind};

    fn bound(scope: &[u8], id: &[u8], operation: OperationKind) -> Bound {
        RequestId { scope, id }.bind(|| Fingerprint::of(operation)).expect("the id is short")
    }

    fn remember(core: &mut Model, request: &Bound, done: Done) {
        core.remember(request, done, &mut Events::default());
    }

    #[test]
    fn an_id_is_bound_to_what_it_was_used_for() {
        let mut core = Model::default();
        let request = bound(b"a", b"bc", OperationKind::Acquire);
        remember(&mut core, &request, Done::Granted(1));
        assert_eq!(core.done_before(&request), Ok(Some(Done::Granted(1))));
        assert_eq!(
            core.done_before(&bound(b"a", b"bc", OperationKind::Release)),
            Err(Refused::RequestIdUsed)
        );
        assert_eq!(core.done_before(&bound(b"ab", b"c", OperationKind::Acquire)), Ok(None));
        assert_eq!(core.done_before(&bound(b"", b"bc", OperationKind::Acquire)), Ok(None));
        assert_eq!(core.done_before(&bound(b"a", b"", OperationKind::Release)), Ok(None));
    }

    #[test]
    fn requests_are_remembered_for_a_time_and_in_number() {
        let mut core = Model::default();
        let [first, waits, later] = [&b"1"[..], b"2", b"3"].map(|id| bound(b"a", id, OperationKind::Acquire));
        remember(&mut core, &first, Done::Granted(1));
        remember(&mut core, &waits, Done::Waiting(WaiterId(7)));
        core.now = REQUEST_ID_MEMORY * 1000 - 1;
        remember(&mut core, &later, Done::Granted(2));
        assert_eq!(core.done_before(&first), Ok(Some(Done::Granted(1))));
        core.now += 1;
        remember(&mut core, &later, Done::Granted(3));
        assert_eq!(core.done_before(&first), Ok(None));
        assert_eq!(core.done_before(&later), Ok(Some(Done::Granted(3))));
        // A client may repeat its request as long as it waits.
        assert_eq!(core.done_before(&waits), Ok(Some(Done::Waiting(WaiterId(7)))));
        let done = core.request_ids.numbers().filter_map(|number| core.request_ids.done_at(number));
        assert_eq!(done.count(), 1);
        core.request_ids.forget(&waits.key);
        assert_eq!((core.done_before(&waits), core.request_ids.len()), (Ok(None), 1));
        for number in 0..REQUEST_IDS_MAX * 2 {
            let request = bound(b"a", number.to_string().as_bytes(), OperationKind::Force);
            remember(&mut core, &request, Done::Counted(4));
        }
        assert_eq!(core.request_ids.len(), REQUEST_IDS_MAX);
        assert_eq!(core.done_before(&later), Ok(None));
    }
}

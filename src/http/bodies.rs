//! Bodies on connections: each is charged as long as it is in flight.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::{Body, HttpBody};
use bytes::{Buf, Bytes};
use hyper::body::{Frame, Incoming, SizeHint};

use super::flight::{Account, Charge, SMALL};
use super::streams;
use super::thread::UnderWay;
use crate::http::endpoint::BodyRefused;

/// The body of a response on its way to the client.
pub(super) struct ResponseBody {
    body: Body,
    /// The charge of the rest of the body, if its length is known.
    charge: Charge,
    /// Whether a large part was sent whose end must be waited for.
    is_large: bool,
    /// The connection is not idle meanwhile.
    _under_way: UnderWay,
}

impl ResponseBody {
    pub(super) fn new(body: Body, account: &Arc<Account>, under_way: UnderWay) -> ResponseBody {
        let bytes = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX / 2);
        let charge = account.charge(bytes, streams::current());
        ResponseBody { body, charge, is_large: false, _under_way: under_way }
    }
}

impl HttpBody for ResponseBody {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let this = &mut *self;
        let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(context)) else {
            this.charge.clear();
            // Once its body has ended, a stream of HTTP/2 can no longer be reset.
            if let Some(stream) = this.charge.stream() {
                ready!(stream.poll_empty(context.waker()));
            }
            return Poll::Ready(None);
        };
        let charged = |bytes: Bytes| {
            this.is_large |= bytes.len() > SMALL;
            Piece { charge: this.charge.split(bytes.len()), bytes }
        };
        Poll::Ready(Some(frame.map(|frame| frame.map_data(charged))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && !(self.is_large && self.charge.stream().is_some())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A part of a response, charged until the client has taken it.
pub(super) struct Piece {
    bytes: Bytes,
    charge: Charge,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.charge.take(count);
        self.bytes.advance(count);
    }
}

/// The body of a request on its way in.  The charge begins with the first read, with the announced length or else as bytes
/// come, and lasts until the request is answered: the caller keeps the charge.
pub(super) struct RequestBody {
    body: Incoming,
    charge: Arc<Charge>,
    received: usize,
    has_begun: bool,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, account: &Arc<Account>) -> RequestBody {
        RequestBody { charge: Arc::new(account.charge(0, None)), body, received: 0, has_begun: false }
    }

    pub(super) fn charge(&self) -> Arc<Charge> {
        Arc::clone(&self.charge)
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if !this.has_begun {
            this.has_begun = true;
            let announced = usize::try_from(this.body.size_hint().lower()).unwrap_or(usize::MAX);
            this.charge.reach(announced).map_err(BodyRefused)?;
        }
        let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let frame = frame?;
        this.received += frame.data_ref().map_or(0, Bytes::len);
        this.charge.reach(this.received).map_err(BodyRefused)?;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! The mailbox of a waiter: no answer is lost, none is given twice.

use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::mailbox::Mailbox;
use super::parking::Parking;
use super::try_all_orders;

/// Fails if [`Mailbox::poll_take`] looks for the answer before it registers the waker.
#[test]
fn a_waiter_that_sleeps_is_woken_by_the_answer() {
    try_all_orders(|| {
        let mailbox = Arc::new(Mailbox::default());
        let service = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || {
                mailbox.fill(7).expect("the waiter does not leave");
                mailbox.wake();
            })
        };
        let parking = Arc::new(Parking::new());
        let waker = parking.waker();
        let answer = loop {
            match mailbox.poll_take(&waker) {
                Poll::Ready(answer) => break answer,
                Poll::Pending => parking.sleep(),
            }
        };
        assert_eq!(answer, 7);
        service.join().expect("the service ends");
    });
}

/// Fails if [`Mailbox::close`] leaves an empty mailbox as it is.
#[test]
fn an_answer_goes_to_the_waiter_or_back_to_the_service() {
    try_all_orders(|| {
        let mailbox = Arc::new(Mailbox::default());
        let service = {
            let mailbox = Arc::clone(&mailbox);
            thread::spawn(move || mailbox.put(7).is_ok())
        };
        let parking = Arc::new(Parking::new());
        let taken = match mailbox.poll_take(&parking.waker()) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => mailbox.close(),
        };
        let is_delivered = service.join().expect("the service ends");
        assert_eq!(taken.is_some(), is_delivered);
        assert_eq!(mailbox.close(), None, "an answer is there once");
    });
}

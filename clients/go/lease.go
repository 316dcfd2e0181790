package quartet

import (
	"context"
	"errors"
	"time"
)

// held is what leases, slots and sessions have in common.
type held struct {
	client  *Client
	holding *holding
	// giveBack tells the server.
	giveBack func(ctx context.Context) error
}

// Lost is closed once it is lost, before the server can grant it to anybody else.
func (h *held) Lost() <-chan struct{} { return h.holding.lost }

// Err is nil while it is held, ErrNotHeld once it or its session was released, and ErrLost once it is lost.  The clock is asked,
// so a program that was paused is told the truth as well.
func (h *held) Err() error { return h.client.renewal.look(h.holding) }

// Remaining is for how long it is certainly held, without a further renewal.
func (h *held) Remaining() time.Duration {
	h.client.renewal.lock.Lock()
	defer h.client.renewal.lock.Unlock()
	if h.holding.isReleased || h.holding.lostErr != nil {
		return 0
	}
	return h.holding.lostAt().until()
}

// Context is cancelled when it is lost; Cause says why.
func (h *held) Context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := withCause(parent)
	h.client.renewal.lock.Lock()
	defer h.client.renewal.lock.Unlock()
	if h.holding.lostErr != nil {
		cancel(h.holding.lostErr)
	} else {
		h.holding.announced = append(h.holding.announced, cancel)
	}
	return ctx, func() { cancel(nil) }
}

// Release gives it back.  The error is ErrLost if it was lost before; it does nothing if it was released before.  If the server
// does not answer it is held no longer, and may be released again: that is the same request once more.
//
// A context that has ended already does not keep it from the server: it is why the work has ended.
func (h *held) Release(ctx context.Context) error {
	isToBeTold, err := h.client.renewal.release(h.holding)
	if !isToBeTold || err != nil {
		return err
	}
	if ctx.Err() != nil {
		ctx = detached{ctx}
	}
	err = h.giveBack(ctx)
	if errors.Is(err, ErrNotHeld) || errors.Is(err, ErrLost) {
		return h.client.renewal.lose(h.holding, "it was forced, or its lease ended before its release")
	}
	if err != nil {
		h.client.renewal.unanswered(h.holding)
	}
	return err
}

// do runs something with a context that is cancelled when it is lost, and gives it back.
func (h *held) do(ctx context.Context, run func(ctx context.Context) error) (err error) {
	inside, cancel := h.Context(ctx)
	defer cancel()
	defer func() {
		// What the function returns goes first, but for the cancellation that comes of the loss; it may also panic.
		released := h.Release(detached{ctx})
		if err == nil || (errors.Is(err, context.Canceled) && errors.Is(released, ErrLost)) {
			err = released
		}
	}()
	return run(inside)
}

// detached goes on when its parent is cancelled, so that a lock is released then too.
type detached struct{ context.Context }

func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}       { return nil }
func (detached) Err() error                  { return nil }

// Lease is one grant of a lock, a semaphore or several resources together.  It is renewed until it is released, or lost.
type Lease struct {
	held
	of    *lockKind
	owner *owner
}

// Resources are what is held.
func (l *Lease) Resources() []string { return append([]string(nil), l.of.resources...) }

// Owner is who holds it.
func (l *Lease) Owner() string { return l.of.owner }

// FencingToken is a number larger than those of all grants before: whatever the lock protects can refuse a smaller one.
func (l *Lease) FencingToken() int64 { return l.of.token }

// FencedSet writes into Quartet's cache only if this grant still holds; both is one step.  The error is ErrLost otherwise.
// The value is kept for ever if it expires after zero.
func (l *Lease) FencedSet(ctx context.Context, key, value string, expires time.Duration) error {
	if err := l.Err(); err != nil {
		return err
	}
	made := command{"FENCE.SET", key, value, "LOCK", l.of.resources[0], "FENCE", l.of.token}
	if expires > 0 {
		made = made.with("PX", milliseconds(expires))
	}
	_, err := l.client.transport.call(ctx, made, 0)
	if errors.Is(err, ErrLost) {
		return l.client.renewal.lose(l.holding, "its fencing token is refused")
	}
	return err
}

// Slot is a slot of a limit on concurrency.  It is renewed until it is released, or lost.
type Slot struct{ held }

// Do runs something within the slot and releases it.
func (s *Slot) Do(ctx context.Context, run func(ctx context.Context) error) error {
	return s.do(ctx, run)
}

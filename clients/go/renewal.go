package quartet

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// renewal keeps the holdings of a client alive.  One goroutine renews them all, and a timer tells holders what is lost: they
// are two because the first one waits for the server, which may be why something is lost.
type renewal struct {
	transport *transport
	lock      sync.Mutex
	book      book
	isRunning bool
	isClosed  bool
	changed   chan struct{}
	end       *time.Timer
}

func newRenewal(transport *transport) *renewal {
	return &renewal{transport: transport, book: book{}, changed: make(chan struct{}, 1)}
}

// closedReason is why holdings are lost that their client no longer renews.
const closedReason = "its client was closed, and renews it no longer"

// keep renews it from now on.
func (r *renewal) keep(holding *holding) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.isClosed {
		holding.lose(closedReason)
		return
	}
	r.book[holding] = true
	if !r.isRunning {
		r.isRunning = true
		go r.run()
	}
	r.setEnd()
	r.wake()
}

// release renews it no longer, and says whether the server is to be told, or why it was lost before.
func (r *renewal) release(holding *holding) (isToBeTold bool, err error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if holding.isReleased {
		again := holding.isUnanswered
		holding.isUnanswered = false
		return again, nil
	}
	delete(r.book, holding)
	if holding.look(now()) {
		return false, holding.lostErr
	}
	holding.isReleased = true
	return true, nil
}

// lose notes that the server holds it no more, and returns the error that says so.
func (r *renewal) lose(holding *holding, reason string) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	holding.isReleased = false
	holding.lose(reason)
	return holding.lostErr
}

// unanswered notes that the server has not answered its release, so that it may be tried again.
func (r *renewal) unanswered(holding *holding) {
	r.lock.Lock()
	defer r.lock.Unlock()
	holding.isUnanswered = true
}

// look says why it is held no longer by now, by the clock as well.
func (r *renewal) look(holding *holding) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	if !holding.look(now()) && holding.isReleased {
		return fmt.Errorf("%w: %s was released, or its session", ErrNotHeld, holding.label)
	}
	return holding.lostErr
}

// close ends renewals.  What is still held is lost, since nobody renews it.
func (r *renewal) close() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.isClosed = true
	for holding := range r.book {
		holding.lose(closedReason)
		delete(r.book, holding)
	}
	r.wake()
}

func (r *renewal) wake() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// setEnd looks for what is lost when the next lease would end.
func (r *renewal) setEnd() {
	if r.end != nil {
		r.end.Stop()
	}
	if next := r.book.nextEnd(); next != never {
		r.end = time.AfterFunc(next.until(), func() {
			r.lock.Lock()
			defer r.lock.Unlock()
			r.book.look(now())
			r.setEnd()
		})
	}
}

func (r *renewal) run() {
	for {
		r.lock.Lock()
		if r.isClosed {
			r.lock.Unlock()
			return
		}
		sent := now()
		batch := r.book.batch(sent)
		commands, counts := renewals(batch)
		next := r.book.nextDue()
		r.lock.Unlock()
		if len(batch) > 0 {
			r.renew(batch, commands, counts, sent)
			continue
		}
		wait := longest
		if next != never {
			wait = next.until()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.changed:
			timer.Stop()
		}
	}
}

// renewals are the commands for a batch, and how many each holding has.
func renewals(batch []*holding) (commands []command, counts []int) {
	for _, holding := range batch {
		own := holding.renewals(holding.term.length)
		commands = append(commands, own...)
		counts = append(counts, len(own))
	}
	return commands, counts
}

func (r *renewal) renew(batch []*holding, commands []command, counts []int, sent instant) {
	r.lock.Lock()
	patience := waitFor(batch, sent)
	r.lock.Unlock()
	replies, err := r.transport.batch(context.Background(), commands, patience)
	r.lock.Lock()
	defer r.lock.Unlock()
	for at, holding := range batch {
		if err != nil {
			holding.due = holding.term.againAt(now())
			continue
		}
		r.book.settle(holding, replies[:counts[at]], sent)
		replies = replies[counts[at]:]
	}
	r.setEnd()
}

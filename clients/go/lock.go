package quartet

import (
	"context"
	"errors"
	"strings"
	"time"
)

// DefaultTTL is how long a lease lasts without renewal: how long others wait if its holder vanishes.
const DefaultTTL = 30 * time.Second

// fresh is the part of a lease that is certain when its holder gets it; if less is, it is renewed before.
const fresh = 0.5

// Option says how a lock is held.
type Option func(*asked)

// TTL is how long a lock outlives this program; DefaultTTL unless it is given.
func TTL(ttl time.Duration) Option { return func(a *asked) { a.ttl = ttl } }

// Wait is how long to wait for a lock: until the context ends unless it is given.
func Wait(wait time.Duration) Option { return func(a *asked) { a.wait = wait } }

// Shared goes together with other shared holders.
func Shared() Option { return func(a *asked) { a.shared = true } }

// Reentrant lets an owner acquire the lock once more.
func Reentrant() Option { return func(a *asked) { a.reentrant = true } }

// Owner names who holds the lock.  Otherwise it is the owner of the lock whose context is given, or a new one.
func Owner(name string) Option { return func(a *asked) { a.owner = name } }

// Meta is shown by LOCK.INFO.
func Meta(text string) Option { return func(a *asked) { a.meta = text } }

// Permits is how many permits of a semaphore to take; one unless it is given.
func Permits(count int) Option { return func(a *asked) { a.permits = count } }

// Lock is one resource, or several that are only ever held together.  It may be shared by goroutines: each has its own lease.
type Lock struct {
	client  *Client
	asked   asked
	session *holding
}

// Resources are what it locks.
func (l *Lock) Resources() []string { return append([]string(nil), l.asked.resources...) }

// Acquire waits for it.  The error is ErrNotAcquired if the time to wait is over, and a DeadlockError at once.
func (l *Lock) Acquire(ctx context.Context) (*Lease, error) { return l.acquire(ctx, l.asked.wait) }

// TryAcquire acquires it if nobody has to be waited for.  The error is ErrNotAcquired otherwise.
func (l *Lock) TryAcquire(ctx context.Context) (*Lease, error) { return l.acquire(ctx, 0) }

// Do holds the lock while the function runs.  Its context is cancelled if the lock is lost (Cause says why), and is to be
// given to locks that are taken within.  The error is ErrLost then, unless the function returned one of its own.
func (l *Lock) Do(ctx context.Context, run func(ctx context.Context, lease *Lease) error) error {
	lease, err := l.Acquire(ctx)
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, ownerKey{}, lease.owner)
	return lease.do(ctx, func(ctx context.Context) error { return run(ctx, lease) })
}

// Release releases what the owner holds that is named or has this context, without its lease.  The error is ErrNotHeld if it
// holds nothing.
func (l *Lock) Release(ctx context.Context) error {
	name := l.asked.owner
	if outer, ok := ctx.Value(ownerKey{}).(*owner); ok && name == "" {
		name = outer.name
	}
	if name == "" {
		return ErrNotHeld
	}
	_, err := l.client.transport.call(ctx, release(l.asked.resources, name, 0, unique()), 0)
	return err
}

func (l *Lock) acquire(ctx context.Context, wait time.Duration) (*Lease, error) {
	owner := ownerFor(ctx, l.asked.owner)
	defer owner.waitsNoLonger()
	session := ""
	if l.session != nil {
		session = l.session.kind.(*sessionKind).name
	}
	sent := now()
	reply, err := l.client.transport.call(ctx, l.asked.acquire(owner.name, wait, session), timeInServer(wait))
	if err != nil {
		return nil, err
	}
	grant, err := granted(reply)
	if err != nil {
		return nil, err
	}
	if grant == nil {
		return nil, ErrNotAcquired
	}
	of := &lockKind{resources: l.asked.resources, owner: owner.name, token: grant.token}
	lease := &Lease{of: of, owner: owner}
	lease.client = l.client
	lease.giveBack = func(ctx context.Context) error {
		l.forget(lease.holding)
		_, err := l.client.transport.call(ctx, release(of.resources, of.owner, of.token, lease.holding.releaseID), 0)
		return err
	}
	label := strings.Join(of.resources, ", ")
	if l.session != nil {
		lease.holding = newHolding(of, label, l.session.term)
		l.remember(lease.holding)
		return lease, nil
	}
	// The whole lease lies behind the wait, whichever attempt at sending the request was answered.
	left := l.asked.ttl
	if grant.left >= 0 && grant.left < left {
		left = grant.left
	}
	lease.holding = newHolding(of, label, term{l.asked.ttl, sent.add(grant.waited + left - l.asked.ttl)})
	if lease.holding.lostAt().until() < part(l.asked.ttl, fresh) {
		if err := l.renew(ctx, lease.holding); err != nil {
			return nil, err
		}
	}
	l.client.renewal.keep(lease.holding)
	return lease, nil
}

// renew makes more of it certain.
func (l *Lock) renew(ctx context.Context, holding *holding) error {
	sent := now()
	for _, command := range holding.renewals(holding.term.length) {
		if _, err := l.client.transport.call(ctx, command, 0); err != nil {
			if errors.Is(err, ErrNotHeld) {
				return lost(holding.label, "as soon as it was granted")
			}
			return err
		}
	}
	holding.term.began = sent
	holding.due = holding.term.dueAt()
	return nil
}

// remember has the session ask after a lease.
func (l *Lock) remember(lease *holding) {
	l.client.renewal.lock.Lock()
	defer l.client.renewal.lock.Unlock()
	lease.session = l.session
	l.session.kind.(*sessionKind).leases[lease] = true
	if l.session.lostErr != nil {
		lease.lose("its session is lost")
	}
}

func (l *Lock) forget(lease *holding) {
	if l.session == nil {
		return
	}
	l.client.renewal.lock.Lock()
	defer l.client.renewal.lock.Unlock()
	delete(l.session.kind.(*sessionKind).leases, lease)
}

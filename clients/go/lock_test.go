package quartet

import (
	"context"
	"errors"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

func TestOneAtATimeAndTokensRise(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	var tokens []int64
	var workers sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for round := 0; round < 20; round++ {
				err := client.Lock("resource").Do(background, func(ctx context.Context, lease *Lease) error {
					// Two steps: without the lock they would overwrite one another.
					value, err := redis.Int(server.command("GET", "counter"), nil)
					if err != nil && err != redis.ErrNil {
						return err
					}
					tokens = append(tokens, lease.FencingToken())
					server.command("SET", "counter", value+1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	workers.Wait()
	count, err := redis.Int(server.command("GET", "counter"), nil)
	must(t, err)
	isTrue(t, count == 160 && len(tokens) == 160, "each has had its turn")
	isTrue(t, sort.SliceIsSorted(tokens, func(a, b int) bool { return tokens[a] < tokens[b] }), "tokens rise")
}

func TestALeaseIsRenewedManyTimes(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	resources := []string{name("a"), name("b"), name("c")}
	var leases []*Lease
	for _, resource := range resources {
		lease, err := client.Lock(resource, TTL(keptTTL)).Acquire(background)
		must(t, err)
		leases = append(leases, lease)
	}
	for at, resource := range resources {
		eventually(t, func() bool { return server.held(resource) > keptTTL*3/2 })
		must(t, leases[at].Err())
		left := leases[at].Remaining()
		isTrue(t, left > 0 && left <= keptTTL, "some of it is certain")
		must(t, leases[at].Release(background))
		isTrue(t, server.held(resource) == 0, "it is released")
		// A second release has nothing to do.
		must(t, leases[at].Release(background))
	}
}

func TestWaitingEnds(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	held, err := client.Lock("x").Acquire(background)
	must(t, err)
	_, err = client.Lock("x", Wait(50*time.Millisecond)).Acquire(background)
	isTrue(t, errors.Is(err, ErrNotAcquired), "the time is over")
	_, err = client.Lock("x").TryAcquire(background)
	isTrue(t, errors.Is(err, ErrNotAcquired), "it is held")
	ctx, cancel := context.WithCancel(background)
	waited := make(chan error)
	go func() {
		_, err := client.Lock("x").Acquire(ctx)
		waited <- err
	}()
	eventually(t, func() bool { return server.waits("x") == 1 })
	cancel()
	isTrue(t, errors.Is(<-waited, context.Canceled), "the context ends the wait")
	eventually(t, func() bool { return server.waits("x") == 0 })
	go func() {
		lease, err := client.Lock("x").Acquire(background)
		if err == nil && lease.FencingToken() <= held.FencingToken() {
			err = errors.New("tokens rise")
		}
		waited <- err
	}()
	eventually(t, func() bool { return server.waits("x") == 1 })
	must(t, held.Release(background))
	must(t, <-waited)
}

func TestOnlyTheOwnerReleases(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	lease, err := client.Lock("x", Owner("holder")).Acquire(background)
	must(t, err)
	isTrue(t, errors.Is(client.Lock("x", Owner("somebody")).Release(background), ErrNotHeld), "somebody is refused")
	isTrue(t, errors.Is(client.Lock("x").Release(background), ErrNotHeld), "nobody is refused")
	must(t, lease.Err())
	must(t, client.Lock("x", Owner("holder")).Release(background))
	isTrue(t, errors.Is(lease.Release(background), ErrLost), "it was released behind the lease's back")
}

func TestAnOwnerAcquiresAgainOnlyIfItSaysSo(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	must(t, client.Lock("x").Do(background, func(ctx context.Context, outer *Lease) error {
		_, err := client.Lock("x").TryAcquire(ctx)
		isTrue(t, errors.Is(err, ErrNotAcquired), "it is held")
		// It would wait for itself.
		var deadlock *DeadlockError
		_, err = client.Lock("x").Acquire(ctx)
		isTrue(t, errors.As(err, &deadlock), "a deadlock of one")
		return client.Lock("x", Reentrant()).Do(ctx, func(_ context.Context, inner *Lease) error {
			isTrue(t, inner.FencingToken() == outer.FencingToken(), "one grant")
			return nil
		})
	}))
	lease, err := client.Lock("x").TryAcquire(background)
	must(t, err)
	must(t, lease.Release(background))
}

func TestADeadlockIsAnErrorOfItsOwn(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	must(t, client.Lock("x", Owner("ann")).Do(background, func(ctx context.Context, _ *Lease) error {
		other := make(chan error, 1)
		ready := make(chan struct{})
		go func() {
			other <- client.Lock("y", Owner("bob")).Do(background, func(ctx context.Context, _ *Lease) error {
				close(ready)
				return client.Lock("x").Do(ctx, func(context.Context, *Lease) error { return nil })
			})
		}()
		<-ready
		eventually(t, func() bool { return server.waits("x") == 1 })
		var deadlock *DeadlockError
		_, err := client.Lock("y").Acquire(ctx)
		isTrue(t, errors.As(err, &deadlock), "it is refused")
		waits := []string{"ann", "y", "bob", "x", "ann"}
		for at, who := range waits {
			isTrue(t, len(deadlock.Waits) == len(waits) && deadlock.Waits[at] == who, err.Error())
		}
		go func() { t.Log(<-other) }()
		return nil
	}))
}

func TestAnOwnerWaitsOnceAtATime(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	held, err := client.Lock("y").Acquire(background)
	must(t, err)
	must(t, client.Lock("x").Do(background, func(ctx context.Context, outer *Lease) error {
		waited := make(chan error)
		go func() {
			waited <- client.Lock("y").Do(ctx, func(context.Context, *Lease) error { return nil })
		}()
		eventually(t, func() bool { return server.waits("y") == 1 })
		// Beside the wait it is another one's.
		beside, err := client.Lock("z").Acquire(ctx)
		must(t, err)
		isTrue(t, beside.Owner() != outer.Owner(), "another owner")
		_, err = client.Lock("y", Owner(outer.Owner())).Acquire(ctx)
		isTrue(t, errors.Is(err, ErrOwnerWaits), "one wait at a time")
		must(t, held.Release(background))
		return <-waited
	}))
}

func TestSharedSeveralAndPermits(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	one, err := client.Lock("x", Shared()).Acquire(background)
	must(t, err)
	two, err := client.Lock("x", Shared()).Acquire(background)
	must(t, err)
	_, err = client.Lock("x").TryAcquire(background)
	isTrue(t, errors.Is(err, ErrNotAcquired), "there are readers")
	must(t, one.Release(background))
	must(t, two.Release(background))
	must(t, client.LockAll([]string{"x", "y"}, TTL(keptTTL)).Do(background, func(context.Context, *Lease) error {
		eventually(t, func() bool { return server.held("x") > keptTTL*6/5 && server.held("y") > keptTTL*6/5 })
		return nil
	}))
	isTrue(t, server.held("x")+server.held("y") == 0, "both are released")
	semaphore := client.Semaphore("permits", 3)
	var leases []*Lease
	for len(leases) < 3 {
		lease, err := semaphore.TryAcquire(background)
		must(t, err)
		leases = append(leases, lease)
	}
	_, err = semaphore.TryAcquire(background)
	isTrue(t, errors.Is(err, ErrNotAcquired), "all are taken")
	must(t, leases[0].Release(background))
	_, err = client.Semaphore("permits", 3, Permits(2)).TryAcquire(background)
	isTrue(t, errors.Is(err, ErrNotAcquired), "one is free")
}

func TestWritesUnderTheFencingToken(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	lease, err := server.client(t).Lock("x").Acquire(background)
	must(t, err)
	must(t, lease.FencedSet(background, "key", "done", time.Minute))
	server.command("LOCK.FORCE", "x")
	isTrue(t, errors.Is(lease.FencedSet(background, "key", "too late", 0), ErrLost), "it is refused")
	<-lease.Lost()
	isTrue(t, errors.Is(lease.Release(background), ErrLost), "it is lost")
	text, err := redis.String(server.command("GET", "key"), nil)
	must(t, err)
	isTrue(t, text == "done", text)
}

func TestASessionKeepsAllAndFreesAll(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	session, err := server.client(t).Session(background, keptTTL, 0)
	must(t, err)
	resources := []string{"a", "b", "c", "d"}
	var leases []*Lease
	for _, resource := range resources {
		lease, err := session.Lock(resource).Acquire(background)
		must(t, err)
		leases = append(leases, lease)
	}
	_, err = session.Semaphore("permits", 2).Acquire(background)
	must(t, err)
	for _, resource := range resources {
		eventually(t, func() bool { return server.held(resource) > keptTTL*6/5 })
	}
	must(t, leases[0].Release(background))
	isTrue(t, server.held("a") == 0, "it is released")
	// The loss of one lease is not that of the others.
	server.command("LOCK.FORCE", "b")
	<-leases[1].Lost()
	must(t, session.Err())
	must(t, leases[2].Err())
	must(t, session.Close(background))
	isTrue(t, server.held("c")+server.held("d")+server.held("permits") == 0, "all are free")
	isTrue(t, errors.Is(leases[2].Err(), ErrNotHeld), "it is over")
}

package quartet

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/gomodule/redigo/redis"
)

// untilLost waits for the end of the context of a lock, and says what a function does that heeds it.
func untilLost(ctx context.Context, _ *Lease) error {
	<-ctx.Done()
	if !errors.Is(Cause(ctx), ErrLost) {
		return errors.New("the context does not say why it was cancelled")
	}
	return ctx.Err()
}

func TestForced(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	lock := client.Lock("x", TTL(shortTTL))
	err := lock.Do(background, func(ctx context.Context, lease *Lease) error {
		server.command("LOCK.FORCE", "x")
		<-lease.Lost()
		isTrue(t, errors.Is(lease.Err(), ErrLost), "it is lost")
		return untilLost(ctx, lease)
	})
	isTrue(t, errors.Is(err, ErrLost) && contains(err, "x"), "it says what is lost")
	err = lock.Do(background, func(context.Context, *Lease) error {
		server.command("LOCK.FORCE", "x")
		return nil
	})
	isTrue(t, errors.Is(err, ErrLost), "its end notices it")
	own := errors.New("of the function")
	err = lock.Do(background, func(context.Context, *Lease) error {
		server.command("LOCK.FORCE", "x")
		return own
	})
	isTrue(t, errors.Is(err, own), "what the function returns goes first")
}

func TestServerPausedStoppedAndStartedAgain(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	err := client.Lock("x", TTL(shortTTL)).Do(background, func(ctx context.Context, lease *Lease) error {
		server.pause()
		defer server.resume()
		return untilLost(ctx, lease)
	})
	isTrue(t, errors.Is(err, ErrLost), "paused")
	relay := startRelay(t, server.address(), listen(t))
	err = relay.client(t).Lock("y").Do(background, func(context.Context, *Lease) error {
		server.stop()
		server.start()
		relay.leadTo(server.address())
		return nil
	})
	isTrue(t, errors.Is(err, ErrLost), "started again")
	session, err := server.client(t).Session(background, shortTTL, 0)
	must(t, err)
	lease, err := session.Lock("z").Acquire(background)
	must(t, err)
	server.stop()
	<-lease.Lost()
	<-session.Lost()
	isTrue(t, errors.Is(session.Close(background), ErrLost), "stopped")
}

func TestToldBeforeAnybodyElseIsGrantedIt(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	relay := startRelay(t, server.address(), listen(t))
	lease, err := relay.client(t).Lock("x", TTL(shortTTL)).Acquire(background)
	must(t, err)
	relay.cut()
	must(t, server.client(t).Lock("x").Do(background, func(_ context.Context, next *Lease) error {
		isTrue(t, errors.Is(lease.Err(), ErrLost), "it is lost by now")
		isTrue(t, next.FencingToken() > lease.FencingToken(), "tokens rise")
		return nil
	}))
	isTrue(t, errors.Is(lease.Release(background), ErrLost), "it is lost")
}

func TestConnectionCutAndBack(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	relay := startRelay(t, server.address(), listen(t))
	client := relay.client(t)
	must(t, client.Lock("x", TTL(keptTTL)).Do(background, func(ctx context.Context, lease *Lease) error {
		for round := 0; round < 3; round++ {
			relay.closeAll()
			relay.waitForAnother(t)
		}
		return lease.Err()
	}))
	isTrue(t, server.held("x") == 0, "it is released")
	// A waiter keeps its place.
	first, err := server.client(t).Lock("x").Acquire(background)
	must(t, err)
	waited := make(chan error)
	go func() {
		waited <- client.Lock("x").Do(background, func(context.Context, *Lease) error { return nil })
	}()
	eventually(t, func() bool { return server.waits("x") == 1 })
	relay.closeAll()
	relay.waitForAnother(t)
	eventually(t, func() bool { return server.waits("x") == 1 })
	must(t, first.Release(background))
	must(t, <-waited)
}

func TestAClientThatIsClosedRenewsNothing(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	lease, err := client.Lock("x").Acquire(background)
	must(t, err)
	client.Close()
	<-lease.Lost()
	err = lease.Release(background)
	isTrue(t, errors.Is(err, ErrLost) && contains(err, "its client was closed"), "it says why")
}

func TestALockIsReleasedWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	ctx, cancel := context.WithCancel(background)
	err := server.client(t).Lock("x").Do(ctx, func(ctx context.Context, _ *Lease) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	})
	isTrue(t, errors.Is(err, context.Canceled), "the function's own error")
	isTrue(t, server.held("x") == 0, "it is released")
}

func TestNothingGoesOnBehindARelease(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	session, err := client.Session(background, keptTTL, 0)
	must(t, err)
	lease, err := client.Lock("x").Acquire(background)
	must(t, err)
	kept, err := session.Lock("y").Acquire(background)
	must(t, err)
	must(t, lease.Release(background))
	must(t, session.Close(background))
	for _, held := range []*Lease{lease, kept} {
		isTrue(t, held.Remaining() == 0, "nothing of it is left")
		isTrue(t, errors.Is(held.Err(), ErrNotHeld), "it is over")
		select {
		case <-held.Lost():
			t.Fatal("nobody took it away")
		default:
		}
		must(t, held.Release(background))
	}
}

func TestAReleaseWhoseContextHasEndedReachesTheServer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	lease, err := server.client(t).Lock("x").Acquire(background)
	must(t, err)
	ctx, cancel := context.WithCancel(background)
	cancel()
	must(t, lease.Release(ctx))
	isTrue(t, server.held("x") == 0, "it is free")
}

func TestAReleaseThatDoesNotReachTheServerIsTriedAgain(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	relay := startRelay(t, server.address(), listen(t))
	lease, err := relay.client(t).Lock("x").Acquire(background)
	must(t, err)
	relay.cut()
	isTrue(t, lease.Release(background) != nil, "there is no way to the server")
	relay.restore()
	must(t, lease.Release(background))
	isTrue(t, server.held("x") == 0, "it is free")
}

func TestAReleaseWhoseReplyIsLostIsMadeOnce(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	relay := startRelay(t, server.address(), listen(t))
	lock := relay.client(t).Lock("x", Reentrant(), Owner("both"))
	outer, err := lock.Acquire(background)
	must(t, err)
	inner, err := lock.Acquire(background)
	must(t, err)
	for _, lease := range []*Lease{inner, outer} {
		atomic.StoreInt32(&relay.losesReplies, 1)
		for try := 0; try < 2; try++ {
			isTrue(t, lease.Release(background) != nil, "there is no answer")
			isTrue(t, lease.Remaining() == 0 && errors.Is(lease.Err(), ErrNotHeld), "it counts as held no longer")
		}
		atomic.StoreInt32(&relay.losesReplies, 0)
		if lease == inner {
			must(t, lease.Release(background))
			must(t, outer.Err())
			isTrue(t, server.held("x") > 0, "the outer lease goes on")
		}
	}
	// Somebody else holds it by now, and goes on.
	other, err := server.client(t).Lock("x", Wait(0)).Acquire(background)
	must(t, err)
	must(t, outer.Release(background))
	must(t, outer.Release(background))
	isTrue(t, server.held("x") > 0, "the other goes on")
	must(t, other.Release(background))
}

func TestASessionWhoseEndIsNotAnsweredIsEndedOnce(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	relay := startRelay(t, server.address(), listen(t))
	session, err := relay.client(t).Session(background, keptTTL, 0)
	must(t, err)
	atomic.StoreInt32(&relay.losesReplies, 1)
	isTrue(t, session.Close(background) != nil, "there is no answer")
	atomic.StoreInt32(&relay.losesReplies, 0)
	must(t, session.Close(background))
}

func TestManyIdleConnectionsThatAreClosedDoNotMatter(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	relay := startRelay(t, server.address(), listen(t))
	client := relay.client(t)
	idle := make([]redis.Conn, 4)
	for at := range idle {
		conn, err := client.transport.take(background, client.transport.timeout)
		must(t, err)
		idle[at] = conn
	}
	for _, conn := range idle {
		client.transport.giveBack(conn)
	}
	relay.closeAll()
	must(t, client.Lock("x").Do(background, func(context.Context, *Lease) error { return nil }))
}

package quartet

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
)

// owner is who holds locks.  What runs with the context of a lock has its owner, so that the server can tell when programs
// are in a deadlock.
type owner struct {
	name string
	// isWaiting is 1 while it waits for a lock: an owner waits for one at a time.
	isWaiting int32
}

type ownerKey struct{}

var prefix = func() string {
	host, err := os.Hostname()
	if err != nil || len(host) > 64 {
		host = "host"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}()

// ownerFor is the one that is named, or that of the context unless it waits, or a new one.  Whoever asks says when it waits
// no longer.
func ownerFor(ctx context.Context, name string) *owner {
	if name != "" {
		return &owner{name: name, isWaiting: 1}
	}
	if outer, ok := ctx.Value(ownerKey{}).(*owner); ok && atomic.CompareAndSwapInt32(&outer.isWaiting, 0, 1) {
		return outer
	}
	return &owner{name: prefix + ":" + unique(), isWaiting: 1}
}

func (o *owner) waitsNoLonger() { atomic.StoreInt32(&o.isWaiting, 0) }

//go:build !go1.20

package quartet

import (
	"context"
	"sync"
)

type causeKey struct{}

// cause stands in for what contexts have since Go 1.20.
type cause struct {
	lock sync.Mutex
	err  error
}

func withCause(parent context.Context) (context.Context, func(error)) {
	why := &cause{}
	ctx, cancel := context.WithCancel(context.WithValue(parent, causeKey{}, why))
	return ctx, func(err error) {
		why.lock.Lock()
		if why.err == nil && ctx.Err() == nil {
			why.err = err
		}
		why.lock.Unlock()
		cancel()
	}
}

// Cause says why a context of this package was cancelled: ErrLost if the lock is lost, else as its Err.
func Cause(ctx context.Context) error {
	if why, ok := ctx.Value(causeKey{}).(*cause); ok {
		why.lock.Lock()
		defer why.lock.Unlock()
		if why.err != nil {
			return why.err
		}
	}
	return ctx.Err()
}

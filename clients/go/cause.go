//go:build go1.20

package quartet

import "context"

func withCause(parent context.Context) (context.Context, func(error)) {
	return context.WithCancelCause(parent)
}

// Cause says why a context of this package was cancelled: ErrLost if the lock is lost, else as context.Cause.
func Cause(ctx context.Context) error { return context.Cause(ctx) }

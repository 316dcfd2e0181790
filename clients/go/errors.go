package quartet

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

var (
	// ErrNotAcquired says that the resource was not granted in the time that the caller was willing to wait.
	ErrNotAcquired = errors.New("quartet: not granted in time")
	// ErrLost says that the lease has ended, or may have, before its holder released it: somebody else may hold the resource.
	ErrLost = errors.New("quartet: lost")
	// ErrNotHeld says that a release was asked of a lock that this owner does not hold.
	ErrNotHeld = errors.New("quartet: not held by this owner")
	// ErrOwnerWaits says that the owner waits already.  Two goroutines that wait need two owners.
	ErrOwnerWaits = errors.New("quartet: the owner waits already: give each goroutine an owner of its own")
	// ErrWaitCancelled says that somebody has ended this wait with LOCK.CANCEL.
	ErrWaitCancelled = errors.New("quartet: the wait was ended with LOCK.CANCEL")
	// ErrNotQuartet says that the server does not know the commands of Quartet.
	ErrNotQuartet = errors.New("quartet: the server is not Quartet, or is older than 0.1: " +
		"give the client the address of a Quartet server, whose port for the Redis protocol is 6379 unless changed")
	// ErrClosed says that the client was closed.
	ErrClosed = errors.New("quartet: the client is closed")
)

// DeadlockError says that the wait would never have ended.
type DeadlockError struct {
	// Waits names owners and resources in turn, from this owner back to it.
	Waits []string
}

func (e *DeadlockError) Error() string {
	return "quartet: deadlock: " + strings.Join(e.Waits, " > ")
}

// RateLimitedError says that a limit refuses the request.
type RateLimitedError struct {
	// Decision says which limit, and when to come back.
	Decision Decision
}

func (e *RateLimitedError) Error() string {
	name := e.Decision.Policy
	if name == "" {
		name = "of this request"
	}
	if e.Decision.RetryAfter < 0 {
		return fmt.Sprintf("quartet: the limit %s refuses it", name)
	}
	return fmt.Sprintf("quartet: the limit %s refuses it; retry after %s", name, e.Decision.RetryAfter.Round(time.Millisecond))
}

// lost is ErrLost with what was lost and why.
func lost(label, reason string) error {
	return fmt.Errorf("%w: %s: %s", ErrLost, label, reason)
}

// translated is the error of this package for an error that the server has answered, or that error itself.
func translated(answer redis.Error) error {
	message := strings.TrimPrefix(string(answer), "ERR ")
	word, rest := message, ""
	if space := strings.IndexByte(message, ' '); space >= 0 {
		word, rest = message[:space], message[space+1:]
	}
	switch {
	case strings.Contains(strings.ToLower(message), "unknown command"):
		return fmt.Errorf("%w (%s)", ErrNotQuartet, strings.TrimSpace(message))
	case word == "DEADLOCK":
		return &DeadlockError{Waits: strings.Split(rest, " > ")}
	case word == "LOCKWAITS":
		return ErrOwnerWaits
	case word == "NOTHELD":
		return ErrNotHeld
	case word == "NOSESSION":
		return lost("the session", "it has ended, and its locks with it")
	case word == "FENCED":
		return lost("the resource", "it is no longer held under this fencing token, and nothing was written")
	case word == "CANCELLED":
		return ErrWaitCancelled
	}
	return answer
}

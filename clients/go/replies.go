package quartet

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"
)

// grant says that a resource was granted.
type grant struct {
	token int64
	// left of the lease when the server answered; less than zero with a session.
	left time.Duration
	// waited is how long the request has waited in the server.
	waited time.Duration
}

// granted reads the reply of LOCK.ACQUIRE, which is nil if it was not granted.
func granted(reply interface{}) (*grant, error) {
	if reply == nil {
		return nil, nil
	}
	values, err := redis.Values(reply, nil)
	if err != nil {
		return nil, err
	}
	made := &grant{left: -1}
	for at := 0; at+1 < len(values); at += 2 {
		name, err := redis.String(values[at], nil)
		if err != nil {
			return nil, err
		}
		number, err := redis.Int64(values[at+1], nil)
		if err != nil {
			continue
		}
		switch name {
		case "fence":
			made.token = number
		case "ttl_ms":
			made.left = time.Duration(number) * time.Millisecond
		case "waited_ms":
			made.waited = time.Duration(number) * time.Millisecond
		}
	}
	return made, nil
}

// Decision is what a limiter has decided.
type Decision struct {
	Allowed   bool
	Limit     int64
	Remaining int64
	// RetryAfter is when a retry succeeds if nobody else takes anything; less than zero if it is allowed, or never will be.
	RetryAfter time.Duration
	// ResetAfter is when all is back.
	ResetAfter time.Duration
	// Policy is the limit that decided; empty if the request stated its limit.
	Policy string
	// Shadow says that a policy in shadow mode would have refused it.
	Shadow bool
	// Delay is how long to wait before going on, which spaces requests evenly; only the algorithm "leaky" asks for it.
	Delay time.Duration
	// Taken is how much was taken.
	Taken int64
}

// Err is a RateLimitedError unless the request is allowed.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	return &RateLimitedError{Decision: d}
}

// SetHeaders adds what Quartet itself writes over HTTP: RateLimit and, if it is refused, Retry-After.
func (d Decision) SetHeaders(header http.Header) {
	name, wait := d.Policy, d.RetryAfter
	if name == "" {
		name = "limit"
	}
	if wait < 0 {
		wait = d.ResetAfter
	}
	seconds := int64(math.Ceil(wait.Seconds()))
	header.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d", name, d.Limit))
	header.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", name, d.Remaining, seconds))
	if d.RetryAfter >= 0 {
		header.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
}

// decided reads the reply of a check for this cost.
func decided(values []interface{}, cost int64) (Decision, error) {
	const elements = 8
	if len(values) < elements {
		return Decision{}, fmt.Errorf("quartet: a decision has %d elements in place of %d", len(values), elements)
	}
	numbers := make([]int64, elements)
	for at := range numbers {
		if at == 5 {
			continue
		}
		number, err := redis.Int64(values[at], nil)
		if err != nil {
			return Decision{}, err
		}
		numbers[at] = number
	}
	policy, err := redis.String(values[5], nil)
	if err != nil && err != redis.ErrNil {
		return Decision{}, err
	}
	made := Decision{
		Allowed:    numbers[0] == 1,
		Limit:      numbers[1],
		Remaining:  numbers[2],
		RetryAfter: time.Duration(numbers[3]) * time.Millisecond,
		ResetAfter: time.Duration(numbers[4]) * time.Millisecond,
		Policy:     policy,
		Shadow:     numbers[6] == 1,
		Delay:      time.Duration(numbers[7]) * time.Millisecond,
	}
	if made.Allowed {
		made.Taken = cost
	}
	if len(values) > elements {
		if made.Taken, err = redis.Int64(values[elements], nil); err != nil {
			return Decision{}, err
		}
	}
	return made, nil
}

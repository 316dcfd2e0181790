package quartet

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Rate is a limit that a request states itself, in place of a policy.
type Rate struct {
	// Algorithm is gcra, sliding, log, fixed, leaky or refill.
	Algorithm string
	Limit     int64
	Period    time.Duration
	// Burst is the limit unless it is given.
	Burst int64
}

// Limiter is a policy of the server, or a limit that the requests themselves state.
type Limiter struct {
	client *Client
	policy string
	rate   *Rate
}

// Limiter is a policy of the server; a new server has one called default.
func (c *Client) Limiter(policy string) *Limiter { return &Limiter{client: c, policy: policy} }

// RateLimiter is a limit that is stated here.
func (c *Client) RateLimiter(rate Rate) *Limiter { return &Limiter{client: c, rate: &rate} }

var errNoPolicy = errors.New("quartet: this needs a policy of the server, which has a name")

// Check takes the cost from all limits of the policy, or from none.
func (l *Limiter) Check(ctx context.Context, key string, cost int64) (Decision, error) {
	return l.check(ctx, key, cost, cost, 0)
}

// Peek only asks.
func (l *Limiter) Peek(ctx context.Context, key string, cost int64) (Decision, error) {
	return l.check(ctx, key, cost, 0, 0, "PEEK")
}

// CheckUpTo takes as much as is left, up to the cost.
func (l *Limiter) CheckUpTo(ctx context.Context, key string, cost int64) (Decision, error) {
	return l.check(ctx, key, cost, cost, 0, "UPTO")
}

// CheckWait waits its turn for so long.
func (l *Limiter) CheckWait(ctx context.Context, key string, cost int64, wait time.Duration) (Decision, error) {
	return l.check(ctx, key, cost, cost, wait, "WAIT", milliseconds(wait))
}

func (l *Limiter) check(ctx context.Context, key string, cost, taken int64, wait time.Duration, way ...interface{}) (Decision, error) {
	made := command{"RL.CHECK", key, "POLICY", l.policy}
	if l.rate != nil {
		made = command{"RL.CHECK", key, "INLINE", l.rate.Algorithm, l.rate.Limit, milliseconds(l.rate.Period)}
		if l.rate.Burst > 0 {
			made = made.with("BURST", l.rate.Burst)
		}
	}
	values, err := redis.Values(l.client.transport.call(ctx, made.with("COST", cost).with(way...), wait))
	if err != nil {
		return Decision{}, err
	}
	return decided(values, taken)
}

// Do runs the function if the limiter allows it, and returns a RateLimitedError otherwise.
func (l *Limiter) Do(ctx context.Context, key string, cost int64, run func(ctx context.Context) error) error {
	decision, err := l.Check(ctx, key, cost)
	if err == nil {
		err = decision.Err()
	}
	if err == nil {
		err = sleep(ctx, decision.Delay)
	}
	if err != nil {
		return err
	}
	return run(ctx)
}

// sleep spaces requests as the limiter asks.
func sleep(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Check is a policy, a key and a cost.
type Check struct {
	Policy, Key string
	Cost        int64
}

// CheckAll takes from several policies, each with its own key and cost: from all of them or from none.
func (c *Client) CheckAll(ctx context.Context, checks ...Check) (Decision, error) {
	made := command{"RL.MCHECK", len(checks)}
	largest := int64(0)
	for _, check := range checks {
		made = made.with(check.Policy, check.Key, check.Cost)
		if check.Cost > largest {
			largest = check.Cost
		}
	}
	values, err := redis.Values(c.transport.call(ctx, made, 0))
	if err != nil {
		return Decision{}, err
	}
	return decided(values, largest)
}

// Reservation is a cost that was taken before it is known.
type Reservation struct {
	client *Client
	// ID is its name.
	ID string
	// Decision is that of the check.
	Decision Decision
}

// Reserve takes what may be needed, for Commit to settle within this time.  The error is a RateLimitedError if it is refused.
func (l *Limiter) Reserve(ctx context.Context, key string, cost int64, ttl time.Duration) (*Reservation, error) {
	if l.rate != nil {
		return nil, errNoPolicy
	}
	made := command{"RL.RESERVE", 1, l.policy, key, cost, "TTL", milliseconds(ttl)}
	values, err := redis.Values(l.client.transport.call(ctx, made, 0))
	if err != nil {
		return nil, err
	}
	decision, err := decided(values[2:], cost)
	if err == nil {
		err = decision.Err()
	}
	if err != nil {
		return nil, err
	}
	id, err := redis.String(values[0], nil)
	return &Reservation{l.client, id, decision}, err
}

// Commit charges what was used, and says whether the reservation was still open.
func (r *Reservation) Commit(ctx context.Context, actual int64) (bool, error) {
	return redis.Bool(r.client.transport.call(ctx, command{"RL.COMMIT", r.ID, actual}, 0))
}

// Cancel gives everything back, and says whether the reservation was still open.
func (r *Reservation) Cancel(ctx context.Context) (bool, error) {
	return redis.Bool(r.client.transport.call(ctx, command{"RL.CANCEL", r.ID}, 0))
}

// Enter takes a slot of a policy with the algorithm concurrency, and renews it until it is released.  The error is a
// RateLimitedError if none is free.
func (l *Limiter) Enter(ctx context.Context, key string, ttl time.Duration) (*Slot, error) {
	if l.rate != nil {
		return nil, errNoPolicy
	}
	sent := now()
	values, err := redis.Values(l.client.transport.call(ctx, command{"RL.ENTER", l.policy, key, "TTL", milliseconds(ttl)}, 0))
	if err != nil {
		return nil, err
	}
	decision, err := decided(values[1:], 1)
	if err == nil {
		err = decision.Err()
	}
	if err != nil {
		return nil, err
	}
	name, err := redis.String(values[0], nil)
	if err != nil {
		return nil, err
	}
	kind := &slotKind{l.policy, key, name}
	slot := &Slot{held{client: l.client, holding: newHolding(kind, "the slot of "+key+" under "+l.policy, term{ttl, sent})}}
	slot.giveBack = func(ctx context.Context) error {
		left, err := redis.Int(l.client.transport.call(ctx, command{"RL.LEAVE", l.policy, key, name}, 0))
		if err == nil && left == 0 {
			return ErrNotHeld
		}
		return err
	}
	l.client.renewal.keep(slot.holding)
	return slot, nil
}

// Reset gives a key everything back.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	if l.rate != nil {
		return errNoPolicy
	}
	_, err := l.client.transport.call(ctx, command{"RL.RESET", key, "POLICY", l.policy}, 0)
	return err
}

// Define makes or replaces the policy, with the fields that PUT /policies/{name} takes.
func (l *Limiter) Define(ctx context.Context, definition interface{}) error {
	if l.rate != nil {
		return errNoPolicy
	}
	text, err := json.Marshal(definition)
	if err != nil {
		return err
	}
	_, err = l.client.transport.call(ctx, command{"RL.POLICY", "SET", l.policy, "JSON", text}, 0)
	return err
}

package quartet

import (
	"context"
	"time"

	"github.com/gomodule/redigo/redis"
)

// DefaultTimeout is how long the server may take to answer, beside the time that it was asked to wait.
const DefaultTimeout = 10 * time.Second

// Client has locks, semaphores, sessions and limits of a server.  It renews all that it holds together.
type Client struct {
	transport *transport
	renewals  *transport
	renewal   *renewal
}

// New makes a client whose connections this function makes; each answers within DefaultTimeout.
func New(dial Dial) *Client { return NewWithTimeout(dial, DefaultTimeout) }

// NewWithTimeout is New with another time in which the server is to answer.
func NewWithTimeout(dial Dial, timeout time.Duration) *Client {
	// Renewals never wait for a connection, nor do others wait for them.
	renewals := &transport{dial: dial, timeout: timeout}
	return &Client{&transport{dial: dial, timeout: timeout}, renewals, newRenewal(renewals)}
}

// FromURL makes a client for an address such as redis://:password@host:6379 (rediss for TLS), with options as redigo has them.
func FromURL(url string, options ...redis.DialOption) *Client {
	return New(func(ctx context.Context) (redis.Conn, error) { return redis.DialURL(url, options...) })
}

// FromPool makes a client whose connections are made as those of the pool, but do not count among them.
func FromPool(pool *redis.Pool) *Client {
	return New(func(ctx context.Context) (redis.Conn, error) {
		if pool.DialContext != nil {
			return pool.DialContext(ctx)
		}
		return pool.Dial()
	})
}

// Close ends renewals and closes connections.  What is still held counts as lost, and ends with its lease.
func (c *Client) Close() {
	c.renewal.close()
	c.renewals.close()
	c.transport.close()
}

// Lock is a lock of one resource.
func (c *Client) Lock(resource string, options ...Option) *Lock {
	return c.lock(nil, asked{resources: []string{resource}}, options)
}

// LockAll is a lock of several resources together, of which there is at least one.
func (c *Client) LockAll(resources []string, options ...Option) *Lock {
	return c.lock(nil, asked{resources: append([]string(nil), resources...)}, options)
}

// Semaphore has so many permits in all, of which each acquisition takes one, or as many as the option Permits says.
func (c *Client) Semaphore(resource string, limit int, options ...Option) *Lock {
	return c.lock(nil, asked{resources: []string{resource}, limit: limit}, options)
}

func (c *Client) lock(session *holding, asked asked, options []Option) *Lock {
	asked.ttl, asked.wait, asked.permits = DefaultTTL, forever, 1
	for _, option := range options {
		option(&asked)
	}
	return &Lock{client: c, asked: asked, session: session}
}

// Session keeps any number of locks with one ping.
type Session struct{ held }

// Session opens a session whose locks outlive this program for this time.  Nobody else is granted them for the delay after it
// is lost.
func (c *Client) Session(ctx context.Context, ttl, delay time.Duration) (*Session, error) {
	made := command{"LOCK.SESSION", "OPEN", "TTL", milliseconds(ttl)}
	if delay > 0 {
		made = made.with("DELAY", milliseconds(delay))
	}
	sent := now()
	name, err := redis.String(c.transport.call(ctx, made.identified(), 0))
	if err != nil {
		return nil, err
	}
	kind := &sessionKind{name: name, leases: map[*holding]bool{}}
	session := &Session{held{client: c, holding: newHolding(kind, "the session "+name, term{ttl, sent})}}
	session.giveBack = func(ctx context.Context) error {
		c.renewal.lock.Lock()
		for lease := range kind.leases {
			lease.isReleased = true
		}
		c.renewal.lock.Unlock()
		_, err := c.transport.call(ctx, command{"LOCK.SESSION", "CLOSE", name, "REQID", session.holding.releaseID}, 0)
		return err
	}
	c.renewal.keep(session.holding)
	return session, nil
}

// Name is the name that the server gave it.
func (s *Session) Name() string { return s.holding.kind.(*sessionKind).name }

// Close ends it and frees all its locks.  The error is ErrLost if it was lost before.
func (s *Session) Close(ctx context.Context) error { return s.Release(ctx) }

// Lock is a lock of one resource that lasts as long as the session.
func (s *Session) Lock(resource string, options ...Option) *Lock {
	return s.client.lock(s.holding, asked{resources: []string{resource}}, options)
}

// LockAll is a lock of several resources together that lasts as long as the session.
func (s *Session) LockAll(resources []string, options ...Option) *Lock {
	return s.client.lock(s.holding, asked{resources: append([]string(nil), resources...)}, options)
}

// Semaphore has so many permits in all, and what is taken of them lasts as long as the session.
func (s *Session) Semaphore(resource string, limit int, options ...Option) *Lock {
	return s.client.lock(s.holding, asked{resources: []string{resource}, limit: limit}, options)
}

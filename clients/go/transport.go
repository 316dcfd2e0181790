package quartet

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Dial makes a connection: address, password and TLS are its own.
type Dial func(ctx context.Context) (redis.Conn, error)

// idleMax is how many connections are kept for the next request.
const idleMax = 16

// transport sends commands over connections of its own and waits for the replies as long as it is told.  A connection that
// waits for a lock answers nothing else meanwhile, and a renewal must not wait for a pool.
type transport struct {
	dial    Dial
	timeout time.Duration
	lock    sync.Mutex
	idle    []redis.Conn
	closed  bool
}

// call is the reply of a command that may wait so long in the server.
func (t *transport) call(ctx context.Context, asked command, wait time.Duration) (interface{}, error) {
	replies, err := t.batch(ctx, []command{asked}, t.timeout+wait)
	if err != nil && ctx.Err() == nil && isRepeatable(err) {
		t.dropIdle()
		// A connection that was idle may have been closed meanwhile.  Requests about locks have an id, and a check that is
		// repeated only costs somebody a little of a limit.
		replies, err = t.batch(ctx, []command{asked}, t.timeout+wait)
	}
	if err != nil {
		return nil, err
	}
	if answer, ok := replies[0].(redis.Error); ok {
		return nil, translated(answer)
	}
	return replies[0], nil
}

// isRepeatable says whether a new connection may do better: the server has answered nothing, and was not too slow.
func isRepeatable(err error) bool {
	if err == ErrClosed {
		return false
	}
	if _, ok := err.(redis.Error); ok {
		return false
	}
	timeout, ok := err.(net.Error)
	return !ok || !timeout.Timeout()
}

// batch has the replies of several commands, in which errors of the server are values.
func (t *transport) batch(ctx context.Context, commands []command, timeout time.Duration) ([]interface{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	until := now().add(timeout)
	conn, err := t.take(ctx, timeout)
	if err != nil {
		return nil, err
	}
	// The server withdraws what it has not answered when the connection closes.
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			conn.Close()
		case <-ended:
		}
	}()
	replies, err := exchange(conn, commands, until)
	close(ended)
	<-stopped
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	t.giveBack(conn)
	return replies, nil
}

func exchange(conn redis.Conn, commands []command, until instant) ([]interface{}, error) {
	for _, command := range commands {
		if err := conn.Send(command[0].(string), command[1:]...); err != nil {
			return nil, err
		}
	}
	if err := conn.Flush(); err != nil {
		return nil, err
	}
	replies := make([]interface{}, 0, len(commands))
	for range commands {
		left := until.until()
		if left <= 0 {
			// Zero would be no limit at all.
			left = time.Nanosecond
		}
		reply, err := redis.ReceiveWithTimeout(conn, left)
		if answer, ok := err.(redis.Error); ok {
			reply, err = answer, nil
		}
		if err != nil {
			return nil, err
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

func (t *transport) take(ctx context.Context, timeout time.Duration) (redis.Conn, error) {
	t.lock.Lock()
	if t.closed {
		t.lock.Unlock()
		return nil, ErrClosed
	}
	if last := len(t.idle) - 1; last >= 0 {
		conn := t.idle[last]
		t.idle = t.idle[:last]
		t.lock.Unlock()
		return conn, nil
	}
	t.lock.Unlock()
	if timeout > t.timeout {
		timeout = t.timeout
	}
	return t.connect(ctx, timeout)
}

// connect gives up after this time even if Dial does not heed its context.
func (t *transport) connect(ctx context.Context, timeout time.Duration) (redis.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	type dialled struct {
		conn redis.Conn
		err  error
	}
	made := make(chan dialled, 1)
	go func() {
		conn, err := t.dial(ctx)
		made <- dialled{conn, err}
	}()
	select {
	case result := <-made:
		cancel()
		return result.conn, result.err
	case <-ctx.Done():
		err := ctx.Err()
		go func() {
			defer cancel()
			if result := <-made; result.err == nil {
				result.conn.Close()
			}
		}()
		return nil, err
	}
}

func (t *transport) giveBack(conn redis.Conn) {
	t.lock.Lock()
	keep := !t.closed && len(t.idle) < idleMax
	if keep {
		t.idle = append(t.idle, conn)
	}
	t.lock.Unlock()
	if !keep {
		conn.Close()
	}
}

func (t *transport) close() {
	t.lock.Lock()
	t.closed = true
	t.lock.Unlock()
	t.dropIdle()
}

// dropIdle closes what is idle: the other end of the one has closed it, and so probably those of the others.
func (t *transport) dropIdle() {
	t.lock.Lock()
	idle := t.idle
	t.idle = nil
	t.lock.Unlock()
	for _, conn := range idle {
		conn.Close()
	}
}

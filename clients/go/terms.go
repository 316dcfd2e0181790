package quartet

import (
	"math/rand"
	"sync"
	"time"
)

// How long a lease certainly lasts, by this machine's clock.
//
// The server's clock is never compared with ours.  A lease that the server granted or renewed in answer to a request lasts at
// least its full length from the moment the request was sent, since the server got it later.  A lease counts as lost a little
// before that time, so that its holder knows it before anybody else can be granted the resource.

const (
	// renewAfter is the part of a lease after which it is renewed.
	renewAfter = 1.0 / 3
	// jitter is up to which part renewals come earlier, so that those of many clients spread.
	jitter = 0.2
	// margin is the part of a lease that is given up at its end, for the time it takes to tell the holder.
	margin = 0.1
	// marginMax is the most that is given up.
	marginMax = 500 * time.Millisecond
	// attempts is about how many times a renewal that failed is tried within a lease.
	attempts = 15
	// longest is the longest wait that the server takes.
	longest = 30 * 24 * time.Hour
	// slept is how far ahead the wall clock must be to have gone on while the machine slept, or to have been set.
	slept = time.Second
)

// instant is a time of a clock that is never set back.
type instant time.Duration

var clock struct {
	sync.Mutex
	began time.Time
	// ahead is how far the wall clock was ahead of the monotonic one, and slept what was made up for.
	ahead, slept time.Duration
}

func init() {
	clock.began = time.Now()
}

// now goes on while the machine sleeps, as the server's clock does.  If the wall clock is set forward, leases count as lost
// too early, which is safe.
func now() instant {
	clock.Lock()
	defer clock.Unlock()
	read := time.Now()
	monotonic := read.Sub(clock.began)
	ahead := read.Round(0).Sub(clock.began.Round(0)) - monotonic
	if ahead-clock.ahead > slept {
		clock.slept += ahead - clock.ahead
	}
	clock.ahead = ahead
	return instant(monotonic + clock.slept)
}

func (t instant) add(d time.Duration) instant { return t + instant(d) }

func (t instant) until() time.Duration {
	if left := time.Duration(t - now()); left > 0 {
		return left
	}
	return 0
}

func part(d time.Duration, of float64) time.Duration { return time.Duration(float64(d) * of) }

// term is a lease of this length that began then, or later.
type term struct {
	length time.Duration
	began  instant
}

// lostAt is when it counts as lost unless it is renewed before.
func (t term) lostAt() instant {
	given := part(t.length, margin)
	if given > marginMax {
		given = marginMax
	}
	return t.began.add(t.length - given)
}

// dueAt is when to renew it.
func (t term) dueAt() instant {
	return t.began.add(part(t.length, renewAfter*(1-rand.Float64()*jitter)))
}

// againAt is when to try again after an attempt that failed at this time.
func (t term) againAt(at instant) instant {
	return at.add(part(t.length, (1-rand.Float64()*jitter)/attempts))
}

func milliseconds(d time.Duration) int64 {
	if d < 0 {
		return 0
	}
	return int64((d + time.Millisecond/2) / time.Millisecond)
}

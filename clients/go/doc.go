// Package quartet has locks that renew themselves, semaphores, sessions and rate limits of a Quartet server, on redigo.
//
// A lock is held as long as its Lease is not released; it is renewed meanwhile.  If it is lost, the context of Lock.Do is
// cancelled before the server can grant the lock to anybody else, and Do returns an error that is ErrLost.
package quartet

// Version is the version of this package.
const Version = "0.1.0"

package quartet

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// command is what is sent: the name and its arguments.
type command []interface{}

func (c command) with(arguments ...interface{}) command { return append(c, arguments...) }

// unique is a name that nobody else makes.
func unique() string {
	var bytes [16]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic("quartet: the system gives no random bytes: " + err.Error())
	}
	return hex.EncodeToString(bytes[:])
}

// identified gives a request a name, so that its repetition has the same result.
func (c command) identified() command { return c.with("REQID", unique()) }

// forever is the time to wait of whoever does not say how long.
const forever = time.Duration(-1)

// asked is what is asked of a lock: its resources and how they are held.
type asked struct {
	resources []string
	ttl       time.Duration
	wait      time.Duration
	shared    bool
	reentrant bool
	permits   int
	limit     int
	owner     string
	meta      string
}

// timeInServer is how long a request may wait there.
func timeInServer(wait time.Duration) time.Duration {
	if wait < 0 || wait > longest {
		return longest
	}
	return wait
}

func (a asked) acquire(owner string, wait time.Duration, session string) command {
	made := several("LOCK.ACQUIRE", "LOCK.MACQUIRE", a.resources, owner)
	if session == "" {
		made = made.with("TTL", milliseconds(a.ttl))
	} else {
		made = made.with("SESSION", session)
	}
	if wait != 0 {
		made = made.with("WAIT", milliseconds(timeInServer(wait)))
	}
	if a.limit > 0 {
		made = made.with("PERMITS", a.permits, "OF", a.limit)
	} else if a.shared {
		made = made.with("SHARED")
	}
	if a.reentrant {
		made = made.with("REENTRANT")
	}
	if a.meta != "" {
		made = made.with("META", a.meta)
	}
	return made.identified()
}

// several is a command about one resource, or the other one about several together.
func several(one, many string, resources []string, owner string) command {
	if len(resources) == 1 {
		return command{one, resources[0], owner}
	}
	made := command{many, owner, len(resources)}
	for _, resource := range resources {
		made = made.with(resource)
	}
	return made
}

func release(resources []string, owner string, token int64, id string) command {
	made := several("LOCK.RELEASE", "LOCK.MRELEASE", resources, owner)
	if token > 0 {
		made = made.with("FENCE", token)
	}
	return made.with("REQID", id)
}

package quartet

import (
	"math"
	"time"

	"github.com/gomodule/redigo/redis"
)

// together is up to which part of its length before its time a holding is renewed with others, which saves round trips.
const together = 0.05

const (
	// patience is how long the server may take to answer a renewal, as a part of what is left of the shortest lease in it.
	patience    = 0.4
	patienceMin = 20 * time.Millisecond
	patienceMax = 5 * time.Second
)

// kind is how a holding is renewed.
type kind interface {
	// renewals are the commands that renew it.
	renewals(length time.Duration) []command
	// judge says why it is lost according to the replies, or nothing if it goes on.  An error tells neither.
	judge(replies []interface{}) (reason string, err error)
}

// holding is something that ends by itself unless it is renewed: a lease, a session or a slot.  The renewal's lock guards it.
type holding struct {
	kind
	// label is what it is called in errors.
	label string
	term  term
	due   instant
	// session is what a lease lasts as long as, if it has no term of its own.
	session *holding
	// isReleased says that its holder gave it back, so that whatever an answer under way says is of no interest.
	isReleased bool
	// isUnanswered says that the server has not answered its release, so that it may be tried again.
	isUnanswered bool
	// releaseID is the REQID of its release: however often it is tried, it is one request.
	releaseID string
	// lostErr is why it was lost.
	lostErr error
	// lost is closed once it is lost.
	lost chan struct{}
	// announced is called then, under the renewal's lock.
	announced []func(error)
}

func newHolding(kind kind, label string, term term) *holding {
	lost := make(chan struct{})
	return &holding{kind: kind, label: label, term: term, due: term.dueAt(), releaseID: unique(), lost: lost}
}

func (h *holding) lostAt() instant {
	if h.session != nil {
		return h.session.lostAt()
	}
	return h.term.lostAt()
}

// lose notes that it is lost, once.
func (h *holding) lose(reason string) {
	if h.lostErr != nil || h.isReleased {
		return
	}
	h.lostErr = lost(h.label, reason)
	close(h.lost)
	for _, announce := range h.announced {
		announce(h.lostErr)
	}
	if session, ok := h.kind.(*sessionKind); ok {
		for lease := range session.leases {
			lease.lose("its session is lost: " + reason)
		}
	}
}

// look says whether it is lost, by the clock as well.
func (h *holding) look(at instant) bool {
	if at >= h.lostAt() {
		h.lose("it was not renewed in time: the server did not answer, or this program was paused")
	}
	return h.lostErr != nil
}

// lostBy says whether the reply is this error; any other one is returned.
func lostBy(reply interface{}, known error) (bool, error) {
	answer, ok := reply.(redis.Error)
	if !ok {
		return false, nil
	}
	if translated(answer) == known {
		return true, nil
	}
	return false, answer
}

// lockKind is resources under one fencing token.
type lockKind struct {
	resources []string
	owner     string
	token     int64
}

func (k *lockKind) renewals(length time.Duration) []command {
	made := make([]command, 0, len(k.resources))
	for _, resource := range k.resources {
		made = append(made, command{"LOCK.RENEW", resource, k.owner, "TTL", milliseconds(length), "FENCE", k.token})
	}
	return made
}

func (k *lockKind) judge(replies []interface{}) (string, error) {
	for _, reply := range replies {
		isLost, err := lostBy(reply, ErrNotHeld)
		if err != nil {
			return "", err
		}
		if isLost {
			return "the server says that it is not held any more: it was forced, or its lease ended", nil
		}
	}
	return "", nil
}

// sessionKind is a session with the leases that it keeps.  A ping asks after each of them.
type sessionKind struct {
	name   string
	leases map[*holding]bool
	asked  []*holding
}

func (k *sessionKind) renewals(time.Duration) []command {
	made := []command{{"LOCK.SESSION", "PING", k.name}}
	k.asked = k.asked[:0]
	for lease := range k.leases {
		k.asked = append(k.asked, lease)
		of := lease.kind.(*lockKind)
		for _, resource := range of.resources {
			made = append(made, command{"LOCK.CHECK", resource, of.token})
		}
	}
	return made
}

func (k *sessionKind) judge(replies []interface{}) (string, error) {
	if answer, ok := replies[0].(redis.Error); ok {
		if word := string(answer); len(word) >= 9 && word[:9] == "NOSESSION" {
			return "the server says that the session has ended", nil
		}
		return "", answer
	}
	replies = replies[1:]
	for _, lease := range k.asked {
		count := len(lease.kind.(*lockKind).resources)
		for _, reply := range replies[:count] {
			held, err := redis.Int(reply, nil)
			if err != nil {
				return "", err
			}
			if held == 0 {
				lease.lose("the server says that it is not held any more: it was forced")
			}
		}
		replies = replies[count:]
	}
	return "", nil
}

// slotKind is a slot of a limit on concurrency.
type slotKind struct{ policy, key, slot string }

func (k *slotKind) renewals(length time.Duration) []command {
	return []command{{"RL.RENEW", k.policy, k.key, k.slot, "TTL", milliseconds(length)}}
}

func (k *slotKind) judge(replies []interface{}) (string, error) {
	held, err := redis.Int(replies[0], nil)
	if err != nil {
		return "", err
	}
	if held == 0 {
		return "the server says that the slot is not held any more", nil
	}
	return "", nil
}

// book has all holdings of a client that are renewed.
type book map[*holding]bool

// never is later than every time.
const never = instant(math.MaxInt64)

func (b book) nextDue() instant {
	next := never
	for holding := range b {
		if holding.due < next {
			next = holding.due
		}
	}
	return next
}

func (b book) nextEnd() instant {
	next := never
	for holding := range b {
		if end := holding.lostAt(); end < next {
			next = end
		}
	}
	return next
}

// batch is what to renew now, if anything is due.
func (b book) batch(at instant) []*holding {
	if b.nextDue() > at {
		return nil
	}
	var due []*holding
	for holding := range b {
		if holding.due <= at.add(part(holding.term.length, together)) {
			due = append(due, holding)
		}
	}
	return due
}

// look drops what is lost by now.
func (b book) look(at instant) {
	for holding := range b {
		if holding.look(at) {
			delete(b, holding)
		}
	}
}

// settle takes the replies of a holding's renewals.
func (b book) settle(holding *holding, replies []interface{}, sent instant) {
	if holding.isReleased || holding.lostErr != nil {
		return
	}
	reason, err := holding.judge(replies)
	switch {
	case err != nil:
		// A server that is loading, or has no disk, may yet answer in time.
		holding.due = holding.term.againAt(sent)
	case reason != "":
		holding.lose(reason)
		delete(b, holding)
	default:
		holding.term.began = sent
		holding.due = holding.term.dueAt()
	}
}

// waitFor is how long to wait for the answer to these renewals.
func waitFor(batch []*holding, at instant) time.Duration {
	first := never
	for _, holding := range batch {
		if end := holding.lostAt(); end < first {
			first = end
		}
	}
	wait := part(time.Duration(first-at), patience)
	if wait < patienceMin {
		return patienceMin
	}
	if wait > patienceMax {
		return patienceMax
	}
	return wait
}

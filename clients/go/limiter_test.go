package quartet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func policy(t *testing.T, client *Client, limit int, algorithm string) *Limiter {
	t.Helper()
	limiter := client.Limiter(name("policy"))
	fields := map[string]interface{}{"algorithm": algorithm, "limit": limit, "period_ms": 3_600_000}
	must(t, limiter.Define(background, map[string]interface{}{"limits": []interface{}{fields}}))
	return limiter
}

func TestExactlyAsManyAsAllowed(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	ten := policy(t, client, 10, "gcra")
	var allowed int64
	var asking sync.WaitGroup
	for ask := 0; ask < 40; ask++ {
		asking.Add(1)
		go func() {
			defer asking.Done()
			decision, err := ten.Check(background, "ann", 1)
			if err != nil {
				t.Error(err)
			}
			if decision.Allowed {
				atomic.AddInt64(&allowed, 1)
			}
		}()
	}
	asking.Wait()
	isTrue(t, allowed == 10, "exactly ten")
	refused, err := ten.Check(background, "ann", 1)
	must(t, err)
	isTrue(t, !refused.Allowed && refused.Limit == 10 && refused.Remaining == 0 && refused.Taken == 0, "it is refused")
	isTrue(t, refused.RetryAfter > 0 && refused.RetryAfter <= 6*time.Minute, "it says when to come back")
	var limited *RateLimitedError
	isTrue(t, errors.As(refused.Err(), &limited), "it is an error")
}

func TestWhatACheckMayAsk(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	five := policy(t, client, 5, "gcra")
	decision, err := five.Peek(background, "ann", 1)
	must(t, err)
	isTrue(t, decision.Remaining == 5 && decision.Taken == 0, "it only asks")
	_, err = five.Check(background, "ann", 3)
	must(t, err)
	decision, err = five.CheckUpTo(background, "ann", 9)
	must(t, err)
	isTrue(t, decision.Allowed && decision.Taken == 2, "what is left")
	must(t, five.Reset(background, "ann"))
	decision, err = five.Check(background, "ann", 6)
	must(t, err)
	isTrue(t, !decision.Allowed && decision.RetryAfter < 0, "it never will be")
	stated := client.RateLimiter(Rate{Algorithm: "gcra", Limit: 100, Period: 10 * time.Second, Burst: 1})
	for round := 0; round < 4; round++ {
		decision, err = stated.CheckWait(background, "key", 1, 30*time.Second)
		must(t, err)
		isTrue(t, decision.Allowed && decision.Policy == "", "it waits its turn")
	}
	isTrue(t, stated.Reset(background, "key") != nil, "it has no name")
}

func TestSeveralAtOnceTakeFromAllOrNone(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	wide, narrow := policy(t, client, 10, "gcra"), policy(t, client, 2, "gcra")
	ask := func() Decision {
		decision, err := client.CheckAll(background, Check{wide.policy, "ann", 1}, Check{narrow.policy, "all", 1})
		must(t, err)
		return decision
	}
	isTrue(t, ask().Allowed && ask().Allowed, "two are allowed")
	refused := ask()
	isTrue(t, !refused.Allowed && refused.Policy == narrow.policy, "the third is not")
	decision, err := wide.Peek(background, "ann", 1)
	must(t, err)
	isTrue(t, decision.Remaining == 8, "none is taken")
}

func TestReservationsSlotsAndFunctions(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	ten := policy(t, client, 10, "gcra")
	reservation, err := ten.Reserve(background, "ann", 8, time.Minute)
	must(t, err)
	var limited *RateLimitedError
	_, err = ten.Reserve(background, "ann", 5, time.Minute)
	isTrue(t, errors.As(err, &limited), "two are left")
	open, err := reservation.Commit(background, 3)
	must(t, err)
	isTrue(t, open, "it was open")
	open, err = reservation.Cancel(background)
	must(t, err)
	isTrue(t, !open, "it is settled")
	jobs := policy(t, client, 1, "concurrency")
	slot, err := jobs.Enter(background, "ann", keptTTL)
	must(t, err)
	_, err = jobs.Enter(background, "ann", keptTTL)
	isTrue(t, errors.As(err, &limited), "it is taken")
	must(t, slot.Do(background, func(context.Context) error { return nil }))
	slot, err = jobs.Enter(background, "ann", keptTTL)
	must(t, err)
	must(t, jobs.Reset(background, "ann"))
	<-slot.Lost()
	isTrue(t, errors.Is(slot.Release(background), ErrLost), "it is lost")
	calls := 0
	one := policy(t, client, 1, "gcra")
	call := func() error {
		return one.Do(background, "ann", 1, func(context.Context) error { calls++; return nil })
	}
	must(t, call())
	isTrue(t, errors.As(call(), &limited) && calls == 1, "it runs once")
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := server.client(t)
	hello := http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) { io.WriteString(response, "hello") })
	user := func(request *http.Request) string { return request.Header.Get("X-User") }
	web := httptest.NewServer(Middleware{Limiter: policy(t, client, 2, "gcra"), Key: user}.Wrap(hello))
	defer web.Close()
	get := func(user string) (*http.Response, string) {
		request, err := http.NewRequest("GET", web.URL, nil)
		must(t, err)
		request.Header.Set("X-User", user)
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		must(t, err)
		return response, string(body)
	}
	response, body := get("ann")
	isTrue(t, response.StatusCode == 200 && body == "hello", "it is allowed")
	isTrue(t, strings.Contains(response.Header.Get("RateLimit"), ";r=1;t="), response.Header.Get("RateLimit"))
	isTrue(t, strings.HasSuffix(response.Header.Get("RateLimit-Policy"), ";q=2"), response.Header.Get("RateLimit-Policy"))
	get("ann")
	response, body = get("ann")
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	must(t, err)
	isTrue(t, response.StatusCode == 429 && seconds > 0 && strings.Contains(body, "quota-exceeded"), body)
	isTrue(t, response.Header.Get("Content-Type") == "application/problem+json", "a problem")
	for round := 0; round < 3; round++ {
		response, _ = get("")
		isTrue(t, response.StatusCode == 200, "it is not limited")
	}
	server.stop()
	response, _ = get("ann")
	isTrue(t, response.StatusCode == 503, "the limiter cannot be asked")
	open := httptest.NewServer(Middleware{Limiter: client.Limiter("default"), WhenUnreachable: AllowUnreachable}.Wrap(hello))
	defer open.Close()
	response, err = http.Get(open.URL)
	must(t, err)
	response.Body.Close()
	isTrue(t, response.StatusCode == 200, "it passes")
}

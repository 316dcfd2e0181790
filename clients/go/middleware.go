package quartet

import (
	"encoding/json"
	"net"
	"net/http"
)

// Unreachable is what to do with a request while the limiter cannot be asked.
type Unreachable int

const (
	// RefuseUnreachable answers 503.
	RefuseUnreachable Unreachable = iota
	// AllowUnreachable lets the request pass.
	AllowUnreachable
)

// Middleware says how requests over HTTP are limited.
type Middleware struct {
	Limiter *Limiter
	// Key makes the key of a request; requests with an empty key are not limited.  The client's address unless it is given.
	Key func(*http.Request) string
	// Cost is one unless it is given.
	Cost            int64
	WhenUnreachable Unreachable
}

// ClientAddress is the address of the client.  Behind a proxy that is the proxy's: read its header in a function of your own.
func ClientAddress(request *http.Request) string {
	host, _, err := net.SplitHostPort(request.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	return host
}

// Wrap answers 429 with Retry-After where the limiter refuses, and adds the RateLimit headers to all responses.
func (m Middleware) Wrap(next http.Handler) http.Handler {
	if m.Key == nil {
		m.Key = ClientAddress
	}
	if m.Cost == 0 {
		m.Cost = 1
	}
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		key := m.Key(request)
		if key == "" {
			next.ServeHTTP(response, request)
			return
		}
		decision, err := m.Limiter.Check(request.Context(), key, m.Cost)
		if err != nil && m.WhenUnreachable == RefuseUnreachable {
			problem(response, http.StatusServiceUnavailable, map[string]interface{}{"title": "The rate limiter cannot be reached"})
			return
		}
		if err == nil {
			decision.SetHeaders(response.Header())
			if !decision.Allowed {
				over(response, decision)
				return
			}
			if sleep(request.Context(), decision.Delay) != nil {
				// The client has gone.
				return
			}
		}
		next.ServeHTTP(response, request)
	})
}

func over(response http.ResponseWriter, decision Decision) {
	name := decision.Policy
	if name == "" {
		name = "limit"
	}
	problem(response, http.StatusTooManyRequests, map[string]interface{}{
		"type":              "/problems/quota-exceeded",
		"title":             "The request is over a limit",
		"violated-policies": []string{name},
	})
}

// problem answers as RFC 9457 has it.
func problem(response http.ResponseWriter, status int, fields map[string]interface{}) {
	fields["status"] = status
	response.Header().Set("Content-Type", "application/problem+json")
	response.WriteHeader(status)
	// A client that has gone needs no answer.
	_ = json.NewEncoder(response).Encode(fields)
}

package quartet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// shortTTL is that of a lease that a test loses.
const shortTTL = 1200 * time.Millisecond

// keptTTL is that of a lease that a test outlives and must not lose, though renewal comes late on a busy machine.
const keptTTL = 5 * time.Second

// looksMax is how often a condition is looked at before a test gives up.
const looksMax = 6000

var background = context.Background()

var names int64

// name is one that no other test uses.
func name(word string) string {
	return fmt.Sprintf("%s-%d-%d", word, os.Getpid(), atomic.AddInt64(&names, 1))
}

// eventually waits until a condition holds.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for look := 0; look < looksMax; look++ {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come about")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func isTrue(t *testing.T, holds bool, what string) {
	t.Helper()
	if !holds {
		t.Fatal(what)
	}
}

// server is a Quartet server: the program that the environment variable QUARTET names, or quartet on the path.
type server struct {
	t       *testing.T
	options []string
	port    int // another one each time it starts
	process *exec.Cmd
	ports   string
}

func startServer(t *testing.T, options ...string) *server {
	t.Helper()
	s := &server{t: t, options: options, ports: filepath.Join(t.TempDir(), "ports.json")}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	program := os.Getenv("QUARTET")
	if program == "" {
		program = "quartet"
	}
	os.Remove(s.ports)
	own := []string{"--port", "0", "--http-port", "off", "--broker-port", "off", "--dir", "", "--ports-file", s.ports}
	s.process = exec.Command(program, append(own, s.options...)...)
	must(s.t, s.process.Start())
	eventually(s.t, func() bool {
		text, err := os.ReadFile(s.ports)
		var ports struct{ Resp string }
		if err != nil || json.Unmarshal(text, &ports) != nil {
			return false
		}
		_, port, err := net.SplitHostPort(ports.Resp)
		must(s.t, err)
		s.port, err = strconv.Atoi(port)
		must(s.t, err)
		return true
	})
}

func (s *server) stop() {
	if s.process.ProcessState == nil {
		s.process.Process.Kill()
		s.process.Wait()
	}
}

func (s *server) pause()  { s.process.Process.Signal(syscall.SIGSTOP) }
func (s *server) resume() { s.process.Process.Signal(syscall.SIGCONT) }

func (s *server) url() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.port) }

func (s *server) client(t *testing.T) *Client {
	client := FromURL(s.url())
	t.Cleanup(client.Close)
	return client
}

// command is the reply of the server to any command.
func (s *server) command(arguments ...interface{}) interface{} {
	s.t.Helper()
	conn, err := redis.DialURL(s.url())
	must(s.t, err)
	defer conn.Close()
	reply, err := conn.Do(arguments[0].(string), arguments[1:]...)
	must(s.t, err)
	return reply
}

// held is for how long the resource is held; zero if it is not.
func (s *server) held(resource string) time.Duration {
	s.t.Helper()
	found, err := redis.Values(s.command("LOCK.INFO", resource), nil)
	if err != nil {
		return 0
	}
	holders, err := redis.Values(after(found, "holders"), nil)
	must(s.t, err)
	if len(holders) == 0 {
		return 0
	}
	fields, err := redis.Values(holders[0], nil)
	must(s.t, err)
	held, err := redis.Int64(after(fields, "held_ms"), nil)
	must(s.t, err)
	return time.Duration(held+1) * time.Millisecond
}

func after(fields []interface{}, name string) interface{} {
	for at := 0; at+1 < len(fields); at += 2 {
		if text, err := redis.String(fields[at], nil); err == nil && text == name {
			return fields[at+1]
		}
	}
	return nil
}

// waits is how many requests wait for the resource.
func (s *server) waits(resource string) int {
	s.t.Helper()
	return len(s.command("LOCK.WAITS", "RESOURCE", resource).([]interface{}))
}

// address is where it listens.
func (s *server) address() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: s.port} }

// relay passes bytes to an address, until it is cut.
type relay struct {
	listener net.Listener
	lock     sync.Mutex
	target   net.Addr
	open     map[net.Conn]bool
	isCut    bool
	// losesReplies says that what the server answers is lost, and the connection with it.
	losesReplies int32
}

func startRelay(t *testing.T, target net.Addr, listener net.Listener) *relay {
	t.Helper()
	r := &relay{listener: listener, target: target, open: map[net.Conn]bool{}}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client)
		}
	}()
	t.Cleanup(func() { listener.Close(); r.cut() })
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return listener
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

func (r *relay) client(t *testing.T) *Client {
	client := FromURL(fmt.Sprintf("redis://127.0.0.1:%d", r.port()))
	t.Cleanup(client.Close)
	return client
}

// leadTo has it connect to another address for those who connect from now on.
func (r *relay) leadTo(target net.Addr) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.target = target
}

func (r *relay) serve(client net.Conn) {
	r.lock.Lock()
	target := r.target
	r.lock.Unlock()
	server, err := net.Dial(target.Network(), target.String())
	if err != nil {
		client.Close()
		return
	}
	r.lock.Lock()
	isCut := r.isCut
	r.open[client], r.open[server] = true, true
	r.lock.Unlock()
	if isCut {
		r.closeAll()
		return
	}
	pass := func(to io.WriteCloser, from net.Conn) {
		io.Copy(to, from)
		to.Close()
		from.Close()
		r.lock.Lock()
		delete(r.open, from)
		r.lock.Unlock()
	}
	go pass(toClient{r, client}, server)
	pass(server, client)
}

// toClient is the way of replies, which the relay may lose.
type toClient struct {
	relay *relay
	net.Conn
}

func (c toClient) Write(data []byte) (int, error) {
	if atomic.LoadInt32(&c.relay.losesReplies) != 0 {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(data)
}

// closeAll closes all connections; new ones come through.
func (r *relay) closeAll() {
	r.lock.Lock()
	defer r.lock.Unlock()
	for conn := range r.open {
		conn.Close()
		delete(r.open, conn)
	}
}

// waitForAnother waits until somebody has connected since.
func (r *relay) waitForAnother(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		r.lock.Lock()
		defer r.lock.Unlock()
		return len(r.open) > 0
	})
}

// cut closes all connections and lets no new one through.
func (r *relay) cut() {
	r.lock.Lock()
	r.isCut = true
	r.lock.Unlock()
	r.closeAll()
}

// restore lets new connections through again.
func (r *relay) restore() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.isCut = false
}

// contains says whether an error says this.
func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

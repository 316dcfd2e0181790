package quartet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

func works(t *testing.T, client *Client) {
	t.Helper()
	must(t, client.Lock(name("x")).Do(background, func(context.Context, *Lease) error { return nil }))
	decision, err := client.Limiter("default").Check(background, name("key"), 2)
	must(t, err)
	isTrue(t, decision.Taken == 2 && decision.Policy == "default", "it is decided")
}

func TestPassword(t *testing.T) {
	t.Parallel()
	server := startServer(t, "--requirepass", "sesame")
	client := FromURL(fmt.Sprintf("redis://:sesame@127.0.0.1:%d", server.port))
	defer client.Close()
	works(t, client)
	wrong := FromURL(server.url(), redis.DialPassword("wrong"))
	defer wrong.Close()
	_, err := wrong.Lock("x").Acquire(background)
	isTrue(t, contains(err, "WRONGPASS"), "it is refused")
	pool := &redis.Pool{Dial: func() (redis.Conn, error) {
		return redis.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.port), redis.DialPassword("sesame"))
	}}
	pooled := FromPool(pool)
	defer pooled.Close()
	works(t, pooled)
}

// certificate is one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	chain, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(chain)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{chain}, PrivateKey: key}, roots
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	chain, roots := certificate(t)
	listener := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{chain}})
	relay := startRelay(t, server.address(), listener)
	url := fmt.Sprintf("rediss://127.0.0.1:%d", relay.port())
	client := FromURL(url, redis.DialTLSConfig(&tls.Config{RootCAs: roots}))
	defer client.Close()
	works(t, client)
	stranger := FromURL(url)
	defer stranger.Close()
	_, err := stranger.Lock("x").Acquire(background)
	isTrue(t, contains(err, "certificate"), "an unknown certificate is refused")
}

func TestAServerThatIsNotQuartet(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("there is no redis-server")
	}
	// It takes only ports that are chosen before, which others may take first: it has a socket at a path, behind a relay.
	folder := t.TempDir()
	socket := &net.UnixAddr{Name: filepath.Join(folder, "redis"), Net: "unix"}
	other := exec.Command(program, "--port", "0", "--unixsocket", socket.Name, "--save", "", "--dir", folder)
	must(t, other.Start())
	defer other.Wait()
	defer other.Process.Kill()
	eventually(t, func() bool {
		conn, err := net.DialUnix("unix", nil, socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	client := startRelay(t, socket, listen(t)).client(t)
	_, err = client.Lock("x").Acquire(background)
	isTrue(t, errors.Is(err, ErrNotQuartet) && contains(err, "give the client the address of a Quartet server"), "the remedy")
	_, err = client.Limiter("default").Check(background, "x", 1)
	isTrue(t, errors.Is(err, ErrNotQuartet), "limits too")
}

func TestAClosedClientSaysSo(t *testing.T) {
	client := FromURL("redis://127.0.0.1:1")
	client.Close()
	_, err := client.Lock("x").Acquire(background)
	isTrue(t, errors.Is(err, ErrClosed), "it is closed")
}

// The programs of the README are built with the packages that these tests have, and run.
func TestReadme(t *testing.T) {
	t.Parallel()
	if os.Getenv("GO111MODULE") != "off" {
		t.Skip("they are built without modules, so that nothing is fetched")
	}
	text, err := os.ReadFile("README.md")
	must(t, err)
	programs := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	isTrue(t, len(programs) >= 2, "there are programs")
	here, err := os.Getwd()
	must(t, err)
	folder := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(folder, "src/quartet/clients"), 0o700))
	must(t, os.Symlink(here, filepath.Join(folder, "src/quartet/clients/go")))
	for at, program := range programs {
		server := startServer(t)
		isTrue(t, strings.Contains(program[1], "redis://localhost:6379"), "it names its server")
		file := filepath.Join(folder, fmt.Sprintf("program%d.go", at))
		must(t, os.WriteFile(file, []byte(strings.ReplaceAll(program[1], "redis://localhost:6379", server.url())), 0o600))
		command := exec.Command("go", "run", file)
		paths := folder + string(filepath.ListSeparator) + os.Getenv("GOPATH")
		command.Env = append(os.Environ(), "GO111MODULE=off", "GOFLAGS=", "GOPATH="+paths)
		output, err := command.CombinedOutput()
		isTrue(t, err == nil, fmt.Sprintf("%v\n%s", err, output))
	}
}

// nats.go as Debian has it (1.22) with its default settings: `nats_client HOST:PORT`.
//
// Each function is a step; its name is printed once it has passed.  Before the last one the program asks for a restart of
// the server.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

const (
	messages = 1000
	requests = 50
	// Whoever waits for so long waits in vain; it bounds a broken run, no working one depends on it.
	hangGuard = 60 * time.Second
)

type clients struct {
	client, other *nats.Conn
	address       string
}

func main() {
	c := clients{address: os.Args[1]}
	c.client, c.other = open(c.address), open(c.address)
	steps := []struct {
		name string
		do   func(clients)
	}{
		{"connect", connect},
		{"publish_and_subscribe", publishAndSubscribe},
		{"wildcards", wildcards},
		{"queue_groups", queueGroups},
		{"request_and_reply", requestAndReply},
		{"no_responders", noResponders},
		{"headers", headers},
		{"burst", burst},
		{"drain", drain},
		{"service", service},
		{"snippet", snippet},
		{"reconnect", reconnect},
	}
	for _, step := range steps {
		step.do(c)
		fmt.Println(step.name)
	}
	c.client.Close()
	c.other.Close()
}

func open(address string) *nats.Conn {
	connection, err := nats.Connect("nats://" + address)
	check(err)
	return connection
}

// As docs/clients.md has it.
func greet(address string) error {
	client, err := nats.Connect(address) // "nats://127.0.0.1:4222"
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Publish("news.today", []byte("hello")); err != nil {
		return err
	}
	return client.Flush()
}

func snippet(c clients) {
	heard := subscribe(c.client, "news.today")
	check(c.client.Flush())
	check(greet("nats://" + c.address))
	same(string(next(heard).Data), "hello")
	check(heard.Unsubscribe())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(found, expected interface{}) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%.500v is not %.500v", found, expected))
	}
}

func next(subscription *nats.Subscription) *nats.Msg {
	message, err := subscription.NextMsg(hangGuard)
	check(err)
	return message
}

// What a subscription has received when its client has had an answer to a PING.
func gathered(subscription *nats.Subscription) []string {
	count, _, err := subscription.Pending()
	check(err)
	var received []string
	for ; count > 0; count-- {
		received = append(received, string(next(subscription).Data))
	}
	return received
}

func subscribe(client *nats.Conn, subject string) *nats.Subscription {
	subscription, err := client.SubscribeSync(subject)
	check(err)
	return subscription
}

func numbers() []string {
	var numbers []string
	for number := 0; number < messages; number++ {
		numbers = append(numbers, strconv.Itoa(number))
	}
	return numbers
}

func connect(c clients) {
	same(c.client.IsConnected(), true)
	same(c.client.MaxPayload(), int64(1<<20))
	same(c.client.HeadersSupported(), true)
	same(strings.HasPrefix(c.client.ConnectedServerVersion(), "2."), true)
	_, err := c.client.RTT()
	check(err)
}

func publishAndSubscribe(c clients) {
	news := subscribe(c.client, "news")
	check(c.client.Flush())
	everything := make([]byte, 25600)
	for index := range everything {
		everything[index] = byte(index)
	}
	for _, payload := range [][]byte{[]byte("hello"), {}, []byte("\r\n"), everything} {
		check(c.other.Publish("news", payload))
	}
	for _, payload := range [][]byte{[]byte("hello"), {}, []byte("\r\n"), everything} {
		same(bytes.Equal(next(news).Data, payload), true)
	}
	check(c.client.PublishRequest("news", "answers", []byte("mine")))
	message := next(news)
	same([]string{message.Subject, message.Reply, string(message.Data)}, []string{"news", "answers", "mine"})
	check(news.AutoUnsubscribe(6))
	check(c.client.Publish("news", []byte("last")))
	check(c.client.Publish("news", []byte("lost")))
	check(c.client.Flush())
	same(string(next(news).Data), "last")
	_, err := news.NextMsg(hangGuard)
	same(errors.Is(err, nats.ErrMaxMessages), true)
}

func wildcards(c clients) {
	subjects := []string{"sports", "sports.ball", "sports.ball.foot", "sportsmen.ball"}
	expected := []struct {
		pattern string
		found   []string
	}{
		{"sports", []string{"sports"}},
		{"sports.*", []string{"sports.ball"}},
		{"sports.>", []string{"sports.ball", "sports.ball.foot"}},
		{"*.ball", []string{"sports.ball", "sportsmen.ball"}},
		{">", subjects},
		{"*.*.*", []string{"sports.ball.foot"}},
	}
	var subscriptions []*nats.Subscription
	for _, one := range expected {
		subscriptions = append(subscriptions, subscribe(c.client, one.pattern))
	}
	check(c.client.Flush())
	for _, subject := range subjects {
		check(c.other.Publish(subject, []byte(subject)))
	}
	check(c.other.Flush())
	check(c.client.Flush())
	for index, subscription := range subscriptions {
		same(gathered(subscription), expected[index].found)
		check(subscription.Unsubscribe())
	}
}

func queueGroups(c clients) {
	var members []*nats.Subscription
	for _, client := range []*nats.Conn{c.client, c.client, c.other} {
		member, err := client.QueueSubscribeSync("jobs", "workers")
		check(err)
		members = append(members, member)
	}
	outsider := subscribe(c.other, "jobs")
	check(c.client.Flush())
	check(c.other.Flush())
	for _, number := range numbers() {
		check(c.client.Publish("jobs", []byte(number)))
	}
	check(c.client.Flush())
	check(c.other.Flush())
	found := map[string]bool{}
	for _, member := range members {
		share := gathered(member)
		same(len(share) > 0, true)
		same(sort.SliceIsSorted(share, func(left, right int) bool {
			return len(share[left]) < len(share[right]) || len(share[left]) == len(share[right]) && share[left] < share[right]
		}), true)
		for _, number := range share {
			same(found[number], false)
			found[number] = true
		}
		check(member.Unsubscribe())
	}
	same(len(found), messages)
	same(gathered(outsider), numbers())
	check(outsider.Unsubscribe())
}

func requestAndReply(c clients) {
	service, err := c.other.Subscribe("shout", func(message *nats.Msg) {
		check(message.Respond(append(message.Data, '!')))
	})
	check(err)
	check(c.other.Flush())
	var asking sync.WaitGroup
	for number := 0; number < requests; number++ {
		asking.Add(1)
		go func(question string) {
			defer asking.Done()
			answer, err := c.client.Request("shout", []byte(question), hangGuard)
			check(err)
			same(string(answer.Data), question+"!")
		}(fmt.Sprint("question ", number))
	}
	asking.Wait()
	check(service.Unsubscribe())
	check(c.other.Flush())
}

func noResponders(c clients) {
	_, err := c.client.Request("nobody", []byte("?"), hangGuard)
	same(errors.Is(err, nats.ErrNoResponders), true)
}

func headers(c clients) {
	news := subscribe(c.client, "news.headers")
	check(c.client.Flush())
	message := nats.NewMsg("news.headers")
	message.Header = nats.Header{"Kind": {"art", "music"}, "kind": {"other"}}
	message.Data = []byte("payload")
	check(c.other.PublishMsg(message))
	received := next(news)
	same(received.Header, message.Header)
	same(string(received.Data), "payload")
	check(news.Unsubscribe())
}

func burst(c clients) {
	subscription := subscribe(c.client, "numbers")
	check(c.client.Flush())
	for _, number := range numbers() {
		check(c.other.Publish("numbers", []byte(number)))
	}
	for _, number := range numbers() {
		same(string(next(subscription).Data), number)
	}
	check(subscription.Unsubscribe())
}

func drain(c clients) {
	closed := make(chan bool)
	third, err := nats.Connect("nats://"+c.address, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	check(err)
	var handled []string
	_, err = third.Subscribe("last.words", func(message *nats.Msg) {
		handled = append(handled, string(message.Data))
		check(message.Respond([]byte("seen")))
	})
	check(err)
	check(third.Flush())
	answers := subscribe(c.client, "seen")
	check(c.client.Flush())
	for _, number := range numbers() {
		check(c.other.PublishRequest("last.words", "seen", []byte(number)))
	}
	check(c.other.Flush())
	check(third.Drain())
	<-closed
	same(handled, numbers())
	for range numbers() {
		same(string(next(answers).Data), "seen")
	}
	check(answers.Unsubscribe())
}

func service(c clients) {
	running, err := micro.AddService(c.other, micro.Config{
		Name:        "mirror",
		Version:     "1.2.3",
		Description: "turns words",
		Endpoint: micro.Endpoint{Subject: "turn", Handler: func(request *micro.Request) {
			turned := append([]byte{}, request.Data()...)
			for left, right := 0, len(turned)-1; left < right; left, right = left+1, right-1 {
				turned[left], turned[right] = turned[right], turned[left]
			}
			check(request.Respond(turned))
		}},
	})
	check(err)
	check(c.other.Flush())
	answer, err := c.client.Request("turn", []byte("abc"), hangGuard)
	check(err)
	same(string(answer.Data), "cba")
	for _, verb := range []string{"PING", "INFO", "STATS"} {
		for _, of := range []string{"", ".mirror", ".mirror." + running.Info().ID} {
			answer, err := c.client.Request("$SRV."+verb+of, nil, hangGuard)
			check(err)
			var said struct{ Name, Version string }
			check(json.Unmarshal(answer.Data, &said))
			same([]string{said.Name, said.Version}, []string{"mirror", "1.2.3"})
		}
	}
	check(running.Stop())
	check(c.other.Flush())
	_, err = c.client.Request("$SRV.PING.mirror", nil, hangGuard)
	same(errors.Is(err, nats.ErrNoResponders), true)
}

func reconnect(c clients) {
	news := subscribe(c.client, "news.again")
	check(c.client.Flush())
	back := make(chan bool, 2)
	for _, client := range []*nats.Conn{c.client, c.other} {
		client.SetReconnectHandler(func(*nats.Conn) { back <- true })
	}
	fmt.Println("restart")
	<-back
	<-back
	check(c.client.Flush())
	check(c.other.Publish("news.again", []byte("hello again")))
	same(string(next(news).Data), "hello again")
}

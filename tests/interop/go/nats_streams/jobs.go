// What several jobs need.

package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func same(found, expected interface{}) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%.700v is not %.700v", found, expected))
	}
}

func refused(err error, text string) {
	if err == nil || !strings.Contains(err.Error(), text) {
		panic(fmt.Sprintf("%v does not say %s", err, text))
	}
}

// Waits until a condition holds.
func until(condition func() bool) {
	for !condition() {
		time.Sleep(10 * time.Millisecond)
	}
}

func numbers(count, first int) []string {
	var all []string
	for number := first; number < first+count; number++ {
		all = append(all, strconv.Itoa(number))
	}
	return all
}

func prepared(streams nats.JetStreamContext, config nats.StreamConfig, count int) *nats.StreamInfo {
	if config.Subjects == nil {
		config.Subjects = []string{"orders.*"}
	}
	info, err := streams.AddStream(&config)
	check(err)
	for _, number := range numbers(count, 0) {
		_, err := streams.Publish("orders.1", []byte(number))
		check(err)
	}
	return info
}

func state(streams nats.JetStreamContext, name string) nats.StreamState {
	info, err := streams.StreamInfo(name)
	check(err)
	return info.State
}

func consumer(streams nats.JetStreamContext, stream, name string) *nats.ConsumerInfo {
	info, err := streams.ConsumerInfo(stream, name)
	check(err)
	return info
}

func texts(messages []*nats.Msg) []string {
	var all []string
	for _, message := range messages {
		all = append(all, string(message.Data))
	}
	return all
}

func fetched(subscription *nats.Subscription, count int) []*nats.Msg {
	var all []*nats.Msg
	for len(all) < count {
		some, err := subscription.Fetch(count-len(all), nats.MaxWait(hangGuard))
		check(err)
		all = append(all, some...)
	}
	return all
}

func nothingComes(subscription *nats.Subscription) {
	_, err := subscription.Fetch(1, nats.MaxWait(100*time.Millisecond))
	same(err, nats.ErrTimeout)
}

func next(subscription *nats.Subscription, count int) []*nats.Msg {
	var all []*nats.Msg
	for len(all) < count {
		message, err := subscription.NextMsg(hangGuard)
		check(err)
		all = append(all, message)
	}
	return all
}

func about(message *nats.Msg) *nats.MsgMetadata {
	metadata, err := message.Metadata()
	check(err)
	return metadata
}

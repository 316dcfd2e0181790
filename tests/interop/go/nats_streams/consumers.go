// Consumers: pulled, pushed, ordered and of work queues.

package main

import (
	"bytes"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

func messagesAreFetched(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "FETCHED"}, 100)
	subscription, err := streams.PullSubscribe("orders.*", "workers")
	check(err)
	messages := fetched(subscription, 100)
	same(texts(messages), numbers(100, 0))
	metadata := about(messages[9])
	same([]uint64{metadata.Sequence.Stream, metadata.Sequence.Consumer, metadata.NumDelivered, metadata.NumPending}, []uint64{10, 10, 1, 90})
	for _, message := range messages {
		check(message.AckSync())
	}
	info := consumer(streams, "FETCHED", "workers")
	same([]uint64{info.AckFloor.Stream, info.NumPending, uint64(info.NumAckPending)}, []uint64{100, 0, 0})
	nothingComes(subscription)
	check(subscription.Unsubscribe())
	_, err = streams.ConsumerInfo("FETCHED", "workers")
	same(err, nats.ErrConsumerNotFound)
}

func everyWayOfAcknowledging(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "WAYS"}, 4)
	subscription, err := streams.PullSubscribe("orders.*", "workers", nats.AckWait(time.Second), nats.MaxDeliver(5))
	check(err)
	messages := fetched(subscription, 4)
	check(messages[0].Nak())
	same(about(fetched(subscription, 1)[0]).NumDelivered, uint64(2))
	check(messages[1].Term())
	check(messages[2].NakWithDelay(1500 * time.Millisecond))
	check(messages[3].InProgress())
	check(messages[3].AckSync())
	// The first was not acknowledged in time, the third comes when it was told to.
	again := fetched(subscription, 1)[0]
	same([]uint64{about(again).Sequence.Stream, about(again).NumDelivered}, []uint64{1, 3})
	check(again.AckSync())
	again = fetched(subscription, 1)[0]
	same([]uint64{about(again).Sequence.Stream, about(again).NumDelivered}, []uint64{3, 2})
	check(again.AckSync())
	same(consumer(streams, "WAYS", "workers").AckFloor.Stream, uint64(4))
}

func messagesArePushed(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "PUSHED"}, 50)
	received := make(chan string, 100)
	subscription, err := streams.Subscribe("orders.*", func(message *nats.Msg) { received <- string(message.Data) }, nats.Durable("reader"))
	check(err)
	for _, number := range numbers(50, 50) {
		_, err := streams.Publish("orders.2", []byte(number))
		check(err)
	}
	for _, number := range numbers(100, 0) {
		same(<-received, number)
	}
	until(func() bool { return consumer(streams, "PUSHED", "reader").AckFloor.Stream == 100 })
	check(subscription.Drain())
	until(func() bool { return !subscription.IsValid() })
}

func pushedMessagesAreShared(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "SHARED"}, 0)
	var lock sync.Mutex
	var all []int
	shares := map[int]int{}
	for member := 0; member < 3; member++ {
		member := member
		_, err := streams.QueueSubscribe("orders.*", "workers", func(message *nats.Msg) {
			lock.Lock()
			defer lock.Unlock()
			number, err := strconv.Atoi(string(message.Data))
			check(err)
			all = append(all, number)
			shares[member]++
		})
		check(err)
	}
	for _, number := range numbers(300, 0) {
		_, err := streams.Publish("orders.1", []byte(number))
		check(err)
	}
	until(func() bool { lock.Lock(); defer lock.Unlock(); return len(all) == 300 })
	sort.Ints(all)
	for number, found := range all {
		same(found, number)
	}
	same(len(shares), 3)
}

func orderedSubscriptionReadsAll(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "ORDERED", Subjects: []string{"large"}}, 0)
	payload := bytes.Repeat([]byte("x"), 2000)
	for range numbers(2000, 0) {
		_, err := streams.PublishAsync("large", payload)
		check(err)
	}
	<-streams.PublishAsyncComplete()
	subscription, err := streams.SubscribeSync("large", nats.OrderedConsumer())
	check(err)
	for index, message := range next(subscription, 2000) {
		same([]uint64{about(message).Sequence.Stream, about(message).NumPending}, []uint64{uint64(index + 1), uint64(1999 - index)})
	}
	_, err = streams.Publish("large", []byte("live"))
	check(err)
	same(texts(next(subscription, 1)), []string{"live"})
	check(subscription.Unsubscribe())
}

func consumersAreMadeChangedAndListed(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "CONSUMED"}, 3)
	config := nats.ConsumerConfig{Durable: "a", AckPolicy: nats.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: 7, MaxAckPending: 20}
	made, err := streams.AddConsumer("CONSUMED", &config)
	check(err)
	same([]interface{}{made.Name, made.Config.AckWait, made.Config.MaxDeliver, made.NumPending}, []interface{}{"a", time.Minute, 7, uint64(3)})
	config.AckWait = time.Second
	changed, err := streams.UpdateConsumer("CONSUMED", &config)
	check(err)
	same(changed.Config.AckWait, time.Second)
	_, err = streams.AddConsumer("CONSUMED", &nats.ConsumerConfig{Durable: "b", AckPolicy: nats.AckAllPolicy, FilterSubject: "orders.2"})
	check(err)
	var names []string
	for name := range streams.ConsumerNames("CONSUMED") {
		names = append(names, name)
	}
	same(names, []string{"a", "b"})
	check(streams.DeleteConsumer("CONSUMED", "a"))
	same(streams.DeleteConsumer("CONSUMED", "a"), nats.ErrConsumerNotFound)
}

func workQueueKeepsWhatIsToDo(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "WORK", Retention: nats.WorkQueuePolicy}, 3)
	subscription, err := streams.PullSubscribe("orders.*", "workers")
	check(err)
	for _, message := range fetched(subscription, 3)[:2] {
		check(message.AckSync())
	}
	same([]uint64{state(streams, "WORK").Msgs, state(streams, "WORK").FirstSeq}, []uint64{1, 3})
}

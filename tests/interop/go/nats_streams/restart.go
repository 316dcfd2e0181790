// What outlives the server.

package main

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

func everythingOutlivesTheServer(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "OUTLIVING"}, 100)
	subscription, err := streams.PullSubscribe("orders.*", "workers", nats.AckWait(time.Hour))
	check(err)
	for _, message := range fetched(subscription, 50) {
		check(message.AckSync())
	}
	fetched(subscription, 10)
	bucket := bucket(streams, "OUTLIVING", 5)
	put(bucket, "a", "1")
	back := make(chan bool, 1)
	client.SetReconnectHandler(func(*nats.Conn) { back <- true })
	fmt.Println("restart")
	<-back
	same([]uint64{state(streams, "OUTLIVING").Msgs, state(streams, "OUTLIVING").LastSeq}, []uint64{100, 100})
	info := consumer(streams, "OUTLIVING", "workers")
	same([]uint64{info.AckFloor.Stream, info.Delivered.Stream, uint64(info.NumAckPending), info.NumPending}, []uint64{50, 60, 10, 40})
	same(texts(fetched(subscription, 40)), numbers(40, 60))
	put(bucket, "a", "2")
	history, err := bucket.History("a")
	check(err)
	same(revisions(history), []string{"a 1 KeyValuePutOp 1", "a 2 KeyValuePutOp 2"})
}

// Streams: their definitions, messages and publishers.

package main

import (
	"time"

	"github.com/nats-io/nats.go"
)

func accountTellsOfStreams(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "ACCOUNT"}, 1)
	account, err := streams.AccountInfo()
	check(err)
	same([]int{account.Streams, account.Consumers, account.Limits.MaxStreams}, []int{1, 0, -1})
}

func streamsAreMadeChangedAndListed(streams nats.JetStreamContext) {
	config := nats.StreamConfig{Name: "MADE", Subjects: []string{"orders.*", "returns.>"}, MaxMsgs: 100, MaxMsgsPerSubject: 50,
		MaxAge: time.Hour, MaxBytes: 1 << 20, Discard: nats.DiscardNew, Duplicates: time.Minute, Description: "what is ordered",
		AllowRollup: true, AllowDirect: true}
	made := prepared(streams, config, 3).Config
	same([]int64{made.MaxMsgs, made.MaxMsgsPerSubject, made.MaxBytes, int64(made.MaxAge)}, []int64{100, 50, 1 << 20, int64(time.Hour)})
	same([]interface{}{made.Discard, made.Duplicates, made.AllowRollup, made.Replicas}, []interface{}{nats.DiscardNew, time.Minute, true, 1})
	config.Description, config.MaxMsgs = "all", 200
	changed, err := streams.UpdateStream(&config)
	check(err)
	same([]interface{}{changed.Config.Description, changed.Config.MaxMsgs, changed.State.Msgs}, []interface{}{"all", int64(200), uint64(3)})
	_, err = streams.AddStream(&nats.StreamConfig{Name: "OTHER", Subjects: []string{"returns.new"}})
	refused(err, "subjects overlap with an existing stream")
	_, err = streams.StreamInfo("NOBODY")
	same(err, nats.ErrStreamNotFound)
	name, err := streams.StreamNameBySubject("returns.a.b")
	check(err)
	same(name, "MADE")
	_, err = streams.StreamNameBySubject("nowhere")
	same(err, nats.ErrNoMatchingStream)
	_, err = streams.AddStream(&nats.StreamConfig{Name: "NEXT"})
	check(err)
	var names []string
	for info := range streams.Streams() {
		names = append(names, info.Config.Name)
	}
	same(names, []string{"MADE", "NEXT"})
	info, err := streams.StreamInfo("MADE", &nats.StreamInfoRequest{SubjectsFilter: ">"})
	check(err)
	same(info.State.Subjects, map[string]uint64{"orders.1": 3})
}

func streamsArePurged(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "PURGED"}, 10)
	_, err := streams.Publish("orders.2", []byte("other"))
	check(err)
	check(streams.PurgeStream("PURGED", &nats.StreamPurgeRequest{Subject: "orders.1", Keep: 3}))
	same(state(streams, "PURGED").FirstSeq, uint64(8))
	check(streams.PurgeStream("PURGED", &nats.StreamPurgeRequest{Sequence: 10}))
	same(state(streams, "PURGED").Msgs, uint64(2))
	check(streams.PurgeStream("PURGED"))
	same([]uint64{state(streams, "PURGED").Msgs, state(streams, "PURGED").FirstSeq, state(streams, "PURGED").LastSeq}, []uint64{0, 12, 11})
}

func messagesAreGotAndDeleted(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "GOT"}, 3)
	message := nats.NewMsg("orders.2")
	message.Header.Add("Kind", "art")
	message.Header.Add("Kind", "music")
	_, err := streams.PublishMsg(message)
	check(err)
	got, err := streams.GetMsg("GOT", 2)
	check(err)
	same([]interface{}{got.Subject, got.Sequence, string(got.Data)}, []interface{}{"orders.1", uint64(2), "1"})
	got, err = streams.GetLastMsg("GOT", "orders.2")
	check(err)
	same([]interface{}{got.Sequence, got.Header["Kind"]}, []interface{}{uint64(4), []string{"art", "music"}})
	check(streams.DeleteMsg("GOT", 2))
	check(streams.SecureDeleteMsg("GOT", 3))
	_, err = streams.GetMsg("GOT", 2)
	same(err, nats.ErrMsgNotFound)
	same([]uint64{state(streams, "GOT").Msgs, uint64(state(streams, "GOT").NumDeleted)}, []uint64{2, 2})
}

func messagesAreGotDirectly(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "DIRECT", AllowDirect: true}, 3)
	got, err := streams.GetMsg("DIRECT", 2, nats.DirectGet())
	check(err)
	same([]interface{}{got.Subject, got.Sequence, string(got.Data)}, []interface{}{"orders.1", uint64(2), "1"})
	got, err = streams.GetMsg("DIRECT", 2, nats.DirectGetNext("orders.*"))
	check(err)
	same(got.Sequence, uint64(2))
	got, err = streams.GetLastMsg("DIRECT", "orders.1", nats.DirectGet())
	check(err)
	same([]interface{}{got.Sequence, string(got.Data)}, []interface{}{uint64(3), "2"})
	_, err = streams.GetMsg("DIRECT", 9, nats.DirectGet())
	same(err, nats.ErrMsgNotFound)
}

func publishesAreAcknowledged(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "PUBLISHED"}, 1)
	var futures []nats.PubAckFuture
	for _, number := range numbers(1000, 0) {
		future, err := streams.PublishAsync("orders.2", []byte(number))
		check(err)
		futures = append(futures, future)
	}
	<-streams.PublishAsyncComplete()
	for index, future := range futures {
		same((<-future.Ok()).Sequence, uint64(index+2))
	}
	_, err := streams.Publish("nowhere", nil)
	same(err, nats.ErrNoStreamResponse)
}

func publishesAreChecked(streams nats.JetStreamContext) {
	prepared(streams, nats.StreamConfig{Name: "CHECKED"}, 0)
	ack, err := streams.Publish("orders.1", nil, nats.MsgId("a"), nats.ExpectLastSequencePerSubject(0))
	check(err)
	same([]interface{}{ack.Stream, ack.Sequence, ack.Duplicate}, []interface{}{"CHECKED", uint64(1), false})
	ack, err = streams.Publish("orders.1", nil, nats.MsgId("a"))
	check(err)
	same([]interface{}{ack.Sequence, ack.Duplicate}, []interface{}{uint64(1), true})
	_, err = streams.Publish("orders.1", nil, nats.ExpectLastSequence(9))
	refused(err, "wrong last sequence: 1")
	_, err = streams.Publish("orders.1", nil, nats.ExpectLastMsgId("b"))
	refused(err, "wrong last msg ID: a")
	_, err = streams.Publish("orders.1", nil, nats.ExpectStream("OTHER"))
	refused(err, "expected stream does not match")
	ack, err = streams.Publish("orders.1", nil, nats.ExpectLastMsgId("a"), nats.ExpectLastSequence(1), nats.ExpectStream("CHECKED"))
	check(err)
	same(ack.Sequence, uint64(2))
}

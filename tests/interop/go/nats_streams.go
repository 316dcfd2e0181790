// The streams, keys and objects of nats.go as Debian has it (1.22), by its older API: `nats_streams HOST:PORT [JOB...]`.
//
// Every job is a function, makes what it needs and leaves nothing behind.  Its stream has a name of its own: a stream of
// nats-server 2.15.1 now and then has the state of one that was deleted, if it has the name of that.  The job's name is
// printed once it has passed; after one that fails stands what went wrong on standard error, and the next goes on.  Before
// the last job the program asks for a restart of the server.
package main

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Whoever waits for so long waits in vain; it bounds a broken run, no working one depends on it.
const hangGuard = 60 * time.Second

type job struct {
	name string
	do   func(nats.JetStreamContext)
}

var jobs = []job{
	{"account_tells_of_streams", accountTellsOfStreams},
	{"streams_are_made_changed_and_listed", streamsAreMadeChangedAndListed},
	{"streams_are_purged", streamsArePurged},
	{"messages_are_got_and_deleted", messagesAreGotAndDeleted},
	{"messages_are_got_directly", messagesAreGotDirectly},
	{"publishes_are_acknowledged", publishesAreAcknowledged},
	{"publishes_are_checked", publishesAreChecked},
	{"messages_are_fetched", messagesAreFetched},
	{"every_way_of_acknowledging", everyWayOfAcknowledging},
	{"messages_are_pushed", messagesArePushed},
	{"pushed_messages_are_shared", pushedMessagesAreShared},
	{"ordered_subscription_reads_all", orderedSubscriptionReadsAll},
	{"consumers_are_made_changed_and_listed", consumersAreMadeChangedAndListed},
	{"work_queue_keeps_what_is_to_do", workQueueKeepsWhatIsToDo},
	{"values_are_put_and_got", valuesArePutAndGot},
	{"values_are_deleted_and_purged", valuesAreDeletedAndPurged},
	{"keys_are_listed", keysAreListed},
	{"changes_are_watched", changesAreWatched},
	{"buckets_are_listed", bucketsAreListed},
	{"objects_are_put_and_got", objectsArePutAndGot},
	{"objects_are_listed_and_watched", objectsAreListedAndWatched},
	{"sealed_objects_stay", sealedObjectsStay},
	{"everything_outlives_the_server", everythingOutlivesTheServer},
}

var client *nats.Conn

func main() {
	var err error
	client, err = nats.Connect("nats://"+os.Args[1], nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	check(err)
	streams, err := client.JetStream(nats.MaxWait(hangGuard))
	check(err)
	failures := 0
	for _, job := range jobs {
		if wanted := os.Args[2:]; len(wanted) > 0 && !strings.Contains(" "+strings.Join(wanted, " ")+" ", " "+job.name+" ") {
			continue
		}
		if failure := attempt(job, streams); failure == nil {
			fmt.Println(job.name)
		} else {
			failures++
			fmt.Println("failed:", job.name)
			fmt.Fprintln(os.Stderr, failure)
		}
		for name := range streams.StreamNames() {
			check(streams.DeleteStream(name))
		}
	}
	client.Close()
	os.Exit(failures)
}

// Does a job in a time that is bounded.
func attempt(job job, streams nats.JetStreamContext) interface{} {
	ended := make(chan interface{}, 1)
	go func() {
		defer func() { ended <- recover() }()
		job.do(streams)
	}()
	select {
	case failure := <-ended:
		return failure
	case <-time.After(hangGuard):
		return "it hangs"
	}
}

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

func bucket(streams nats.JetStreamContext, name string, history uint8) nats.KeyValue {
	bucket, err := streams.CreateKeyValue(&nats.KeyValueConfig{Bucket: name, History: history})
	check(err)
	return bucket
}

func put(bucket nats.KeyValue, key, value string) uint64 {
	revision, err := bucket.PutString(key, value)
	check(err)
	return revision
}

func valuesArePutAndGot(streams nats.JetStreamContext) {
	bucket := bucket(streams, "VALUES", 3)
	same([]uint64{put(bucket, "a", "1"), put(bucket, "b.c", "1"), put(bucket, "a", "2")}, []uint64{1, 2, 3})
	entry, err := bucket.Get("a")
	check(err)
	same([]interface{}{entry.Key(), string(entry.Value()), entry.Revision(), entry.Operation()}, []interface{}{"a", "2", uint64(3), nats.KeyValuePut})
	entry, err = bucket.GetRevision("a", 1)
	check(err)
	same(string(entry.Value()), "1")
	_, err = bucket.Get("nothing")
	same(err, nats.ErrKeyNotFound)
	_, err = bucket.Create("a", nil)
	refused(err, "wrong last sequence: 3")
	_, err = bucket.Update("a", []byte("3"), 1)
	refused(err, "wrong last sequence: 3")
	revision, err := bucket.Update("a", []byte("3"), 3)
	check(err)
	same(revision, uint64(4))
	status, err := bucket.Status()
	check(err)
	same([]interface{}{status.Bucket(), status.Values(), status.History()}, []interface{}{"VALUES", uint64(4), int64(3)})
}

func revisions(entries []nats.KeyValueEntry) []string {
	var all []string
	for _, entry := range entries {
		all = append(all, fmt.Sprint(entry.Key(), " ", entry.Revision(), " ", entry.Operation(), " ", string(entry.Value())))
	}
	return all
}

func valuesAreDeletedAndPurged(streams nats.JetStreamContext) {
	bucket := bucket(streams, "DELETED", 10)
	put(bucket, "a", "1")
	put(bucket, "b", "1")
	refused(bucket.Delete("a", nats.LastRevision(7)), "wrong last sequence: 1")
	check(bucket.Delete("a"))
	check(bucket.Purge("b"))
	_, err := bucket.Get("a")
	same(err, nats.ErrKeyNotFound)
	history, err := bucket.History("a")
	check(err)
	same(revisions(history), []string{"a 1 KeyValuePutOp 1", "a 3 KeyValueDeleteOp "})
	history, err = bucket.History("b")
	check(err)
	same(revisions(history), []string{"b 4 KeyValuePurgeOp "})
	revision, err := bucket.Create("a", []byte("again"))
	check(err)
	same(revision, uint64(5))
	check(bucket.PurgeDeletes(nats.DeleteMarkersOlderThan(-1)))
	keys, err := bucket.Keys()
	check(err)
	same(keys, []string{"a"})
}

func keysAreListed(streams nats.JetStreamContext) {
	bucket := bucket(streams, "KEYS", 1)
	_, err := bucket.Keys()
	same(err, nats.ErrNoKeysFound)
	for _, number := range numbers(500, 1000) {
		put(bucket, "key."+number, "x")
	}
	keys, err := bucket.Keys()
	check(err)
	sort.Strings(keys)
	same([]interface{}{len(keys), keys[0], keys[499]}, []interface{}{500, "key.1000", "key.1499"})
}

func changesAreWatched(streams nats.JetStreamContext) {
	bucket := bucket(streams, "WATCHED", 3)
	for _, pair := range []string{"a 1", "b 1", "a 2"} {
		put(bucket, pair[:1], pair[2:])
	}
	watcher, err := bucket.WatchAll()
	check(err)
	updates := func(count int) []string {
		var all []nats.KeyValueEntry
		for len(all) < count {
			all = append(all, <-watcher.Updates())
		}
		return revisions(all)
	}
	same(updates(2), []string{"b 2 KeyValuePutOp 1", "a 3 KeyValuePutOp 2"})
	same(<-watcher.Updates(), nats.KeyValueEntry(nil))
	put(bucket, "c", "1")
	check(bucket.Delete("a"))
	same(updates(2), []string{"c 4 KeyValuePutOp 1", "a 5 KeyValueDeleteOp "})
	check(watcher.Stop())
	watcher, err = bucket.Watch("a", nats.IncludeHistory())
	check(err)
	same(updates(3), []string{"a 1 KeyValuePutOp 1", "a 3 KeyValuePutOp 2", "a 5 KeyValueDeleteOp "})
	check(watcher.Stop())
}

func bucketsAreListed(streams nats.JetStreamContext) {
	bucket(streams, "BUCKET_A", 1)
	bucket(streams, "BUCKET_B", 1)
	prepared(streams, nats.StreamConfig{Name: "NO_BUCKET"}, 0)
	var names []string
	for name := range streams.KeyValueStoreNames() {
		names = append(names, strings.TrimPrefix(name, "KV_"))
	}
	same(names, []string{"BUCKET_A", "BUCKET_B"})
	check(streams.DeleteKeyValue("BUCKET_A"))
	_, err := streams.KeyValue("BUCKET_A")
	same(err, nats.ErrBucketNotFound)
}

// Several chunks, the last of them short.
func large() []byte {
	return bytes.Repeat([]byte("0123456789"), 50_000)
}

func files(streams nats.JetStreamContext, name string) nats.ObjectStore {
	store, err := streams.CreateObjectStore(&nats.ObjectStoreConfig{Bucket: name})
	check(err)
	return store
}

func objectsArePutAndGot(streams nats.JetStreamContext) {
	store := files(streams, "FILES")
	info, err := store.PutBytes("large", large())
	check(err)
	same([]uint64{info.Size, uint64(info.Chunks)}, []uint64{500_000, 4})
	found, err := store.GetBytes("large")
	check(err)
	same(bytes.Equal(found, large()), true)
	_, err = store.PutString("large", "short")
	check(err)
	text, err := store.GetString("large")
	check(err)
	same([]interface{}{text, state(streams, "OBJ_FILES").Msgs}, []interface{}{"short", uint64(2)})
	check(store.Delete("large"))
	_, err = store.GetBytes("large")
	same(err, nats.ErrObjectNotFound)
}

func objectsAreListedAndWatched(streams nats.JetStreamContext) {
	store := files(streams, "LISTED")
	for _, name := range []string{"a", "b", "c d"} {
		_, err := store.PutString(name, name)
		check(err)
	}
	check(store.Delete("b"))
	infos, err := store.List()
	check(err)
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	sort.Strings(names)
	same(names, []string{"a", "c d"})
	watcher, err := store.Watch(nats.IgnoreDeletes())
	check(err)
	same([]string{(<-watcher.Updates()).Name, (<-watcher.Updates()).Name}, []string{"a", "c d"})
	same(<-watcher.Updates(), (*nats.ObjectInfo)(nil))
	_, err = store.PutString("e", "e")
	check(err)
	same((<-watcher.Updates()).Name, "e")
	check(watcher.Stop())
}

func sealedObjectsStay(streams nats.JetStreamContext) {
	store := files(streams, "SEALED")
	_, err := store.PutString("a", "1")
	check(err)
	check(store.Seal())
	_, err = store.PutString("b", "2")
	refused(err, "sealed")
	text, err := store.GetString("a")
	check(err)
	same(text, "1")
}

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

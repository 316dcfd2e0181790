// Keys and values.

package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/nats-io/nats.go"
)

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

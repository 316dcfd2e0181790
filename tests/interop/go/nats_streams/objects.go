// Objects.

package main

import (
	"bytes"
	"sort"

	"github.com/nats-io/nats.go"
)

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

// The streams, keys and objects of nats.go as Debian has it (1.22), by its older API: `nats_streams HOST:PORT [JOB...]`.
//
// Every job is a function, makes what it needs and leaves nothing behind.  Its stream has a name of its own: a stream of
// nats-server 2.15.1 now and then has the state of one that was deleted, if it has the name of that.  The job's name is
// printed once it has passed; after one that fails stands what went wrong on standard error, and the next goes on.  Before
// the last job the program asks for a restart of the server.
package main

import (
	"fmt"
	"os"
	"strings"
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

// How often a job is begun.
const attempts = 10

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
		failure := attempt(job, streams)
		// nats-server may still be removing the folder of the account's last stream, and then refuses the next one.
		for again := 1; again < attempts && failure != nil && strings.Contains(fmt.Sprint(failure), "error creating store"); again++ {
			clear(streams)
			failure = attempt(job, streams)
		}
		if failure == nil {
			fmt.Println(job.name)
		} else {
			failures++
			fmt.Println("failed:", job.name)
			fmt.Fprintln(os.Stderr, failure)
		}
		clear(streams)
	}
	client.Close()
	os.Exit(failures)
}

// Deletes every stream.
func clear(streams nats.JetStreamContext) {
	for name := range streams.StreamNames() {
		check(streams.DeleteStream(name))
	}
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

// The streams, keys and objects of @nats-io on Node: `node nats_streams.js HOST:PORT [JOB...]`.
//
// Every job is a function in `stream_jobs`, makes what it needs and leaves nothing behind.  Its stream has a name of its own:
// a stream of nats-server 2.15.1 now and then has the state of one that was deleted, if it has the name of that.  Its name is printed once it has
// passed; after one that fails stands what went wrong on standard error, and the next goes on.  Before the last job the
// program asks for a restart of the server, which whoever started it does once that line is there.

import { connect } from "@nats-io/transport-node";
import { run } from "./stream_jobs/jobs.js";
import * as consumers from "./stream_jobs/consumers.js";
import * as keys from "./stream_jobs/keys.js";
import * as objects from "./stream_jobs/objects.js";
import * as restart from "./stream_jobs/restart.js";
import * as streams from "./stream_jobs/streams.js";

const [server, ...wanted] = process.argv.slice(2);
const options = { servers: server, maxReconnectAttempts: -1, reconnectTimeWait: 50 };
const all = [streams, consumers, keys, objects, restart].flatMap((part) => part.jobs);
const failures = await run(await connect(options), all, wanted, (line) => console.log(line), (error) => console.error(error));
process.exit(failures);

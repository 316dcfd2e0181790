//! The one test crate of the server, so that it is linked once; each module says what belongs in it.

/// What the suites share: server processes, peers, a blocking client.
mod support;

/// The program as a person who starts and stops it meets it.
mod program;

/// The HTTP door and what is behind it.
mod http;

/// WebSockets on the HTTP door.
mod websocket;

/// Commands of callers that are no connections.
mod executor;

/// Real clients and tools, each in its own language, against a server process.
mod interop;

/// Commands and golden replies, the tests of nearly all features.
mod transcripts;

/// Comparison with real servers.
mod differential;

/// The rules of the tree: layers, file heads, lengths.
mod tidy;

/// What the server says about its commands.
mod admin;

/// Locks: queues, leases, fences and deadlocks.
mod lock;

/// Random actions against plain models.
mod properties;

/// The broker's door as clients of its protocol meet it.
mod broker;

/// The rate limiter as programs and proxies meet it.
mod limit;

/// What a service's journal keeps when the power fails, the disk errs or files are damaged.
mod journal;

/// Durable streams: what their files keep when they are damaged or the power fails.
mod stream;

/// `quartet bench` against servers of every kind.
mod load;

/// Scripts: what they may not do to others, and their libraries.
mod script;

/// The documents: every command in them is run.
mod documents;

/// What is shipped beside the program: image, units, manifests, dashboards and alerts.
mod deploy;

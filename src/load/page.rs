//! The tables of workloads and options as a page of documentation.

use std::fmt::Write;

use super::options::{CLIENTS_MAX, CONNECTIONS_MAX, OPTIONS, OptionRow, PIPELINE_MAX, THREADS_MAX};
use super::workload::{WORKLOADS, Workload};

const HEAD: &str = r#"# Load tests: `quartet bench`

<!-- Generated from `src/load/`; `QUARTET_UPDATE_GOLDEN=1 cargo test --lib load` writes it anew. -->

`quartet bench` loads a server and reports how quickly it answers.  It drives every server that speaks RESP (Redis, Valkey), the NATS
client protocol (nats-server) or the calls of Quartet's HTTP listener.  With a server on the usual ports:

```sh
quartet bench get --time 1                                 # the cache
quartet bench limit --time 1                               # the rate limiter
quartet bench lock --time 1                                # the locks
quartet bench fan-out --subscribers 8 --time 1             # the broker
quartet bench store --time 1                               # durable streams
```

prints, for example:

```text
server        127.0.0.1:6379
requests      1,500,000 in 1.08 s
throughput    1,388,888 requests/s
latency       from the request to its answer
  p50              0.551 ms
  p90              0.655 ms
  p99              0.735 ms
  p99.9            0.911 ms
  p99.99           1.303 ms
  max              1.512 ms
server's CPU  0.540 µs per request
own CPU       0.210 µs per request
```

More of it:

```text
quartet bench mix --pipeline 16 --keys 1000000 --size 16-1024 --distribution zipf
quartet bench command --pipeline 16 LPUSH list:__key__ __data__
quartet bench lock --keys 1 --wait 10000 --connections 64  # 64 clients want one lock
quartet bench http PUT /cache/__key__ '{"value": "__data__", "ttl": 60}'
quartet bench get --rate 20000 --time 60                   # open loop
quartet bench get --pipeline 16 --count 1000000 --compare quartet=:6379,redis=:6380
quartet bench replay --count 1000000 --server nats.example.com:4222 --user load --password secret
quartet bench store --count 1000000 --subjects 10000 --message-ids --keep
quartet bench replay --stream quartet-bench --push --consumers 8
quartet bench store --subject orders.test --count 100000   # of a stream that is there
```

## Reading the figures

* **Closed and open loop.**  Without `--rate` each client begins its next operation as soon as the last one is done, which shows how much
  a server can do.  With `--rate` operations begin by a schedule, and the latency of each counts from when it was *meant* to begin.  So a
  stall shows in the latency of everything that fell due meanwhile, as it would at users who do not wait for one another.  What fell due
  and never began because the server was too slow is counted as *missed*, and its waiting is part of the latencies.
* **Comparing.**  Machines drift, so `--compare` has the servers take turns (A B, B A, A B ...) and prints the medians of the rounds, with ratios
  to the last server.  Ratios within one run mean something; figures of different days do not.
* **CPU.**  If the server runs on this machine and its process can be seen in `/proc`, the processor time of its present threads is divided by
  the operations.  This program's own time is there too: if it comes near a whole core, the program is the limit, and `--threads` helps.
* **Errors.**  Error replies are counted, the first is shown, and the exit code is 1.  A run that begins with errors ends at once.  Locks that
  are held and limits that are reached are *refused*, which is no error.
* **Lost messages.**  Every message that is published must arrive: a server that says nothing for `--timeout` while something is missing,
  or closes a connection, ends the run with an error.
* **Reply subjects.**  Each message of `store` and each request of `request` is answered on a subject that is never used again, as with client
  libraries.  A server that remembers who is subscribed to a subject has nothing to gain, and an answer that comes late or twice ends the
  run with an error in place of passing for another one.
* **What is left.**  Keys stay, below `--prefix`.  The stream `quartet-bench` is made for `store` and `replay` and deleted afterwards; `--keep`
  leaves it.  A stream that is there, named by `--stream` or by its `--subject`, keeps its definition, the messages it had and those that are
  stored; the consumers that read it are deleted.
* **Servers without the commands.**  Where there is no `LOCK.ACQUIRE`, `lock` uses `SET NX PX` and a script; where there is no `CL.THROTTLE`,
  `limit` uses throttlecrab's `THROTTLE` or else a script.  The report says so.

## What it does not measure

The programs in `benches/` are for the rest.  They need Python, and servers of other makers for comparison.

| program | measures | why `quartet bench` does not |
|---|---|---|
| `compare.py`, `limits.py` | memory of keys, idle connections and counters; when expired keys are gone | it sends requests and does not look at the server's memory |
| `locks.py` | locks on disk beside etcd (with `lock` for Quartet's own); memory of leases; the time from a release to the next holder | etcd speaks another protocol; the clients of a hand-off wait for one another |
| `broker.py` | subscriptions that come and go, readers that stall, ten thousand connections that do nothing | these misbehave, and it does not |
| `streams.py` | restarts, memory and consumers with filters, on streams that `store` fills; runs `store` and `replay` in turns | it neither starts nor kills servers |
| `data_types.py`, `scripts.py` | memory of keys with many parts; many commands and scripts, sent by `command`, each on keys that are filled for it | a run is one command |
| `stalls.py` | how long one client waits while another handles a large value | the two have to be in step |
| `instructions.py` | the instructions that an old program and a new one take for a request, to a thousandth | Valgrind counts them |
| `load_cost.py` | what `quartet bench` itself takes | |

## Places

In the words of `command` and `http`, also within a word:

| place | is |
|---|---|
| `__key__` | `--prefix` and twelve digits; several in one request are drawn one by one |
| `__data__` | as many bytes as `--size` says |
| `__client__` | six digits, of each client others; a client has one operation at a time |

## Workloads

"#;

/// The page `docs/bench.md`.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| workload | protocol | what it does | latency | options |\n|---|---|---|---|---|\n");
    for workload in WORKLOADS {
        let options: Vec<String> = workload.own_options().map(|name| own_option(workload, name)).collect();
        let words = if workload.words.is_empty() { String::new() } else { format!(" {}", workload.words) };
        let latency = if workload.latency.is_empty() { "-" } else { workload.latency };
        line(
            &mut page,
            &[
                &format!("`{}{words}`", workload.name),
                workload.protocol.name(),
                &does(workload),
                latency,
                &options.join(", "),
            ],
        );
    }
    page.push_str("\n## Options of workloads\n\nAn empty default means that the option is off.\n\n");
    options(&mut page, |row| !row.is_common);
    page.push_str("\n## Options of all workloads\n\n");
    options(&mut page, |row| row.is_common);
    write!(
        page,
        "\nAt most {CONNECTIONS_MAX} connections, {PIPELINE_MAX} requests on their way over each and {CLIENTS_MAX} over all, and {THREADS_MAX} \
         threads.\n"
    )
    .expect("a string takes everything");
    page
}

/// What it does and counts.
fn does(workload: &Workload) -> String {
    format!("{}; counts {}", workload.purpose, workload.unit.1)
}

/// An option of a workload, with its default if that is the workload's own.
fn own_option(workload: &Workload, name: &str) -> String {
    match workload.defaults.iter().find(|(option, _)| *option == name) {
        Some((_, default)) => format!("`--{name}` ({default})"),
        None => format!("`--{name}`"),
    }
}

fn options(page: &mut String, is_wanted: impl Fn(&OptionRow) -> bool) {
    page.push_str("| option | default | purpose |\n|---|---|---|\n");
    for option in OPTIONS.iter().filter(|row| is_wanted(row)) {
        let value = if option.value.is_empty() { String::new() } else { format!(" {}", option.value) };
        let default = if option.default.is_empty() { String::new() } else { format!("`{}`", option.default) };
        line(page, &[&format!("`--{}{value}`", option.name), &default, option.purpose]);
    }
}

fn line(page: &mut String, cells: &[&str]) {
    writeln!(page, "| {} |", cells.join(" | ")).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_repository_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bench.md");
        if std::env::var_os("QUARTET_UPDATE_GOLDEN").is_some() {
            std::fs::write(path, markdown()).expect("the repository can be written");
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "docs/bench.md is stale: run with QUARTET_UPDATE_GOLDEN=1");
    }
}

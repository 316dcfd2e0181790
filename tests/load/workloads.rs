//! Each workload against Quartet: what the server has counted afterwards.

use std::collections::HashSet;

use crate::support::broker::BrokerClient;
use crate::support::client::Client;
use crate::support::process::{Folder, Server, quartet};
use crate::support::program::run;

use super::{ask_api, check_count, figures, perform, stream_info};

/// How often a command was called.
fn calls(client: &mut Client, command: &str) -> u64 {
    let page = client.ask("INFO commandstats");
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().unwrap_or_default().parse().expect("it is a number"))
}

#[test]
fn get_reads_what_was_set_before() {
    let server = Server::quartet(&[]);
    let figures = check_count(
        "get --count 5001 --keys 100 --connections 4 --pipeline 8 --threads 3",
        server.address(),
        5001,
    );
    let mut client = Client::connect(server.address());
    assert_eq!((calls(&mut client, "get"), calls(&mut client, "set")), (5001, 100));
    assert_eq!((client.figure("keyspace_misses"), client.ask("DBSIZE").as_str()), (0, "100"));
    let latency = &figures["latency_ms"];
    let quantile = |name: &str| latency[name].as_f64().expect("it is a number");
    assert!(quantile("p50") <= quantile("p99.99") && quantile("p99.99") <= quantile("max"), "{latency}");
    // Both are processes of this machine, which says what they take.
    assert!(figures["server_cpu_micros"].as_f64().is_some_and(|micros| micros > 0.0), "{figures}");
    assert!(figures["own_cpu_micros"].as_f64().is_some_and(|micros| micros > 0.0), "{figures}");
}

#[test]
fn set_writes_values_of_many_lengths() {
    let server = Server::quartet(&[]);
    let line = "set --count 300 --keys 50 --distribution sequential --size 0-300 --prefix p: --connections 3";
    check_count(line, server.address(), 300);
    let mut client = Client::connect(server.address());
    assert_eq!(client.ask("DBSIZE"), "50");
    let lengths: Vec<usize> = (0..50)
        .map(|key| client.ask(&format!("STRLEN p:{key:012}")).parse().expect("it is a number"))
        .collect();
    assert!(lengths.iter().all(|length| *length <= 300));
    assert!(lengths.iter().any(|length| *length > 150) && lengths.iter().any(|length| *length < 150));
}

#[test]
fn a_mix_has_as_many_reads_as_were_asked_for() {
    let server = Server::quartet(&[]);
    check_count("mix --count 4000 --keys 20 --reads 75 --no-fill --pipeline 4", server.address(), 4000);
    let mut client = Client::connect(server.address());
    let reads = calls(&mut client, "get");
    assert!((2800..3200).contains(&reads), "{reads}");
    assert_eq!(reads + calls(&mut client, "set"), 4000);
}

#[test]
fn any_command_is_sent_with_its_places_filled() {
    let server = Server::quartet(&[]);
    let line = "command --count 60 --keys 3 --distribution sequential --size 5 RPUSH list:__key__ <__data__>";
    check_count(line, server.address(), 60);
    let mut client = Client::connect(server.address());
    let values = vec!["<xxxxx>"; 20].join(", ");
    for key in 0..3 {
        assert_eq!(client.ask(&format!("LRANGE list:bench:{key:012} 0 -1")), format!("[{values}]"));
    }
}

#[test]
fn errors_are_counted_and_shown() {
    let server = Server::quartet(&[]);
    // The second of two keys holds no number.
    let mut client = Client::connect(server.address());
    client.ask("SET bench:000000000001 text");
    let line = "command --count 10 --keys 2 --distribution sequential --connections 1 INCR __key__";
    let (table, is_clean) = perform(line, server.address()).expect("half of it succeeds");
    assert!(!is_clean);
    let shown = "5, the first: ERR value is not an integer or out of range";
    assert!(table.lines().any(|line| line.starts_with("errors") && line.ends_with(shown)), "{table}");
}

#[test]
fn a_schedule_is_kept() {
    let server = Server::quartet(&[]);
    let figures = check_count("set --count 200 --rate 2000 --threads 2", server.address(), 200);
    // The last begins 199 intervals of half a millisecond after the first.
    assert!(figures["seconds"].as_f64().is_some_and(|seconds| seconds >= 0.0994), "{figures}");
}

#[test]
fn time_ends_a_run() {
    let server = Server::quartet(&[]);
    let figures = figures("set --time 0.05 --pipeline 16", server.address());
    let mut client = Client::connect(server.address());
    assert_eq!(figures["operations"], calls(&mut client, "set"));
}

#[test]
fn servers_take_turns_in_a_comparison() {
    let servers = [Server::quartet(&[]), Server::quartet(&[])];
    let compare = format!("one={},other={}", servers[0].address(), servers[1].address());
    let line = format!("set --json --count 100 --rounds 3 --compare {compare}");
    let (text, is_clean) =
        quartet::load::perform(line.split_whitespace().map(Into::into)).expect("both servers are there");
    assert!(is_clean);
    let comparison: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let rows = comparison["servers"].as_array().expect("it has rows");
    for (server, (row, name)) in servers.iter().zip(rows.iter().zip(["one", "other"])) {
        assert_eq!(row["name"], name);
        assert_eq!(row["rounds"].as_array().map(Vec::len), Some(3));
        assert_eq!(calls(&mut Client::connect(server.address()), "set"), 300);
    }
    assert_eq!(rows[1]["ratio"]["operations_per_second"], 1.0);
    let (table, _) = quartet::load::perform(line.replace("--json", "").split_whitespace().map(Into::into))
        .expect("both servers are there");
    let heads: Vec<&str> =
        table.lines().map(|line| line.split('|').nth(1).unwrap_or_default().trim()).collect();
    assert_eq!(heads, ["server", "---", "one", "other"]);
}

#[test]
fn locks_are_all_released() {
    let server = Server::quartet(&["--lock-durability", "none"]);
    check_count("lock --count 500 --pipeline 8 --connections 5", server.address(), 500);
    let mut client = Client::connect(server.address());
    assert_eq!((calls(&mut client, "lock.acquire"), calls(&mut client, "lock.release")), (500, 500));
    // Clients that want one lock wait for one another.
    let figures =
        check_count("lock --count 100 --keys 1 --wait 60000 --connections 8", server.address(), 100);
    assert_eq!(figures["refused"], 0);
    assert_eq!(calls(&mut client, "lock.release"), 600);
    // Those that do not wait are refused while another holds it.
    let figures = check_count("lock --count 50 --keys 1 --connections 8 --hold 5", server.address(), 50);
    let refused = figures["refused"].as_u64().expect("it is a number");
    assert!((1..50).contains(&refused), "{figures}");
    assert_eq!(calls(&mut client, "lock.release"), 650 - refused);
    assert_eq!(client.figure("lock_leases"), 0);
}

#[test]
fn limits_refuse_what_is_over_them() {
    let server = Server::quartet(&[]);
    let figures = check_count("limit --count 400 --keys 1 --pipeline 4", server.address(), 400);
    // A hundred are allowed at once, and a few more come back meanwhile.
    assert!(figures["refused"].as_u64().is_some_and(|refused| (200..300).contains(&refused)), "{figures}");
    let figures = check_count("limit --count 300 --keys 1 --policy default", server.address(), 300);
    assert!(figures["refused"].as_u64().is_some_and(|refused| (100..=200).contains(&refused)), "{figures}");
    assert_eq!(calls(&mut Client::connect(server.address()), "rl.check"), 300);
}

#[test]
fn every_service_is_driven_over_http() {
    let server = Server::quartet(&["--http-port", "0", "--lock-durability", "none"]);
    let http = server.http_address();
    check_count("http-set --count 200 --keys 20 --distribution sequential --connections 4", http, 200);
    check_count("http-get --count 200 --keys 20 --connections 4 --pipeline 2", http, 200);
    check_count("http --count 40 --keys 20 GET /cache/__key__", http, 40);
    let figures = check_count("http-check --count 300 --keys 1 --connections 4", http, 300);
    assert!(figures["refused"].as_u64().is_some_and(|refused| (100..=200).contains(&refused)), "{figures}");
    check_count("http-lock --count 200 --connections 4", http, 200);
    let figures = check_count("http-lock --count 60 --keys 1 --wait 60000 --connections 4", http, 60);
    assert_eq!(figures["refused"], 0);
    let mut client = Client::connect(server.address());
    assert_eq!((client.figure("lock_leases"), client.figure("keyspace_misses")), (0, 0));
}

#[test]
fn messages_reach_every_subscriber() {
    let server = Server::quartet(&["--broker-port", "0"]);
    let broker = server.broker_address();
    check_count("fan-out --count 3000 --subscribers 3 --pipeline 100", broker, 9000);
    check_count("fan-out --count 2000 --publishers 2 --subscribers 2 --threads 2 --size 3000", broker, 4000);
    check_count("fan-out --count 100 --rate 5000", broker, 100);
    check_count("request --count 500 --connections 2 --pipeline 3 --threads 2", broker, 500);
}

#[test]
fn streams_store_and_replay() {
    let server = Server::quartet(&["--broker-port", "0", "--dir", "."]);
    let broker = server.broker_address();
    let mut client = Client::connect(server.address());
    check_count("store --count 1000 --pipeline 16 --threads 2", broker, 1000);
    assert_eq!(client.figure("stream_messages_stored"), 1000);
    check_count("store --count 100 --memory --rate 10000", broker, 100);
    check_count("replay --count 700 --consumers 2 --batch 100", broker, 1400);
    check_count("replay --count 300 --acknowledge", broker, 300);
    check_count("replay --count 300 --push --consumers 2 --threads 2", broker, 600);
    assert_eq!(client.figure("streams"), 0);
}

#[test]
fn every_answer_comes_on_a_subject_of_its_own() {
    let server = Server::quartet(&["--broker-port", "0", "--dir", "."]);
    let broker = server.broker_address();
    let mut listener = BrokerClient::quiet(broker);
    listener.write("SUB _INBOX.*.* 1\r\n");
    listener.flush();
    for line in ["store --count 200 --pipeline 4", "request --count 200 --connections 3 --pipeline 4"] {
        check_count(&format!("{line} --threads 2"), broker, 200);
        let subjects: HashSet<String> = (0..200).map(|_| listener.delivered().subject).collect();
        assert_eq!(subjects.len(), 200, "{line}");
        assert!(listener.frames_before_pong().is_empty(), "{line}");
    }
}

#[test]
fn a_stream_stays_if_it_is_kept_and_is_read_again() {
    let server = Server::quartet(&["--broker-port", "0", "--dir", "."]);
    let broker = server.broker_address();
    let mut client = Client::connect(server.address());
    // Ids of two runs differ, so nothing is taken for a message that is there.
    let line = "--subjects 100 --message-ids --threads 2 --connections 3";
    check_count(&format!("store --count 1000 --keep {line}"), broker, 1000);
    check_count(&format!("store --count 500 --subject quartet.bench.stored {line}"), broker, 500);
    let state = stream_info(broker, "quartet-bench", r#"{"subjects_filter": ">"}"#)["state"].clone();
    assert_eq!((&state["messages"], &state["num_subjects"]), (&1500.into(), &100.into()), "{state}");
    let subjects = state["subjects"].as_object().expect("it was asked for");
    assert!(subjects.values().all(|count| *count == 15), "{state}");
    check_count("store --count 10 --pipeline 1 --subject quartet.bench.stored.one", broker, 10);
    check_count("replay --stream quartet-bench --consumers 2 --batch 100", broker, 3020);
    check_count("replay --stream quartet-bench --count 300 --acknowledge", broker, 300);
    // Those who have read their part are pushed on, and the rest does not count.
    check_count("replay --stream quartet-bench --count 300 --push --consumers 2 --threads 2", broker, 600);
    let info = stream_info(broker, "quartet-bench", "");
    assert_eq!(info["state"]["messages"], 1510);
    assert_eq!(client.figure("streams"), 1);
    // Consumers that are pulled from are deleted.
    let names = ask_api(broker, "CONSUMER.LIST.quartet-bench", "");
    let consumers = names["consumers"].as_array().expect("it is a list");
    assert!(consumers.iter().all(|consumer| consumer["config"]["deliver_subject"].is_string()), "{names}");
    check_count("replay --count 20 --keep", broker, 20);
    assert_eq!(stream_info(broker, "quartet-bench", "")["state"]["messages"], 20);
    check_count("store --count 20 --async", broker, 20);
    assert_eq!(client.figure("streams"), 0);
}

#[test]
fn a_kept_stream_is_as_it_was_asked_for() {
    let server = Server::quartet(&["--broker-port", "0", "--dir", "."]);
    let broker = server.broker_address();
    for (option, member, value) in [("--async", "persist_mode", "async"), ("--memory", "storage", "memory")] {
        check_count(&format!("store --count 20 --keep {option}"), broker, 20);
        assert_eq!(stream_info(broker, "quartet-bench", "")["config"][member], value);
    }
}

#[test]
fn what_is_stored_at_many_streams_is_spread_evenly() {
    let server = Server::quartet(&["--broker-port", "0", "--dir", "."]);
    let broker = server.broker_address();
    for number in 0..3 {
        let definition = format!(r#"{{"name":"M{number}","subjects":["m.{number}"]}}"#);
        ask_api(broker, &format!("STREAM.CREATE.M{number}"), &definition);
    }
    check_count("store --count 300 --subject m --subjects 3 --threads 2", broker, 300);
    for number in 0..3 {
        assert_eq!(stream_info(broker, &format!("M{number}"), "")["state"]["messages"], 100);
    }
}

#[test]
fn the_program_prints_a_table_and_tells_how_it_goes() {
    let server = Server::quartet(&["--requirepass", "secret"]);
    let bench = |words: &str| {
        let mut command = std::process::Command::new(quartet(&Folder::new()).get_program());
        command.arg("bench").args(words.split_whitespace()).env("REDISCLI_AUTH", "secret");
        run(command)
    };
    let ended =
        bench(&format!("set --time 1.5 --rate 500 --progress --server {}", server.address())).success();
    let heads: Vec<&str> =
        ended.stdout.lines().map(|line| line.split("  ").next().unwrap_or_default()).collect();
    assert_eq!(heads[..4], ["server", "requests", "throughput", "latency"]);
    assert!(
        ended.stderr.lines().all(|line| line.ends_with(" a second")) && !ended.stderr.is_empty(),
        "{}",
        ended.stderr
    );
    let ended = bench("sett");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.starts_with("quartet: sett is no workload; did you mean set?"), "{}", ended.stderr);
}

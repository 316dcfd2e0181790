//! `quartet stream`: what is kept is verified, written out and taken in while no server runs; and many streams fit into few
//! open files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::client::Client;
use crate::support::process::{Folder, Server, limited};
use crate::support::program::{Ended, run, run_with_input};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quartet"));
    command.arg("stream").args(arguments);
    command
}

fn serve(data: &Path) -> (Server, Client) {
    let server = Server::quartet(&["--dir", path(data)]);
    let client = Client::connect(server.address());
    (server, client)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}

/// Stops a server in order.
fn stop(mut server: Server, mut client: Client) {
    client.write(b"SHUTDOWN\r\n");
    server.wait();
}

/// A stream of a hundred messages, of which some are gone, and another one; a lock beside them.
fn fill(data: &Path) -> String {
    let (server, mut client) = serve(data);
    assert_eq!(client.ask("STREAM.CREATE NEWS SUBJECTS 2 news.> misc MAXMSGS 90"), "OK");
    assert_eq!(client.ask("STREAM.CREATE OTHERS SUBJECTS 1 others STORAGE MEMORY"), "OK");
    for number in 0..100 {
        let subject = if number % 10 == 3 { "misc".to_owned() } else { format!("news.{}", number % 7) };
        client.ask(&format!("STREAM.PUBLISH {subject} text-{number} ID {number} HEADER Number {number}"));
    }
    assert_eq!(client.ask("STREAM.PURGE NEWS SUBJECT news.3"), "12");
    assert!(!client.ask("LOCK.ACQUIRE door ann TTL 600000").starts_with('-'));
    let read = client.ask("STREAM.READ NEWS");
    stop(server, client);
    read
}

/// Starts and stops a server, which moves what the journal has to the streams' own files.
fn settle(data: &Path) {
    let (server, client) = serve(data);
    stop(server, client);
}

fn files(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data.join("streams")).expect("there are files of streams");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "messages")).collect()
}

fn verified(data: &Path) -> Ended {
    run(program(&["verify", "--dir", path(data)]))
}

#[test]
fn what_is_kept_is_verified_and_moved_to_another_server() {
    let folder = Folder::new();
    let (data, other, export) =
        (folder.path().join("data"), folder.path().join("other"), folder.path().join("export"));
    let read = fill(&data);
    let in_journal = run(program(&["export", "NEWS", "--dir", path(&data)])).success();
    assert!(verified(&data).success().stdout.ends_with("no damage\n"));
    settle(&data);
    assert!(!files(&data).is_empty());
    let found = verified(&data).success();
    assert!(found.stdout.starts_with("2 streams, "), "{}", found.stdout);
    run(program(&["export", "NEWS", "--dir", path(&data), "--output", path(&export)])).success();
    let lines = fs::read_to_string(&export).expect("it was written");
    assert_eq!(lines, in_journal.stdout, "a message is the same wherever it was");
    // The definition, the messages, their number.
    assert!(lines.starts_with(r#"{"format":"quartet-stream","version":1,"#), "{lines}");
    assert!(lines.ends_with("\n{\"messages\":78,\"last\":100}\n"), "{lines}");
    assert_eq!(lines.lines().count(), 80);
    let imported = run(program(&["import", "--dir", path(&other), "--input", path(&export)])).success();
    assert_eq!(imported.stdout, "imported NEWS with 78 messages\n");
    assert!(verified(&other).success().stdout.ends_with("no damage\n"));
    let (server, mut client) = serve(&other);
    assert_eq!(client.ask("STREAM.READ NEWS"), read);
    assert_eq!(client.ask("STREAM.PUBLISH misc more"), "[stream, NEWS, sequence, 101, duplicate, 0]");
    // Ids that came lately are known.
    assert_eq!(client.ask("STREAM.PUBLISH misc again ID 99"), "[stream, NEWS, sequence, 100, duplicate, 1]");
    stop(server, client);
    // A second one of this name is refused, and the first one stays.
    let again = run_with_input(program(&["import", "--dir", path(&other)]), lines.as_bytes());
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("stream name already in use"), "{}", again.stderr);
    let (_server, mut client) = serve(&other);
    assert!(client.ask("STREAM.INFO NEWS").contains("messages, 79"), "{}", client.ask("STREAM.INFO NEWS"));
}

/// What clients read of a stream, and its export; the server that has filled this directory has deleted it.
fn fill_and_take_out(data: &Path) -> (String, String) {
    let read = fill(data);
    let export = run(program(&["export", "NEWS", "--dir", path(data)])).success().stdout;
    let (server, mut client) = serve(data);
    assert_eq!(client.ask("STREAM.DELETE NEWS"), "OK");
    stop(server, client);
    (read, export)
}

#[test]
fn a_stream_is_taken_in_beside_what_is_there() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let (read, export) = fill_and_take_out(&data);
    // An export that is cut off changes nothing.
    let half: String = export.lines().take(40).map(|line| format!("{line}\n")).collect();
    let refused = run_with_input(program(&["import", "--dir", path(&data)]), half.as_bytes());
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("the end of the export is missing; nothing was imported"),
        "{}",
        refused.stderr
    );
    let wrong = export.replacen("\"subject\":\"misc\"", "\"subject\":\"news.*\"", 1);
    let refused = run_with_input(program(&["import", "--dir", path(&data)]), wrong.as_bytes());
    assert!(refused.stderr.contains("on a subject that no message can have"), "{}", refused.stderr);
    run_with_input(program(&["import", "--dir", path(&data)]), export.as_bytes()).success();
    let (_server, mut client) = serve(&data);
    assert_eq!(client.ask("STREAM.READ NEWS"), read);
    assert!(client.ask("STREAM.INFO OTHERS").starts_with("[stream, OTHERS"));
    assert!(client.ask("LOCK.INFO door").contains("owner, ann"), "other services keep what they have");
}

/// The messages of a stream of five whose last ones are gone, and the words that remove them.
const TAILS: [(&str, &str); 3] =
    [("ALL", "STREAM.PURGE ALL"), ("TAIL", "STREAM.PURGE TAIL SUBJECT tail.last"), ("WHOLE", "PING")];

/// The name of a stream, and when it has stored its last message, which may be gone.
fn last_time(client: &mut Client, name: &str) -> String {
    let info = client.ask(&format!("STREAM.INFO {name}"));
    let (_, behind) = info.split_once("last_time, ").expect("it is among the facts");
    let (time, _) = behind.split_once(',').expect("it is not the last");
    assert!(!time.starts_with("0001"), "something was stored: {info}");
    format!("{name} {time}")
}

#[test]
fn no_sequence_is_given_again_behind_an_import() {
    let folder = Folder::new();
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    let (server, mut client) = serve(&data);
    for (name, removal) in TAILS {
        let subjects = name.to_lowercase();
        let created =
            client.ask(&format!("STREAM.CREATE {name} SUBJECTS 1 {subjects}.> RETENTION WORKQUEUE"));
        assert_eq!(created, "OK");
        for ending in ["a", "b", "c", "last", "last"] {
            client.ask(&format!("STREAM.PUBLISH {subjects}.{ending} text"));
        }
        client.ask(removal);
    }
    let times = TAILS.map(|(name, _)| last_time(&mut client, name));
    stop(server, client);
    let exports = TAILS.map(|(name, _)| {
        let export = run(program(&["export", name, "--dir", path(&data)])).success().stdout;
        assert!(export.ends_with(",\"last\":5}\n"), "{export}");
        run_with_input(program(&["import", "--dir", path(&other)]), export.as_bytes()).success();
        export
    });
    // Once from the journal, and once from files and the snapshot.
    settle(&other);
    let (server, mut client) = serve(&other);
    for ((name, _), messages) in TAILS.into_iter().zip([0, 3, 5]) {
        let info = client.ask(&format!("STREAM.INFO {name}"));
        assert!(info.contains(&format!("messages, {messages},")), "{info}");
        assert!(times.contains(&last_time(&mut client, name)), "{info}");
        let published = client.ask(&format!("STREAM.PUBLISH {}.d text", name.to_lowercase()));
        assert_eq!(published, format!("[stream, {name}, sequence, 6, duplicate, 0]"));
        assert_eq!(client.ask(&format!("STREAM.DELETE {name}")), "OK");
    }
    stop(server, client);
    // An earlier version did not write the last sequence.  One before the last message is wrong.
    let wrong = exports[1].replace(",\"last\":5}", ",\"last\":2}");
    let refused = run_with_input(program(&["import", "--dir", path(&other)]), wrong.as_bytes());
    assert!(refused.stderr.contains("the last sequence cannot be 2 behind message 3"), "{}", refused.stderr);
    let earlier = exports[1].replace(",\"last\":5}", "}");
    run_with_input(program(&["import", "--dir", path(&other)]), earlier.as_bytes()).success();
    let (_server, mut client) = serve(&other);
    assert_eq!(client.ask("STREAM.PUBLISH tail.d text"), "[stream, TAIL, sequence, 4, duplicate, 0]");
}

#[test]
fn messages_on_subjects_that_their_stream_no_longer_takes_are_taken_in() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let (read, export) = fill_and_take_out(&data);
    let (head, messages) = export.split_once('\n').expect("there are lines");
    let export = format!("{}\n{messages}", head.replace("\"news.>\",\"misc\"", "\"news.>\""));
    run_with_input(program(&["import", "--dir", path(&data)]), export.as_bytes()).success();
    let (_server, mut client) = serve(&data);
    assert_eq!(client.ask("STREAM.READ NEWS"), read);
    assert_eq!(client.ask("STREAM.PUBLISH news.1 more"), "[stream, NEWS, sequence, 101, duplicate, 0]");
    assert!(client.ask("STREAM.PUBLISH misc more").starts_with('-'), "the stream takes it no more");
}

#[test]
fn damage_is_named_with_its_place() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    fill(&data);
    settle(&data);
    let file = files(&data).pop().expect("there is a file");
    let mut bytes = fs::read(&file).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).expect("it is ours");
    let found = verified(&data);
    assert_eq!(found.code, Some(1));
    let line = found.stdout.lines().next().unwrap_or_default();
    assert!(line.starts_with(&format!("{} is damaged from byte ", file.display())), "{}", found.stdout);
    assert!(found.stdout.ends_with("damage at 1 places\n"), "{}", found.stdout);
    // The rest of the messages is written out all the same, and what is missing is said.
    let export = run(program(&["export", "NEWS", "--dir", path(&data)]));
    assert_eq!(export.code, Some(1));
    assert!(export.stdout.lines().count() > 40);
    assert!(export.stderr.contains("is damaged from byte "), "{}", export.stderr);
    fs::remove_file(&file).expect("it is ours");
    let found = verified(&data);
    assert_eq!(
        (found.code, found.stdout.contains(&format!("cannot read {}", file.display()))),
        (Some(1), true)
    );
    // The journal is looked through as well.
    let journal =
        fs::read_dir(data.join("journal")).expect("the journal").map(|entry| entry.expect("an entry").path());
    let snapshot =
        journal.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "snapshot"));
    let snapshot = snapshot.expect("there is a snapshot");
    let mut bytes = fs::read(&snapshot).expect("it is read");
    let last = bytes.len() - 12;
    bytes[last] ^= 1;
    fs::write(&snapshot, &bytes).expect("it is ours");
    let found = verified(&data);
    assert_eq!(found.code, Some(1));
    assert!(
        found.stdout.contains(&format!("{} is damaged at byte ", snapshot.display())),
        "{}",
        found.stdout
    );
}

#[test]
fn a_directory_that_is_used_or_none_is_left_alone() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let nowhere = run(program(&["verify", "--dir", path(&data)]));
    assert_eq!((nowhere.code, nowhere.stderr.contains("is no directory")), (Some(1), true));
    fs::create_dir(&data).expect("it is made");
    let (_server, mut client) = serve(&data);
    assert_eq!(client.ask("STREAM.CREATE S SUBJECTS 1 s"), "OK");
    for arguments in [&["verify"][..], &["export", "S"], &["import"]] {
        let refused =
            run_with_input(program(&[arguments, &["--dir", path(&data)]].concat()), HEAD.as_bytes());
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.stderr.contains("a server uses "), "{}", refused.stderr);
    }
}

/// The first line of an export.
const HEAD: &str = "{\"format\":\"quartet-stream\",\"version\":1,\"created\":\"2026-01-01T00:00:00Z\",\
                    \"definition\":{\"name\":\"T\",\"subjects\":[\"t\"]}}\n";

#[test]
fn wrong_words_are_told_the_right_ones() {
    for (arguments, expected) in [
        (&[][..], "requires a subcommand"),
        (&["verify"], "--dir <path>"),
        (&["export", "--dir", "x"], "<stream>"),
        (&["mend", "--dir", "x"], "unrecognized subcommand 'mend'"),
    ] {
        let refused = run(program(arguments));
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
    assert!(run(program(&["--help"])).success().stdout.contains("verify"));
}

#[test]
fn many_streams_fit_into_few_open_files() {
    const STREAMS: usize = 150;
    let folder = Folder::new();
    let data = folder.path().join("data");
    let start = || {
        let arguments = ["--threads", "1", "--dir", path(&data)];
        Server::quartet_as(&arguments, |command| limited("ulimit -n 100", command))
    };
    let server = start();
    let mut client = Client::connect(server.address());
    for number in 0..STREAMS {
        assert_eq!(client.ask(&format!("STREAM.CREATE S{number} SUBJECTS 1 s.{number}")), "OK");
        client.ask(&format!("STREAM.PUBLISH s.{number} text"));
    }
    stop(server, client);
    // The first start moves their messages to files, and the second one opens these.
    for _ in 0..2 {
        let server = start();
        let mut client = Client::connect(server.address());
        for number in 0..STREAMS {
            let read = client.ask(&format!("STREAM.READ S{number}"));
            assert!(read.starts_with("[[1, s.") && read.ends_with("text]]"), "{read}");
        }
        let mut others: Vec<Client> = (0..5).map(|_| Client::connect(server.address())).collect();
        others.iter_mut().for_each(|client| assert_eq!(client.ask("PING"), "PONG"));
        stop(server, client);
    }
    assert_eq!(files(&data).len(), STREAMS);
}

//! `quartet stream verify`, `export` and `import`: work on the streams of a directory that no server uses.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::disk::{Disk, Folder, FolderError};
use crate::journal::keeper::{self, Dormant, JournalHandle, Keeper, Persistent};
use crate::journal::{Tag, read_through};
use crate::standard_output::print;
use crate::stream::definition::StreamDefinition;
use crate::stream::json::Time;
use crate::stream::message::StoredMessage;
use crate::stream::offline::{Disks, Importing, find, verify};
use crate::stream::{FILES_FOLDER, Streams, Surroundings};

/// The program's subcommand.
pub const WORD: &str = "stream";

/// The format name in the first line of an export.
const FORMAT: &str = "quartet-stream";

/// The version of the format.
const VERSION: u32 = 1;

/// The longest line of an export: the longest message in base64, and its frame.
const LINE_MAX: u64 = 128 << 20;

/// Does what the arguments behind `quartet stream` ask for.  False if damage was found.
///
/// # Errors
/// If it cannot be done.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<bool, String> {
    let arguments = std::iter::once(OsString::from("quartet stream")).chain(arguments);
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            return print(&error.to_string()).map(|()| true);
        }
        Err(error) => {
            let text = error.to_string();
            return Err(text.trim_start_matches("error: ").trim_end().to_owned());
        }
    };
    match matches.subcommand() {
        Some(("verify", matches)) => verify_directory(&directory(matches)),
        Some(("export", matches)) => {
            let name = matches.get_one::<String>("stream").map_or("", String::as_str);
            export(&directory(matches), name, matches.get_one::<PathBuf>("output"))
        }
        Some(("import", matches)) => {
            import(&directory(matches), matches.get_one::<PathBuf>("input")).map(|()| true)
        }
        _ => Err("say verify, export or import".to_owned()),
    }
}

fn command() -> Command {
    let directory = || {
        let help = "The directory for data, which no server uses meanwhile";
        Arg::new("dir")
            .long("dir")
            .value_name("path")
            .value_parser(value_parser!(PathBuf))
            .required(true)
            .help(help)
    };
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("file").value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("quartet stream")
        .about("Works on the durable streams of a directory that no server uses")
        .subcommand_required(true)
        .subcommand(
            Command::new("verify")
                .about("Reads everything that is kept, and prints a line for each damage; its exit code is 1 if there is any")
                .arg(directory()),
        )
        .subcommand(
            Command::new("export")
                .about("Writes a stream as lines of JSON: what it is, its messages, and how many these were")
                .arg(Arg::new("stream").required(true).help("The name of the stream"))
                .arg(directory())
                .arg(file("output", "Where to write to, instead of standard output")),
        )
        .subcommand(
            Command::new("import")
                .about("Creates a stream from what export has written; consumers are not part of it")
                .arg(directory())
                .arg(file("input", "Where to read from, instead of standard input")),
        )
}

fn directory(matches: &ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("dir").cloned().unwrap_or_default()
}

/// The folders of a directory, owned so that no server starts meanwhile.
struct Owned {
    disks: Disks,
    _directory: Folder,
}

fn own(path: &Path) -> Result<Folder, String> {
    Folder::open(path).map_err(|error| match error {
        FolderError::Owned => format!("a server uses {}: stop it first", path.display()),
        FolderError::Io(error) => format!("cannot use {}: {error}", path.display()),
    })
}

/// Owns a directory to read what is there.
fn look_at(path: &Path) -> Result<Owned, String> {
    if !path.is_dir() {
        return Err(format!("{} is no directory", path.display()));
    }
    let directory = own(path)?;
    let folder = |name: &str| -> Result<Option<Arc<dyn Disk>>, String> {
        let path = path.join(name);
        if path.is_dir() { Ok(Some(Arc::new(own(&path)?))) } else { Ok(None) }
    };
    let disks = Disks { journal: folder(keeper::FOLDER)?, files: folder(FILES_FOLDER)? };
    Ok(Owned { disks, _directory: directory })
}

fn verify_directory(path: &Path) -> Result<bool, String> {
    let owned = look_at(path)?;
    let mut lines = Vec::new();
    let looked = verify(&owned.disks, &mut |line| lines.push(line.to_owned()));
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if let Some(torn) = &looked.torn {
        text += &format!(
            "{} ends at byte {}, behind which a crash has left an unfinished write: {}; the next start cuts it off\n",
            torn.file, torn.offset, torn.reason
        );
    }
    text += &format!(
        "{} streams, {} files with {} messages, {} records in the journal and its snapshot: {}\n",
        looked.streams,
        looked.files,
        looked.messages,
        looked.records,
        match looked.damages {
            0 => "no damage".to_owned(),
            count => format!("damage at {count} places"),
        }
    );
    print(&text)?;
    Ok(looked.damages == 0)
}

/// The first line of an export.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// When the stream was created.
    created: String,
    /// The definition, in the words of the API.
    definition: serde_json::Value,
}

/// A message of an export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sequence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// In place of the subject if that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject_base64: Option<String>,
    time: String,
    /// The block of headers, in base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    headers: String,
    /// In base64.
    payload: String,
}

/// The last line of an export, which says that nothing is missing.
#[derive(Serialize, Deserialize)]
struct Tail {
    messages: u64,
    /// When the stream has stored its last message, if that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_time: Option<String>,
    /// The last sequence of the stream, whose message may be gone; that of the last message if an older version has written it.
    #[serde(default)]
    last: Option<u64>,
}

fn export(path: &Path, name: &str, output: Option<&PathBuf>) -> Result<bool, String> {
    let owned = look_at(path)?;
    let exported = find(&owned.disks, name)?;
    let cannot = |error: io::Error| format!("cannot write the export: {error}");
    let target: Box<dyn Write> = match output {
        Some(path) => {
            Box::new(File::create(path).map_err(|error| format!("cannot make {}: {error}", path.display()))?)
        }
        None => Box::new(io::stdout()),
    };
    let mut target = BufWriter::new(target);
    let definition =
        serde_json::from_slice(&exported.definition.kept()).map_err(|error| error.to_string())?;
    let created = Time::from_nanoseconds(exported.created).to_string();
    write_line(&mut target, &Head { format: FORMAT.to_owned(), version: VERSION, created, definition })
        .map_err(cannot)?;
    let (mut messages, mut is_whole, mut time) = (0, true, 0);
    let see = |message: &StoredMessage<'_>| {
        (messages, time) = (messages + 1, message.time);
        write_line(&mut target, &line_of(message)).map_err(cannot)
    };
    exported.each(&owned.disks, see, &mut |line| {
        is_whole = false;
        tell(line);
    })?;
    if messages != exported.len() {
        is_whole = false;
        tell(&format!("{} of {} messages could be read", messages, exported.len()));
    }
    let is_last_gone = exported.last_time != time;
    let last_time = is_last_gone.then(|| Time::from_nanoseconds(exported.last_time).to_string());
    write_line(&mut target, &Tail { messages, last_time, last: Some(exported.last) }).map_err(cannot)?;
    target.flush().map_err(cannot)?;
    Ok(is_whole)
}

fn line_of(message: &StoredMessage<'_>) -> Line {
    let StoredMessage { sequence, time, subject, headers, payload } = *message;
    let text = std::str::from_utf8(subject).ok();
    Line {
        sequence,
        subject: text.map(str::to_owned),
        subject_base64: if text.is_none() { Some(BASE64_STANDARD.encode(subject)) } else { None },
        time: Time::from_nanoseconds(time).to_string(),
        headers: BASE64_STANDARD.encode(headers),
        payload: BASE64_STANDARD.encode(payload),
    }
}

fn write_line(target: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *target, line)?;
    target.write_all(b"\n")
}

/// Writes a note to standard error, beside the requested output.
fn tell(line: &str) {
    // Nobody may be listening, which changes nothing.
    let _ = writeln!(io::stderr(), "quartet: {line}");
}

fn import(path: &Path, input: Option<&PathBuf>) -> Result<(), String> {
    let mut lines = Lines::open(input)?;
    let head: Head = lines.next()?.ok_or("the export is empty")?;
    if head.format != FORMAT || head.version != VERSION {
        return Err(format!(
            "line 1: it is no export of version {VERSION} that `quartet stream export` has written"
        ));
    }
    let definition = serde_json::to_vec(&head.definition).map_err(|error| error.to_string())?;
    let definition = StreamDefinition::read_kept(&definition).map_err(|error| format!("line 1: {error}"))?;
    let created = Time::parse(&head.created).ok_or("line 1: the time is none")?.nanoseconds();
    let _directory = own_to_write(path)?;
    let clock = Arc::new(Clock::machine());
    let journal = Arc::<JournalHandle>::default();
    let surroundings =
        Surroundings { fan_out: Arc::default(), journal: Arc::clone(&journal), clock: Arc::clone(&clock) };
    let streams = Arc::new(Streams::new(surroundings, Some(path.to_owned())));
    let services = services(path, &streams)?;
    let opened =
        Keeper::open(&journal, Some(path), true, services, clock.now()).map_err(|error| error.to_string())?;
    let mut keeper = opened.ok_or("nothing is kept")?;
    if !journal.is_made() {
        Importing::ask_for_journal(&streams);
        keeper.tick();
    }
    if let Some(reason) = journal.failure() {
        return Err(reason.to_string());
    }
    let name = definition.name.clone();
    let imported = Importing::begin(&streams, definition, created, clock.now()).and_then(|mut importing| {
        let imported = import_lines(&mut importing, &mut lines);
        if imported.is_err() {
            // An import that fails leaves nothing behind.
            importing.abandon()?;
        }
        imported
    });
    // The next server moves the messages to files; the records of other services stay where they are.
    keeper.end();
    let messages = imported.map_err(|error| format!("{error}; nothing was imported"))?;
    print(&format!("imported {name} with {messages} messages\n"))
}

fn import_lines(importing: &mut Importing<'_>, lines: &mut Lines) -> Result<u64, String> {
    let (mut messages, mut last) = (0, 0);
    let tail = loop {
        let line: serde_json::Value = lines.next()?.ok_or("the end of the export is missing")?;
        if line.get("sequence").is_none() {
            let tail: Tail = lines.parsed(line)?;
            if tail.messages != messages {
                return Err(
                    lines.fault(&format!("{} messages were written, and {messages} are here", tail.messages))
                );
            }
            break tail;
        }
        let line: Line = lines.parsed(line)?;
        let decoded =
            |text: &str| BASE64_STANDARD.decode(text).map_err(|error| lines.fault(&error.to_string()));
        let subject = match (&line.subject, &line.subject_base64) {
            (Some(subject), None) => subject.clone().into_bytes(),
            (None, Some(subject)) => decoded(subject)?,
            _ => return Err(lines.fault("it has no subject")),
        };
        let (headers, payload) = (decoded(&line.headers)?, decoded(&line.payload)?);
        let time = Time::parse(&line.time).ok_or_else(|| lines.fault("the time is none"))?.nanoseconds();
        let message = StoredMessage {
            sequence: line.sequence,
            time,
            subject: &subject,
            headers: &headers,
            payload: &payload,
        };
        importing.store(message).map_err(|error| lines.fault(&error))?;
        (messages, last) = (messages + 1, line.sequence);
    };
    let time = |text: &String| Time::parse(text).ok_or_else(|| lines.fault("the last time is none"));
    let last_time = tail.last_time.as_ref().map(time).transpose()?.map(|time| time.nanoseconds());
    importing.end(tail.last.unwrap_or(last), last_time).map_err(|error| lines.fault(&error))?;
    Ok(messages)
}

/// Owns a directory to change what is there.
fn own_to_write(path: &Path) -> Result<Folder, String> {
    let is_used =
        path.is_dir() && fs::read_dir(path).is_ok_and(|mut entries| entries.any(|entry| is_data(entry.ok())));
    if is_used && !path.join(keeper::FOLDER).is_dir() {
        return Err(format!(
            "{} holds other things and no journal: start a server on it first",
            path.display()
        ));
    }
    own(path)
}

fn is_data(entry: Option<fs::DirEntry>) -> bool {
    entry.is_some_and(|entry| entry.file_name() != "LOCK")
}

/// The streams, and stand-ins for the services whose records the journal has: these stay as they are.
fn services(path: &Path, streams: &Arc<Streams>) -> Result<Vec<Box<dyn Persistent>>, String> {
    let own_part = streams.persistent();
    let mut tags: BTreeSet<Tag> = BTreeSet::new();
    let folder = path.join(keeper::FOLDER);
    if folder.is_dir() {
        let disk: Arc<dyn Disk> = Arc::new(own(&folder)?);
        let mut note = |tag, _: &[u8], _| {
            tags.insert(tag);
            Ok(())
        };
        read_through(&disk, &mut note).map_err(|error| error.to_string())?;
    }
    tags.remove(&keeper::TAG);
    tags.remove(&own_part.tag());
    let others = tags.into_iter().map(|tag| Box::new(Dormant::new(tag, None)) as Box<dyn Persistent>);
    Ok(std::iter::once(own_part).chain(others).collect())
}

/// The lines of an export.
struct Lines {
    source: Box<dyn BufRead>,
    number: u64,
}

impl Lines {
    fn open(input: Option<&PathBuf>) -> Result<Lines, String> {
        let source: Box<dyn BufRead> = match input {
            Some(path) => {
                let file =
                    File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                Box::new(BufReader::new(file))
            }
            None => Box::new(BufReader::new(io::stdin())),
        };
        Ok(Lines { source, number: 0 })
    }

    fn next<T: for<'d> Deserialize<'d>>(&mut self) -> Result<Option<T>, String> {
        self.number += 1;
        let mut line = Vec::new();
        let mut limited = io::Read::take(&mut self.source, LINE_MAX);
        limited.read_until(b'\n', &mut line).map_err(|error| self.fault(&error.to_string()))?;
        if line.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&line).map(Some).map_err(|error| self.fault(&error.to_string()))
    }

    fn parsed<T: for<'d> Deserialize<'d>>(&self, line: serde_json::Value) -> Result<T, String> {
        serde_json::from_value(line).map_err(|error| self.fault(&error.to_string()))
    }

    fn fault(&self, fault: &str) -> String {
        format!("line {}: {fault}", self.number)
    }
}

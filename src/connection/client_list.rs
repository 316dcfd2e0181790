//! CLIENT LIST and CLIENT INFO: a line of fields for each client.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::number::parse_integer;

use crate::access::DEFAULT_USER;
use crate::client::{ClientFlags, SharedClient};
use crate::command::{Call, SessionCall};
use crate::refusal::Refusal;

/// The letters of the field `flags`, in the order in which they stand.
const FLAG_LETTERS: &[(ClientFlags, char)] = &[
    (ClientFlags::MONITOR, 'O'),
    (ClientFlags::PUBSUB, 'P'),
    (ClientFlags::MULTI, 'x'),
    (ClientFlags::DIRTY, 'd'),
    (ClientFlags::BLOCKED, 'b'),
    (ClientFlags::NO_EVICT, 'e'),
    (ClientFlags::NO_TOUCH, 'T'),
];

/// The types that TYPE distinguishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClientType {
    /// A client with no subscriptions.
    Normal,
    /// Has subscriptions.
    Pubsub,
    /// A replica or a master; there are none.
    Replication,
}

impl ClientType {
    /// The type of this name.
    pub(super) fn parse(name: &[u8]) -> Result<ClientType, Refusal> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(ClientType::Normal),
            b"pubsub" => Ok(ClientType::Pubsub),
            b"master" | b"replica" | b"slave" => Ok(ClientType::Replication),
            _ => {
                let name = String::from_utf8_lossy(name);
                Err(Refusal::new(format!("ERR Unknown client type '{name}'")))
            }
        }
    }

    /// The type of a client.
    pub(super) fn of(client: &SharedClient) -> ClientType {
        if client.flags().contains(ClientFlags::PUBSUB) { ClientType::Pubsub } else { ClientType::Normal }
    }
}

/// CLIENT INFO.
pub(super) fn info(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    let mut text = String::new();
    write_line(&mut text, call, &call.client.shared);
    call.output.verbatim("txt", &text);
    Ok(())
}

/// CLIENT LIST.
pub(super) fn list(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let mut text = String::new();
    for client in selected(call)? {
        write_line(&mut text, call, &client);
    }
    call.output.verbatim("txt", &text);
    Ok(())
}

/// The clients that CLIENT LIST was asked for.
fn selected(call: &Call<'_, '_>) -> Result<Vec<Arc<SharedClient>>, Refusal> {
    let clients = &call.services.clients;
    let Some(filter) = call.arguments.get(2) else { return Ok(open(clients.all())) };
    let values = call.arguments.from(3);
    if filter.eq_ignore_ascii_case(b"TYPE") && values.len() == 1 {
        let wanted = ClientType::parse(values.at(0))?;
        return Ok(open(clients.all())
            .into_iter()
            .filter(|client| ClientType::of(client) == wanted)
            .collect());
    }
    if !filter.eq_ignore_ascii_case(b"ID") || values.is_empty() {
        return Err(Refusal::SYNTAX);
    }
    let mut found = Vec::new();
    for value in values.iter() {
        let id = parse_integer(value).ok_or_else(|| Refusal::new("ERR Invalid client ID"))?;
        found.extend(u64::try_from(id).ok().and_then(|id| clients.get(id)));
    }
    Ok(open(found))
}

/// Leaves out clients that another client has disconnected, though their own thread may not know yet.
pub(super) fn open(mut clients: Vec<Arc<SharedClient>>) -> Vec<Arc<SharedClient>> {
    clients.retain(|client| !client.outbox.is_closing());
    clients
}

/// Writes the fields of Redis 7.2.  Fields about memory are zero if the server keeps no such memory per client.
fn write_line(text: &mut String, call: &Call<'_, '_>, client: &SharedClient) {
    let identity = client.identity();
    let now = call.now().millis();
    let seconds_since = |then: u64| now.saturating_sub(then) / 1000;
    let waiting = client.outbox.bytes();
    let pending = client.pending_input.load(Relaxed);
    let flags = client.flags();
    // Other threads see these only at the end of the caller's batch.
    let is_caller = call.caller.connection == Some(client.id);
    let database = if is_caller { call.caller.database } else { client.database.load(Relaxed) as usize };
    let command = if is_caller { &call.row.name } else { last_command(call, client) };
    let protocol = if flags.contains(ClientFlags::RESP3) { 3 } else { 2 };
    let written = writeln!(
        text,
        "id={id} addr={address} laddr={local_address} fd=-1 name={name} age={age} idle={idle} flags={letters} \
         db={database} sub={channels} psub={patterns} ssub={shard_channels} multi={queued} qbuf={pending} qbuf-free=0 \
         argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={messages} omem={waiting} tot-mem={memory} events=r \
         cmd={command} user={DEFAULT_USER} redir=-1 resp={protocol} lib-name={library} lib-ver={library_version}",
        id = client.id,
        address = client.outbox.address(),
        local_address = client.local_address,
        name = identity.name,
        age = seconds_since(client.connected_at),
        idle = seconds_since(client.last_active.load(Relaxed)),
        letters = letters(flags),
        channels = client.channels.load(Relaxed),
        patterns = client.patterns.load(Relaxed),
        shard_channels = client.shard_channels.load(Relaxed),
        queued = i64::from(client.queued.load(Relaxed)) - 1,
        messages = usize::from(waiting > 0),
        memory = size_of::<SharedClient>() + waiting + pending,
        library = identity.library_name,
        library_version = identity.library_version,
    );
    written.expect("writing to a string does not fail");
}

fn letters(flags: ClientFlags) -> String {
    let letters: String =
        FLAG_LETTERS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "N".to_owned() } else { letters }
}

/// The name of the client's last command.
fn last_command<'s>(call: &Call<'_, 's>, client: &SharedClient) -> &'s str {
    let rows = call.services.commands.rows();
    rows.get(client.last_command.load(Relaxed) as usize).map_or("NULL", |row| &row.name)
}

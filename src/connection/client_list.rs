//! CLIENT LIST and CLIENT INFO: a line of fields for each client.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use quartet_protocol::resp::number::parse_integer;

use crate::client::{BrokerFacts, ClientFlags, RespFacts, SharedClient};
use crate::command::{Call, SessionCall};
use crate::delivery::{Subscription, Topic};
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
        if client.is_subscribed() { ClientType::Pubsub } else { ClientType::Normal }
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
    let Line { letters, database, channels, patterns, shard_channels, queued, command, protocol, listener } =
        match (client.resp(), client.broker()) {
            (Some(resp), _) => Line::of_resp(call, client, resp),
            (_, Some(broker)) => Line::of_broker(client, broker),
            (None, None) => return,
        };
    let written = writeln!(
        text,
        "id={id} addr={address} laddr={local_address} fd=-1 name={name} age={age} idle={idle} flags={letters} \
         db={database} sub={channels} psub={patterns} ssub={shard_channels} multi={queued} qbuf={pending} qbuf-free=0 \
         argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={messages} omem={waiting} tot-mem={memory} events=r \
         cmd={command} user={user} redir=-1 resp={protocol} lib-name={library} lib-ver={library_version}{listener}",
        id = client.id,
        address = client.outbox.address(),
        local_address = client.local_address,
        name = one_word(&identity.name),
        age = seconds_since(client.connected_at),
        idle = seconds_since(client.last_active.load(Relaxed)),
        messages = usize::from(waiting > 0),
        memory = size_of::<SharedClient>() + waiting + pending,
        user = identity.user_name(),
        library = one_word(&identity.library_name),
        library_version = one_word(&identity.library_version),
    );
    written.expect("writing to a string does not fail");
}

/// The fields that depend on the protocol.
struct Line<'l> {
    letters: String,
    database: usize,
    channels: u32,
    patterns: u32,
    shard_channels: u32,
    queued: i64,
    command: &'l str,
    protocol: u8,
    /// A field of our own, for clients of other protocols than RESP.
    listener: String,
}

impl<'l> Line<'l> {
    fn of_resp(call: &'l Call<'_, '_>, client: &SharedClient, resp: &RespFacts) -> Line<'l> {
        let flags = resp.flags();
        // Other threads see these only at the end of the caller's batch.
        let is_caller = call.caller.connection == Some(client.id);
        let last = resp.last_command.load(Relaxed) as usize;
        Line {
            letters: letters(flags),
            database: if is_caller { call.caller.database } else { resp.database.load(Relaxed) as usize },
            channels: resp.channels.load(Relaxed),
            patterns: resp.patterns.load(Relaxed),
            shard_channels: resp.shard_channels.load(Relaxed),
            queued: i64::from(resp.queued.load(Relaxed)) - 1,
            command: if is_caller { &call.row.name } else { command_name(call, last) },
            protocol: if flags.contains(ClientFlags::RESP3) { 3 } else { 2 },
            listener: String::new(),
        }
    }

    /// A subscription counts as one of a channel or of a pattern, as it would in RESP.
    fn of_broker(client: &SharedClient, broker: &BrokerFacts) -> Line<'l> {
        let subscriptions = broker.subscriptions();
        let is_exact = |subscription: &&Arc<Subscription>| matches!(subscription.topic(), Topic::Exact(_));
        let channels = subscriptions.iter().filter(is_exact).count();
        let flags = if subscriptions.is_empty() { ClientFlags::empty() } else { ClientFlags::PUBSUB };
        Line {
            letters: letters(flags),
            database: 0,
            channels: channels as u32,
            patterns: (subscriptions.len() - channels) as u32,
            shard_channels: 0,
            queued: -1,
            command: broker.last_operation(),
            protocol: 0,
            listener: format!(" listener={}", client.door.name()),
        }
    }
}

/// A name as it fits into a line of fields.  Clients of the broker may call themselves anything.
fn one_word(name: &str) -> Cow<'_, str> {
    let is_apart = |character: char| character.is_whitespace() || character.is_control();
    match name.contains(is_apart) {
        true => name.replace(is_apart, "_").into(),
        false => name.into(),
    }
}

fn letters(flags: ClientFlags) -> String {
    let letters: String =
        FLAG_LETTERS.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "N".to_owned() } else { letters }
}

/// The name of the command with this row id.
fn command_name<'s>(call: &'s Call<'_, '_>, id: usize) -> &'s str {
    call.services.commands.rows().get(id).map_or("NULL", |row| &row.name)
}

#[cfg(test)]
mod tests {
    use super::one_word;

    #[test]
    fn a_name_cannot_end_its_line_or_forge_a_field() {
        assert_eq!(one_word("orders-7"), "orders-7");
        assert_eq!(one_word("a b\nid=1\u{85}c"), "a_b_id=1_c");
    }
}

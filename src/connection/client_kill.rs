//! CLIENT KILL: ends the connections of other clients, or one's own.

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use super::client_list::{ClientType, open};
use crate::access::{self, DEFAULT_USER, User};
use crate::client::SharedClient;
use crate::command::{Call, Flow};
use crate::refusal::Refusal;
use crate::settings::Settings;

/// Which clients are meant.
#[derive(Default, PartialEq, Eq, Debug)]
struct Filter<'c> {
    id: Option<u64>,
    client_type: Option<ClientType>,
    user: Option<&'c [u8]>,
    address: Option<&'c [u8]>,
    local_address: Option<&'c [u8]>,
    /// Connected for at least this many seconds.
    age_seconds: Option<u64>,
    spare_self: bool,
}

/// CLIENT KILL.
pub(super) fn kill(call: &mut Call<'_, '_>) -> Result<(), Refusal> {
    let options = call.arguments.from(2);
    if options.len() == 1 {
        let filter = Filter { address: Some(options.at(0)), ..Filter::default() };
        if kill_matching(call, &filter) == 0 {
            return Err(Refusal::new("ERR No such client"));
        }
        call.output.ok();
        return Ok(());
    }
    let filter = Filter::parse(options, call.settings)?;
    let killed = kill_matching(call, &filter);
    call.output.integer(killed);
    Ok(())
}

fn kill_matching(call: &mut Call<'_, '_>, filter: &Filter<'_>) -> i64 {
    let clients = &call.services.clients;
    let candidates = match filter.id {
        Some(id) => clients.get(id).into_iter().collect(),
        None => clients.all(),
    };
    let now = call.now().millis();
    let mut killed = 0;
    for client in open(candidates) {
        let is_self = call.caller.connection == Some(client.id);
        if (is_self && filter.spare_self) || !filter.matches(&client, now) {
            continue;
        }
        killed += 1;
        if is_self {
            // Its reply is still to be written.
            call.continuation.flow = Flow::Close;
        } else {
            client.outbox.close();
            call.effects.wake(&client.outbox);
        }
    }
    killed
}

impl<'c> Filter<'c> {
    fn parse(options: Arguments<'c>, settings: &Settings) -> Result<Filter<'c>, Refusal> {
        let mut filter = Filter { spare_self: true, ..Filter::default() };
        let mut words = options.iter();
        while let Some(option) = words.next() {
            let value = words.next().ok_or(Refusal::SYNTAX)?;
            match option.to_ascii_lowercase().as_slice() {
                b"id" => filter.id = Some(positive(value, "client-id should be greater than 0")?),
                b"type" => filter.client_type = Some(ClientType::parse(value)?),
                b"addr" => filter.address = Some(value),
                b"laddr" => filter.local_address = Some(value),
                b"user" => filter.user = Some(existing_user(value, &settings.users)?),
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => filter.spare_self = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => filter.spare_self = false,
                b"maxage" => filter.age_seconds = Some(maximum_age(value)?),
                _ => return Err(Refusal::SYNTAX),
            }
        }
        Ok(filter)
    }

    fn matches(&self, client: &SharedClient, now: u64) -> bool {
        let is = |wanted: Option<&[u8]>, address: std::net::SocketAddr| {
            wanted.is_none_or(|wanted| address.to_string().as_bytes() == wanted)
        };
        let age_seconds = now.saturating_sub(client.connected_at) / 1000;
        self.client_type.is_none_or(|wanted| ClientType::of(client) == wanted)
            && self.age_seconds.is_none_or(|least| age_seconds >= least)
            && self.user.is_none_or(|name| client.identity().user_name().as_bytes() == name)
            && is(self.address, client.outbox.address())
            && is(self.local_address, client.local_address)
    }
}

/// The name, which must be that of a user.  Only clients of the broker can be others than the default one.
fn existing_user<'c>(name: &'c [u8], users: &[User]) -> Result<&'c [u8], Refusal> {
    if name == DEFAULT_USER.as_bytes() || access::find(users, name).is_some() {
        return Ok(name);
    }
    let name = String::from_utf8_lossy(name);
    Err(Refusal::new(format!("ERR No such user '{name}'")))
}

fn maximum_age(value: &[u8]) -> Result<u64, Refusal> {
    if parse_integer(value).is_none() {
        return Err(Refusal::new("ERR maxage is not an integer or out of range"));
    }
    positive(value, "maxage should be greater than 0")
}

fn positive(value: &[u8], otherwise: &str) -> Result<u64, Refusal> {
    let number = parse_integer(value).and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| Refusal::new(format!("ERR {otherwise}")))
}

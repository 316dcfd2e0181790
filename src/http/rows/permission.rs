//! Which rows a request may run, by its method and its password; rows that need a connection are never run.

use axum::http::StatusCode;
use quartet_protocol::resp::Arguments;

use super::refused::Refused;
use crate::command::{Flags, Group, Handler, Row, Services};

/// The flags of rows that only operators may run.
const FOR_OPERATORS: Flags = Flags::ADMIN.union(Flags::DANGEROUS);

/// The rights of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Permission {
    /// Its method is GET or HEAD, which must not change anything.
    pub(super) only_reads: bool,
    /// It carries the password as a bearer token, which no browser sends by itself.
    pub(super) is_operator: bool,
}

/// Whether HTTP runs the row at all.
pub(super) fn is_served(row: &Row) -> bool {
    matches!(row.command.handler, Handler::Data(_)) && !row.command.flags.contains(Flags::RUNS_QUEUE)
}

/// Whether only operators may run the row.
pub(super) fn is_for_operators(row: &Row) -> bool {
    row.command.flags.intersects(FOR_OPERATORS)
}

impl Permission {
    /// Lets a command run, and counts it as rejected if not.  The executor refuses unknown commands.
    ///
    /// # Errors
    /// If the request may not have it run.
    pub(super) fn check(
        self,
        arguments: Arguments<'_>,
        services: &Services,
        slot: usize,
    ) -> Result<(), Refused> {
        let row = services.commands.resolve(arguments.at(0), arguments.get(1));
        row.map_or(Ok(()), |row| {
            self.check_row(row, services).inspect_err(|_| {
                services.metrics.thread(slot).command(row.id).rejected.add(1);
            })
        })
    }

    fn check_row(self, row: &Row, services: &Services) -> Result<(), Refused> {
        let name = row.name.to_uppercase().replace('|', " ");
        if !is_served(row) {
            let remedy = match row.command.group {
                Group::Transactions => "send the commands of a transaction to /redis/multi-exec",
                _ => "connect with the Redis protocol for it",
            };
            return Err(Refused::new(format!(
                "ERR {name} works on a connection, and HTTP has none: {remedy}"
            )));
        }
        if self.only_reads && !row.command.flags.contains(Flags::READONLY) {
            let text = format!("ERR GET may only read keys, so {name} needs POST");
            return Err(Refused::with_status(StatusCode::METHOD_NOT_ALLOWED, text));
        }
        if is_for_operators(row) && !self.is_operator {
            let remedy = if services.settings.current().has_password() {
                "send the password as Authorization: Bearer PASSWORD"
            } else {
                "set a password with --requirepass and send it as Authorization: Bearer PASSWORD"
            };
            let text = format!("NOPERM {name} is for operators: {remedy}");
            return Err(Refused::with_status(StatusCode::FORBIDDEN, text));
        }
        Ok(())
    }
}

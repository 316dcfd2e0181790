//! The clients that MONITOR shows all commands to, and the line a command is shown as.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use super::{Call, Flags, ShownArguments};
use crate::delivery::Outbox;
use crate::lock_order::{RwLock, rank};

/// See the module's text.
#[derive(Default)]
pub struct Monitors {
    outboxes: RwLock<Vec<Arc<Outbox>>, { rank::MONITORS }>,
    /// Their number, which every command reads.
    count: AtomicUsize,
}

impl Monitors {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Adds a client that is not there yet.
    pub fn add(&self, outbox: &Arc<Outbox>) {
        let mut outboxes = self.outboxes.write();
        outboxes.push(Arc::clone(outbox));
        self.count.store(outboxes.len(), Relaxed);
    }

    /// Removes a client, if it is there.
    pub fn remove(&self, outbox: &Arc<Outbox>) {
        let mut outboxes = self.outboxes.write();
        outboxes.retain(|other| !Arc::ptr_eq(other, outbox));
        self.count.store(outboxes.len(), Relaxed);
    }
}

impl Call<'_, '_> {
    /// Shows the command to the clients that run MONITOR.  Administration is not shown.
    #[cold]
    pub(super) fn show_to_monitors(&mut self) {
        if !self.row.command.flags.intersects(Flags::ADMIN | Flags::SKIP_MONITOR) {
            self.send_to_monitors();
        }
    }

    /// Shows a command that runs others before these are shown.  Its row is flagged, so that it is not shown again.
    pub fn show_beforehand(&mut self) {
        debug_assert!(self.row.command.flags.contains(Flags::SKIP_MONITOR));
        if !self.services.monitors.is_empty() {
            self.send_to_monitors();
        }
    }

    #[cold]
    fn send_to_monitors(&mut self) {
        let line = Bytes::from(self.monitor_line());
        for outbox in self.services.monitors.outboxes.read().iter() {
            self.effects.send(&line, outbox, &self.services.fan_out);
        }
    }

    fn monitor_line(&self) -> Vec<u8> {
        let micros = self.now().wall_micros();
        let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let database = self.caller.database;
        let mut line = if self.caller.is_script {
            format!("+{seconds}.{rest:06} [{database} lua]").into_bytes()
        } else {
            format!("+{seconds}.{rest:06} [{database} {}]", self.caller.address).into_bytes()
        };
        for argument in ShownArguments::new(self.row, self.arguments) {
            line.extend_from_slice(b" \"");
            quote(&mut line, argument);
            line.push(b'"');
        }
        line.extend_from_slice(b"\r\n");
        line
    }
}

/// Writes bytes as redis-cli would show them.
fn quote(line: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            0x07 => line.extend_from_slice(b"\\a"),
            0x08 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn a_line_stays_a_line() {
        let mut line = Vec::new();
        quote(&mut line, b"a\"\\\r\n\t\x07\x08 ~\x7f\xff\0");
        assert_eq!(line, br#"a\"\\\r\n\t\a\b ~\x7f\xff\x00"#);
    }
}

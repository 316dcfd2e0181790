//! The number of connections that the settings allow, and its division if there is room for fewer.

use super::table::{Setting, Settings};

impl Settings {
    /// The most connections that all listeners accept together.
    pub(super) fn connections(&self) -> usize {
        let clients = if self.port.is_some() { self.maxclients } else { 0 };
        clients.saturating_add(self.http_connections())
    }

    fn http_connections(&self) -> usize {
        if self.http_port.is_empty() { 0 } else { self.http_connection_limit }
    }

    /// Lowers the limits of the listeners, all by the same part, until they allow no more than `room` connections.  False
    /// if a listener would have none.
    pub fn fit_connections(&mut self, room: usize) -> bool {
        let wanted = self.connections();
        if wanted <= room {
            return true;
        }
        let share = |limit: usize| (limit as u128 * room as u128 / wanted as u128) as usize;
        let (clients, http) = (share(self.maxclients), share(self.http_connections()));
        if self.port.is_some() {
            self.maxclients = clients.max(1);
        }
        if !self.http_port.is_empty() {
            self.http_connection_limit = http.max(1);
        }
        self.connections() <= room
    }

    /// The largest value of this row for which all connections fit into `room`; none if they fit already.
    pub(super) fn connections_left(&self, row: &Setting, room: usize) -> Option<usize> {
        let all = self.connections();
        let own: usize = row.text(self).parse().unwrap_or(0);
        (all > room).then(|| room.saturating_sub(all.saturating_sub(own)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(doors: (bool, bool), limits: (usize, usize), room: usize, expected: Option<(usize, usize)>) {
        let mut settings =
            Settings { maxclients: limits.0, http_connection_limit: limits.1, ..Settings::default() };
        if !doors.0 {
            settings.port = None;
        }
        if !doors.1 {
            settings.http_port.clear();
        }
        let fits = settings.fit_connections(room);
        assert_eq!(fits.then_some((settings.maxclients, settings.http_connection_limit)), expected);
    }

    #[test]
    fn both_listeners_lose_the_same_part() {
        check((true, true), (10_000, 10_000), 20_000, Some((10_000, 10_000)));
        check((true, true), (10_000, 10_000), 1_000, Some((500, 500)));
        check((true, true), (3_000, 1_000), 100, Some((75, 25)));
        check((true, true), (10_000, 10_000), 2, Some((1, 1)));
        check((true, true), (10_000, 10_000), 1, None);
        check((true, true), (u32::MAX as usize, 1), 10, Some((9, 1)));
    }

    #[test]
    fn a_closed_listener_takes_no_room() {
        check((true, false), (10_000, 10_000), 10_000, Some((10_000, 10_000)));
        check((true, false), (10_000, 10_000), 7, Some((7, 10_000)));
        check((false, true), (10_000, 10_000), 7, Some((10_000, 7)));
    }
}

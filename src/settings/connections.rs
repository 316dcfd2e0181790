//! How many connections the settings allow in all, and how they are divided when there is room for fewer.

use super::table::{Setting, Settings};

impl Settings {
    /// The most connections that the open doors let in.
    pub(super) fn connections(&self) -> usize {
        let clients = if self.port.is_some() { self.maxclients } else { 0 };
        clients.saturating_add(self.http_connections())
    }

    fn http_connections(&self) -> usize {
        if self.http_port.is_empty() { 0 } else { self.http_connection_limit }
    }

    /// Lowers the limits of the open doors until no more than `room` connections fit through them, each by the same
    /// part.  False if a door would have none.
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

    /// The most that the limit on connections in this row may be beside the others, in `room`; none if there is room for
    /// what it is.
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
    fn what_is_missing_is_taken_from_both_doors_alike() {
        check((true, true), (10_000, 10_000), 20_000, Some((10_000, 10_000)));
        check((true, true), (10_000, 10_000), 1_000, Some((500, 500)));
        check((true, true), (3_000, 1_000), 100, Some((75, 25)));
        check((true, true), (10_000, 10_000), 2, Some((1, 1)));
        check((true, true), (10_000, 10_000), 1, None);
        check((true, true), (u32::MAX as usize, 1), 10, Some((9, 1)));
    }

    #[test]
    fn a_closed_door_takes_nothing() {
        check((true, false), (10_000, 10_000), 10_000, Some((10_000, 10_000)));
        check((true, false), (10_000, 10_000), 7, Some((7, 10_000)));
        check((false, true), (10_000, 10_000), 7, Some((10_000, 7)));
    }
}

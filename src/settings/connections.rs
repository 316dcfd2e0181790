//! The number of connections that the settings allow, and its division if there is room for fewer.

use super::table::{Setting, Settings};

/// A listener's limit on connections.
struct Limit<'s> {
    /// A listener that is off accepts none, whatever its limit is.
    is_open: bool,
    most: &'s mut usize,
}

impl Settings {
    /// The most connections that all listeners accept together.
    pub(super) fn connections(&self) -> usize {
        let limits = [
            (self.port.is_some(), self.maxclients),
            (self.broker_port.is_some(), self.broker_connection_limit),
            (!self.http_port.is_empty(), self.http_connection_limit),
        ];
        let open = limits.iter().filter(|(is_open, _)| *is_open);
        open.fold(0, |sum, (_, most)| sum.saturating_add(*most))
    }

    /// The limits of the same listeners, to change them.
    fn limits(&mut self) -> [Limit<'_>; 3] {
        [
            Limit { is_open: self.port.is_some(), most: &mut self.maxclients },
            Limit { is_open: self.broker_port.is_some(), most: &mut self.broker_connection_limit },
            Limit { is_open: !self.http_port.is_empty(), most: &mut self.http_connection_limit },
        ]
    }

    /// Lowers the limits of the listeners, all by the same part, until they allow no more than `room` connections.  False
    /// if a listener would have none.
    pub fn fit_connections(&mut self, room: usize) -> bool {
        let wanted = self.connections();
        if wanted <= room {
            return true;
        }
        let open = self.limits().into_iter().filter(|limit| limit.is_open);
        let open: Vec<Limit<'_>> = open.collect();
        // Each has one connection, and they share the rest.
        let Some(rest) = room.checked_sub(open.len()) else { return false };
        let wanted = (wanted - open.len()) as u128;
        for Limit { most, .. } in open {
            *most = 1 + ((most.saturating_sub(1) as u128) * rest as u128 / wanted) as usize;
        }
        true
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

    /// Limits in the order of RESP, the broker and HTTP.
    type Limits = (usize, usize, usize);

    #[track_caller]
    fn check(is_open: (bool, bool, bool), limits: Limits, room: usize, expected: Option<Limits>) {
        let mut settings = Settings {
            maxclients: limits.0,
            broker_connection_limit: limits.1,
            http_connection_limit: limits.2,
            ..Settings::default()
        };
        if !is_open.0 {
            settings.port = None;
        }
        if !is_open.1 {
            settings.broker_port = None;
        }
        if !is_open.2 {
            settings.http_port.clear();
        }
        let fits = settings.fit_connections(room);
        let left = (settings.maxclients, settings.broker_connection_limit, settings.http_connection_limit);
        assert_eq!(fits.then_some(left), expected);
    }

    #[test]
    fn all_listeners_lose_the_same_part() {
        let all = (true, true, true);
        check(all, (10_000, 10_000, 10_000), 30_000, Some((10_000, 10_000, 10_000)));
        check(all, (10_000, 10_000, 10_000), 1_500, Some((500, 500, 500)));
        check(all, (3_000, 2_000, 1_000), 120, Some((59, 40, 20)));
        check(all, (10_000, 10_000, 10_000), 3, Some((1, 1, 1)));
        check(all, (10_000, 10_000, 10_000), 2, None);
        check(all, (u32::MAX as usize, 1, 1), 10, Some((8, 1, 1)));
    }

    #[test]
    fn a_closed_listener_takes_no_room() {
        check((true, false, false), (10_000, 10_000, 10_000), 7, Some((7, 10_000, 10_000)));
        check((false, true, false), (10_000, 10_000, 10_000), 7, Some((10_000, 7, 10_000)));
        check((false, false, true), (10_000, 10_000, 10_000), 7, Some((10_000, 10_000, 7)));
        check((true, false, true), (10_000, 10_000, 10_000), 2, Some((1, 10_000, 1)));
    }
}

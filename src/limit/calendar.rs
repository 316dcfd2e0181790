//! Windows of the calendar: days, months and the like, as they begin and end in a time zone.

use std::collections::HashMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::BOOT;
use super::algorithm::{InvalidParameter, NANOS_PER_SECOND, Nanos};
use crate::lock_order::{Mutex, rank};

/// The most bytes of the name of a time zone.
const ZONE_LENGTH_MAX: usize = 64;

/// The time zone of windows without one.
const ZONE_DEFAULT: &str = "UTC";

/// How long a window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = CalendarUnit)]
pub enum Unit {
    /// From one full minute to the next.
    Minute,
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// See the head of the file.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    unit: Unit,
    zone: &'static TimeZone,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Calendar) -> bool {
        self.unit == other.unit && std::ptr::eq(self.zone, other.zone)
    }
}

impl Eq for Calendar {}

/// The zones used so far.  There are some six hundred, so they are kept for ever.
static ZONES: Mutex<Option<HashMap<String, &'static TimeZone>>, { rank::ZONES }> = Mutex::new(None);

impl Calendar {
    /// Windows of `unit` in the zone with this name in the IANA's database; in UTC without a name.
    ///
    /// # Errors
    /// If there is no such zone.
    pub fn new(unit: Unit, zone: Option<&str>) -> Result<Calendar, InvalidParameter> {
        let name = zone.unwrap_or(ZONE_DEFAULT);
        let mut zones = ZONES.lock();
        let zones = zones.get_or_insert_default();
        if let Some(zone) = zones.get(name) {
            return Ok(Calendar { unit, zone });
        }
        let found = Some(name).filter(|name| name.len() <= ZONE_LENGTH_MAX).map(TimeZone::get);
        // The case of names does not matter; each zone is kept once.
        match found.and_then(Result::ok) {
            Some(found) => {
                let proper = found.iana_name().unwrap_or(ZONE_DEFAULT).to_owned();
                let zone = *zones.entry(proper).or_insert_with(|| Box::leak(Box::new(found)));
                Ok(Calendar { unit, zone })
            }
            None => Err(InvalidParameter {
                parameter: "zone",
                value: name.chars().take(ZONE_LENGTH_MAX).collect::<String>().escape_debug().to_string(),
                allowed: "the name of a time zone, for example Europe/Berlin".to_owned(),
            }),
        }
    }

    /// The length of the longest window, except that a day may be an hour longer where clocks change.
    pub fn nominal(&self) -> Nanos {
        let days = 86_400 * NANOS_PER_SECOND;
        match self.unit {
            Unit::Minute => 60 * NANOS_PER_SECOND,
            Unit::Hour => 3_600 * NANOS_PER_SECOND,
            Unit::Day => days,
            Unit::Week => 7 * days,
            Unit::Month => 31 * days,
            Unit::Year => 366 * days,
        }
    }

    /// The start and the end of the window that is open at `now`.  Wall time is the time since the boot plus `wall_offset`
    /// microseconds.  None beyond the range of calendars.
    pub fn window(&self, now: Nanos, wall_offset: i64) -> Option<(Nanos, Nanos)> {
        let since_boot = i128::from(now) - i128::from(BOOT);
        let wall = since_boot + i128::from(wall_offset) * 1_000;
        let (start, end) = self.wall_window(wall)?;
        let on_scale = |timestamp: i128| Nanos::try_from(i128::from(now) + timestamp - wall).ok();
        Some((on_scale(start)?, on_scale(end)?)).filter(|(start, end)| (start..end).contains(&&now))
    }

    /// The same in nanoseconds since 1970.
    fn wall_window(&self, wall: i128) -> Option<(i128, i128)> {
        let at = Timestamp::from_nanosecond(wall).ok()?;
        let fixed = |seconds: i128| {
            // Full hours of the zone need not be those of UTC.
            let (length, shift) = (seconds * 1_000_000_000, i128::from(self.zone.to_offset(at).seconds()));
            let into = (wall + shift * 1_000_000_000).rem_euclid(length);
            Some((wall - into, wall - into + length))
        };
        let date = self.zone.to_datetime(at).date();
        let (first, next) = match self.unit {
            Unit::Minute => return fixed(60),
            Unit::Hour => return fixed(3_600),
            Unit::Day => (date, date.tomorrow()),
            Unit::Week => {
                let past = i64::from(date.weekday().to_monday_zero_offset());
                let monday = date.checked_sub(past.days()).ok()?;
                (monday, monday.checked_add(7.days()))
            }
            Unit::Month => (date.first_of_month(), date.first_of_month().checked_add(1.month())),
            Unit::Year => (date.first_of_year(), date.first_of_year().checked_add(1.year())),
        };
        let timestamp = |date: Date| Some(self.zone.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_nanosecond());
        Some((timestamp(first)?, timestamp(next.ok()?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the window that is open at a time.
    #[track_caller]
    fn check(unit: Unit, zone: &str, at: &str, start: &str, end: &str) {
        let calendar = Calendar::new(unit, Some(zone)).expect("there is such a zone");
        let wall = |text: &str| text.parse::<Timestamp>().expect("it is a timestamp").as_nanosecond();
        assert_eq!(calendar.wall_window(wall(at)), Some((wall(start), wall(end))), "{unit:?} {zone} {at}");
    }

    #[test]
    fn windows_are_those_of_the_calendar_in_the_zone() {
        let berlin = "Europe/Berlin";
        check(Unit::Day, "UTC", "2026-03-29T12:00:00Z", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z");
        // A day of 23 hours, and one of 25.
        check(Unit::Day, berlin, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check(Unit::Day, berlin, "2026-10-25T00:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check(Unit::Day, berlin, "2026-10-24T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check(Unit::Week, berlin, "2026-01-01T00:00:00Z", "2025-12-28T23:00:00Z", "2026-01-04T23:00:00Z");
        check(Unit::Month, berlin, "2024-02-29T23:30:00Z", "2024-02-29T23:00:00Z", "2024-03-31T22:00:00Z");
        check(
            Unit::Year,
            "Asia/Tokyo",
            "2025-12-31T15:00:00Z",
            "2025-12-31T15:00:00Z",
            "2026-12-31T15:00:00Z",
        );
        // Full hours of a zone that is half an hour off.
        check(
            Unit::Hour,
            "Asia/Kolkata",
            "2026-01-01T00:10:00Z",
            "2025-12-31T23:30:00Z",
            "2026-01-01T00:30:00Z",
        );
        check(Unit::Minute, "UTC", "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn zones_have_names() {
        let zone = |name| Calendar::new(Unit::Day, name).map_err(|error| error.to_string());
        assert_eq!(zone(Some("europe/berlin")), zone(Some("Europe/Berlin")));
        assert_eq!(zone(None), zone(Some("UTC")));
        let wrong = "zone is Mars/Base; allowed is the name of a time zone, for example Europe/Berlin";
        assert_eq!(zone(Some("Mars/Base")), Err(wrong.to_owned()));
        assert!(zone(Some("")).is_err() && zone(Some("../../etc/passwd")).is_err());
    }

    #[test]
    fn windows_lie_on_the_scale_of_the_limiter() {
        let calendar = Calendar::new(Unit::Day, None).expect("there is UTC");
        let day = calendar.nominal();
        // An hour after the boot it was three o'clock.
        let (now, hour) = (BOOT + day / 24, day / 24);
        let offset = i64::try_from((20_000 * day + 2 * hour) / 1_000).expect("it is in range");
        assert_eq!(calendar.window(now, offset), Some((now - 3 * hour, now + 21 * hour)));
    }
}

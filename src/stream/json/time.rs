//! Times as RFC 3339 writes them, to the nanosecond.

use std::fmt;

const SECONDS_A_DAY: i64 = 86_400;
const NANOSECONDS_A_SECOND: i64 = 1_000_000_000;

/// A moment, with the offset from UTC that it was written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Time {
    /// Since 1970, in UTC.
    seconds: i64,
    nanoseconds: u32,
    offset_minutes: i16,
}

impl Time {
    /// The time that stands for none: the first second of the year 1.
    pub const ZERO: Time = Time { seconds: -62_135_596_800, nanoseconds: 0, offset_minutes: 0 };

    /// A time in nanoseconds since 1970.
    pub fn from_nanoseconds(nanoseconds: i64) -> Time {
        let rest = nanoseconds.rem_euclid(NANOSECONDS_A_SECOND);
        Time {
            seconds: nanoseconds.div_euclid(NANOSECONDS_A_SECOND),
            nanoseconds: u32::try_from(rest).unwrap_or_default(),
            offset_minutes: 0,
        }
    }

    /// In nanoseconds since 1970; the nearest that such a number can be for years before 1678 and after 2261.
    pub fn nanoseconds(self) -> i64 {
        let exact =
            i128::from(self.seconds) * i128::from(NANOSECONDS_A_SECOND) + i128::from(self.nanoseconds);
        i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
    }

    /// Whether it is the time that stands for none.
    pub fn is_zero(self) -> bool {
        self.is_at(Time::ZERO)
    }

    /// Whether both are the same moment, however written.
    pub fn is_at(self, other: Time) -> bool {
        (self.seconds, self.nanoseconds) == (other.seconds, other.nanoseconds)
    }

    /// The same moment in UTC.
    pub fn utc(self) -> Time {
        Time { offset_minutes: 0, ..self }
    }

    /// The time that a text says, for example `2026-01-02T03:04:05.6+01:00`.
    pub fn parse(text: &str) -> Option<Time> {
        let mut rest = Rest(text.as_bytes());
        let year = rest.digits(4)?;
        rest.byte(b'-')?;
        let month = rest.digits(2).filter(|month| (1..=12).contains(month))?;
        rest.byte(b'-')?;
        let day = rest.digits(2).filter(|day| (1..=days_of(year, month)).contains(day))?;
        rest.byte(b'T')?;
        let hour = rest.digits(2).filter(|&hour| hour < 24)?;
        rest.byte(b':')?;
        let minute = rest.digits(2).filter(|&minute| minute < 60)?;
        rest.byte(b':')?;
        let second = rest.digits(2).filter(|&second| second < 60)?;
        let nanoseconds = rest.fraction()?;
        let offset = rest.offset()?;
        if !rest.0.is_empty() {
            return None;
        }
        let seconds = days_since_1970(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
        Some(Time { seconds: seconds - i64::from(offset) * 60, nanoseconds, offset_minutes: offset })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds + i64::from(self.offset_minutes) * 60;
        let (year, month, day) = date_of(local.div_euclid(SECONDS_A_DAY));
        let second = local.rem_euclid(SECONDS_A_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanoseconds > 0 {
            let fraction = format!("{:09}", self.nanoseconds);
            write!(formatter, ".{}", fraction.trim_end_matches('0'))?;
        }
        match self.offset_minutes {
            0 => formatter.write_str("Z"),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(formatter, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

impl serde::Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is left of a text.
struct Rest<'t>(&'t [u8]);

impl Rest<'_> {
    fn byte(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')))
    }

    /// Nanoseconds, of which digits behind the ninth are left out.
    fn fraction(&mut self) -> Option<u32> {
        if self.byte(b'.').is_none() {
            return Some(0);
        }
        let count = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let digit = |place: usize| u32::from(digits.get(place).map_or(0, |digit| digit - b'0'));
        (count > 0).then(|| (0..9).fold(0, |number, place| 10 * number + digit(place)))
    }

    fn offset(&mut self) -> Option<i16> {
        let sign = match *self.0.first()? {
            b'Z' => {
                self.byte(b'Z')?;
                return Some(0);
            }
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.digits(2).filter(|&hours| hours < 24)?;
        self.byte(b':')?;
        let minutes = self.digits(2).filter(|&minutes| minutes < 60)?;
        i16::try_from(sign * (hours * 60 + minutes)).ok()
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from the first of January 1970 in the Gregorian calendar.  Years are counted from March, so that the odd day is their
/// last, in eras of 400.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day; the other way round.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

//! The clocks.  No other file reads time.
//!
//! Deadlines live on the boot-time clock.  Steps of the wall clock do not affect it, and it runs on while the machine
//! sleeps.  Wall time is that clock plus an offset.  The offset is read at the start, and again only after a step of over
//! a second, so that EXPIRETIME does not drift with the slow corrections of a time service.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;

/// If the wall clock has moved by more than this against the boot-time clock, it was stepped, not slewed.
const STEP_MIN_MICROS: i64 = 1_000_000;

/// A wall time in microseconds since 1970, as RFC 3339 writes it.
pub fn wall_time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).unwrap_or_default().to_string()
}

/// One reading of the clock.  It is taken once per batch of commands and passed on as an argument.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Now {
    /// Microseconds on the boot-time clock.
    boot_micros: u64,
    /// The offset to wall time, in whole milliseconds, so that a deadline converts to wall time and back exactly.
    wall_offset_micros: i64,
}

impl Now {
    /// A reading for tests and replay: `boot` since the boot, and `wall` since 1970.
    pub fn at(boot: Duration, wall: Duration) -> Now {
        let boot_micros = boot.as_micros() as u64;
        Now { boot_micros, wall_offset_micros: whole_millis(wall.as_micros() as i64 - boot_micros as i64) }
    }

    /// Milliseconds on the clock that deadlines are compared with.
    pub fn millis(self) -> u64 {
        self.boot_micros / 1000
    }

    /// Microseconds on the clock that deadlines are compared with.
    pub fn micros(self) -> u64 {
        self.boot_micros
    }

    /// Wall time in microseconds since 1970.
    pub fn wall_micros(self) -> i64 {
        self.boot_micros as i64 + self.wall_offset_micros
    }

    /// Wall time in milliseconds since 1970.
    pub fn wall_millis(self) -> i64 {
        self.wall_micros().div_euclid(1000)
    }

    /// The deadline at a wall time in milliseconds; none if that is before the boot of the machine.
    pub fn deadline_at_wall(self, wall_millis: i64) -> Option<u64> {
        let boot_millis = wall_millis.saturating_sub(self.offset_millis());
        u64::try_from(boot_millis).ok()
    }

    /// The wall time of a deadline, in milliseconds.
    pub fn wall_of_deadline(self, deadline: u64) -> i64 {
        i64::try_from(deadline).unwrap_or(i64::MAX).saturating_add(self.offset_millis())
    }

    fn offset_millis(self) -> i64 {
        self.wall_offset_micros / 1000
    }

    /// This reading, `duration` later.
    pub fn after(self, duration: Duration) -> Now {
        Now { boot_micros: self.boot_micros + duration.as_micros() as u64, ..self }
    }
}

/// The processor's ticks, some thousand million per second.  They show almost for free whether something took long.  On
/// architectures other than x86-64 they are nanoseconds and cost a look at the clock.
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of the architecture has the instruction, which touches no memory.
    let ticks = unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    let ticks = boot_micros() * 1000;
    ticks
}

/// The clock: the machine's, or one that only tests move.
#[derive(Debug)]
pub enum Clock {
    /// Reads the machine's clocks.
    Machine(MachineClock),
    /// Stands still until it is moved.
    Manual(ManualClock),
}

/// See [`Clock::Machine`].
#[derive(Debug)]
pub struct MachineClock {
    wall_offset_micros: AtomicI64,
    /// When the clock was made: microseconds and ticks.
    made: (u64, u64),
}

/// See [`Clock::Manual`].
#[derive(Debug)]
pub struct ManualClock {
    boot_micros: AtomicU64,
    wall_offset_micros: AtomicI64,
}

impl Clock {
    /// The machine's clock.
    pub fn machine() -> Clock {
        Clock::Machine(MachineClock {
            wall_offset_micros: AtomicI64::new(measure_offset()),
            made: (boot_micros(), ticks()),
        })
    }

    /// A clock that starts at `start` and stands still.
    pub fn manual(start: Now) -> Clock {
        Clock::Manual(ManualClock {
            boot_micros: AtomicU64::new(start.boot_micros),
            wall_offset_micros: AtomicI64::new(start.wall_offset_micros),
        })
    }

    /// Converts [`ticks`] to microseconds, by their average rate since the clock was made.  Zero on a clock that stands
    /// still.
    pub fn micros_of(&self, duration: u64) -> u64 {
        let Clock::Machine(MachineClock { made: (micros, at), .. }) = self else { return 0 };
        // The ticks of another processor may be behind by a little.
        let ticks = i64::try_from(ticks().wrapping_sub(*at)).unwrap_or(0).max(1);
        let micros = boot_micros().saturating_sub(*micros);
        (duration as f64 * micros as f64 / ticks as f64) as u64
    }

    /// The time now.
    pub fn now(&self) -> Now {
        match self {
            Clock::Machine(clock) => {
                Now { boot_micros: boot_micros(), wall_offset_micros: clock.wall_offset_micros.load(Relaxed) }
            }
            Clock::Manual(clock) => Now {
                boot_micros: clock.boot_micros.load(Relaxed),
                wall_offset_micros: clock.wall_offset_micros.load(Relaxed),
            },
        }
    }

    /// Adopts the offset of the wall clock if that was stepped.  Called about once a second.
    pub fn follow_wall_clock(&self) {
        if let Clock::Machine(clock) = self {
            let measured = measure_offset();
            if (measured - clock.wall_offset_micros.load(Relaxed)).abs() > STEP_MIN_MICROS {
                clock.wall_offset_micros.store(measured, Relaxed);
            }
        }
    }

    /// Moves a manual clock on.
    ///
    /// # Panics
    /// On the machine's clock.
    pub fn advance(&self, duration: Duration) {
        let Clock::Manual(clock) = self else { panic!("only a manual clock can be advanced") };
        clock.boot_micros.fetch_add(duration.as_micros() as u64, Relaxed);
    }

    /// Steps the wall time of a manual clock, as an administrator or a time service does.
    ///
    /// # Panics
    /// On the machine's clock.
    pub fn step_wall(&self, micros: i64) {
        let Clock::Manual(clock) = self else { panic!("only a manual clock can be stepped") };
        clock.wall_offset_micros.fetch_add(whole_millis(micros), Relaxed);
    }
}

fn boot_micros() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

fn measure_offset() -> i64 {
    let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    whole_millis(wall.tv_sec * 1_000_000 + wall.tv_nsec / 1000 - boot_micros() as i64)
}

fn whole_millis(micros: i64) -> i64 {
    micros.div_euclid(1000) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_time_has_a_zone() {
        assert_eq!(wall_time(1_700_000_000_000_001), "2023-11-14T22:13:20.000001Z");
    }
}

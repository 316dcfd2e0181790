//! Which keys the requests name: a number below the count of keys, by a distribution.

use crate::random::Random;

/// How the numbers of keys are drawn.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// All alike.
    Uniform {
        /// How many there are.
        count: u64,
    },
    /// The first most of all, the second less.
    Zipf(Zipf),
    /// One after the other, and again from the first.
    Sequential {
        /// The next one.
        next: u64,
        /// The distance to the one behind it: several threads share the keys.
        step: u64,
        /// How many there are.
        count: u64,
    },
}

impl Keys {
    /// The next number.
    #[inline]
    pub(super) fn draw(&mut self, random: &mut Random) -> u64 {
        match self {
            Keys::Uniform { count } => random.below(*count as usize) as u64,
            Keys::Zipf(zipf) => zipf.draw(random),
            Keys::Sequential { next, step, count } => {
                let number = *next;
                *next = (number + *step) % *count;
                number
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        match self {
            Keys::Uniform { count } | Keys::Sequential { count, .. } => *count,
            Keys::Zipf(zipf) => zipf.count as u64,
        }
    }

    /// The keys that one of several threads draws.
    pub(super) fn of_thread(&self, thread: usize, threads: usize) -> Keys {
        match self {
            Keys::Sequential { count, .. } => {
                Keys::Sequential { next: thread as u64 % count, step: threads as u64, count: *count }
            }
            other => other.clone(),
        }
    }
}

/// Zipf's law: the key of rank `k` is drawn in proportion to `1 / k^exponent`.
///
/// The numbers are drawn by rejection from the inverse of the integral (Hörmann and Derflinger, 1996): exact, without a table,
/// and nearly always at the first try.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    count: f64,
    exponent: f64,
    /// The integral at the upper end of the last rank, and at the lower end of the first.
    integral_high: f64,
    integral_low: f64,
    /// So near below a rank every draw is taken.
    taken_at_once: f64,
}

impl Zipf {
    /// The law over `count` keys.  Both numbers are positive.
    pub(super) fn new(count: u64, exponent: f64) -> Zipf {
        let mut zipf =
            Zipf { count: count as f64, exponent, integral_high: 0.0, integral_low: 0.0, taken_at_once: 0.0 };
        zipf.integral_high = zipf.integral(zipf.count + 0.5);
        zipf.integral_low = zipf.integral(1.5) - 1.0;
        zipf.taken_at_once = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.density(2.0));
        zipf
    }

    /// A rank, counted from zero.
    fn draw(&self, random: &mut Random) -> u64 {
        loop {
            // 53 bits, as many as a fraction has.
            let fraction = (random.draw() >> 11) as f64 / (1_u64 << 53) as f64;
            let area = self.integral_high + fraction * (self.integral_low - self.integral_high);
            let place = self.inverse(area);
            let rank = place.round().clamp(1.0, self.count);
            if rank - place <= self.taken_at_once || area >= self.integral(rank + 0.5) - self.density(rank) {
                return rank as u64 - 1;
            }
        }
    }

    fn density(&self, rank: f64) -> f64 {
        (-self.exponent * rank.ln()).exp()
    }

    /// The integral of the density from 1, in a form that also holds at an exponent of 1.
    fn integral(&self, place: f64) -> f64 {
        let logarithm = place.ln();
        let power = (1.0 - self.exponent) * logarithm;
        if power.abs() < 1e-9 { logarithm } else { power.exp_m1() / (1.0 - self.exponent) }
    }

    fn inverse(&self, area: f64) -> f64 {
        let scaled = area * (1.0 - self.exponent);
        if scaled.abs() < 1e-9 { area.exp() } else { (scaled.ln_1p() / (1.0 - self.exponent)).exp() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 400_000;

    /// The draws of a law stay within five standard deviations of what the law says, rank by rank.
    fn check_against_theory(count: u64, exponent: f64) {
        let mut random = Random::with_seed(7);
        let zipf = Zipf::new(count, exponent);
        let mut drawn = vec![0_u64; count as usize];
        for _ in 0..DRAWS {
            drawn[zipf.draw(&mut random) as usize] += 1;
        }
        let weight = |rank: usize| ((rank + 1) as f64).powf(-exponent);
        let total: f64 = (0..count as usize).map(weight).sum();
        for (rank, &drawn) in drawn.iter().enumerate() {
            let share = weight(rank) / total;
            let expected = share * DRAWS as f64;
            let allowed = 5.0 * (expected * (1.0 - share)).sqrt() + 1.0;
            assert!(
                (drawn as f64 - expected).abs() <= allowed,
                "exponent {exponent}: rank {rank} was drawn {drawn} times, not {expected:.0} ± {allowed:.0}"
            );
        }
    }

    #[test]
    fn zipf_draws_as_its_law_says() {
        for exponent in [0.5, 0.99, 1.0, 1.2, 2.0] {
            check_against_theory(50, exponent);
        }
        check_against_theory(1, 1.0);
        check_against_theory(1000, 0.8);
    }

    #[test]
    fn uniform_keys_are_all_drawn_alike() {
        let (mut random, mut keys) = (Random::with_seed(3), Keys::Uniform { count: 10 });
        let mut drawn = [0_u64; 10];
        for _ in 0..100_000 {
            drawn[keys.draw(&mut random) as usize] += 1;
        }
        assert!(drawn.iter().all(|&count| (9_500..10_500).contains(&count)), "{drawn:?}");
    }

    #[test]
    fn threads_share_sequential_keys() {
        let mut random = Random::with_seed(0);
        let all = Keys::Sequential { next: 0, step: 1, count: 6 };
        let mut drawn: Vec<u64> = (0..2)
            .flat_map(|thread| {
                let mut keys = all.of_thread(thread, 2);
                let drawn: Vec<u64> = (0..3).map(|_| keys.draw(&mut random)).collect();
                drawn
            })
            .collect();
        drawn.sort_unstable();
        assert_eq!(drawn, [0, 1, 2, 3, 4, 5]);
    }
}

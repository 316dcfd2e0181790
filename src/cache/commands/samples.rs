//! Random samples and walks of a value with parts, as the commands of all types reply them.

use std::collections::HashSet;

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::parse_integer;

use super::scan::SCAN_COUNT;
use crate::command::Call;
use crate::glob::Pattern;
use crate::random::Random;
use crate::refusal::Refusal;

/// Parts drawn at a time where they may repeat.
const DRAWN_AT_ONCE: usize = 1024;

/// The most parts drawn by one request where they may repeat: whoever wants the key waits meanwhile.
const REPEATED_MAX: usize = 4 << 20;

/// The most bytes of a reply with parts that may repeat, which no value bounds.
const REPEATED_BYTES_MAX: usize = 512 << 20;

/// How many parts are asked for, negative if they may repeat, and whether `word` (WITHVALUES, WITHSCORES) is given.
///
/// # Errors
/// If the arguments are something else.
pub(super) fn sample_options(call: &Call<'_, '_>, word: &str) -> Result<(i64, bool), Refusal> {
    let count = parse_integer(call.arguments.at(2)).ok_or(Refusal::NOT_AN_INTEGER)?;
    if count == i64::MIN {
        let most = i64::MAX;
        return Err(Refusal::new(format!(
            "ERR value is out of range, value must between -{most} and {most}"
        )));
    }
    match call.arguments.len() {
        3 => Ok((count, false)),
        4 if call.arguments.at(3).eq_ignore_ascii_case(word.as_bytes()) => {
            let is_in_range = (-(i64::MAX / 2)..=i64::MAX / 2).contains(&count);
            if is_in_range { Ok((count, true)) } else { Err(Refusal::new("ERR value is out of range")) }
        }
        _ => Err(Refusal::SYNTAX),
    }
}

/// Writes `count` random parts of a value with `length`, different ones unless `count` is negative: `write_head` gets their number, and
/// `write` their places.
///
/// # Errors
/// If the reply would be too long.
pub(super) fn write_samples(
    output: &mut Output,
    count: i64,
    length: usize,
    random: &mut Random,
    write_head: impl FnOnce(&mut Output, usize),
    mut write: impl FnMut(&mut Output, &[usize]),
) -> Result<(), Refusal> {
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count >= 0 {
        let places = match wanted {
            0 => Vec::new(),
            _ if wanted >= length => (0..length).collect(),
            _ => different_places(length, wanted, random),
        };
        write_head(output, places.len());
        write(output, &places);
        return Ok(());
    }
    if wanted > REPEATED_MAX {
        return Err(too_long());
    }
    let start = output.len();
    write_head(output, wanted);
    let mut left = wanted;
    while left > 0 {
        let drawn = left.min(DRAWN_AT_ONCE);
        let places: Vec<usize> = (0..drawn).map(|_| random.below(length)).collect();
        write(output, &places);
        if output.len() - start > REPEATED_BYTES_MAX {
            return Err(too_long());
        }
        left -= drawn;
    }
    Ok(())
}

fn too_long() -> Refusal {
    Refusal::new("ERR the reply would be too long")
}

/// So many different numbers below `length`, each choice of them as likely as any other (Floyd's algorithm).
pub(super) fn different_places(length: usize, wanted: usize, random: &mut Random) -> Vec<usize> {
    let mut chosen = HashSet::with_capacity(wanted);
    let mut places = Vec::with_capacity(wanted);
    for last in length - wanted..length {
        let drawn = random.below(last + 1);
        let place = if chosen.insert(drawn) { drawn } else { last };
        chosen.insert(place);
        places.push(place);
    }
    places
}

/// The options of a walk.
pub(super) struct ScanOptions {
    /// Which parts are asked for; all if there is none.
    pub(super) pattern: Option<Pattern>,
    /// About how many are looked at.
    pub(super) count: usize,
    /// Whether what belongs to them is asked for too.
    pub(super) with_values: bool,
}

impl ScanOptions {
    /// The options from the third argument on; NOVALUES is one of them if the walk has values to leave out.
    ///
    /// # Errors
    /// If they are something else.
    pub(super) fn parse(call: &Call<'_, '_>, has_values: bool) -> Result<ScanOptions, Refusal> {
        let mut options = ScanOptions { pattern: None, count: SCAN_COUNT, with_values: true };
        let mut words = call.arguments.from(3).iter();
        while let Some(word) = words.next() {
            if has_values && word.eq_ignore_ascii_case(b"novalues") {
                options.with_values = false;
                continue;
            }
            let value = words.next().ok_or(Refusal::SYNTAX)?;
            if word.eq_ignore_ascii_case(b"match") {
                options.pattern = (value != b"*").then(|| Pattern::new(value)).transpose()?;
            } else if word.eq_ignore_ascii_case(b"count") {
                let count = parse_integer(value).ok_or(Refusal::NOT_AN_INTEGER)?;
                options.count =
                    usize::try_from(count).ok().filter(|&count| count > 0).ok_or(Refusal::SYNTAX)?;
            } else {
                return Err(Refusal::SYNTAX);
            }
        }
        Ok(options)
    }

    /// Whether a part is asked for.
    pub(super) fn wants(&self, part: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(part))
    }
}

/// Writes a step of a walk: where to go on, and what was found.
pub(super) fn write_step(output: &mut Output, next: u64, found: &[Vec<u8>]) {
    output.array(2);
    output.bulk(next.to_string().as_bytes());
    output.array(found.len());
    found.iter().for_each(|item| output.bulk(item));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many parts are drawn for a count, and whether the reply is written.
    fn drawn(count: i64) -> (usize, bool) {
        let (mut output, mut total) = (Output::new(), 0);
        let head = |output: &mut Output, count: usize| output.array(count);
        let write = |_: &mut Output, places: &[usize]| total += places.len();
        let result = write_samples(&mut output, count, 1, &mut Random::with_seed(1), head, write);
        (total, result.is_ok())
    }

    #[test]
    fn a_count_of_parts_that_may_repeat_is_bounded_before_any_is_drawn() {
        let most = REPEATED_MAX as i64;
        assert_eq!(drawn(-3), (3, true));
        assert_eq!(drawn(-most), (REPEATED_MAX, true));
        for count in [-most - 1, -100_000_000, -(i64::MAX / 2) - 2, i64::MIN + 1] {
            assert_eq!(drawn(count), (0, false), "{count}");
        }
    }

    #[test]
    fn samples_are_different_and_all_places_are_drawn() {
        let mut random = Random::with_seed(3);
        let mut drawn = HashSet::new();
        for _ in 0..200 {
            let places = different_places(10, 4, &mut random);
            assert_eq!(places.iter().collect::<HashSet<_>>().len(), 4);
            drawn.extend(places);
        }
        assert_eq!(drawn, (0..10).collect());
    }
}

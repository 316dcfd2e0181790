//! The two answers of LATENCY that people read: DOCTOR's report and GRAPH's picture.

use crate::metrics::latency::{Event, History};

/// Rows of the picture, and the most columns.
const GRAPH_ROWS: u64 = 4;
const GRAPH_COLUMNS: usize = 80;

/// The characters for the top of a column, from low to high.
const GRAPH_MARKS: &[char] = &['_', 'o', '#'];

/// The events, and advice about them.
pub(super) fn doctor_text(threshold_millis: u64, histories: &[(Event, History)]) -> String {
    if threshold_millis == 0 {
        return "Latency monitoring is disabled. Enable it with \"CONFIG SET latency-monitor-threshold <milliseconds>\".\n"
            .to_owned();
    }
    if histories.is_empty() {
        return format!("Nothing has taken {threshold_millis} ms or longer since the monitor was reset.\n");
    }
    let mut text = "What took long:\n\n".to_owned();
    for (event, history) in histories {
        let spikes = history.samples.len() as u64;
        let average = history.samples.iter().map(|sample| sample.millis).sum::<u64>() / spikes.max(1);
        let (name, worst) = (event.name(), history.longest_millis);
        let advice = match event {
            Event::Command | Event::FastCommand => "SLOWLOG GET shows the slow commands.",
            Event::ExpireCycle => "Many keys expire at the same moment; spread their times to live.",
        };
        text.push_str(&format!(
            "- {name}: {spikes} latency spikes (average {average}ms). Worst all time event {worst}ms. {advice}\n"
        ));
    }
    text
}

/// A column per sample, the latest on the right, each under it how long ago it was.
pub(super) fn graph_text(name: &str, history: &History, wall_seconds: i64) -> String {
    let skipped = history.samples.len().saturating_sub(GRAPH_COLUMNS);
    let samples: Vec<_> = history.samples.iter().skip(skipped).collect();
    let high = samples.iter().map(|sample| sample.millis).max().unwrap_or(0);
    let low = samples.iter().map(|sample| sample.millis).min().unwrap_or(0);
    let longest = history.longest_millis;
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {longest} ms)\n");
    text.push_str(&"-".repeat(GRAPH_COLUMNS));
    text.push('\n');
    let steps = GRAPH_ROWS * GRAPH_MARKS.len() as u64;
    for row in (0..GRAPH_ROWS).rev() {
        for sample in &samples {
            let height = (sample.millis - low) * (steps - 1) / (high - low).max(1);
            text.push(mark(height, row));
        }
        text.push('\n');
    }
    text.push('\n');
    let ages: Vec<String> = samples.iter().map(|sample| age(wall_seconds - sample.wall_seconds)).collect();
    for line in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        text.extend(ages.iter().map(|age| age.chars().nth(line).unwrap_or(' ')));
        text.push('\n');
    }
    text
}

/// The character in this row of a column that is so many steps high.
fn mark(height: u64, row: u64) -> char {
    let marks = GRAPH_MARKS.len() as u64;
    match height.checked_sub(row * marks) {
        None => ' ',
        Some(steps) if steps < marks => GRAPH_MARKS[steps as usize],
        Some(_) => '|',
    }
}

/// A time in its largest whole unit.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::latency::Sample;

    #[test]
    fn a_graph_has_a_column_per_sample() {
        let sample = |wall_seconds, millis| Sample { wall_seconds, millis };
        let history =
            History { samples: [sample(10, 5), sample(90, 16), sample(100, 10)].into(), longest_millis: 20 };
        let line = "-".repeat(80);
        let expected = format!(
            "command - high 16 ms, low 5 ms (all time high 20 ms)\n{line}\n # \n | \n ||\n_||\n\n115\nm0s\n s \n"
        );
        let shown = graph_text("command", &history, 105);
        assert_eq!(shown.lines().count(), expected.lines().count(), "{shown}");
        assert!(shown.contains("\n # \n"), "{shown}");
        assert!(shown.ends_with("\n115\nm5s\n s \n"), "{shown}");
    }
}

//! `quartet bench`: loads a server and reports how quickly it answers.
//!
//! It drives any server that speaks RESP, NATS' protocol or the calls of Quartet's HTTP listener.  A *workload* is a row of a table; it
//! makes a *plan* for a server, whose *traffic* is what the connections of a thread say and hear.  Traffic, pace and templates know neither
//! sockets nor clocks; the *worker* is the event loop that has both.

mod answers;
mod command_line;
mod comparison;
mod connection;
mod exchange;
mod keys;
mod line;
mod message;
mod operation;
mod options;
mod pacing;
mod page;
mod plan;
mod processor;
mod report;
mod run;
mod singles;
mod tally;
mod target;
mod template;
mod timer;
mod traffic;
mod worker;
mod workload;

pub use page::markdown;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use crate::descriptors;
use crate::standard_output::print;

use command_line::{Asked, Order};
use comparison::{Compared, Comparison};
use report::{Figures, grouped};
use run::Progress;

/// The program's subcommand.
pub const WORD: &str = "bench";

/// Does what the arguments behind `quartet bench` ask for, and prints the figures.  False if the server has answered errors.
///
/// # Errors
/// If it cannot be done.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<bool, String> {
    let (text, is_clean) = perform(arguments)?;
    print(&text).map(|()| is_clean)
}

/// The same, but returns the text.
///
/// # Errors
/// If it cannot be done.
pub fn perform(arguments: impl IntoIterator<Item = OsString>) -> Result<(String, bool), String> {
    let order = match command_line::read(arguments)? {
        Asked::Help(text) => return Ok((text, true)),
        Asked::Load(order) => order,
    };
    descriptors::raise();
    match order.rounds {
        Some(rounds) => compare(&order, rounds),
        None => single(&order),
    }
}

fn single(order: &Order) -> Result<(String, bool), String> {
    let (figures, words) = turn(order, 0)?;
    let server = order.targets[0].place();
    let text = if order.is_json {
        let mut json = serde_json::json!({ "workload": order.workload.name, "server": server });
        json["figures"] = serde_json::to_value(&figures).map_err(|error| error.to_string())?;
        format!("{json}\n")
    } else {
        figures.table(order.workload, &server, words)
    };
    Ok((text, figures.errors == 0))
}

fn compare(order: &Order, rounds: usize) -> Result<(String, bool), String> {
    let start =
        |target: &target::Target| Compared { name: target.name.clone(), words: None, rounds: Vec::new() };
    let mut compared: Vec<Compared> = order.targets.iter().map(start).collect();
    for round in 0..rounds {
        // Now from the first and now from the last: what comes behind another is not always the same.
        let mut turns: Vec<usize> = (0..compared.len()).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for index in turns {
            let (figures, words) = turn(order, index)?;
            let server = &mut compared[index];
            server.words = words;
            server.rounds.push(figures);
        }
    }
    let comparison = Comparison::of(order.workload, compared);
    let text = if order.is_json {
        serde_json::to_string(&comparison).map_err(|error| error.to_string())? + "\n"
    } else {
        comparison.table(order.workload)
    };
    Ok((text, !comparison.has_errors()))
}

/// One run with one server: its figures, and the words that it was asked with.
fn turn(order: &Order, index: usize) -> Result<(Figures, Option<&'static str>), String> {
    let target = &order.targets[index];
    let plan = (order.workload.plan)(&order.options, target)?;
    let is_told = order.tells_progress || std::io::stderr().is_terminal();
    let unit = order.workload.unit.1;
    let mut tell = |progress: Progress| {
        if is_told {
            let rate = (progress.new as f64 / progress.seconds).round() as u64;
            let line = format!(
                "{}: {} {unit}, {} a second\n",
                target.name,
                grouped(progress.operations),
                grouped(rate)
            );
            // Nobody may be listening, which changes nothing.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    };
    let outcome = run::run(target, plan.as_ref(), order.terms, &mut tell)?;
    Ok((Figures::of(&outcome), plan.words()))
}

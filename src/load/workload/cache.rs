//! GET, SET, both, and any other command over RESP.

use super::super::answers::RespAnswers;
use super::super::operation::{Mix, Step};
use super::super::options::Options;
use super::super::plan::Plan;
use super::super::target::Target;
use super::exchanges::Exchanges;

type Commands = Exchanges<RespAnswers>;

const GET: &[&str] = &["GET", "__key__"];
const SET: &[&str] = &["SET", "__key__", "__data__"];

fn once(options: &Options, words: &[impl AsRef<str>]) -> Result<Vec<Step>, String> {
    Ok(vec![Step::timed(options.style()?.command(words))])
}

fn filled(options: &Options, plan: Commands) -> Result<Box<dyn Plan>, String> {
    if options.has("no-fill") {
        return Ok(Box::new(plan));
    }
    Ok(Box::new(plan.filled_by(Mix::one(once(options, SET)?), true)))
}

/// Reads.
pub(super) fn get(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    filled(options, Commands::new(options, Mix::one(once(options, GET)?))?)
}

/// Writes.
pub(super) fn set(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    Ok(Box::new(Commands::new(options, Mix::one(once(options, SET)?))?))
}

/// Reads and writes.
pub(super) fn mix(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    let reads = options.number("reads", 0..=100)? as u32;
    filled(options, Commands::new(options, Mix::two(reads, once(options, GET)?, once(options, SET)?))?)
}

/// Any command.
pub(super) fn command(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    Ok(Box::new(Commands::new(options, Mix::one(once(options, &options.words)?))?))
}

//! Rewrites golden replies from the servers that have them, under `QUARTET_UPDATE_GOLDEN=1`.
//!
//! Redis is asked first and Valkey where Redis is too old or known to differ; what neither has, or where both differ,
//! stays as it was written, and where nothing was written yet is what Quartet answers, to be checked by eye.  Golden lines that leave open what varies stay as long as they match.

use super::peer::{PeerServer, nats_target};
use crate::support::peers::nats_server;
use crate::transcripts::format::{Peer, Step, Transcript};
use crate::transcripts::in_process::InProcessTarget;
use crate::transcripts::runner::{Way, is_excused, is_known, outcome_lines, outcome_matches, play};
use crate::transcripts::target::Target;
use crate::transcripts::{directory, load, load_frames, load_streams};

#[test]
fn golden_replies_are_rewritten_on_request() {
    if std::env::var("QUARTET_UPDATE_GOLDEN").is_ok_and(|value| value == "1") {
        let peers = [Peer::Redis, Peer::Valkey].map(|peer| (peer, PeerServer::start(peer)));
        for (peer, server) in &peers {
            let Some(server) = server else { continue };
            load().iter().for_each(|transcript| rewrite(transcript, *peer, server.target()));
        }
        load().iter().for_each(fill_in);
        let Some(program) = nats_server() else { return };
        for transcript in load_frames().into_iter().chain(load_streams()) {
            rewrite(&transcript, Peer::Nats, nats_target(&program, &transcript));
        }
    }
}

fn rewrite(transcript: &Transcript, peer: Peer, mut target: Target) {
    let known = transcript.since.as_ref().is_none_or(|since| peer.knows(since));
    let concerned = transcript.steps.iter().any(|step| answers_for(transcript, step, peer));
    if !known || !concerned || target.refuses(transcript).is_some() {
        return;
    }
    let outcomes = play(&with_promises(transcript), &mut target, Way::CommandPerWrite, Some(peer));
    let mut replacements = Vec::new();
    for (index, (step, outcome)) in transcript.steps.iter().zip(outcomes).enumerate() {
        let Some(outcome) = outcome else { continue };
        if answers_for(transcript, step, peer) && !outcome_matches(step, &outcome, Some(peer)) {
            replacements.push((index, outcome_lines(step, &outcome)));
        }
    }
    let path = directory().join(format!("{}.txt", transcript.name));
    std::fs::write(path, transcript.with_golden(&replacements)).expect("the transcript is writable");
}

/// Writes what Quartet answers where no reply is written.
fn fill_in(transcript: &Transcript) {
    // Also the passing of time can make somebody receive something.
    let is_open = |step: &Step| step.golden.is_empty();
    if !transcript.steps.iter().any(is_open) {
        return;
    }
    let mut target = Target::InProcess(InProcessTarget::new());
    let outcomes = play(&with_promises(transcript), &mut target, Way::CommandPerWrite, None);
    let played = transcript.steps.iter().zip(outcomes).enumerate().filter(|(_, (step, _))| is_open(step));
    let replacements: Vec<_> = played
        .filter_map(|(index, (step, outcome))| Some((index, outcome_lines(step, &outcome?))))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    let path = directory().join(format!("{}.txt", transcript.name));
    std::fs::write(path, transcript.with_golden(&replacements)).expect("the transcript is writable");
}

/// The transcript with one reply promised where none was written yet, so that it is awaited.
fn with_promises(transcript: &Transcript) -> Transcript {
    let mut promising = transcript.clone();
    for step in promising.steps.iter_mut().filter(|step| !step.arguments.is_empty() && step.golden.is_empty())
    {
        step.golden.push("(not known yet)".to_owned());
    }
    promising
}

/// Whether this peer's answer is the golden one.
fn answers_for(transcript: &Transcript, step: &Step, peer: Peer) -> bool {
    let file = transcript.since.as_ref();
    let has = |peer: Peer| {
        file.is_none_or(|since| peer.knows(since))
            && is_known(step, Some(peer))
            && !is_excused(step, Some(peer))
    };
    has(peer) && (peer != Peer::Valkey || !has(Peer::Redis))
}

//! Comparison with real servers: a golden reply is one that they give.

mod comparison;
mod golden;
pub(crate) mod grow;
mod payloads;
mod peer;
mod random;
mod streams;
mod uses;

use crate::support::peers::{self, skip};
use crate::transcripts;
use crate::transcripts::format::{Peer, Transcript};
use crate::transcripts::frame_socket::FrameTarget;
use crate::transcripts::runner::{Way, check, check_way};
use peer::{PeerServer, nats_target};

#[test]
fn redis_answers_as_the_transcripts_say() {
    compare(Peer::Redis, |transcript| transcript.since.as_ref().is_none_or(|since| Peer::Redis.knows(since)));
}

#[test]
fn valkey_answers_what_redis_lacks() {
    compare(Peer::Valkey, |transcript| {
        let of_file = transcript.since.as_ref();
        let mut news =
            of_file.into_iter().chain(transcript.steps.iter().filter_map(|step| step.since.as_ref()));
        of_file.is_none_or(|since| Peer::Valkey.knows(since))
            && news.any(|since| Peer::Valkey.knows(since) && !Peer::Redis.knows(since))
    });
}

#[test]
fn nats_server_answers_as_the_transcripts_say() {
    let Some(program) = peers::nats_server() else { return };
    let failures = transcripts::play_side_by_side(&transcripts::load_frames(), |transcript| {
        let fresh = || nats_target(&program, transcript);
        match FrameTarget::refuses(transcript) {
            Some(reason) => {
                skip(&format!("{} against nats: it {reason}", transcript.name));
                Vec::new()
            }
            None => check(transcript, fresh, Some(Peer::Nats)),
        }
    });
    assert!(failures.is_empty(), "nats-server answers otherwise:\n{}", failures.join("\n"));
}

#[test]
fn nats_server_keeps_streams_as_the_transcripts_say() {
    let Some(program) = peers::nats_server() else { return };
    let failures = transcripts::play_side_by_side(&transcripts::load_streams(), |transcript| {
        // It answers the requests of one connection side by side, so the next one waits for the answer.
        let ways = [Way::CommandPerWrite, Way::BytePerWrite];
        let play = |way| check_way(transcript, || nats_target(&program, transcript), Some(Peer::Nats), way);
        ways.into_iter().flat_map(play).collect()
    });
    assert!(failures.is_empty(), "nats-server answers otherwise:\n{}", failures.join("\n"));
}

/// Plays the transcripts that concern a peer to it.
fn compare(peer: Peer, concerns: impl Fn(&Transcript) -> bool) {
    let Some(server) = PeerServer::start(peer) else { return };
    let mut failures = Vec::new();
    for transcript in transcripts::load().iter().filter(|transcript| concerns(transcript)) {
        match server.target().refuses(transcript) {
            Some(reason) => skip(&format!("{} against {}: it {reason}", transcript.name, peer.name())),
            None => failures.extend(check(transcript, || server.target(), Some(peer))),
        }
    }
    assert!(failures.is_empty(), "{} answers otherwise:\n{}", peer.name(), failures.join("\n"));
}

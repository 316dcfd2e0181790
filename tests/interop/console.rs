//! The console, visited by a browser.

use std::net::SocketAddr;
use std::process::Command;

use super::program;
use crate::support::held_port::HeldPort;
use crate::support::peers;
use crate::support::process::Server;
use crate::support::program::Running;

/// What the visitor does, each job after the others.
const JOBS: [&str; 25] = [
    "the_figures_come_back_after_a_restart",
    "every_view_shows_what_there_is",
    "names_that_are_markup_stay_text",
    "a_key_is_changed_and_deleted",
    "names_and_values_may_be_anything",
    "every_key_is_seen_page_by_page",
    "what_others_have_changed_is_not_written_over",
    "the_focus_outlives_what_changes",
    "a_check_is_tried",
    "a_policy_is_made_changed_and_removed",
    "a_policy_that_was_removed_can_be_saved_again",
    "a_stream_is_made_purged_and_deleted",
    "a_lock_is_released_by_force",
    "a_command_is_completed_and_run",
    "texts_and_graphs_are_exact",
    "a_message_is_published",
    "a_subject_is_listened_to",
    "a_flood_of_messages_leaves_the_page_usable",
    "figures_come_only_while_somebody_sees_them",
    "the_keyboard_is_enough",
    "a_phone_is_wide_enough",
    "an_audit_finds_no_barrier",
    "a_proxy_may_serve_it_below_a_path",
    "a_password_is_asked_for",
    "more_tabs_than_a_browser_has_connections",
];

/// What the program says when the third server is to be stopped, and when it is to be started again.
const RESTART: [&str; 2] = ["stop", "start"];

fn origin(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[test]
fn chromium_and_axe() {
    let (Some(chromium), Some(node)) = (peers::peer("chromium"), peers::node("axe-core")) else { return };
    let open = Server::quartet(&["--http-port", "0", "--broker-port", "0"]);
    let locked = Server::quartet(&["--http-port", "0", "--requirepass", "sesame"]);
    let port = HeldPort::take();
    let at_the_port = ["--http-port", &port.number().to_string()];
    let restarted = Server::quartet(&at_the_port);
    let mut command = Command::new(node);
    command.arg(program("node/console.js")).arg(chromium).arg(origin(open.http_address()));
    command.arg(open.broker_address().to_string());
    command.args([origin(locked.http_address()), origin(port.address())]);
    let mut visitor = Running::start(command);
    visitor.wait_for_line(RESTART[0]);
    drop(restarted);
    visitor.wait_for_line(RESTART[1]);
    let again = Server::quartet(&at_the_port);
    let ended = visitor.end().success();
    let lines: Vec<_> = ended.stdout.lines().filter(|line| !RESTART.contains(line)).collect();
    assert_eq!(lines, JOBS);
    drop(again);
}

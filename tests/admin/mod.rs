//! The descriptions of commands: the page of documentation is current, and Redis describes them alike.

mod command_table;
mod constant_figures;
mod figures;
mod metadata;
mod script_figures;
mod secrets;
mod stream_figures;

use quartet::admin::command_page::markdown;
use quartet::catalog::command_table;

#[test]
fn the_commands_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
    let current = markdown(&command_table());
    if std::env::var_os("QUARTET_UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &current).expect("the repository can be written");
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == current, "docs/commands.md is stale: run with QUARTET_UPDATE_GOLDEN=1");
}

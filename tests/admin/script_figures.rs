//! The figures of scripts and functions: what moves them.

use super::figures::Step;

/// A script is brought.
pub(super) const SCRIPT: Step = (
    "a script is brought",
    |stage| {
        stage.lines(&["SCRIPT LOAD return"]);
    },
    &[
        "quartet_scripts",
        "quartet_scripts_memory_bytes",
        "quartet_lua_memory_bytes",
        "number_of_cached_scripts",
        "used_memory_scripts_eval",
        "used_memory_scripts",
        "used_memory_scripts_human",
        "used_memory_lua",
        "used_memory_lua_human",
        "used_memory_vm_eval",
        "used_memory_vm_total",
        "used_memory_vm_total_human",
    ],
);

/// A library of functions is brought.
pub(super) const LIBRARY: Step = (
    "a library of functions is brought",
    |stage| {
        let code = "#!lua name=one\nredis.register_function('f', function() end)";
        stage.client.call(&["FUNCTION", "LOAD", code]);
    },
    &[
        "quartet_libraries",
        "quartet_functions",
        "quartet_libraries_memory_bytes",
        "number_of_libraries",
        "number_of_functions",
        "used_memory_functions",
        "scripts_journal_appended_bytes",
        "scripts_journal_synced_bytes",
        "scripts_journal_syncs",
        "scripts_journal_last_sync_usec",
        "quartet_journal_syncs_total{service=\"scripts\"}",
        "quartet_journal_last_sync_seconds{service=\"scripts\"}",
    ],
);

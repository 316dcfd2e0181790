//! Secrets among the arguments of commands are hidden from the slow log and from MONITOR.

use quartet::catalog::command_table;
use quartet::command::{REDACTED, ShownArguments};
use quartet_protocol::resp::OwnedArguments;

#[test]
fn secrets_are_hidden_by_their_place() {
    let table = command_table();
    for (request, expected) in [
        ("AUTH pw", "AUTH _"),
        ("AUTH default pw", "AUTH _ _"),
        ("AUTH a b c", "AUTH _ _ _"),
        ("HELLO", "HELLO"),
        ("HELLO 3", "HELLO 3"),
        ("HELLO 3 AUTH default pw", "HELLO 3 AUTH _ _"),
        ("HELLO 3 auth default pw SETNAME me", "HELLO 3 auth _ _ SETNAME me"),
        ("HELLO 2 SETNAME auth AUTH default pw", "HELLO 2 SETNAME auth AUTH _ _"),
        ("HELLO 2 SETNAME AUTH SETNAME me", "HELLO 2 SETNAME AUTH SETNAME me"),
        ("HELLO 2 AUTH AUTH AUTH AUTH default pw", "HELLO 2 AUTH _ _ AUTH _ _"),
        ("HELLO 2 AUTH default", "HELLO 2 AUTH _"),
        ("HELLO 2 AUHT default pw", "HELLO 2 AUHT _ _"),
        ("HELLO AUTH default pw", "HELLO AUTH _ _"),
        ("HELLO 2 SETNAME", "HELLO 2 SETNAME"),
        ("CONFIG SET requirepass pw", "CONFIG SET requirepass _"),
        ("CONFIG SET maxmemory 1 RequirePass pw", "CONFIG SET maxmemory 1 RequirePass _"),
        ("CONFIG SET requirepass requirepass maxmemory 1", "CONFIG SET requirepass _ maxmemory 1"),
        ("CONFIG SET dir requirepass masterauth pw", "CONFIG SET dir requirepass masterauth _"),
        ("CONFIG SET requirepass", "CONFIG SET requirepass"),
        ("SET auth pw", "SET auth pw"),
    ] {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let owned = OwnedArguments::from_slices(&words);
        let row = table.resolve(words[0], words.get(1).copied()).expect("it is a command");
        let shown: Vec<&[u8]> = ShownArguments::new(row, owned.as_arguments()).into_iter().collect();
        let expected = expected.replace('_', std::str::from_utf8(REDACTED).expect("it is text"));
        assert_eq!(String::from_utf8_lossy(&shown.join(&b' ')), expected, "{request}");
    }
}

#[test]
fn acl_setuser_is_no_command() {
    // Were it one, its row would have to say which arguments are secret.
    assert!(command_table().resolve(b"ACL", Some(b"SETUSER")).is_none());
}

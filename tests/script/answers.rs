//! What scripts return, as replies.

use super::Scripts;

#[test]
fn a_table_that_stands_for_a_status_is_not_walked() {
    let mut scripts = Scripts::start(&["--script-time-limit", "5"]);
    let script = "local t = {} for i = 1, 100000 do t[i] = 0 end t.ok = 'x' \
                  local row = {} for i = 1, 20000 do row[i] = t end return row";
    let reply = scripts.eval(script);
    assert_eq!(reply, format!("[{}]", vec!["x"; 20_000].join(", ")));
}

#[test]
fn what_a_table_keeps_weakly_stays_while_it_is_written() {
    let mut scripts = Scripts::start(&[]);
    for (kind, mode, most) in [("map", "v", 6000), ("set", "k", 3000)] {
        let key = if kind == "map" { "'k' .. i" } else { "{ok = 'a' .. i}" };
        let script = format!(
            "collectgarbage() local kept = {{}} for i = 1, 3000 do kept[{key}] = {{ok = 'a' .. i}} end \
             local reply = {{{kind} = setmetatable(kept, {{__mode = '{mode}'}})}} \
             local filling = {{}} for i = 1, 2^20 + 1 do filling[i] = 0 end return reply"
        );
        let reply = scripts.eval(&script);
        // The collector may have been there before the script has ended; then all that is left comes.
        assert!(!reply.contains("error") && reply.matches(", ").count() < most, "{kind}");
        assert_eq!(scripts.client.ask("PING"), "PONG", "{kind}");
    }
}

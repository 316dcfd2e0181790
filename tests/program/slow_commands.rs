//! A quick command that took long is seen each time, although quick commands are timed by samples.

use crate::support::client::{Client, request, text};
use crate::support::process::Server;

/// So many keys take a command longer than the threshold on any machine.
const KEYS: usize = 50_000;
const THRESHOLD_MICROS: &str = "1000";

/// How often each command runs: if samples alone were timed, most of them would be missed.
const REPEATS: usize = 10;

#[test]
fn are_all_in_the_slow_log() {
    let server = Server::quartet(&["--slowlog-log-slower-than", THRESHOLD_MICROS]);
    let mut client = Client::connect(server.address());
    // Commands on a single key do not enter the slow log, and do not move the samples.
    for name in ["EXISTS", "TOUCH", "UNLINK", "MGET"] {
        assert_ne!(client.ask(&format!("{name} key")), "");
    }
    assert_eq!(client.ask("CONFIG RESETSTAT"), "OK");
    client.ask("SLOWLOG RESET");
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key:{number}")).collect();
    for name in ["EXISTS", "TOUCH", "UNLINK", "MGET"] {
        let long: Vec<&str> = [name].into_iter().chain(keys.iter().map(String::as_str)).collect();
        let long = request(&long);
        for _ in 0..REPEATS {
            client.write(&long);
            assert!(client.read_text().is_some());
        }
        assert_eq!(client.ask("SLOWLOG LEN"), REPEATS.to_string(), "{name}");
        assert_eq!(client.ask("SLOWLOG RESET"), "OK");
        // Each of them is in the sum as it was measured.
        let statistics = text(&client.call(&["INFO", "commandstats"]));
        let field = |field: &str| -> u64 {
            let line = format!("cmdstat_{}:", name.to_lowercase());
            let line = statistics.split(line.as_str()).nth(1).expect("the command ran");
            let value = line.split(field).nth(1).expect("the field is there");
            value.split([',', '.', '\r']).next().and_then(|digits| digits.parse().ok()).expect("a number")
        };
        assert_eq!(field("calls="), REPEATS as u64);
        assert!(field("usec=") >= 1000 * REPEATS as u64, "{statistics}");
    }
}

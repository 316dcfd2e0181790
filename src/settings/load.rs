//! The settings with which the server starts: defaults, then the file, the environment and the flags.
//!
//! An unknown setting or an invalid value stops the start, with a line that names the source, the setting, the value and
//! the valid values.

use std::ffi::OsString;
use std::path::Path;

use super::kind::SettingKind;
use super::source::{Given, Source, Stop, invalid, is_of_a_cluster, quoted, text};
use super::suggest::did_you_mean;
use super::table::{ENVIRONMENT_PREFIX, SETTINGS, Setting, Settings};
use super::{command_line, file};

/// Variables with our prefix that the project's own tests read, and that their servers inherit.
const TEST_VARIABLES: &[&str] = &["QUARTET_REQUIRE_PEERS", "QUARTET_UPDATE_GOLDEN"];

/// The settings of all sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// A line for each environment variable that was ignored, since it may not be meant for the server, and for settings
    /// that do less than they seem to.
    pub warnings: Vec<String>,
}

/// Reads the settings of this process.
///
/// # Errors
/// As [`load`].
pub fn of_process() -> Result<Loaded, Stop> {
    load(std::env::args_os().skip(1), std::env::vars_os())
}

/// Reads the settings from the arguments (without the program's name), the environment, and the file that they name.
///
/// # Errors
/// If help or the version was asked for, or a source is not valid.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Loaded, Stop> {
    let flags = command_line::read(arguments)?;
    let mut warnings = Vec::new();
    let variables = read_environment(environment, &mut warnings)?;
    let mut settings = Settings::default();
    let config = named(&flags, "config").or_else(|| named(&variables, "config")).unwrap_or_default();
    if !config.is_empty() {
        apply(&mut settings, file::read(Path::new(config))?)?;
    }
    apply(&mut settings, variables)?;
    apply(&mut settings, flags)?;
    if settings.port.is_none() && settings.broker_port.is_none() && settings.http_port.is_empty() {
        let reason = "port, broker-port and http-port are all off, so nothing would be served: open one of them with \
                      --port, --broker-port or --http-port";
        return Err(Stop::Invalid(reason.to_owned()));
    }
    if !settings.users.is_empty() && !settings.has_password() {
        let warning = "users protect the broker's port only while requirepass is not set: RESP and HTTP ask for no password";
        warnings.push(warning.to_owned());
    }
    Ok(Loaded { settings, warnings })
}

/// The value of a setting in a source.
fn named<'given>(given: &'given [Given], name: &str) -> Option<&'given str> {
    given.iter().find(|given| given.row.name == name).map(|given| given.value.as_str())
}

fn apply(settings: &mut Settings, given: Vec<Given>) -> Result<(), Stop> {
    for Given { source, row, value } in given {
        if let Err(reason) = row.assign(settings, &value) {
            return Err(refused(&source, row, &value, &reason));
        }
    }
    Ok(())
}

fn refused(source: &Source, row: &Setting, value: &str, reason: &str) -> Stop {
    let name = if source.names_the_setting() { String::new() } else { format!("{}: ", row.name) };
    let quoted = if row.is_secret() { "the value".to_owned() } else { quoted(value) };
    let (allowed, suggestion) = (row.kind.allowed(), row.kind.did_you_mean(value));
    // The valid values do not tell why a name has no address, or what is wrong with a user.
    let is_told = matches!(row.kind, SettingKind::Addresses | SettingKind::Users);
    let reason = if is_told { format!(" ({reason})") } else { String::new() };
    invalid(source, &format!("{name}{quoted} is not valid{reason}; allowed is {allowed}{suggestion}"))
}

/// Reads the variables with our prefix.  Shells, images and clusters set variables without knowing the server.  So a
/// variable is ignored with a warning if it is no setting, or if it is empty or set by a cluster and that is no valid
/// value.
fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Given>, Stop> {
    let mut given = Vec::new();
    for (name, value) in environment {
        let name = name.to_string_lossy().into_owned();
        if !name.starts_with(ENVIRONMENT_PREFIX) || TEST_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let row = SETTINGS.iter().find(|row| row.environment_variable() == name);
        let source = Source::Variable(name);
        let reason = match row {
            None => unknown_variable(&source, &value.to_string_lossy()),
            Some(row) => {
                let value = text(&source, value)?;
                let is_stray = value.is_empty() || is_of_a_cluster(&value);
                if !is_stray || row.assign(&mut Settings::default(), &value).is_ok() {
                    given.push(Given { value, source, row });
                    continue;
                }
                let what = if value.is_empty() { "is empty" } else { "is the address of a service" };
                format!("{what}, so it is ignored{}", source.hint(&value))
            }
        };
        warnings.push(format!("{source}: {}", reason.replace(['\r', '\n'], " ")));
    }
    Ok(given)
}

fn unknown_variable(source: &Source, value: &str) -> String {
    let Source::Variable(variable) = source else { unreachable!("only variables are unknown variables") };
    let names: Vec<String> = SETTINGS.iter().map(Setting::environment_variable).collect();
    let suggestion = did_you_mean(variable, names.iter().map(String::as_str));
    format!("is no setting, so it is ignored{suggestion}{}", source.hint(value))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::settings::{EvictionPolicy, LogFormat};

    fn try_load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, Stop> {
        load_all(arguments, environment).map(|loaded| loaded.settings)
    }

    fn load_all(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Stop> {
        load(
            arguments.iter().map(OsString::from),
            environment.iter().map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[track_caller]
    fn check_warned(name: &str, value: &str, expected: &str) {
        let loaded = load_all(&[], &[(name, value)]).expect("a stray variable stops nothing");
        assert_eq!(loaded.settings, Settings::default());
        assert_eq!(loaded.warnings, [format!("environment variable {name}: {expected}")]);
    }

    #[track_caller]
    fn check_refused(arguments: &[&str], environment: &[(&str, &str)], expected: &str) {
        assert_eq!(try_load(arguments, environment), Err(Stop::Invalid(expected.to_owned())));
    }

    #[test]
    fn without_sources_the_defaults_hold() {
        assert_eq!(try_load(&[], &[("HOME", "/"), ("QUARTET_REQUIRE_PEERS", "1")]), Ok(Settings::default()));
    }

    #[test]
    fn every_setting_is_a_flag_and_a_variable() {
        for row in SETTINGS.iter().filter(|row| row.name != "config") {
            let flag = format!("--{}={}", row.name, row.default);
            let variable = row.environment_variable();
            assert_eq!(
                try_load(&[&flag], &[(&variable, row.default)]),
                Ok(Settings::default()),
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn a_later_source_takes_precedence() {
        let name = format!("quartet-settings-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = path.display().to_string();
        std::fs::write(&path, "timeout = 1\nmaxclients = 1\ndatabases = 1\nlog-format = 'json'\n")
            .expect("a file in the directory for temporary files");
        let environment = [("QUARTET_TIMEOUT", "2"), ("QUARTET_MAXCLIENTS", "2"), ("QUARTET_CONFIG", &text)];
        let settings = try_load(&["--timeout", "3"], &environment).expect("all three are valid");
        let without_file = try_load(&["--config", ""], &environment).expect("both are valid");
        std::fs::remove_file(&path).expect("the file is there");
        assert_eq!((settings.timeout, settings.maxclients, settings.databases), (3, 2, 1));
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!((without_file.timeout, without_file.databases), (2, 16));
    }

    #[test]
    fn flags_are_written_as_in_redis() {
        let settings = try_load(
            &[
                "--bind",
                "127.0.0.1",
                "::1",
                "--http-port",
                "8080",
                "8081",
                "--port=off",
                "--save",
                "",
                "--appendonly",
                "no",
                "--slowlog-log-slower-than",
                "-1",
                "--requirepass=--odd",
                "--dir",
                "",
                "--maxmemory",
                "100MB",
                "--maxmemory-policy",
                "allkeys-lru",
                "--client-output-buffer-limit",
                "normal",
                "1mb",
                "0",
                "0",
            ],
            &[("QUARTET_THREADS", "3"), ("QUARTET_HTTP_PORT", "1,2")],
        )
        .expect("each is valid");
        assert_eq!(settings.bind.len(), 2);
        assert_eq!(settings.http_port, [8080, 8081]);
        assert_eq!(settings.port, None);
        assert_eq!(settings.slowlog_log_slower_than, -1);
        assert_eq!(settings.requirepass, "--odd");
        assert_eq!(settings.dir, None);
        assert_eq!(settings.maxmemory, 100 << 20);
        assert_eq!(settings.maxmemory_policy, EvictionPolicy::AllkeysLru);
        assert_eq!(settings.client_output_buffer_limit.normal.hard, 1 << 20);
        assert_eq!(settings.client_output_buffer_limit.pubsub.soft_seconds, 60);
        assert_eq!(settings.threads, 3);
    }

    #[test]
    fn an_invalid_source_stops_the_start_with_one_line() {
        check_refused(
            &["--prot", "1"],
            &[],
            "command line: --prot is no setting; did you mean --port?; --help lists them all",
        );
        check_refused(
            &["--timeout", "x"],
            &[],
            "flag --timeout: 'x' is not valid; allowed is an integer from 0 to 2147483647",
        );
        check_refused(
            &["--timeout", "--port", "2"],
            &[],
            "command line: a value is required for '--timeout <NUMBER>' but none was supplied",
        );
        check_refused(
            &["--timeout", "1", "--timeout", "2"],
            &[],
            "command line: the argument '--timeout <NUMBER>' cannot be used multiple times",
        );
        check_refused(
            &["quartet.conf"],
            &[],
            "command line: 'quartet.conf' is no flag; a setting is --name value, a file of settings --config FILE",
        );
        check_refused(
            &["--services", "cache"],
            &[],
            "command line: --services is no setting; --help lists them all",
        );
        check_refused(
            &["--log-level", "inf\no"],
            &[],
            "flag --log-level: 'inf\\no' is not valid; allowed is one of trace, debug, info, warn, error; \
             did you mean info?",
        );
        check_refused(
            &["--appendonly", "yes"],
            &[],
            "flag --appendonly: 'yes' is not valid; allowed is only \"no\", because keeping the data on disk is \
             not built yet",
        );
        check_refused(
            &["--port", "off", "--broker-port", "off", "--http-port", "off"],
            &[],
            "port, broker-port and http-port are all off, so nothing would be served: open one of them with --port, \
             --broker-port or --http-port",
        );
        check_refused(
            &["--config", "/no/such/file"],
            &[],
            "file /no/such/file: cannot be read: No such file or directory (os error 2)",
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = "sesame".repeat(100);
        let line = "flag --requirepass: the value is not valid; allowed is text of at most 512 bytes";
        check_refused(&["--requirepass", &secret], &[], line);
    }

    #[test]
    fn users_may_be_given_by_every_source() {
        let users = "[{ name = 'ann', password = 'sesame' }]";
        let loaded = load_all(&["--users", users], &[]).expect("they are valid");
        assert_eq!((loaded.settings.users.len(), loaded.warnings.len()), (1, 1), "{:?}", loaded.warnings);
        assert!(loaded.warnings[0].contains("requirepass is not set"), "{:?}", loaded.warnings);
        let variables = [("QUARTET_USERS", users), ("QUARTET_REQUIREPASS", "x")];
        let loaded = load_all(&[], &variables).expect("they are valid");
        assert_eq!((loaded.settings.users.len(), loaded.warnings), (1, Vec::new()));
        let Err(Stop::Invalid(line)) = try_load(&["--users", "[{ password = 'sesame' }]"], &[]) else {
            panic!("a user needs a name")
        };
        let expected =
            "flag --users: the value is not valid (a user has no name: give it one with name = \"...\")";
        assert!(line.starts_with(expected) && !line.contains("sesame"), "{line}");
    }

    #[test]
    fn stray_variables_are_ignored_with_a_warning() {
        let hint = " (Kubernetes makes such a variable for a service named quartet: set enableServiceLinks: false, or \
                    rename the service)";
        check_warned("QUARTET_VERSION", "1.2", "is no setting, so it is ignored");
        check_warned("QUARTET_PROT", "1", "is no setting, so it is ignored; did you mean QUARTET_PORT?");
        check_warned("QUARTET_MAXMEMORY", "", "is empty, so it is ignored");
        check_warned("QUARTET_BIND", "", "is empty, so it is ignored");
        let service = "tcp://10.0.0.1:6379";
        check_warned(
            "QUARTET_PORT",
            service,
            &format!("is the address of a service, so it is ignored{hint}"),
        );
        check_warned(
            "QUARTET_HTTP_PORT",
            service,
            &format!("is the address of a service, so it is ignored{hint}"),
        );
        check_warned("QUARTET_SERVICE_HOST", "10.0.0.1", &format!("is no setting, so it is ignored{hint}"));
    }

    #[test]
    fn an_empty_variable_is_a_value_if_the_setting_may_be_empty() {
        let loaded =
            load_all(&[], &[("QUARTET_DIR", ""), ("QUARTET_REQUIREPASS", "")]).expect("both are valid");
        assert_eq!((loaded.settings.dir, loaded.warnings), (None, Vec::new()));
    }

    #[test]
    fn names_of_this_machine_are_addresses() {
        let settings = try_load(&["--bind", "localhost"], &[]).expect("every machine has that name");
        assert!(!settings.bind.is_empty() && settings.bind.iter().all(IpAddr::is_loopback));
        let both =
            try_load(&["--bind", "127.0.0.1 [::1] 127.0.0.1 localhost ::1"], &[]).expect("all are of here");
        assert_eq!(both.bind, [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]);
        for name in ["no such name", "name.invalid", "[127.0.0.1]"] {
            let Err(Stop::Invalid(line)) = try_load(&["--bind", name], &[]) else {
                panic!("{name} is refused")
            };
            assert!(line.contains("is not valid (") && line.contains("names of this machine"), "{line}");
        }
    }
}

//! Files for other programs, checked by those programs or by their schemas.

use std::fs;
use std::path::Path;
use std::process::Command;

use quartet::settings::SETTINGS;

use super::{path, read};
use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::{Ended, run};

/// Files that set variables of the server.
const WITH_SETTINGS: &[&str] =
    &["Dockerfile", "compose.yaml", "deploy/kubernetes/quartet.yaml", "deploy/systemd/quartet.service"];

/// Variables with our prefix that are no settings: of the build, and of compose.yaml itself.
const OTHER_VARIABLES: &[&str] = &["QUARTET_COMMIT", "QUARTET_PASSWORD"];

/// Worse exposure than this, in tenths, fails the unit.
const EXPOSURE_MAX: &str = "20";

fn run_on(program: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command)
}

/// The path of a file of the repository as an argument.
fn argument(name: &str) -> String {
    path(name).to_str().expect("the path is text").to_owned()
}

#[test]
fn variables_of_the_server_are_settings() {
    for name in WITH_SETTINGS {
        let text = read(name);
        let variables = text.match_indices("QUARTET_").map(|(at, _)| {
            let rest = &text[at..];
            let end = rest.find(|byte: char| !(byte.is_ascii_uppercase() || byte == '_'));
            &rest[..end.unwrap_or(rest.len())]
        });
        for variable in variables.filter(|variable| !OTHER_VARIABLES.contains(variable)) {
            let is_setting = SETTINGS.iter().any(|row| row.environment_variable() == variable);
            // A comment tells of a variable that Kubernetes would set.
            assert!(is_setting, "{name}: {variable} is no setting");
        }
    }
}

#[test]
fn the_image_is_made_by_good_habits() {
    let Some(hadolint) = peers::tool("hadolint") else { return };
    let ended = run_on(&hadolint, &[&argument("Dockerfile")]).success();
    assert_eq!(ended.stdout, "");
}

#[test]
fn every_source_of_the_image_is_in_its_context() {
    // What .dockerignore does not let in cannot be copied.
    let ignored = read(".dockerignore");
    let copied = read("Dockerfile");
    for line in copied.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let (_, sources) = words.split_last().expect("COPY names a target");
        for source in sources {
            assert!(ignored.lines().any(|line| line == format!("!{source}")), "{source} is ignored");
            assert!(path(source).exists(), "{source} is missing");
        }
    }
}

#[test]
fn compose_yaml_follows_the_specification() {
    let Some(python) = peers::python(&["compose_spec"]) else { return };
    let check = "import sys, compose_spec
compose_spec.PyCompose.from_yaml(open(sys.argv[1]).read()).validate()";
    run_on(&python, &["-c", check, &argument("compose.yaml")]).success();
}

#[test]
fn ports_are_published_on_this_machine_only() {
    let text = read("compose.yaml");
    let published: Vec<&str> =
        text.lines().map(str::trim).filter(|line| line.starts_with("- \"") && line.contains(':')).collect();
    assert!(published.len() >= 7, "{published:?}");
    for line in published {
        assert!(line.starts_with("- \"127.0.0.1:"), "{line}");
    }
}

#[test]
fn the_manifest_follows_the_schemas_of_kubernetes() {
    let Some(validate) = peers::tool("kubernetes-validate") else { return };
    run_on(&validate, &["--strict", &argument("deploy/kubernetes/quartet.yaml")]).success();
}

#[test]
fn the_unit_is_valid_and_hardened() {
    let Some(analyze) = peers::peer("systemd-analyze") else { return };
    let folder = Folder::new();
    let unit = folder.path().join("quartet.service");
    // The program is not installed here, and neither is its manual page.
    let text = read("deploy/systemd/quartet.service")
        .replace("/usr/local/bin/quartet", env!("CARGO_BIN_EXE_quartet"))
        .replace("Documentation=man:quartet(1)\n", "");
    fs::write(&unit, text).expect("the folder was just made");
    let unit = unit.to_str().expect("the path is text");
    let verified = run_on(&analyze, &["verify", unit]).success();
    let ours = verified.stderr.lines().filter(|line| line.contains("quartet.service"));
    assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
    run_on(&analyze, &["security", "--offline=true", &format!("--threshold={EXPOSURE_MAX}"), unit]).success();
}

#[test]
fn prometheus_takes_its_configuration_and_alerts_fire_where_they_should() {
    let Some(promtool) = peers::peer("promtool") else { return };
    let configuration = argument("deploy/prometheus/prometheus.yml");
    run_on(&promtool, &["check", "config", "--syntax-only", &configuration]).success();
    let checked = run_on(&promtool, &["check", "rules", &argument("deploy/prometheus/alerts.yml")]).success();
    let alerts = read("deploy/prometheus/alerts.yml").matches("- alert: ").count();
    assert!(checked.stdout.contains(&format!("{alerts} rules found")), "{}", checked.stdout);
    let tests = read("deploy/prometheus/alerts_test.yml");
    assert!(tests.contains(&format!("value: {alerts}}}")), "alerts_test.yml lacks an alert of {alerts}");
    run_on(&promtool, &["test", "rules", &argument("deploy/prometheus/alerts_test.yml")]).success();
}

#[test]
fn the_dashboards_are_those_that_their_table_makes() {
    let Some(python) = peers::peer("python3") else { return };
    let folder = Folder::new();
    let made = folder.path().to_str().expect("the path is text");
    run_on(&python, &[&argument("deploy/grafana/make.py"), made]).success();
    let kept = fs::read_dir(path("deploy/grafana/dashboards")).expect("the folder is there");
    let mut count = 0;
    for file in kept {
        let file = file.expect("the folder can be read").path();
        let name = file.file_name().expect("it has a name");
        let (made, kept) = (fs::read(folder.path().join(name)), fs::read(&file));
        assert!(made.is_ok_and(|made| kept.is_ok_and(|kept| kept == made)), "{} is stale", file.display());
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn grafanas_schema_knows_everything_in_the_dashboards() {
    let Some(python) = peers::python(&["grafana_foundation_sdk"]) else { return };
    let folder = argument("deploy/grafana/dashboards");
    let ended = run_on(&python, &[&argument("tests/deploy/grafana_schema.py"), &folder]).success();
    assert_eq!(ended.stdout, "6 dashboards\n");
}

//! What the program does besides serving, and what it says of the commit that it was built from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::peers;
use crate::support::process::Folder;
use crate::support::program::{Ended, run};

fn quartet(arguments: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quartet"));
    command.args(arguments);
    run(command)
}

#[test]
fn the_files_of_the_repository_are_what_the_program_prints() {
    for (arguments, path) in [
        (&["man"][..], "deploy/man/quartet.1"),
        (&["completions", "bash"], "deploy/completions/quartet.bash"),
        (&["completions", "zsh"], "deploy/completions/_quartet"),
        (&["completions", "fish"], "deploy/completions/quartet.fish"),
    ] {
        let printed = quartet(arguments).success().stdout;
        let kept = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
        assert!(kept.is_ok_and(|kept| kept == printed), "{path} is stale");
    }
}

#[test]
fn wrong_words_are_told_the_right_ones() {
    for (arguments, expected) in [
        (&["completions"][..], "one argument: bash, zsh, fish"),
        (&["completions", "ksh"], "'ksh' is no shell known here: say bash, zsh, fish"),
        (&["man", "quartet"], "'quartet' was given"),
        (&["heath"], "'heath' is neither a flag nor a subcommand; did you mean health?"),
        (&["serve"], "'serve' is neither a flag nor a subcommand; without a word the server starts"),
        (&["quartet.conf"], "settings are --name value or a file (--config FILE)"),
    ] {
        let refused = quartet(arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{arguments:?}");
        assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    }
}

#[test]
fn help_names_what_else_the_program_does() {
    for flag in ["-h", "--help"] {
        let help = quartet(&[flag]).success().stdout;
        for row in quartet::subcommands::SUBCOMMANDS {
            assert!(help.contains(&format!("\n  quartet {}", row.word)), "{flag} lacks {}", row.word);
        }
    }
    let lines = |flag| quartet(&[flag]).success().stdout.lines().count();
    assert!(lines("-h") * 3 < lines("--help"), "-h is short");
}

/// A folder with the build script, compiled.
struct Build {
    folder: Folder,
    script: PathBuf,
}

impl Build {
    fn new() -> Build {
        let folder = Folder::new();
        let script = folder.path().join("build-script");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "-o"]).arg(&script);
        rustc.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs"));
        run(rustc).success();
        fs::create_dir(folder.path().join("source")).expect("the folder was just made");
        Build { folder, script }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C").arg(self.source()).args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
        git.args(arguments);
        run(git).success().stdout
    }

    /// What the script tells about the commit, in a build with this profile and these variables.
    fn commit(&self, profile: &str, commit: Option<&str>) -> String {
        let mut script = Command::new("sh");
        script.args(["-c", "cd \"$0\" && exec \"$1\""]).arg(self.source()).arg(&self.script);
        script.env("PROFILE", profile).env_remove("QUARTET_COMMIT");
        if let Some(commit) = commit {
            script.env("QUARTET_COMMIT", commit);
        }
        let printed = run(script).success().stdout;
        let told = printed.lines().find_map(|line| line.strip_prefix("cargo::rustc-env=QUARTET_BUILT_FROM="));
        told.expect("the commit is always set").to_owned()
    }
}

#[test]
fn the_commit_comes_from_git_from_an_archive_or_from_the_environment() {
    if peers::peer("git").is_none() {
        return;
    }
    let build = Build::new();
    let placeholder = include_str!("../../commit.txt");
    fs::write(build.source().join("commit.txt"), placeholder).expect("the folder was just made");
    assert_eq!(build.commit("release", None), "", "neither git nor an archive");
    build.git(&["init", "--quiet"]);
    build.git(&["add", "."]);
    build.git(&["commit", "--quiet", "--message", "one"]);
    let commit = build.git(&["rev-parse", "--short=12", "HEAD"]).trim().to_owned();
    assert_eq!(build.commit("release", None), commit);
    assert_eq!(build.commit("debug", None), "", "a debug build is not made anew after each commit");
    assert_eq!(build.commit("release", Some("0123456789abcdef")), "0123456789ab");
    assert_eq!(build.commit("release", Some("$(id)")), commit, "that is no commit");
    fs::write(build.source().join("commit.txt"), "changed\n").expect("the folder is there");
    assert_eq!(build.commit("release", None), format!("{commit} and changes"));
    let long = build.git(&["rev-parse", "HEAD"]);
    fs::write(build.source().join("commit.txt"), long).expect("the folder is there");
    assert_eq!(build.commit("debug", None), commit, "as git archive writes it");
}

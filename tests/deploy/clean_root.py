#!/usr/bin/env python3
"""Runs the steps of the Dockerfile in clean roots, where no container engine is.  As root: clean_root.py FOLDER

Each base is a Debian made with debootstrap.  The `rust` image is one with a C compiler and the compiler of this machine.
Steps run in a chroot with a network.  Then the image is started as an engine would start it: as its user, with a
read-only root and a network of its own, and is asked, stopped and started again.
"""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys

SUITE = "bookworm"
CONTEXT = pathlib.Path(__file__).resolve().parents[2]

# What the `rust` image has beside Debian, and where the compiler of this machine is shown.
RUST_PACKAGES = "ca-certificates,gcc,libc6-dev"
TOOLCHAIN = "/usr/local/toolchain"

# The answer of LOCK.ACQUIRE if somebody has the lock.
NOT_GRANTED = ["$-1"]

# How long the server may take to be healthy and to stop.
PATIENCE_SECONDS = 60


def run(*command, **settings):
    print("+", shlex.join(map(str, command)), flush=True)
    return subprocess.run(list(map(str, command)), check=True, **settings)


def steps(text):
    """The instructions of a Dockerfile with their arguments, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        yield word.upper(), rest.strip()


class Stage:
    """A root with what the image says about it."""

    def __init__(self, folder, base):
        self.root = folder
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.facts = {"USER": "0:0", "WORKDIR": "/"}
        is_rust = base.startswith("rust:")
        if not is_rust and not base.startswith("debian:"):
            sys.exit(f"{base} is no base that this script can make")
        include = [f"--include={RUST_PACKAGES}"] if is_rust else []
        run("debootstrap", "--variant=minbase", *include, SUITE, folder, stdout=subprocess.DEVNULL)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        run("mount", "-t", "proc", "proc", folder / "proc")
        if is_rust:
            sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
            (folder / TOOLCHAIN.lstrip("/")).mkdir(parents=True)
            run("mount", "--bind", "-o", "ro", sysroot, folder / TOOLCHAIN.lstrip("/"))
            self.environment |= {"PATH": f"{TOOLCHAIN}/bin:{self.environment['PATH']}", "CARGO_HOME": "/usr/local/cargo"}
            # Registries as this machine is told to reach them, and what it has of them already.
            home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
            for name in ["registry", "config.toml"]:
                if (home / name).exists():
                    (folder / "usr/local/cargo").mkdir(exist_ok=True)
                    run("cp", "-a", home / name, folder / "usr/local/cargo")
            for name, value in os.environ.items():
                # A quick look may optimise less: CARGO_PROFILE_RELEASE_OPT_LEVEL=0, CARGO_PROFILE_RELEASE_LTO=off.
                is_passed_on = name.lower().endswith("_proxy") or name.startswith("CARGO_PROFILE_")
                if is_passed_on or name in ("SSL_CERT_FILE", "CARGO_HTTP_CAINFO"):
                    self.environment[name] = value

    def inside(self, path):
        place = pathlib.PurePosixPath(self.facts["WORKDIR"], path)
        return self.root / str(place).lstrip("/")

    def copy(self, words, stages):
        origin = CONTEXT
        if words[0].startswith("--from="):
            origin = stages[words.pop(0).removeprefix("--from=")].root
        *sources, target = words
        for source in sources:
            found = origin / source.lstrip("/")
            place = self.inside(target)
            if found.is_dir():
                shutil.copytree(found, place, dirs_exist_ok=True)
            else:
                place = place / found.name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, place)

    def step(self, word, rest, stages):
        if word == "RUN":
            settings = [f"{name}={value}" for name, value in self.environment.items()]
            line = f"cd {shlex.quote(self.facts['WORKDIR'])} && {rest}"
            run("chroot", self.root, "env", "-i", *settings, "/bin/sh", "-c", line)
        elif word == "COPY":
            self.copy(shlex.split(rest), stages)
        elif word in ("ENV", "ARG"):
            self.environment |= dict(setting.split("=", 1) for setting in shlex.split(rest))
        elif word == "WORKDIR":
            self.facts[word] = rest
            self.inside(".").mkdir(parents=True, exist_ok=True)
        elif word in ("USER", "ENTRYPOINT", "HEALTHCHECK", "VOLUME", "STOPSIGNAL", "EXPOSE"):
            self.facts[word] = rest
        else:
            sys.exit(f"{word} is no step that this script knows")


class Started:
    """The image as an engine starts it; `settings` are further variables."""

    def __init__(self, stage, folder, settings):
        self.stage = stage
        user, group = stage.facts["USER"].split(":")
        (program,) = json.loads(stage.facts["ENTRYPOINT"])
        environment = [f"{name}={value}" for name, value in (stage.environment | settings).items()]
        self.enter = ["chroot", f"--userspec={user}:{group}", str(stage.root), "env", "-i", *environment]
        with open(folder / "log", "ab") as log:
            # A network of its own, as each container has.
            network = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
            self.process = subprocess.Popen([*network, *self.enter, program], stderr=log, stdout=log)

    def run(self, *command):
        network = ["nsenter", "--target", str(self.process.pid), "--net"]
        return subprocess.run([*network, *self.enter, *command], capture_output=True, text=True)

    def wait_until_healthy(self):
        _, _, command = self.stage.facts["HEALTHCHECK"].partition("CMD ")
        for _ in range(PATIENCE_SECONDS * 10):
            checked = self.run(*json.loads(command))
            if checked.returncode == 0:
                return
            if self.process.poll() is not None:
                break
            subprocess.run(["sleep", "0.1"], check=True)
        sys.exit(f"the image is not healthy: {checked.stdout}{checked.stderr}")

    def stop(self):
        self.process.send_signal(signal.Signals[self.stage.facts["STOPSIGNAL"]])
        code = self.process.wait(PATIENCE_SECONDS)
        if code != 0:
            sys.exit(f"the image ended with {code}")


def use(stage, folder):
    """Starts the image with a read-only root, and looks that locks outlive a stop."""
    data = stage.root / stage.facts["VOLUME"].lstrip("/")
    # An engine makes the volume from the image's own folder, with its owner.
    (folder / "volume").mkdir()
    shutil.copystat(data, folder / "volume")
    os.chown(folder / "volume", data.stat().st_uid, data.stat().st_gid)
    run("mount", "--bind", stage.root, stage.root)
    run("mount", "-o", "remount,bind,ro", stage.root)
    run("mount", "--bind", folder / "volume", data)
    settings = {"QUARTET_REQUIREPASS": "sesame"}
    ask = 'exec 3<> /dev/tcp/127.0.0.1/6379; printf "AUTH sesame\\r\\n%s\\r\\nQUIT\\r\\n" "$1" >&3; cat <&3'
    answers = []
    for _ in range(2):
        started = Started(stage, folder, settings)
        started.wait_until_healthy()
        if subprocess.run([*started.enter, "touch", "/usr/local/bin/x"], capture_output=True).returncode == 0:
            sys.exit("the root can be written")
        lines = started.run("bash", "-c", ask, "bash", "LOCK.ACQUIRE printer alice TTL 600000").stdout.splitlines()
        answers.append(lines[1:-1])
        print(started.run("quartet", "--version").stdout.strip(), lines, flush=True)
        started.stop()
    size = (stage.root / "usr/local/bin/quartet").stat().st_size
    print(f"the program has {size / 1e6:.1f} MB")
    # The second time alice has it already.
    if answers[0] == NOT_GRANTED or answers[1] != NOT_GRANTED:
        sys.exit(f"the lock was not kept: {answers}")


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    if os.environ.get("CLEAN_ROOT_INSIDE") is None:
        # Mounts and processes end with this one.
        os.environ["CLEAN_ROOT_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])
    stages, stage = {}, None
    for word, rest in steps((CONTEXT / "Dockerfile").read_text()):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = Stage(folder / f"stage-{len(stages)}", base)
            stages[name or "image"] = stage
        else:
            print(f"== {word} {rest[:100]}", flush=True)
            stage.step(word, rest, stages)
    use(stages["image"], folder)
    print("the image was built, served, kept its data and stopped")


if __name__ == "__main__":
    main()

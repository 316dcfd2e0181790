//! Server processes: Quartet as built, or a peer, on free ports and gone when dropped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, process, thread};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use super::held_port::HeldPort;

/// Names a peer program that suites written for Quartet run against instead, which checks the suites themselves.
const STAND_IN: &str = "QUARTET_STAND_IN";

/// A free port for the RESP door, the other doors closed, nothing on disk.
const DEFAULTS: [[&str; 2]; 4] =
    [["--port", "0"], ["--broker-port", "off"], ["--http-port", "off"], ["--dir", ""]];

/// How long to wait between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Looks at a condition before a test gives up: minutes, far more than any condition takes on a busy machine.
const LOOKS_MAX: usize = 60_000;

/// Open files of the test that opens very many, beside those, and of the tests beside it.
const OTHER_FILES: u64 = 500;

/// A running server that is killed when this value is dropped.
pub(crate) struct Server {
    child: Child,
    folder: Folder,
    address: Option<SocketAddr>,
    /// The port that a server was given which does not choose one itself.
    _port: Option<HeldPort>,
}

impl Server {
    /// Starts Quartet with an empty store and no broker or HTTP door, unless `arguments` say otherwise.
    pub(crate) fn quartet(arguments: &[&str]) -> Server {
        if let Some(stand_in) = env::var_os(STAND_IN) {
            return Server::peer_with(Path::new(&stand_in), arguments);
        }
        Server::quartet_as(arguments, |command| command)
    }

    /// The same after a change of how it is started.
    pub(crate) fn quartet_as(arguments: &[&str], change: impl FnOnce(Command) -> Command) -> Server {
        let folder = Folder::new();
        let mut command = quartet(&folder);
        command.args(DEFAULTS.iter().filter(|[name, _]| !arguments.contains(name)).flatten()).args(arguments);
        let mut child = change(command).spawn().expect("the binary was built for this test");
        match wait_until_serving(&mut child, || folder.ports()) {
            Ok(ports) => {
                let address = ports["resp"].as_str().map(|text| text.parse().expect("an address was bound"));
                Server { child, folder, address, _port: None }
            }
            Err(status) => panic!("quartet ended before it served: {status}\n{}", folder.stderr()),
        }
    }

    /// Starts the Redis or Valkey server at `program`, keeping nothing on disk.
    pub(crate) fn peer(program: &Path) -> Server {
        Server::peer_with(program, &[])
    }

    /// Starts a peer with further settings.
    pub(crate) fn peer_with(program: &Path, arguments: &[&str]) -> Server {
        let (folder, port) = (Folder::new(), HeldPort::take());
        let mut child = with_output_in(&folder, Command::new(program))
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .args(["--enable-debug-command", "yes", "--port", &port.number().to_string()])
            .arg("--dir")
            .arg(folder.path())
            .args(arguments)
            .spawn()
            .expect("the peer was found");
        let (process, address) = (child.id(), port.address());
        match wait_until_serving(&mut child, || answers_as(process, address).then_some(())) {
            Ok(()) => Server { child, folder, address: Some(address), _port: Some(port) },
            Err(status) => panic!("the peer ended before it served: {status}\n{}", folder.stdout()),
        }
    }

    /// Starts the nats-server at `program` at this port, of which zero is any, with this configuration.
    pub(crate) fn nats(program: &Path, port: u16, configuration: &str) -> Server {
        let folder = Folder::new();
        let file = folder.path().join("nats.conf");
        let configuration = format!("port: {}\n{configuration}", nats_port(port));
        fs::write(&file, configuration).expect("the folder was just made");
        let mut child = with_output_in(&folder, Command::new(program))
            .args(["--addr", "127.0.0.1", "--config"])
            .arg(file)
            .arg("--ports_file_dir")
            .arg(folder.path())
            .spawn()
            .expect("the peer was found");
        let process = child.id();
        match wait_until_serving(&mut child, || nats_address(&folder, process, "nats")) {
            Ok(address) => Server { child, folder, address: Some(address), _port: None },
            Err(status) => panic!("nats-server ended before it served: {status}\n{}", folder.stderr()),
        }
    }

    /// Where a nats-server tells of itself.
    pub(crate) fn nats_monitoring_address(&self) -> SocketAddr {
        nats_address(&self.folder, self.child.id(), "monitoring").expect("its configuration has such a door")
    }

    /// Where its broker's door listens.
    pub(crate) fn broker_address(&self) -> SocketAddr {
        match self.folder.ports() {
            Some(ports) => broker_address(&ports).expect("its broker's door is open"),
            // A nats-server has no other door.
            None => self.address(),
        }
    }

    /// Where its RESP door listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("its RESP door is open")
    }

    /// Where its HTTP door listens, at the first of its ports.
    pub(crate) fn http_address(&self) -> SocketAddr {
        let ports = self.folder.ports().expect("the server serves");
        let text = ports["http"][0].as_str().expect("its HTTP door is open");
        text.parse().expect("an address was bound")
    }

    /// The port of its RESP door, as an argument of client programs.
    pub(crate) fn port(&self) -> String {
        self.address().port().to_string()
    }

    /// Its process.
    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the process is ours to wait for")
    }

    /// Its files: the ports file and its output.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has already ended cannot be killed, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The panic of a thread is a fault, even if no test has noticed it.
        let printed = self.folder.stderr();
        assert!(thread::panicking() || !printed.contains("panicked at"), "{printed}");
    }
}

/// How a configuration of nats-server writes a port, of which zero is any.
fn nats_port(port: u16) -> String {
    if port == 0 { "-1".to_owned() } else { port.to_string() }
}

/// Where nats-server has written that it serves this kind of client, once it has.
fn nats_address(folder: &Folder, process: u32, kind: &str) -> Option<SocketAddr> {
    let text = fs::read_to_string(folder.path().join(format!("nats-server_{process}.ports"))).ok()?;
    // The file is not written at once.
    let ports: serde_json::Value = serde_json::from_str(&text).ok()?;
    let (_, address) = ports[kind][0].as_str()?.split_once("://")?;
    address.parse().ok()
}

/// Where the ports file says that the broker's door is.
fn broker_address(ports: &serde_json::Value) -> Option<SocketAddr> {
    ports["broker"].as_str().map(|text| text.parse().expect("an address was bound"))
}

/// A folder for what one process writes, gone when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes a folder of its own.
    pub(crate) fn new() -> Folder {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("quartet-test-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Folder(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where Quartet says which addresses it bound.
    pub(crate) fn ports_file(&self) -> PathBuf {
        self.0.join("ports.json")
    }

    /// The contents of the ports file, once it is there.
    pub(crate) fn ports(&self) -> Option<serde_json::Value> {
        let text = fs::read_to_string(self.ports_file()).ok()?;
        Some(serde_json::from_str(&text).expect("a ports file is written whole"))
    }

    /// The standard output of the process.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.0.join("stdout")).unwrap_or_default()
    }

    /// The standard error of the process.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.0.join("stderr")).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The machine clears its temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Quartet's binary, with its output and ports file in `folder` and no settings of the machine's user.
pub(crate) fn quartet(folder: &Folder) -> Command {
    let mut command = with_output_in(folder, Command::new(env!("CARGO_BIN_EXE_quartet")));
    // The suite itself is configured by variables that are no settings of Quartet.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("QUARTET_") {
            command.env_remove(name);
        }
    }
    command.arg("--ports-file").arg(folder.ports_file());
    command
}

/// The same command in a shell that has set a limit, such as `ulimit -n 64`, before.
pub(crate) fn limited(limit: &str, command: Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(format!("{limit} && exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
        let file = |name| File::create(folder.join(name)).expect("the folder was just made");
        shell.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Sends what `command` prints into `folder`, where no full pipe can stop it.
pub(crate) fn with_output_in(folder: &Folder, mut command: Command) -> Command {
    let file = |name| File::create(folder.path().join(name)).expect("the folder was just made");
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
    command
}

/// Waits until `condition` finds something.  A condition that never holds fails the test instead of hanging it.
#[track_caller]
pub(crate) fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS_MAX {
        if let Some(found) = condition() {
            return found;
        }
        pause(LOOK_INTERVAL);
    }
    panic!("the condition did not hold after {LOOKS_MAX} looks");
}

/// Lets `time` pass for a process whose clock is not ours, or before looking at a condition again.
#[expect(clippy::disallowed_methods, reason = "another process' clock cannot be injected")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

/// Waits until `look` finds something, or the child is gone.
fn wait_until_serving<T>(child: &mut Child, mut look: impl FnMut() -> Option<T>) -> Result<T, ExitStatus> {
    wait_for(|| {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(Err(status));
        }
        look().map(Ok)
    })
}

/// Whether the Redis or Valkey server at `address` is `process`, and serves.
fn answers_as(process: u32, address: SocketAddr) -> bool {
    let ask = || -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"INFO server\r\nQUIT\r\n")?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    ask().is_ok_and(|reply| reply.lines().any(|line| line == format!("process_id:{process}")))
}

/// The right to open very many connections, which one test has at a time.
pub(crate) struct Crowd {
    /// How many there is room for.
    pub(crate) count: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Crowd {
    /// Raises the limit on open files as far as it goes, for `wanted` connections or as many as it leaves room for.
    pub(crate) fn of(wanted: usize) -> Crowd {
        static TURN: Mutex<()> = Mutex::new(());
        // Another test's failure is not this one's.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("the soft limit may rise to the hard one");
        let files = limit.maximum.unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
        Crowd { count: wanted.min(usize::try_from(files).unwrap_or(wanted)), _turn: turn }
    }
}

//! `quartet health`: asks the server that the same settings describe whether it is ready, for probes of containers, which
//! have no curl.
//!
//! It asks `/health/ready`.  Where HTTP is off it sends PING, and where RESP is off too it waits for the broker's greeting.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::settings::{self, Settings, Stop};
use crate::standard_output::print;

/// The subcommand.
pub(super) const WORD: &str = "health";

/// How long the server may take to accept the connection, and then for each part of its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const ANSWER_LENGTH_MAX: u64 = 64 << 10;

const HELP: &str = "Asks whether the server with these settings is ready.

Usage: quartet health [settings of the server]

It takes the settings as the server does, as flags, environment variables or a file (--config), and asks the first port
that is open: HTTP, RESP or the broker's.  If the port is 0, --ports-file tells which one the server has.

The exit code is 0 if the server is ready, else 1, and a line says why.
";

/// The way to ask.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Http,
    Resp,
    Broker,
}

/// Where the server says which addresses it has bound.
#[derive(Deserialize)]
struct Bound {
    http: Vec<SocketAddr>,
    resp: Option<SocketAddr>,
    broker: Option<SocketAddr>,
}

/// The body of `/health/ready`.
#[derive(Deserialize)]
struct Report {
    status: String,
    #[serde(default)]
    parts: BTreeMap<String, String>,
}

/// Asks the server that these settings describe.  False if it is not ready.
pub(super) fn run(arguments: Vec<OsString>) -> Result<bool, String> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        return print(HELP).map(|()| true);
    }
    let settings = match settings::load(arguments, std::env::vars_os()) {
        Ok(loaded) => loaded.settings,
        Err(Stop::Help(text) | Stop::Version(text)) => return print(&text).map(|()| true),
        Err(Stop::Invalid(reason)) => return Err(reason),
    };
    let (way, address) = whom_to_ask(&settings)?;
    let fault = match way {
        Way::Http => ask_http(address, &settings.requirepass),
        Way::Resp => ask_resp(address),
        Way::Broker => ask_broker(address),
    };
    match fault.map_err(|error| format!("{address} does not answer: {error}"))? {
        None => print("up\n").map(|()| true),
        Some(fault) => print(&format!("{fault}\n")).map(|()| false),
    }
}

/// The first address that is open, and the way to ask there.
fn whom_to_ask(settings: &Settings) -> Result<(Way, SocketAddr), String> {
    let (way, address) = match &settings.ports_file {
        Some(path) => Bound::read(path).map_err(|error| format!("{}: {error}", path.display()))?.first(),
        None => first_of_settings(settings)?,
    }
    .ok_or("no port is open")?;
    Ok((way, reachable(address)))
}

impl Bound {
    fn read(path: &Path) -> io::Result<Bound> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    fn first(&self) -> Option<(Way, SocketAddr)> {
        let Bound { http, resp, broker } = self;
        let open = [(Way::Http, http.first().copied()), (Way::Resp, *resp), (Way::Broker, *broker)];
        open.into_iter().find_map(|(way, address)| Some((way, address?)))
    }
}

fn first_of_settings(settings: &Settings) -> Result<Option<(Way, SocketAddr)>, String> {
    let open = [
        (Way::Http, settings.http_port.first().copied()),
        (Way::Resp, settings.port),
        (Way::Broker, settings.broker_port),
    ];
    match open.into_iter().find_map(|(way, port)| Some((way, port?))) {
        Some((_, 0)) => Err("the port is 0, any free one: name the server's --ports-file".to_owned()),
        Some((way, port)) => {
            let host = settings.bind.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
            Ok(Some((way, SocketAddr::new(host, port))))
        }
        None => Ok(None),
    }
}

/// A server that listens on all addresses is asked at this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What is wrong, by HTTP.  Only with the password does the server say which part it is.
fn ask_http(address: SocketAddr, password: &str) -> io::Result<Option<String>> {
    let report = ready(address, "")?;
    if report.status == "up" {
        return Ok(None);
    }
    let mut parts = report.parts;
    if parts.is_empty() && !password.is_empty() {
        // In this form a password may have spaces at its ends, and line ends.
        let pair = BASE64_STANDARD.encode(format!(":{password}"));
        parts = ready(address, &format!("Authorization: Basic {pair}\r\n"))?.parts;
    }
    let faults =
        parts.iter().filter(|(_, state)| *state != "up").map(|(name, state)| format!("; {name}: {state}"));
    Ok(Some(report.status + &faults.collect::<String>()))
}

fn ready(address: SocketAddr, authorization: &str) -> io::Result<Report> {
    let mut stream = connect(address)?;
    let request =
        format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LENGTH_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.and_then(|body| serde_json::from_str(body).ok()).ok_or_else(|| {
        let line = answer.lines().next().unwrap_or_default().escape_debug();
        io::Error::other(format!("it is no answer of /health/ready that begins with '{line}'"))
    })
}

/// What is wrong, by RESP.  A refusal for want of a password is an answer too.
fn ask_resp(address: SocketAddr) -> io::Result<Option<String>> {
    let mut stream = connect(address)?;
    stream.write_all(b"PING\r\n")?;
    let line = first_line(stream)?;
    let is_up = line == "+PONG" || line.starts_with("-NOAUTH");
    Ok((!is_up).then(|| format!("down: {}", line.escape_debug())))
}

/// What is wrong, by the greeting of the broker's port.
fn ask_broker(address: SocketAddr) -> io::Result<Option<String>> {
    let line = first_line(connect(address)?)?;
    Ok((!line.starts_with("INFO {")).then(|| format!("down: {}", line.escape_debug())))
}

fn first_line(stream: TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    for byte in io::BufReader::new(stream.take(ANSWER_LENGTH_MAX)).bytes() {
        match byte? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &[&str], expected: Result<(Way, &str), &str>) {
        let loaded = settings::load(arguments.iter().map(OsString::from), []).expect("they are valid");
        let expected = expected.map(|(way, address)| (way, address.parse().expect("an address")));
        assert_eq!(whom_to_ask(&loaded.settings), expected.map_err(str::to_owned));
    }

    #[test]
    fn the_first_port_that_is_open_is_asked() {
        check(&[], Ok((Way::Http, "127.0.0.1:8080")));
        check(&["--http-port", "5000", "8080"], Ok((Way::Http, "127.0.0.1:5000")));
        check(&["--bind", "0.0.0.0"], Ok((Way::Http, "127.0.0.1:8080")));
        check(&["--bind", "::"], Ok((Way::Http, "[::1]:8080")));
        check(&["--http-port", "off"], Ok((Way::Resp, "127.0.0.1:6379")));
        check(&["--http-port", "off", "--port", "off"], Ok((Way::Broker, "127.0.0.1:4222")));
        check(&["--port", "0"], Ok((Way::Http, "127.0.0.1:8080")));
        check(&["--http-port", "0"], Err("the port is 0, any free one: name the server's --ports-file"));
    }
}

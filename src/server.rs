//! The server: puts the parts together, opens the listeners, and stops in order.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::Tickets;
use crate::access::attempts::{Attempts, Report};
use crate::alarm::Alarm;
use crate::allocator::{self, Purge};
use crate::broker::announcement::{Announcement, SERVER_NAME};
use crate::broker::user_info::{self, Asking};
use crate::catalog::{SERVICES, command_table};
use crate::client::{ClientFlags, Clients, Waiting};
use crate::clock::Clock;
use crate::command::{KeyWaiters, Monitors, Services};
use crate::data_directory;
use crate::delivery::{Effects, FanOut};
use crate::descriptors;
use crate::freeing;
use crate::http;
use crate::http::endpoint::runners::{RUNNERS, Runners};
use crate::http::figures::Sampler;
use crate::journal::keeper::{JournalHandle, Keeper, KeeperThread};
use crate::lame_duck;
use crate::limit::{COUNTER_TYPE, Limits};
use crate::lock::{Durability, Locks};
use crate::lock_order::Mutex;
use crate::log_queue::LogQueue;
use crate::metrics::Metrics;
use crate::net::dealer::Dealer;
use crate::net::listener;
use crate::net::worker::Worker;
use crate::policy_file::PolicyFile;
use crate::random::{Random, machine_seed};
use crate::reload::Reload;
use crate::script::{Libraries, Scripts, Supervisor};
use crate::session::Protocol;
use crate::settings::{Live, LockDurability, Settings};
use crate::signals::{Requests, Signals};
use crate::store::Store;
use crate::stream::{Introduction, Streams, Surroundings};

/// The name of a run is this many hexadecimal digits.
const RUN_ID_LENGTH: usize = 40;
const RUN_ID_WORDS: usize = 3;

/// How often idle and slow clients are looked for and the wall clock is followed.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(500);

/// Bytes by which the store must have shrunk for memory to be given back to the system.
const FALL_MIN: usize = 16 * 1024 * 1024;

/// How long scripts under way may take when the server stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// The remedy if no thread can be started.
const THREADS_REMEDY: &str =
    "ask for fewer with --threads and --http-threads, or raise the limits of the system (ulimit -u)";

/// The longest sleep without a look at the clock, which runs on while the machine is suspended.
const ALARM_SLEEP_MAX: Duration = Duration::from_secs(1);

/// The state all threads share, made from the settings.
pub fn services(settings: Settings, clock: Clock, seed: u64) -> Services {
    let commands = command_table();
    // The workers come first, then the threads of the HTTP door, the stand-ins of the workers, the runners of HTTP, and the one that
    // keeps the time.
    let first_stand_in = settings.threads + settings.http_threads;
    let first_runner = first_stand_in + settings.threads;
    let slots = first_runner + RUNNERS + 1;
    // Clients may see the name of the run, so it must not reveal the seed of the keys' hashes.
    let mut names = Random::with_seed(machine_seed());
    let run_id: String = (0..RUN_ID_WORDS).map(|_| format!("{:016x}", names.draw())).collect();
    let journal = Arc::<JournalHandle>::default();
    let alarm = Arc::<Alarm>::default();
    let locks = Locks::new(&journal, lock_durability(&settings));
    let limits = Limits::kept_in(&journal, slots).with_ipv6_prefix(settings.limit_host_prefix as u8);
    limits.follow_wall_clock(clock.now());
    let fan_out = Arc::new(FanOut::with_alarm(&alarm));
    let clock = Arc::new(clock);
    let surroundings = Surroundings {
        fan_out: Arc::clone(&fan_out),
        journal: Arc::clone(&journal),
        clock: Arc::clone(&clock),
    };
    let streams = Arc::new(Streams::new(surroundings, settings.dir.clone()));
    streams.listen();
    let clients = Arc::<Clients>::default();
    let announcement = Announcement::new(&mut names);
    let connected = Arc::downgrade(&clients);
    let asking = {
        let connected = connected.clone();
        move |number| {
            let client = connected.upgrade()?.get(number)?;
            let host = client.local_address.ip().to_canonical().to_string();
            Some(Asking { user: client.identity().user, host })
        }
    };
    user_info::listen(&fan_out, &clock, announcement.server_id.clone(), Box::new(asking));
    let client = move |number, now| Some(connected.upgrade()?.get(number)?.as_sender(now));
    streams.introduce(Introduction { server: SERVER_NAME.into(), client: Box::new(client) });
    let store = Store::new(settings.databases, settings.threads, slots, seed).with_pinned_type(COUNTER_TYPE);
    let supervisor = Supervisor::new(Arc::clone(&clock), Arc::clone(store.holds()));
    Services {
        supervisor: Arc::new(supervisor),
        postponed: Mutex::default(),
        scripts: Scripts::new(Libraries::new(&journal, settings.dir.is_some())),
        rows: SERVICES,
        store,
        metrics: Metrics::new(slots, commands.rows().len()),
        commands,
        settings: Live::new(settings),
        attempts: Attempts::default(),
        tickets: Tickets::default(),
        fan_out,
        streams,
        limits,
        journal,
        timekeeper: slots - 1,
        first_stand_in,
        first_runner,
        locks,
        monitors: Monitors::default(),
        announcement,
        key_waiters: KeyWaiters::default(),
        clients,
        started: clock.now(),
        clock,
        run_id: run_id[..RUN_ID_LENGTH].to_owned(),
        alarm,
        active_expiry: AtomicBool::new(true),
        log: Arc::default(),
        draining: AtomicBool::new(false),
    }
}

/// Serves until a signal or SHUTDOWN.  Then it accepts no more connections, writes the last replies, and ends the workers.
///
/// # Errors
/// If a listener or a thread cannot be started.  The text names it and the remedy.
pub fn run(read: Settings, log: Arc<LogQueue>) -> Result<(), String> {
    let cannot_listen = |error| format!("cannot listen for signals: {error}");
    let signals = Signals::take().map_err(cannot_listen)?;
    let mut settings = read.clone();
    let room = descriptors::fit(&mut settings)?;
    let _owned = data_directory::own(&settings)?;
    let mut services = services(settings.clone(), Clock::machine(), machine_seed());
    services.log = log;
    services.settings.limit_connections(room);
    let services = Arc::new(services);
    let keeper = open_keeper(&settings, &services)?;
    services.open();
    let mut policies = settings.config.clone().map(PolicyFile::new);
    if let Some(file) = &mut policies {
        file.load(&services.limits.policies)?;
    }
    let keeper = keeper.map(KeeperThread::start).transpose();
    let keeper =
        keeper.map_err(|error| format!("cannot start the thread that keeps the services: {error}"))?;
    allocator::start_giving_back()
        .map_err(|error| format!("cannot start the thread that gives memory back: {error}"))?;
    freeing::start().map_err(|error| format!("cannot start the thread that frees memory: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let requests = Requests::default();
    signals.follow(Arc::clone(&services), requests.clone()).map_err(cannot_listen)?;
    let reload = Reload::new(read, policies);
    let (workers, http_threads, runners) =
        runtime.block_on(serve(&settings, &services, reload, &requests))?;
    Worker::join_all(workers);
    for thread in http_threads {
        thread.join();
    }
    if runners.is_some_and(|runners| !runners.end(DRAIN_TIME_MAX)) {
        tracing::error!("ending while a command over HTTP runs that cannot be stopped");
    }
    if let Some(keeper) = keeper {
        keeper.stop();
    }
    tracing::info!("stopped");
    Ok(())
}

/// How much of the locks survives a restart.
fn lock_durability(settings: &Settings) -> Durability {
    match (settings.lock_durability, &settings.dir) {
        (LockDurability::None, _) | (LockDurability::Auto, None) => Durability::None,
        (LockDurability::Fence, _) => Durability::Fence,
        (LockDurability::Full | LockDurability::Auto, _) => Durability::Full,
    }
}

/// Gives the services back the data of an earlier server, and returns the keeper; none if nothing is to be kept.
fn open_keeper(settings: &Settings, services: &Arc<Services>) -> Result<Option<Keeper>, String> {
    let durability = settings.lock_durability;
    if settings.dir.is_none() && matches!(durability, LockDurability::Full | LockDurability::Fence) {
        return Err(format!(
            "locks of durability {} need a directory: name one with --dir, or choose --lock-durability none",
            durability.word()
        ));
    }
    let kept = || services.rows.iter().filter_map(|service| service.persistence.as_ref());
    let ends = kept().map(|persistence| (persistence.persistent)(services)).collect();
    let is_wanted = kept().any(|persistence| (persistence.journal)(services).is_on());
    let directory = settings.dir.as_deref();
    Keeper::open(&services.journal, directory, is_wanted, ends, services.clock.now())
        .map_err(|error| error.to_string())
}

/// The threads that serve: the workers, those of HTTP, and their runners if there are some.
type Threads = (Vec<Worker>, Vec<http::thread::Thread>, Option<Arc<Runners>>);

/// Opens the listeners and serves.  Returns the threads once the server is to stop and accepts no more connections.
async fn serve(
    settings: &Settings,
    services: &Arc<Services>,
    reload: Reload,
    requests: &Requests,
) -> Result<Threads, String> {
    let shutdown = CancellationToken::new();
    let listeners = open_door(settings, &RESP_DOOR)?;
    let broker_listeners = open_door(settings, &BROKER_DOOR)?;
    let http_listeners = open_http_door(settings)?;
    let workers: Result<Vec<Worker>, _> = (0..settings.threads)
        .map(|slot| Worker::start(Arc::clone(services), slot, shutdown.clone()))
        .collect();
    let workers = workers.map_err(|error| format!("cannot start a worker: {error}; {THREADS_REMEDY}"))?;
    let dealer = Dealer::new(&workers);
    let runners = (!http_listeners.is_empty()).then(|| Runners::start(services, services.runner_slots()));
    let runners =
        runners.transpose().map_err(|error| format!("cannot start a thread: {error}; {THREADS_REMEDY}"))?;
    let http_threads: Result<Vec<http::thread::Thread>, _> = (0..settings.http_threads)
        .map(|number| settings.threads + number)
        .filter(|_| !http_listeners.is_empty())
        .map(|slot| {
            let ways = (dealer.clone(), runners.clone());
            http::thread::Thread::start(Arc::clone(services), slot, ways, shutdown.clone())
        })
        .collect();
    let http_threads: Arc<Vec<http::thread::Thread>> = http_threads
        .map_err(|error| format!("cannot start an HTTP thread: {error}; {THREADS_REMEDY}"))?
        .into();
    let (bound, http_bound) = (addresses(&listeners), addresses(&http_listeners));
    let broker_bound = addresses(&broker_listeners);
    if let Some(path) = &settings.ports_file {
        write_ports_file(path, bound.first(), broker_bound.first(), &http_bound).map_err(|error| {
            format!("cannot write {}: {error}; name another file with --ports-file", path.display())
        })?;
    }
    let mut doors = tokio::task::JoinSet::new();
    let broker_door = shutdown.child_token();
    let resp = listeners.into_iter().map(|listener| (listener, Protocol::Resp));
    let broker = broker_listeners.into_iter().map(|listener| (listener, Protocol::Broker));
    for (listener, protocol) in resp.chain(broker) {
        let end = if protocol == Protocol::Broker { &broker_door } else { &shutdown };
        let accept = listener::accept(listener, protocol, Arc::clone(services), dealer.clone(), end.clone());
        doors.spawn(accept);
    }
    for listener in http_listeners {
        let threads = Arc::clone(&http_threads);
        doors.spawn(http::listener::accept(listener, Arc::clone(services), threads, shutdown.clone()));
    }
    doors.spawn(keep_house(Arc::clone(services), reload, requests.clone(), shutdown.clone()));
    doors.spawn(keep_time(Arc::clone(services), shutdown.clone()));
    warn_of_openness(settings);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), addresses = ?bound, broker = ?broker_bound, http = ?http_bound, threads = settings.threads, "serving");
    wait_for_end(services, requests, &shutdown, &broker_door).await;
    announce_end(services, requests).await;
    shutdown.cancel();
    services.supervisor.end_all_by(services.clock.now().after(DRAIN_TIME_MAX));
    while doors.join_next().await.is_some() {}
    // No more connections are accepted, so this reaches all clients.
    for client in services.clients.all() {
        client.outbox.finish();
        client.outbox.wake();
    }
    Ok((workers, Arc::into_inner(http_threads).unwrap_or_default(), runners))
}

fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

/// A listener with one port.
struct OnePortDoor {
    port: fn(&Settings) -> Option<u16>,
    /// Whom it serves, and the flag for the port, as errors name them.
    clients: &'static str,
    flag: &'static str,
}

const RESP_DOOR: OnePortDoor =
    OnePortDoor { port: |settings| settings.port, clients: "RESP clients", flag: "--port" };

const BROKER_DOOR: OnePortDoor =
    OnePortDoor { port: |settings| settings.broker_port, clients: "NATS clients", flag: "--broker-port" };

fn open_door(settings: &Settings, door: &OnePortDoor) -> Result<Vec<TcpListener>, String> {
    let Some(port) = (door.port)(settings) else { return Ok(Vec::new()) };
    let open = |&ip| {
        let address = SocketAddr::new(ip, port);
        listener::bind(address, settings.tcp_backlog).map_err(|error| {
            let OnePortDoor { clients, flag, .. } = door;
            format!(
                "cannot listen on {address} for {clients}: {error}; choose another address with --bind or {flag} (0 \
                 takes a free port, off listens on none)"
            )
        })
    };
    settings.bind.iter().map(open).collect()
}

fn open_http_door(settings: &Settings) -> Result<Vec<TcpListener>, String> {
    let every = settings.bind.iter().flat_map(|&ip| settings.http_port.iter().map(move |&port| (ip, port)));
    let open = |(ip, port)| {
        let address = SocketAddr::new(ip, port);
        listener::bind(address, settings.tcp_backlog).map_err(|error| {
            format!(
                "cannot listen on {address} for HTTP clients: {error}; choose other ports with --http-port (0 takes a \
                 free port, off listens on none) or another address with --bind"
            )
        })
    };
    every.map(open).collect()
}

/// Has readiness say that the server is about to stop, for the time that load balancers are given to notice.
async fn announce_end(services: &Services, requests: &Requests) {
    services.draining.store(true, Relaxed);
    lame_duck::announce(services);
    let delay = services.settings.current().shutdown_delay;
    if !delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = requests.at_once.cancelled() => {}
        }
    }
}

/// Warns in the log if other machines can reach a server that has no password.
fn warn_of_openness(settings: &Settings) {
    if settings.bind.iter().all(IpAddr::is_loopback) || !settings.requirepass.is_empty() {
        return;
    }
    if settings.protected_mode {
        tracing::warn!(
            "other machines can reach this server, which has no password: only clients on this machine are served; set \
             a password with --requirepass, or switch the protection off with --protected-mode no"
        );
    } else {
        tracing::warn!(
            "other machines can reach this server, which has no password and serves everybody: set one with \
             --requirepass unless the network is trusted"
        );
    }
}

/// Ends on a signal or on SHUTDOWN.
async fn wait_for_end(
    services: &Services,
    requests: &Requests,
    shutdown: &CancellationToken,
    broker_door: &CancellationToken,
) {
    let retire = async {
        requests.retire.cancelled().await;
        if services.settings.current().broker_port.is_none() && services.clients.of_broker().is_empty() {
            tracing::info!("SIGUSR2 is for the broker, which has no clients here: ignored");
            return std::future::pending().await;
        }
        services.draining.store(true, Relaxed);
        lame_duck::retire(services, broker_door).await;
    };
    let reason = tokio::select! {
        () = requests.stop.cancelled() => requests.signal(),
        () = shutdown.cancelled() => "SHUTDOWN",
        () = retire => "SIGUSR2",
    };
    tracing::info!(reason, "stopping");
}

/// Tells programs that start the server the addresses that it has bound.  The file is written whole or not at all.
fn write_ports_file(
    path: &Path,
    resp: Option<&SocketAddr>,
    broker: Option<&SocketAddr>,
    http: &[SocketAddr],
) -> std::io::Result<()> {
    let ports = serde_json::json!({ "resp": resp, "broker": broker, "http": http });
    let draft = path.with_extension("new");
    std::fs::write(&draft, format!("{ports}\n"))?;
    std::fs::rename(&draft, path)
}

/// Does the work that is due now and then, whatever clients do.
async fn keep_house(
    services: Arc<Services>,
    mut reload: Reload,
    requests: Requests,
    shutdown: CancellationToken,
) {
    let (mut purge, mut fallen, mut sampler) = (Purge::default(), Fallen::default(), Sampler::default());
    loop {
        tokio::select! {
            () = tokio::time::sleep(HOUSEKEEPING_INTERVAL) => {}
            () = requests.reload.notified() => reload.run(&services),
            () = shutdown.cancelled() => return,
        }
        services.clock.follow_wall_clock();
        services.metrics.rates.sample(
            services.clock.now(),
            services.metrics.totals(),
            services.store.memory(),
        );
        close_idle_and_slow(&services);
        if let Some(Report { failures, last }) = services.attempts.take_report(services.clock.now()) {
            tracing::warn!(failures, %last, "clients gave wrong passwords; the last came from this address");
        }
        if fallen.has_fallen(services.store.memory()) {
            allocator::ask_for_purge();
        }
        purge.follow();
        reload.follow(&services);
        services.keep_house();
        sampler.follow(&services);
    }
}

/// Whether the store has freed so much memory that it should go back to the system.
#[derive(Default)]
struct Fallen {
    /// The most memory since it last went back.
    highest: usize,
    last: usize,
}

impl Fallen {
    /// Notes the memory now.  True if a good part of the maximum is free, and was free at the last call too: a store that
    /// shrinks and grows again keeps its memory.
    fn has_fallen(&mut self, memory: usize) -> bool {
        let before = std::mem::replace(&mut self.last, memory);
        self.highest = self.highest.max(memory);
        let fall = self.highest - memory.max(before).min(self.highest);
        let has_fallen = fall >= FALL_MIN && fall >= self.highest / 8;
        if has_fallen {
            self.highest = memory;
        }
        has_fallen
    }
}

/// Has the services do their due work in time.
async fn keep_time(services: Arc<Services>, shutdown: CancellationToken) {
    let mut effects = Effects::default();
    loop {
        let next = services.alarm.next();
        let now = services.clock.now();
        if services.alarm.ring(now.millis()) {
            services.advance(now, &mut effects);
            services.fan_out.deliver(&mut effects);
            continue;
        }
        let left = next.map_or(Duration::MAX, |due| Duration::from_millis(due.saturating_sub(now.millis())));
        tokio::select! {
            () = tokio::time::sleep(left.min(ALARM_SLEEP_MAX)) => {}
            () = std::future::poll_fn(|context| services.alarm.poll_changed(next, context.waker())) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Ends RESP connections that are idle beyond `timeout` or whose output is beyond its limit.
fn close_idle_and_slow(services: &Services) {
    let settings = services.settings.current();
    let now = services.clock.now().millis();
    let timeout = settings.timeout * 1000;
    for client in services.clients.all() {
        let Some(resp) = client.resp() else { continue };
        let subscribed = resp.flags().intersects(ClientFlags::PUBSUB | ClientFlags::MONITOR);
        let idle = now.saturating_sub(client.last_active.load(Relaxed));
        let is_waiting = resp.waiting() != Waiting::No;
        let is_idle = timeout > 0 && !subscribed && !is_waiting && idle > timeout;
        let limits = &settings.client_output_buffer_limit;
        let limit = if subscribed { limits.pubsub } else { limits.normal };
        let is_slow = client.outbox.exceeds(limit, now);
        if is_idle || is_slow {
            let reason = if is_slow { "output buffer limit reached" } else { "idle" };
            tracing::info!(client = client.id, address = %client.outbox.address(), reason, "closing");
            client.outbox.close();
            client.outbox.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_back_once_the_store_has_stayed_smaller() {
        let mut fallen = Fallen::default();
        let mut looks = |megabytes: &[usize]| -> Vec<bool> {
            megabytes.iter().map(|megabytes| fallen.has_fallen(megabytes << 20)).collect()
        };
        assert_eq!(looks(&[0, 500, 400, 400, 400]), [false, false, false, true, false]);
        // A store that shrinks and grows keeps its memory, and a small fall is not worth it.
        assert_eq!(looks(&[400, 100, 400, 100, 400]), [false; 5]);
        assert_eq!(looks(&[360, 360, 300, 300]), [false, false, false, true]);
        assert_eq!(looks(&[20, 20, 8, 8]), [false, true, false, false]);
    }
}

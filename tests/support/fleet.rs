//! Several Redis servers that stand in for each other: a cluster whose nodes have replicas, and a
//! primary with replicas that sentinels watch.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Daemon;
use super::redis::{Options, RedisServer};
use super::{
    START_LIMIT, Shared, bound_to_us, find_program, free_port, scratch_dir, shared, wait_until,
};

/// The last slot of each primary of a cluster.
pub const LAST_SLOTS: [usize; 3] = [5460, 10922, 16383];

/// How long a server may be silent until the others give it up. A busy machine is not to be taken
/// for a dead one.
const PATIENCE_MILLIS: &str = "2000";

/// What a fleet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server.
    Single,
    /// One server, which keeps what it has on disk.
    OnDisk,
    /// Three primaries with a replica each.
    Cluster,
    /// A primary with two replicas, and three sentinels.
    Sentinel,
}

/// The cluster that tests share which stop no server of it.
pub fn shared_cluster() -> &'static Fleet {
    static CLUSTER: Shared<Fleet> = Shared::new();
    shared(&CLUSTER, || Ok(Fleet::start(Kind::Cluster)))
}

/// Servers that work as one.
pub struct Fleet {
    pub kind: Kind,
    pub nodes: Vec<RedisServer>,
    url: String,
    sentinels: Mutex<Vec<(Daemon, TempDir)>>,
}

impl Fleet {
    /// Starts a fleet, and waits until each of its primaries may be lost.
    pub fn start(kind: Kind) -> Self {
        match kind {
            Kind::Single | Kind::OnDisk => {
                let persistent = kind == Kind::OnDisk;
                let options = Options { persistent, ..Options::default() };
                let node = RedisServer::start(options);
                let url = node.url();
                Self { kind, nodes: vec![node], url, sentinels: Mutex::default() }
            }
            Kind::Cluster => {
                let nodes = cluster(1);
                let hosts: Vec<_> = nodes.iter().map(address).collect();
                let url = format!("redis+cluster://{}", hosts.join(","));
                Self { kind, nodes, url, sentinels: Mutex::default() }.whole()
            }
            Kind::Sentinel => Self::watched(),
        }
    }

    fn watched() -> Self {
        // As docs/deploy/redis.md advises.
        let own = ["--min-replicas-to-write", "1", FAST[0], FAST[1]];
        let primary = RedisServer::start(options(&own));
        let replica = || {
            let port = primary.port().to_string();
            let follow = ["--replicaof", "127.0.0.1", &port];
            RedisServer::start(options(&[&follow[..], &own[..]].concat()))
        };
        let (one, other) = (replica(), replica());
        let ports = [free_port(), free_port(), free_port()];
        let settings = [
            format!("down-after-milliseconds sessions {PATIENCE_MILLIS}"),
            "failover-timeout sessions 4000".to_owned(),
        ];
        let sentinels = ports.map(|port| sentinel(port, primary.port(), 2, &settings));
        let hosts = ports.map(|port| format!("127.0.0.1:{port}"));
        let url = format!("redis+sentinel://{}/sessions", hosts.join(","));
        let nodes = vec![primary, one, other];
        Self { kind: Kind::Sentinel, nodes, url, sentinels: Mutex::new(sentinels.into()) }.whole()
    }

    fn whole(self) -> Self {
        self.wait_whole();
        self
    }

    /// The address for Doorward.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets a node stop answering, and with it the first sentinel: they share a machine.
    pub fn hang(&self, node: usize) {
        self.nodes[node].pause();
        self.first_sentinel(Signal::STOP);
    }

    /// Ends a [`hang`](Self::hang).
    pub fn go_on(&self, node: usize) {
        self.nodes[node].resume();
        self.first_sentinel(Signal::CONT);
    }

    fn first_sentinel(&self, signal: Signal) {
        let mut sentinels = self.sentinels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sentinel, _)) = sentinels.first_mut() {
            sentinel.signal(signal);
        }
    }

    /// The nodes that take writes at present.
    pub fn primaries(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.role(*node).0 == "master").collect()
    }

    /// The nodes that follow another one.
    pub fn replicas(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.role(*node).0 == "slave").collect()
    }

    /// The primary that keeps this key.
    pub fn owner(&self, key: &str) -> usize {
        let primaries = self.primaries();
        if self.kind != Kind::Cluster {
            return primaries[0];
        }
        let owns = |node: &usize| {
            let mut ask = ::redis::cmd("EXISTS");
            // Any other node says where the key has moved.
            self.ask::<u64>(*node, ask.arg(key)).is_some()
        };
        primaries.into_iter().find(owns).expect("a node has its slot")
    }

    /// Waits until every node runs and every primary has a replica that has all it has.
    pub fn wait_whole(&self) {
        let whole = || match self.kind {
            Kind::Single | Kind::OnDisk => true,
            Kind::Cluster => self.followed(3) && self.nodes.iter().all(knows_the_cluster),
            Kind::Sentinel => self.followed(1) && self.sentinels_know(),
        };
        assert!(wait_until(Duration::from_secs(60), whole), "{:?} does not come about", self.kind);
    }

    /// Whether there are so many primaries, and all other nodes follow one.
    fn followed(&self, primaries: usize) -> bool {
        let roles: Vec<_> = (0..self.nodes.len()).map(|node| self.role(node)).collect();
        let linked = |(role, state): &(String, String)| role == "slave" && state == "connected";
        roles.iter().filter(|(role, _)| role == "master").count() == primaries
            && roles.iter().filter(|role| linked(role)).count() == roles.len() - primaries
    }

    /// Whether each sentinel has found the others and both replicas.
    fn sentinels_know(&self) -> bool {
        let hosts = self.url.trim_start_matches("redis+sentinel://").trim_end_matches("/sessions");
        hosts.split(',').all(|host| {
            let mut ask = ::redis::cmd("SENTINEL");
            ask.arg("MASTER").arg("sessions");
            let known: Option<Vec<String>> = query(host, &ask);
            let known = known.unwrap_or_default();
            let value = |name: &str| {
                let at = known.iter().position(|word| word == name)?;
                known.get(at + 1).cloned()
            };
            value("num-slaves").as_deref() == Some("2")
                && value("num-other-sentinels").as_deref() == Some("2")
                && value("flags").as_deref() == Some("master")
        })
    }

    /// What a node is, and for a replica, how it stands with its primary; nothing if it is away.
    fn role(&self, node: usize) -> (String, String) {
        use ::redis::{FromRedisValue as _, Value};
        let answer: Option<Vec<Value>> = self.ask(node, &::redis::cmd("ROLE"));
        let mut words = answer.unwrap_or_default().into_iter();
        let mut text = |skip: usize| {
            let word = words.nth(skip).and_then(|word| String::from_redis_value(word).ok());
            word.unwrap_or_default()
        };
        (text(0), text(2))
    }

    fn ask<T: ::redis::FromRedisValue>(&self, node: usize, command: &::redis::Cmd) -> Option<T> {
        query(&address(&self.nodes[node]), command)
    }
}

/// A replica that waits to serve several others at once would slow the tests only.
const FAST: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

fn options(arguments: &[&str]) -> Options {
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    Options { arguments, ..Options::default() }
}

fn address(node: &RedisServer) -> String {
    format!("127.0.0.1:{}", node.port())
}

/// Asks a server; nothing if it does not answer, or refuses.
fn query<T: ::redis::FromRedisValue>(host: &str, command: &::redis::Cmd) -> Option<T> {
    const LIMIT: Duration = Duration::from_secs(1);
    let client = ::redis::Client::open(format!("redis://{host}")).ok()?;
    let mut link = client.get_connection_with_timeout(LIMIT).ok()?;
    link.set_read_timeout(Some(LIMIT)).ok()?;
    command.query(&mut link).ok()
}

/// Starts the nodes of a cluster: three primaries, then so many replicas of each.
pub fn cluster(replicas_of_each: usize) -> Vec<RedisServer> {
    let mut nodes: Vec<RedisServer> = Vec::new();
    let mut first_bus = 0;
    for number in 0..LAST_SLOTS.len() * (1 + replicas_of_each) {
        let bus = free_port();
        let port = bus.to_string();
        let own = ["--cluster-enabled", "yes", "--cluster-port", &port];
        let timing = ["--cluster-node-timeout", PATIENCE_MILLIS];
        // The nodes that are left serve what is theirs, and a replica steps in however long a busy
        // machine has kept it from its primary.
        let partial = ["--cluster-require-full-coverage", "no"];
        let eager = ["--cluster-replica-validity-factor", "0"];
        let node = RedisServer::start(options(
            &[&own[..], &timing[..], &partial[..], &eager[..], &FAST[..]].concat(),
        ));
        if let Some(last) = LAST_SLOTS.get(number) {
            let first = if number == 0 { 0 } else { LAST_SLOTS[number - 1] + 1 };
            order(&node, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
        match nodes.first() {
            None => first_bus = bus,
            Some(first) => {
                order(&node, &format!("CLUSTER MEET 127.0.0.1 {} {first_bus}", first.port()));
            }
        }
        nodes.push(node);
    }
    for number in LAST_SLOTS.len()..nodes.len() {
        let mut whose = ::redis::cmd("CLUSTER");
        let whose = whose.arg("MYID");
        let id: String =
            query(&address(&nodes[number % LAST_SLOTS.len()]), whose).expect("a node has a name");
        // It has to have heard of that node first.
        let follow = || {
            let answer = nodes[number].command(&format!("CLUSTER REPLICATE {id}"));
            answer.is_ok_and(|answer| answer == "+OK")
        };
        assert!(wait_until(START_LIMIT, follow), "a replica does not find its primary");
    }
    nodes
}

fn order(node: &RedisServer, command: &str) {
    assert_eq!(node.command(command).expect("Redis answers"), "+OK", "{command}");
}

/// Whether a node takes the cluster for whole.
fn knows_the_cluster(node: &RedisServer) -> bool {
    let mut ask = ::redis::cmd("CLUSTER");
    let info: Option<String> = query(&address(node), ask.arg("INFO"));
    info.is_some_and(|info| {
        info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
    })
}

/// Starts a sentinel that watches the server at `primary` under the name `sessions`; so many must
/// agree that it is gone.
pub fn sentinel(port: u16, primary: u16, quorum: u8, settings: &[String]) -> (Daemon, TempDir) {
    let directory = scratch_dir("sentinel");
    let config = directory.path().join("sentinel.conf");
    let mut text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor sessions 127.0.0.1 {primary} {quorum}\n",
        directory.path().display()
    );
    for setting in settings {
        text.push_str(&format!("sentinel {setting}\n"));
    }
    std::fs::write(&config, text).expect("write the sentinel's configuration");
    let program = find_program(&["redis-server"], "redis-server").expect("redis-server");
    let daemon = launch(&program, &config).unwrap_or_else(|reason| panic!("{reason}"));
    (daemon, directory)
}

fn launch(program: &Path, config: &Path) -> Result<Daemon, String> {
    let mut command = bound_to_us(program, "KILL", &[]);
    command.arg(config).arg("--sentinel").stdout(Stdio::null());
    Daemon::spawn("redis-sentinel", command)
}

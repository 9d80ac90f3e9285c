//! Every name that is counted under. `docs/metrics.md` explains them to whoever watches, and a test holds the two
//! together; what stands here keeps its name and meaning.

/// What kind of figures a family has (Prometheus text format 0.0.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number of the moment.
    Gauge,
    /// How many durations were how long, in seconds.
    Histogram,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// All figures of one name.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What kind it is of.
    pub kind: Kind,
    /// What it means, in a line.
    pub help: &'static str,
}

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $constant: Family = Family { name: $name, kind: Kind::$kind, help: $help };
        )*

        /// All families, in the order in which the page shows them.
        pub static ALL: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    BUILD = Gauge "doorward_build_info" "Always 1; the version as a label.";
    READY = Gauge "doorward_ready" "1 if the replica says that it is ready, at the last look.";
    STORE_UP = Gauge "doorward_store_up" "1 if the store answers, at the last look.";
    REQUESTS = Counter "doorward_http_requests_total" "Requests, by route, method and status.";
    REQUEST_SECONDS = Histogram "doorward_http_request_duration_seconds" "From a request's headers to its answer's headers.";
    LOGINS = Counter "doorward_logins_total" "Attempts to sign in, by outcome.";
    REFRESHES = Counter "doorward_refreshes_total" "Attempts to refresh, by outcome.";
    THROTTLED = Counter "doorward_throttled_total" "What was refused because it came too often, by limit.";
    HASH_WAITING = Gauge "doorward_hash_queue_length" "Password hashes that wait for a thread, by line.";
    HASH_REFUSED = Counter "doorward_hash_refused_total" "Password hashes that found their line full.";
    HASH_WAIT_SECONDS = Histogram "doorward_hash_wait_seconds" "How long a password hash waited for a thread.";
    HASH_SECONDS = Histogram "doorward_hash_duration_seconds" "How long a thread computed a password hash.";
    STORE_SECONDS = Histogram "doorward_store_duration_seconds" "How long an operation of a store took.";
    STORE_ERRORS = Counter "doorward_store_errors_total" "Operations of a store that failed.";
    SQL_CONNECTIONS = Gauge "doorward_sql_connections" "Open connections to the database, by state.";
    SQL_CONNECTIONS_MAX = Gauge "doorward_sql_connections_max" "How many connections to the database may be open.";
    SESSIONS = Gauge "doorward_sessions" "Live sessions of all replicas, at the last count.";
    ACCOUNTS = Gauge "doorward_accounts" "Accounts, at the last count.";
    DENIED = Gauge "doorward_denied_tokens" "Access tokens on the denylist, at the last count.";
    AUDIT_WAITING = Gauge "doorward_audit_events_waiting" "Audit events that wait to be written to the database.";
    AUDIT_LOST = Counter "doorward_audit_events_lost_total" "Audit events that are in the log alone: the queue was full.";
    AUDIT_ALARM = Gauge "doorward_audit_alarm" "1 if the audit trail was found not to be as it was written since the server started.";
    KEY_SINCE = Gauge "doorward_signing_key_start_time_seconds" "Since when the key that signs does so, in Unix time.";
    KEYS = Gauge "doorward_signing_keys" "Signing keys, by state.";
    CPU_SECONDS = Counter "process_cpu_seconds_total" "Processor time that the process has used.";
    MEMORY_BYTES = Gauge "process_resident_memory_bytes" "Memory that the process holds.";
    OPEN_FDS = Gauge "process_open_fds" "File descriptors that are open.";
    MAX_FDS = Gauge "process_max_fds" "File descriptors that may be open.";
    THREADS = Gauge "process_threads" "Threads of the process.";
    START_SECONDS = Gauge "process_start_time_seconds" "When the process started, in Unix time.";
}

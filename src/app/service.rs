//! The services, put together from a configuration: for the application and for the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{StartError, World, key_file, policy};
use crate::account::password::Hasher;
use crate::account::store::{AccountStore, Standings};
use crate::account::{Accounts, Roles};
use crate::audit::chain::Chain;
use crate::audit::store::AuditStore;
use crate::audit::{self, Audit};
use crate::config::Config;
use crate::guard::csrf::FormTokens;
use crate::guard::inspection::Inspections;
use crate::limit::Limits;
use crate::limit::store::LimitStore;
use crate::metric::Registry;
use crate::private_file;
use crate::role::RoleStore;
use crate::session::store::SessionStore;
use crate::session::{CheckedStandings, DatabaseChecks, Sessions};
use crate::store::embedded::{Embedded, EmbeddedLimits, EmbeddedSubmissions, Role};
use crate::store::redis::{RedisPool, RedisStore};
use crate::store::sql::{SqlAddress, SqlPool, SqlStore};
use crate::store::watched;
use crate::submission::Submissions;
use crate::submission::store::SubmissionStore;
use crate::token::key::{KeyStore, Keys};
use crate::token::refresh::Succession;
use crate::token::{Issuer, Tokens};

/// What services are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To work with the stores.
    Work,
    /// To look at the audit trail, as it is: nothing is declared, and no trail begins.
    Audit,
}

/// Everything that routes and commands work with.
pub struct Services {
    /// The accounts' store itself, to ask whether it answers.
    pub account_store: Arc<dyn AccountStore>,
    /// The sessions' store itself, to ask whether it answers.
    pub session_store: Arc<dyn SessionStore>,
    /// The roles' store itself.
    pub role_store: Arc<dyn RoleStore>,
    /// Roles and permissions.
    pub roles: Arc<Roles>,
    /// Accounts.
    pub accounts: Arc<Accounts>,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// The keys that sign tokens.
    pub keys: Arc<Keys>,
    /// Tokens.
    pub tokens: Arc<Tokens>,
    /// The audit trail.
    pub audit: Arc<Audit>,
    pub(super) form_tokens: FormTokens,
    pub(super) submissions: Submissions,
    pub(super) inspections: Inspections,
    pub(super) sql: SqlPool,
}

impl Services {
    /// The services on the stores that the configuration names, for a command that acts beside a
    /// running server. Migrations are run first.
    ///
    /// # Errors
    /// Whatever keeps a store, a key or the hasher from working.
    pub async fn open(config: &Config, world: &World) -> Result<Self, StartError> {
        Self::open_for(Purpose::Work, config, world).await
    }

    /// The services for a command that looks at the audit trail: a database without one is not given
    /// one by being looked at.
    ///
    /// # Errors
    /// As [`Services::open`].
    pub async fn open_to_audit(config: &Config, world: &World) -> Result<Self, StartError> {
        Self::open_for(Purpose::Audit, config, world).await
    }

    async fn open_for(
        purpose: Purpose,
        config: &Config,
        world: &World,
    ) -> Result<Self, StartError> {
        let sql = open_database(config).await?;
        sql.migrate().await?;
        let stores = if config.store.is_embedded() {
            embedded_stores(config, world, Role::Guest).await?
        } else {
            redis_stores(config, redis_pool(config, None)?)
        };
        Self::assemble(purpose, config, world, &Registry::default(), sql, stores).await
    }

    /// The services of a server. From when they are there, the log says when a store is away: a
    /// database that cannot be used is a reason not to start, a Redis is not.
    ///
    /// # Errors
    /// Whatever keeps the database, a key or the hasher from working.
    pub(super) async fn serving(
        config: &Config,
        world: &World,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let sql = open_database(config).await?;
        sql.migrate().await?;
        let redis = if config.store.is_embedded() {
            None
        } else {
            Some(redis_pool(config, config.store.near_cache)?)
        };
        let stores = match &redis {
            Some(pool) => redis_stores(config, pool.clone()),
            None => embedded_stores(config, world, Role::Server).await?,
        };
        let services = Self::assemble(Purpose::Work, config, world, registry, sql, stores).await?;
        services.sql.speak();
        if let Some(redis) = redis {
            redis.speak();
            // Whether it can be used is in the log before anybody asks; that it cannot is said there.
            let _ = services.session_store.ping().await;
        }
        Ok(services)
    }

    /// Brings the database to this release's schema.
    ///
    /// # Errors
    /// A database that cannot be reached, or that a newer release has changed.
    pub async fn migrate(config: &Config) -> Result<(), StartError> {
        Ok(open_database(config).await?.migrate().await?)
    }

    pub(super) async fn assemble(
        purpose: Purpose,
        config: &Config,
        world: &World,
        registry: &Registry,
        pool: SqlPool,
        (session_store, limit_store, submission_store): Stores,
    ) -> Result<Self, StartError> {
        let (signing, secret) = key_file::keys(config, world)?;
        let sql = Arc::new(SqlStore::watched(pool.clone(), registry));
        let session_store = watched::sessions(session_store, registry);
        let limit_store = watched::limits(limit_store, registry);
        let submission_store = watched::submissions(submission_store, registry);
        let keys_are_gone =
            KeyStore::list(&*sql).await?.is_empty() && AuditStore::has_accounts(&*sql).await?;
        let keys = Keys::open(
            Arc::clone(&sql) as Arc<dyn KeyStore>,
            &secret,
            &signing,
            policy::key_policy(config),
            Arc::clone(&world.clock),
        );
        let keys = Arc::new(keys.await?);
        let hasher =
            Hasher::start(policy::hashing(config, world)?, Arc::clone(&world.random), registry)?;
        let hasher = Arc::new(hasher);
        let clock = Arc::clone(&world.clock);
        let limits = Limits::new(limit_store, policy::limits(config), &secret, clock);
        let limits = Arc::new(limits.watched(registry));
        let checks = Arc::new(DatabaseChecks::default());
        let standings: Arc<dyn Standings> = Arc::new(CheckedStandings {
            checks: Arc::clone(&checks),
            store: Arc::clone(&session_store) as Arc<dyn Standings>,
        });
        let audit = Audit::start(
            Arc::clone(&sql) as Arc<dyn AuditStore>,
            Chain::new(&secret),
            Arc::clone(&world.clock),
            Arc::clone(&world.random),
            registry,
        );
        let audit = Arc::new(audit);
        if purpose == Purpose::Work {
            audit.begin().await?;
        }
        let declared = match purpose {
            Purpose::Work => config.permissions.declared.as_slice(),
            Purpose::Audit => &[],
        };
        if keys_are_gone {
            audit::Origin::server().scope(audit::key::replace_lost(&keys, &audit)).await?;
        }
        let roles = Roles::open(
            Arc::clone(&sql) as Arc<dyn RoleStore>,
            Arc::clone(&sql) as Arc<dyn AccountStore>,
            Arc::clone(&standings),
            declared,
            Arc::clone(&audit),
            Arc::clone(&world.clock),
        );
        let roles = Arc::new(audit::Origin::server().scope(roles).await?);
        let accounts = Arc::new(Accounts::new(
            Arc::clone(&sql) as Arc<dyn AccountStore>,
            standings,
            hasher,
            policy::account_policy(config)?,
            Arc::clone(&limits),
            Arc::clone(&audit),
            Arc::clone(&world.clock),
            Arc::clone(&world.random),
        ));
        let issuer = Issuer {
            issuer: config.tokens.issuer.clone(),
            audience: config.tokens.audience.clone(),
        };
        let tokens = Arc::new(Tokens::new(Arc::clone(&keys), issuer));
        let sessions = Sessions::new(
            Arc::clone(&accounts),
            Arc::clone(&session_store),
            checks,
            Arc::clone(&tokens),
            Succession::new(&secret),
            policy::lifetimes(config),
            Arc::clone(&audit),
            Arc::clone(&world.clock),
            Arc::clone(&world.random),
        );
        let sessions = Arc::new(sessions.watched(registry));
        Ok(Self {
            account_store: Arc::clone(&sql) as Arc<dyn AccountStore>,
            role_store: sql,
            roles,
            session_store,
            accounts,
            sessions,
            keys,
            tokens,
            audit,
            form_tokens: FormTokens::new(&secret),
            submissions: Submissions::new(
                submission_store,
                &secret,
                Arc::clone(&world.clock),
                Arc::clone(&world.random),
            )?,
            inspections: Inspections::new(&secret),
            sql: pool,
        })
    }

    /// Ends the services of a command: what happened is in the database, and all files are closed.
    ///
    /// # Errors
    /// Events that the database did not take.
    pub(super) async fn close(self) -> Result<(), StartError> {
        let flushed = self.audit.flush(super::FLUSH_LIMIT).await;
        self.session_store.close().await;
        self.sql.finish().await;
        if flushed { Ok(()) } else { Err("the audit trail could not be written".into()) }
    }
}

/// Where sessions are kept, where limits are counted, and where submissions are known.
pub(super) type Stores = (Arc<dyn SessionStore>, Arc<dyn LimitStore>, Arc<dyn SubmissionStore>);

pub(super) async fn open_database(config: &Config) -> Result<SqlPool, StartError> {
    let (url, size) = (&config.database.url, config.database.pool_size);
    Ok(SqlPool::open_as(url, size, &config.origin_of_database()).await?)
}

pub(super) fn redis_pool(config: &Config, near: Option<Duration>) -> Result<RedisPool, StartError> {
    let near = near.map(|life| (config.store.prefix.as_str(), life));
    Ok(RedisPool::open(&config.store.url, near, &config.origin_of_store())?)
}

pub(super) fn redis_stores(config: &Config, pool: RedisPool) -> Stores {
    let store = Arc::new(RedisStore::new(pool, &config.store.prefix));
    let submissions = Arc::clone(&store) as Arc<dyn SubmissionStore>;
    (Arc::clone(&store) as Arc<dyn SessionStore>, store, submissions)
}

pub(super) async fn embedded_stores(
    config: &Config,
    world: &World,
    role: Role,
) -> Result<Stores, StartError> {
    let path = embedded_path(config)?;
    let sessions = Embedded::open(&path, role, Arc::clone(&world.clock)).await?;
    let submissions = Arc::new(EmbeddedSubmissions::default());
    Ok((Arc::new(sessions), Arc::new(EmbeddedLimits::default()), submissions))
}

/// The file of the embedded session store: beside the accounts, or, if those are in PostgreSQL, in
/// the data directory, where it is made first if it is not there.
fn embedded_path(config: &Config) -> Result<PathBuf, StartError> {
    if let Some(path) = sqlite_path(config) {
        return Ok(path);
    }
    let folder = &config.data_dir;
    let path = folder.join("doorward.db");
    let made = private_file::make_folder(folder).and_then(|()| private_file::make_empty(&path));
    made.map_err(|error| {
        format!(
            "the embedded store cannot keep sessions in {}: {error}; set `data_dir` to a folder that \
             the server may write to, or `store.url` to a Redis",
            folder.display()
        )
    })?;
    Ok(path)
}

/// The file of the accounts, unless they are in PostgreSQL.
pub(super) fn sqlite_path(config: &Config) -> Option<PathBuf> {
    let address = SqlAddress::parse(config.database.url.expose()).ok()?;
    address.path().map(Path::to_owned)
}

//! Doorward as a fairing: what a Rocket application attaches to have users.

use std::sync::Arc;

use rocket::fairing::{self, Fairing, Info, Kind};
use rocket::figment::Figment;
use rocket::{Build, Orbit, Rocket};

use super::{FLUSH_LIMIT, Prepared, StartError, World, complain};
use crate::audit::Audit;
use crate::config::Config;

/// Gives a Rocket application its users: the pages, the JSON interface, and the guards
/// [`LoggedIn`](crate::LoggedIn), [`Allowed`](crate::Allowed), [`InRole`](crate::InRole).
///
/// Settings come from `Rocket.toml` and the environment, as those of the server do. With none of them,
/// accounts and sessions are kept in a SQLite file in `data/`.
///
/// # Examples
///
/// ```no_run
/// use doorward::{Doorward, LoggedIn};
/// use rocket::{get, launch, routes};
///
/// #[get("/notes")]
/// fn notes(viewer: LoggedIn) -> String {
///     format!("These are the notes of {}.", viewer.account.name())
/// }
///
/// #[launch]
/// fn rocket() -> _ {
///     rocket::build().attach(Doorward::new()).mount("/", routes![notes])
/// }
/// ```
#[derive(Default)]
pub struct Doorward {
    config: Option<Config>,
    world: World,
}

impl Doorward {
    /// Doorward as `Rocket.toml` and the environment configure it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Doorward with a configuration that was read already, and with what comes from outside: for
    /// tests, which bring a clock of their own.
    pub fn with(config: Config, world: World) -> Self {
        Self { config: Some(config), world }
    }

    fn prepare(&self) -> Result<Prepared, StartError> {
        let config = match &self.config {
            Some(config) => config.clone(),
            None => Config::load_shared()?,
        };
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        Prepared::new(config, self.world.clone())
    }
}

#[rocket::async_trait]
impl Fairing for Doorward {
    fn info(&self) -> Info {
        Info { name: "Doorward", kind: Kind::Ignite | Kind::Shutdown | Kind::Singleton }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        match self.prepare() {
            Ok(prepared) => {
                let figment = settled(rocket.figment(), &prepared.config.rocket());
                Ok(prepared.attach(rocket.configure(figment)))
            }
            Err(error) => {
                complain(&error);
                Err(rocket)
            }
        }
    }

    async fn on_shutdown(&self, rocket: &Rocket<Orbit>) {
        if let Some(audit) = rocket.state::<Arc<Audit>>() {
            audit.flush(FLUSH_LIMIT).await;
        }
    }
}

/// The application's settings of Rocket, with ours where it left Rocket's defaults that are not safe or
/// fit no proxy (SR-24, SR-42).
fn settled(theirs: &Figment, ours: &Figment) -> Figment {
    let mut settled = theirs.clone();
    for name in ["ident", "ip_header", "keep_alive"] {
        let untouched = theirs
            .find_metadata(name)
            .is_none_or(|metadata| metadata.name.starts_with("rocket::Config"));
        if let Some(value) = ours.find_value(name).ok().filter(|_| untouched) {
            settled = settled.merge((name, value));
        }
    }
    settled
}

//! Doorward as a fairing: what a Rocket application attaches to have users.

use std::sync::Arc;

use rocket::fairing::{self, AdHoc, Fairing, Info, Kind};
use rocket::figment::Figment;
use rocket::{Build, Orbit, Rocket};

use super::reload::Load;
use super::{Complaint, FLUSH_LIMIT, Prepared, StartError, World};
use crate::account::{Actor, Roles};
use crate::audit::{Audit, Origin};
use crate::config::Config;
use crate::error::{Error, chain};
use crate::role::Declared;

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
    permissions: Vec<(&'static str, &'static str)>,
    roles: Vec<FirstRole>,
    all_hosts: bool,
}

/// A role that an application begins with.
#[derive(Clone)]
struct FirstRole {
    name: &'static str,
    description: &'static str,
    permissions: Vec<String>,
}

impl Doorward {
    /// Doorward as `Rocket.toml` and the environment configure it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Doorward with a configuration that was read already, and with what comes from outside: for
    /// tests, which bring a clock of their own.
    pub fn with(config: Config, world: World) -> Self {
        Self { config: Some(config), world, ..Self::default() }
    }

    /// Declares a permission of the application, as `permissions.declared` does: the role `admin` holds
    /// it, and others can be given it.
    #[must_use]
    pub fn permission(mut self, name: &'static str, description: &'static str) -> Self {
        self.permissions.push((name, description));
        self
    }

    /// A role that the application begins with. It is made if there is none of this name; what
    /// administrators make of it afterwards is theirs.
    #[must_use]
    pub fn role(
        mut self,
        name: &'static str,
        description: &'static str,
        permissions: &[&str],
    ) -> Self {
        let permissions = permissions.iter().map(|&name| name.to_owned()).collect();
        self.roles.push(FirstRole { name, description, permissions });
        self
    }

    /// Refuses every request for a host that is neither that of `public_url` nor one of `hosts.extra`,
    /// also those for the application's own routes and for paths without one.
    ///
    /// Otherwise Doorward's routes and guards alone are held to these hosts: an application may serve
    /// others besides.
    #[must_use]
    pub fn check_all_hosts(mut self) -> Self {
        self.all_hosts = true;
        self
    }

    fn prepare(&self) -> Result<(Prepared, Load), StartError> {
        let mut declared = Vec::new();
        for (name, description) in &self.permissions {
            declared.push(Declared::new(name, description)?);
        }
        let given = self.config.clone();
        let load = move || {
            let mut config = given.clone().map_or_else(Config::load_shared, Ok)?;
            config.permissions.declared.extend_from_slice(&declared);
            Ok(config)
        };
        let config = load()?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let complaint = Complaint::default();
        let prepared = Prepared::new(config, self.world.clone(), complaint, self.all_hosts)?;
        Ok((prepared, Box::new(load)))
    }
}

#[rocket::async_trait]
impl Fairing for Doorward {
    fn info(&self) -> Info {
        Info { name: "Doorward", kind: Kind::Ignite | Kind::Shutdown | Kind::Singleton }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> fairing::Result {
        match self.prepare() {
            Ok((prepared, load)) => {
                let figment = settled(rocket.figment(), &prepared.config.rocket());
                let roles = self.roles.clone();
                let rocket = prepared.attach(rocket.configure(figment), load);
                Ok(rocket.attach(AdHoc::try_on_ignite("Doorward's first roles", |rocket| async {
                    match make_roles(&rocket, roles).await {
                        Ok(()) => Ok(rocket),
                        Err(error) => {
                            Complaint::default().say(error);
                            Err(rocket)
                        }
                    }
                })))
            }
            Err(error) => {
                Complaint::default().say(error);
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

/// Makes those roles that are not there.
async fn make_roles(rocket: &Rocket<Build>, first: Vec<FirstRole>) -> Result<(), StartError> {
    let Some(roles) = rocket.state::<Arc<Roles>>() else {
        return Err("the services are not there".into());
    };
    let there = roles.all().await?;
    for FirstRole { name, description, permissions } in first {
        if there.iter().any(|role| role.name.as_str() == name) {
            continue;
        }
        let make = roles.create(Actor::Operator, name, description, &permissions);
        match Origin::server().scope(make).await {
            // Another replica that starts at the same moment may have made it.
            Ok(_) | Err(Error::Conflict(_)) => {}
            Err(error) => return Err(format!("the role {name}: {}", chain(&error)).into()),
        }
    }
    Ok(())
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

//! Where settings come from: `Rocket.toml`, hosting platforms, the environment; the later beats the earlier.

use ::rocket::figment::providers::{Format as _, Toml};
use ::rocket::figment::value::{Dict, Map, Value};
use ::rocket::figment::{Error, Figment, Metadata, Profile, Provider};

use super::key::{self, KEYS, Key};
use super::{rocket, value};

/// Everything that a configuration is read from.
pub(super) struct Sources {
    /// The text of `Rocket.toml`, and what to call it in messages.
    pub(super) toml: String,
    pub(super) toml_name: String,
    /// The selected profile, in lower case, and what selected it.
    pub(super) profile: String,
    pub(super) profile_source: &'static str,
    /// The environment.
    pub(super) env: Vec<(String, String)>,
    /// Whose settings there are.
    pub(super) household: Household,
}

/// Whose settings stand in `Rocket.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Household {
    /// Doorward's alone: any other is a mistake.
    Alone,
    /// Those of an application too. What looks like none of ours is taken for one of theirs.
    Shared,
}

impl Household {
    /// Whether `name` can be another's: it lies in no section of ours, and is not nearly one of our names.
    fn allows(self, name: &str) -> bool {
        self == Self::Shared
            && KEYS.iter().filter(|key| !key.is_rockets()).all(|key| {
                value::before(key.name, '.') != value::before(name, '.')
                    && key::distance(key.name, name) > 2
            })
    }
}

/// The settings that were given, by key and with their origins, and what is wrong with them.
pub(super) struct Gathered {
    /// Doorward's settings.
    pub(super) ours: Figment,
    /// Rocket's settings, apart, because Rocket is handed them and no secret goes with them.
    pub(super) rockets: Figment,
    pub(super) problems: Vec<String>,
    household: Household,
}

/// One setting from one place. In the figment a value that stands in a file is `{ file = "…" }`.
pub(super) struct Given {
    pub(super) key: &'static Key,
    pub(super) value: Value,
    pub(super) source: String,
}

impl Given {
    /// A default of the setting `name`.
    pub(super) fn default(name: &str, value: impl Into<Value>) -> Self {
        Self { key: Key::named(name), value: value.into(), source: "default".to_owned() }
    }
}

impl Provider for Given {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = ::rocket::figment::util::nest(self.key.name, self.value.clone());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Variables that hosting platforms set, and the settings that they are for.
const HOSTING: [(&str, &str); 3] =
    [("DATABASE_URL", "database.url"), ("REDIS_URL", "store.url"), ("PORT", "port")];

/// The key under which a value stands in a file.
pub(super) const FILE: &str = "file";

/// Reads all sources. A setting that nobody knows is a problem, and so is one that is given twice in one place.
pub(super) fn gather(sources: &Sources) -> Gathered {
    // A hosting platform tells the port to listen on, and forwards to it from outside.
    let hosted = sources.env.iter().any(|(name, text)| name == "PORT" && !text.is_empty());
    let rockets = Figment::from(rocket::defaults(&sources.profile, hosted));
    let household = sources.household;
    let mut gathered = Gathered { ours: Figment::new(), rockets, problems: Vec::new(), household };
    for key in KEYS {
        if let Some(default) = key.fixed_default().filter(|_| !key.is_rockets()) {
            gathered.add(Given::default(key.name, default));
        }
    }
    gathered.toml(sources);
    gathered.hosting(&sources.env);
    gathered.environment(&sources.env);
    gathered
}

impl Gathered {
    fn add(&mut self, given: Given) {
        let figment = if given.key.is_rockets() { &mut self.rockets } else { &mut self.ours };
        *figment = std::mem::take(figment).merge(given);
    }

    /// `Rocket.toml`: the profile `default`, then the selected one, then `global`, as Rocket orders them.
    fn toml(&mut self, sources: &Sources) {
        let name = &sources.toml_name;
        let data = match Toml::string(&sources.toml).data() {
            Ok(mut data) => data.remove(&Profile::Default).unwrap_or_default(),
            Err(error) => {
                // The rest of the message repeats the line, which may hold a secret.
                let message = error.to_string();
                let place = message.lines().find_map(|line| line.split_once(" at line "));
                let place = place.map(|(_, place)| format!(": see line {place}"));
                self.problems.push(format!("{name} is not TOML{}", place.unwrap_or_default()));
                return;
            }
        };
        let mut chosen = Vec::new();
        for (profile, settings) in data {
            let Value::Dict(_, settings) = settings else {
                self.problems.push(format!(
                    "`{profile}` in {name} stands outside a profile; write it under [default]"
                ));
                continue;
            };
            if !self.check_profile(&profile, sources) {
                continue;
            }
            let place = format!("{name} [{profile}]");
            let given = self.table(settings, &place);
            let profile = profile.to_ascii_lowercase();
            let rank = ["default", sources.profile.as_str(), "global"]
                .iter()
                .rposition(|p| **p == profile);
            if let Some(rank) = rank {
                chosen.push((rank, given));
            }
        }
        chosen.sort_by_key(|(rank, _)| *rank);
        for given in chosen.into_iter().flat_map(|(_, given)| given) {
            self.add(given);
        }
    }

    /// A section without its profile, or a misspelt profile, would be ignored in silence.
    fn check_profile(&mut self, profile: &str, sources: &Sources) -> bool {
        let known = ["default", "global", "debug", "release", sources.profile.as_str()];
        if known.contains(&profile.to_ascii_lowercase().as_str()) {
            return true;
        }
        let name = &sources.toml_name;
        if KEYS.iter().any(|key| value::before(key.name, '.') == profile) {
            self.problems.push(format!(
                "[{profile}] in {name} stands outside a profile; write [default.{profile}]"
            ));
        } else if let Some(near) = known.iter().find(|known| key::distance(known, profile) <= 2) {
            self.problems
                .push(format!("[{profile}] in {name} is no profile; did you mean [{near}]?"));
        } else {
            return true;
        }
        false
    }

    /// The settings of one table of profile `place`, checked for strangers.
    fn table(&mut self, settings: Dict, place: &str) -> Vec<Given> {
        let mut found = Vec::new();
        flatten("", settings, &mut found);
        let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
        let mut given = Vec::new();
        for (name, value) in found {
            let stem = name.strip_suffix("_file").filter(|stem| names.iter().any(|n| n == stem));
            if let Some(stem) = stem.filter(|_| Key::find(&name).is_none()) {
                self.problems.push(format!("{place} gives both `{stem}` and `{name}`; keep one"));
            }
            match self.recognise(&name, value, place.to_owned()) {
                Some(setting) => given.push(setting),
                None => self.refuse_stranger(&name, place),
            }
        }
        given
    }

    /// The setting called `name`, or the one whose value stands in a file, if there is such a setting.
    fn recognise(&mut self, name: &str, value: Value, source: String) -> Option<Given> {
        if let Some(key) = Key::find(name) {
            return Some(Given { key, value, source });
        }
        let key = Key::find(name.strip_suffix("_file")?).filter(|key| key.has_file())?;
        let path = value::text(&value).unwrap_or_default();
        let source = format!("file {path}");
        Some(Given { key, value: Dict::from([(FILE.to_owned(), path.into())]).into(), source })
    }

    fn refuse_stranger(&mut self, name: &str, place: &str) {
        if self.household.allows(name) {
            return;
        }
        if let Some(why) = key::decided(name) {
            self.problems.push(format!("`{name}` in {place} cannot be set: {why}"));
            return;
        }
        let hint = key::nearest(name).map(|near| format!("; did you mean `{near}`?"));
        self.problems
            .push(format!("`{name}` in {place} is not a setting{}", hint.unwrap_or_default()));
    }

    /// What hosting platforms set.
    fn hosting(&mut self, env: &[(String, String)]) {
        for (variable, key) in HOSTING {
            let Some((_, text)) =
                env.iter().find(|(name, text)| name == variable && !text.is_empty())
            else {
                continue;
            };
            let value =
                if variable == "PORT" { number_or_text(text) } else { text.as_str().into() };
            let source = format!("environment {variable}");
            self.add(Given { key: Key::named(key), value, source });
        }
    }

    /// `DOORWARD_…` and `ROCKET_…`.
    fn environment(&mut self, env: &[(String, String)]) {
        let mut env: Vec<_> =
            env.iter().filter(|(name, text)| !is_service_link(name, text)).collect();
        env.sort();
        for (variable, text) in &env {
            if variable.starts_with("DOORWARD_") {
                let partner = format!("{variable}_FILE");
                if env.iter().any(|(name, _)| *name == partner) {
                    self.problems.push(format!("{variable} and {partner} are both set; keep one"));
                }
                self.variable(variable, text);
            } else if let Some(key) = variable.strip_prefix("ROCKET_") {
                self.rockets_variable(variable, &key.to_ascii_lowercase(), text);
            }
        }
    }

    fn variable(&mut self, variable: &str, text: &str) {
        let known = KEYS.iter().filter(|key| !key.is_rockets()).find_map(|key| {
            let own = key.variable();
            let file = format!("{own}_FILE");
            (own == variable).then(|| key.name.to_owned()).or_else(|| {
                (key.has_file() && file == variable).then(|| format!("{}_file", key.name))
            })
        });
        let Some(name) = known else { return self.refuse_variable(variable) };
        if text.is_empty() && !matches!(Key::find(&name).map(|key| key.kind), Some(key::Kind::List))
        {
            self.problems.push(format!("{variable} is empty; give it a value or unset it"));
            return;
        }
        if let Some(given) = self.recognise(&name, text.into(), format!("environment {variable}")) {
            self.add(given);
        }
    }

    fn rockets_variable(&mut self, variable: &str, name: &str, text: &str) {
        // These two choose the file and the profile; the third is for Rocket's own developers.
        if matches!(name, "profile" | "config" | "codegen_debug") {
            return;
        }
        // Rocket's notation: bare words are texts, and a table is {grace=5}.
        let value = text.parse::<Value>().unwrap_or_else(|never| match never {});
        let source = format!("environment {variable}");
        let table = Dict::from([(name.to_owned(), value)]);
        let mut found = Vec::new();
        flatten("", table, &mut found);
        for (name, value) in found {
            match Key::find(&name).filter(|key| key.is_rockets()) {
                Some(key) => self.add(Given { key, value, source: source.clone() }),
                None if key::decided(&name).is_some() => {
                    self.refuse_stranger(&name, &source);
                }
                None if self.household.allows(&name) => {}
                None => self.refuse_variable(variable),
            }
        }
    }

    fn refuse_variable(&mut self, variable: &str) {
        let near = KEYS
            .iter()
            .flat_map(|key| {
                let file = key.has_file().then(|| format!("{}_FILE", key.variable()));
                std::iter::once(key.variable()).chain(file)
            })
            .map(|name| (key::distance(&name, variable), name))
            .min()
            .filter(|(distance, _)| *distance <= 1 + variable.len() / 8);
        let hint = near.map(|(_, name)| format!("; did you mean {name}?")).unwrap_or_default();
        self.problems.push(format!("the environment variable {variable} is not a setting{hint}"));
    }
}

/// Lists the leaves of a table by their full names.
fn flatten(prefix: &str, table: Dict, found: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) => flatten(&name, inner, found),
            leaf => found.push((name, leaf)),
        }
    }
}

/// Whether a variable of the environment can say anything to us.
pub(super) fn is_read(variable: &str) -> bool {
    variable.starts_with("DOORWARD_")
        || variable.starts_with("ROCKET_")
        || HOSTING.iter().any(|(name, _)| *name == variable)
}

fn number_or_text(text: &str) -> Value {
    text.parse::<u16>().map_or_else(|_| text.into(), Value::from)
}

/// Whether Kubernetes made this variable, as it does in every pod for each service of the namespace: for a
/// service named `doorward` there are `DOORWARD_SERVICE_HOST`, `DOORWARD_PORT=tcp://…` and others.
fn is_service_link(name: &str, text: &str) -> bool {
    let numbered = name.split_once("_PORT_").is_some_and(|(_, rest)| {
        let number = value::before(rest, '_');
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && ["_TCP", "_UDP", "_SCTP"]
                .iter()
                .any(|protocol| rest[number.len()..].starts_with(protocol))
    });
    numbered
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT")
            && ["tcp://", "udp://", "sctp://"].iter().any(|p| text.starts_with(p)))
}

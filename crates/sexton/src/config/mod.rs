//! What Sexton was told: the configuration file, the environment, and what follows from both.
//!
//! Reading is strict and complete: every mistake of the file is found at once, with its place. A
//! [`Config`] that exists is right in itself; whether databases and tables exist is found out by planning. The
//! only module that reads the environment.

mod api;
mod backups;
mod channels;
mod document;
mod environment;
mod operations;
mod pool;
mod problem;
mod resolve;
mod salvage;
mod schedules;
mod schema;
mod secrets;
mod sections;
mod telemetry;
mod whole;

pub use api::{ApiSection, CleanupRoutes};
pub use channels::wrong_recipient;
pub use document::{Node, Value};
pub use environment::Environment;
pub use operations::{MANNERS, Override, Overrides, THRESHOLD, override_manners};
pub use pool::PoolSection;
pub use problem::{Problem, Problems, nearest};
pub use salvage::load_what_holds;
pub use schema::{Property, Schema};
use sections::BackupSection;
pub use sections::{LogFormat, LogLevel, Order};
pub use whole::{is_good_name, manners_schema, operation_schema, schema_of_file};

use engine::age::Age;
use engine::{BackupPolicy, Kind, RunLog, Severity};
use scheduler::Schedule;
use secrecy::SecretString;
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use targets::db::Url;

/// Every setting with its default and a comment.
pub const EXAMPLE: &str = include_str!("../../../../sexton.example.toml");

/// The name of the file that is looked for in the present folder.
pub const FILE: &str = "sexton.toml";

/// What Sexton was told.
pub struct Config {
    /// The file; none when there is none.
    pub file: Option<PathBuf>,
    /// The databases, in the order of the file.
    pub databases: Vec<DatabaseSetting>,
    /// Many databases under one name.
    pub fleets: Vec<FleetSetting>,
    /// The PostgreSQL database of the variable `DATABASE_URL`, for a transfer that is told no other (S4-005).
    pub usual_target: Option<DatabaseSetting>,
    /// The file stores.
    pub stores: Vec<StoreSetting>,
    /// The operations, in the order of the file.
    pub operations: Vec<OperationSetting>,
    /// The groups.
    pub groups: Vec<GroupSetting>,
    /// When operations run by themselves, in the order of the file.
    pub schedules: Vec<Schedule>,
    /// Manners of all operations, as far as given.
    pub manners: Map<String, Json>,
    /// Whether a run goes on when one of its operations fails.
    pub go_on: bool,
    /// How many operations of a run may be at work at a time.
    pub max_parallel: usize,
    /// Where runs are remembered.
    pub state: StatePlace,
    /// How long undo rows are kept.
    pub keep_undo: Age,
    /// The most bytes that the undo rows of one operation may take.
    pub undo_max_bytes: Option<u64>,
    /// For how long runs are remembered.
    pub keep_runs: Age,
    /// Tables of applications that get a row for each run.
    pub run_logs: Vec<RunLog>,
    /// How much is logged to stderr.
    pub log_level: Option<LogLevel>,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Where the copy of the run log goes.
    pub log_folder: Option<PathBuf>,
    /// The order of `--all` and groups.
    pub order: Order,
    /// Whether a real run needs an earlier dry run.
    pub first_run_dry: bool,
    /// How backups are made and kept; none when they are switched off.
    pub backups: Option<BackupPolicy>,
    /// Who is told what, and how.
    pub notify: notify::Settings,
    /// How the API is served.
    pub api: ApiSection,
    /// Where traces of runs go.
    pub traces: Option<Arc<notify::Traces>>,
    /// How many sessions a process keeps that stays.
    pub pool: PoolSection,
    /// Those sessions.
    pub sessions: crate::wiring::Sessions,
    /// What must never be printed.
    pub secrets: Vec<SecretString>,
    /// The moment that counts as now, for tests.
    pub now: Option<jiff::Timestamp>,
}

/// A database of the configuration.
#[derive(Clone)]
pub struct DatabaseSetting {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// The zone of times that have none.
    pub zone: Option<String>,
}

/// Many databases of the configuration.
#[derive(Clone)]
pub struct FleetSetting {
    /// Its name.
    pub name: String,
    /// Which.
    pub members: Members,
    /// How many go first.
    pub canary: usize,
    /// How many are worked on at once.
    pub at_once: usize,
    /// How many of one server.
    pub at_once_per_server: Option<usize>,
    /// How many percent may fail.
    pub max_failed_percent: f64,
}

/// Which databases a fleet has.
#[derive(Clone)]
pub enum Members {
    /// These.
    Listed(Vec<DatabaseSetting>),
    /// Those that a query yields.
    Queried {
        /// The database that knows them.
        from: String,
        /// The query.
        query: String,
        /// Where each is, with `{1}` for the first column; it may hold a password.
        url: SecretString,
        /// Where relative paths begin.
        folder: PathBuf,
    },
}

/// A file store of the configuration.
#[derive(Clone)]
pub struct StoreSetting {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: StorePlace,
    /// It is there without being configured.
    pub usual: bool,
}

/// Where a file store is.
#[derive(Clone)]
pub enum StorePlace {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    Bucket {
        /// `s3://bucket/prefix`.
        url: String,
        /// The server, when it is not Amazon's.
        endpoint: Option<String>,
        /// The region.
        region: Option<String>,
        /// The access key.
        access_key: Option<SecretString>,
        /// The secret key.
        secret_key: Option<SecretString>,
    },
}

/// Where runs are remembered.
#[derive(Clone)]
pub enum StatePlace {
    /// In a SQLite file in this folder.
    Folder(PathBuf),
    /// In this database.
    Database(Url),
}

/// An operation of the configuration.
#[derive(Clone)]
pub struct OperationSetting {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static dyn Kind,
    /// What people read.
    pub title: String,
    /// The name of its database.
    pub database: String,
    /// How much can go wrong.
    pub severity: Severity,
    /// Whether it needs a fresh backup.
    pub backup: bool,
    /// Operations that must have succeeded.
    pub needs: Vec<String>,
    /// The operation that verifies it.
    pub verify_after: Option<String>,
    /// How long it is expected to take.
    pub expected_seconds: Option<f64>,
    /// Its manners, as far as given.
    pub manners: Map<String, Json>,
    /// The options of its kind.
    pub options: Map<String, Json>,
}

/// A group of the configuration.
#[derive(Clone)]
pub struct GroupSetting {
    /// Its name.
    pub name: String,
    /// What people read.
    pub description: Option<String>,
    /// The names of its operations.
    pub operations: Vec<String>,
    /// The operation that verifies all of it.
    pub verify_after: Option<String>,
    /// How many of its operations may be at work at a time, where it says so itself.
    pub max_parallel: Option<usize>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Fault {
    /// The file is wrong.
    Wrong(Box<Problems>),
    /// The file cannot be read, or there is none.
    Missing {
        /// What is missing.
        what: String,
        /// What to do.
        help: String,
    },
}

/// Where to look and what to choose.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--profile`.
    pub profile: Option<String>,
}

/// Finds and reads the configuration. Without a file, and if none was named, there is an empty one.
pub fn load(
    wanted: &Wanted,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
) -> Result<Config, Fault> {
    let named = wanted.file.clone().or_else(|| environment.variable("SEXTON_CONFIG").map(PathBuf::from));
    let path = match &named {
        Some(path) => environment.folder.join(path),
        None => environment.folder.join(FILE),
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return without_file(wanted, environment);
        }
        Err(error) => {
            let shown = named.unwrap_or(path);
            return Err(Fault::Missing {
                what: format!("the configuration `{}` cannot be read: {error}", shown.display()),
                help: "`sexton init DATABASE` drafts one, `sexton config example` shows every setting"
                    .to_owned(),
            });
        }
    };
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let environment = environment
        .with_file(&folder)
        .map_err(|what| Fault::Missing { what, help: "write one `NAME=value` a line".to_owned() })?;
    let shown = named.as_deref().unwrap_or(Path::new(FILE)).display().to_string();
    let mut config = read(&text, &shown, &folder, wanted.profile.as_deref(), &environment, catalogue)?;
    config.file = Some(path);
    config.now = set_clock(&environment)?;
    config.look_for_target(&environment);
    Ok(config)
}

/// Reads the text of a configuration.
pub fn read(
    text: &str,
    shown: &str,
    folder: &Path,
    profile: Option<&str>,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
) -> Result<Config, Fault> {
    let wrong = |problems| Fault::Wrong(Box::new(Problems::new(shown, text, problems)));
    let tree = Node::parse(text).map_err(|errors| {
        wrong(errors.into_iter().map(|error| Problem::new("", error.span, error.what)).collect())
    })?;
    let mut problems = Vec::new();
    let profiles: Vec<&str> = tree
        .entry("profile")
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    if let Some(name) = profile.filter(|name| !profiles.contains(name)) {
        let help = match nearest(name, &profiles) {
            Some(near) => format!("did you mean `{near}`?"),
            None if profiles.is_empty() => {
                "the file has no profiles; they are tables `[profile.NAME.…]`".to_owned()
            }
            None => format!("the profiles are {}", profiles.join(", ")),
        };
        return Err(Fault::Missing { what: format!("there is no profile `{name}` in `{shown}`"), help });
    }
    // Profiles that are not chosen are checked too: a mistake must not wait for the day they are needed.
    for other in profiles.iter().copied().filter(|name| Some(*name) != profile).map(Some).chain([profile]) {
        whole::check(&with_profile(&tree, other), catalogue, &mut problems);
    }
    let chosen = with_profile(&tree, profile);
    let config = resolve::config(&chosen, folder, environment, catalogue, problems.is_empty(), &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(wrong(unique(problems))),
    }
}

/// What must not be printed of a URL from the command line.
pub fn secrets_of_url(url: &str) -> Vec<SecretString> {
    resolve::passwords(url).into_iter().map(SecretString::from).collect()
}

fn with_profile(tree: &Node, profile: Option<&str>) -> Node {
    let mut merged = tree.clone();
    let over = profile.and_then(|name| tree.entry("profile")?.entry(name));
    if let Some(over) = over {
        merged.overlay(over);
    }
    if let Value::Table(entries) = &mut merged.value {
        entries.retain(|(name, node)| name != "profile" || !matches!(node.value, Value::Table(_)));
    }
    merged
}

/// The same mistake is found once for every profile.
fn unique(problems: Vec<Problem>) -> Vec<Problem> {
    let mut all: Vec<Problem> = Vec::new();
    for problem in problems {
        if !all.contains(&problem) {
            all.push(problem);
        }
    }
    all
}

fn without_file(wanted: &Wanted, environment: &Environment) -> Result<Config, Fault> {
    if let Some(profile) = &wanted.profile {
        return Err(Fault::Missing {
            what: format!("there is no profile `{profile}`: there is no configuration"),
            help: format!("go to the folder of your `{FILE}`, or name it with `--config`"),
        });
    }
    let mut config = Config::empty(environment)?;
    config.look_for_target(environment);
    Ok(config)
}

impl Config {
    /// An application that has not moved yet has its SQLite file in the variable: that is no target.
    fn look_for_target(&mut self, environment: &Environment) {
        let said = environment.variable("DATABASE_URL").and_then(|said| Url::parse(said).ok());
        if let Some(url @ Url::Postgres { .. }) = said {
            self.secrets.extend(secrets_of_url(&url.expose()));
            self.usual_target = Some(DatabaseSetting { name: url.to_string(), url, zone: None });
        }
    }

    /// Whether it says how long an operation may take.
    pub fn is_promised(&self, name: &str) -> bool {
        self.operations.iter().any(|one| one.name == name && one.expected_seconds.is_some())
    }

    /// What holds when there is no file.
    pub fn empty(environment: &Environment) -> Result<Config, Fault> {
        let state = environment.state_folder().unwrap_or_else(|| environment.folder.join(".sexton"));
        let usual_backups = backups::policy(BackupSection::default(), &environment.folder, &state, None);
        Ok(Config {
            file: None,
            databases: Vec::new(),
            usual_target: None,
            fleets: Vec::new(),
            operations: Vec::new(),
            groups: Vec::new(),
            manners: Map::new(),
            go_on: true,
            max_parallel: 1,
            log_folder: Some(state.clone()),
            stores: vec![backups::usual_store(&state)],
            state: StatePlace::Folder(state),
            keep_undo: sections::UndoSection::default().keep,
            undo_max_bytes: None,
            keep_runs: sections::LogSection::default().keep,
            schedules: Vec::new(),
            run_logs: Vec::new(),
            log_level: None,
            log_format: LogFormat::default(),
            order: Order::default(),
            first_run_dry: false,
            backups: Some(usual_backups),
            notify: notify::Settings::default(),
            api: ApiSection::default(),
            traces: None,
            pool: PoolSection::default(),
            sessions: Default::default(),
            secrets: Vec::new(),
            now: set_clock(environment)?,
        })
    }
}

/// `SEXTON_NOW` is for tests: ages are measured from it.
fn set_clock(environment: &Environment) -> Result<Option<jiff::Timestamp>, Fault> {
    let Some(text) = environment.variable("SEXTON_NOW") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Fault::Missing {
        what: format!("`SEXTON_NOW` is no moment: `{text}`"),
        help: "write it like `2026-11-20T12:00:00Z`, or unset it".to_owned(),
    })
}

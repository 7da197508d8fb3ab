//! The only file that names back ends and kinds: puts an engine together from a configuration.
//!
//! Nothing is connected to here; databases, stores and the state are opened at their first use.

use crate::config::{
    Config, DatabaseSetting, FleetSetting, Members, StatePlace, StorePlace, StoreSetting, nearest,
};
use crate::fleet;
use backends::bucket::{Bucket, BucketOptions, Credentials};
use backends::jq::Children;
use backends::local_files::LocalFiles;
use backends::postgres::{Keep, Pool, Postgres};
use backends::sqlite::Sqlite;
use engine::{Databases, Engine, Error, Heard, Kind, Parts, Result, SetClock, Stores, SystemClock};
use secrecy::ExposeSecret;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use targets::db::{Database, Url};
use targets::files::Files;
use targets::programs::Programs;

/// The judgement over migrations, which no run is needed for.
pub use kinds::migrate::{compare, directory::Convention, lint, run::Checkpoint, run::Made};

/// What Sexton knows how to do.
pub fn catalogue() -> Vec<&'static dyn Kind> {
    kinds::catalogue()
}

/// Makes the files of a new migration; where they are.
pub fn new_migration(
    options: &serde_json::Value,
    name: &str,
    now: jiff::Timestamp,
) -> Result<Vec<std::path::PathBuf>> {
    kinds::migrate::run::new_files(options, name, now)
}

/// An engine for this configuration. `given` is a database named on the command line by its URL.
pub fn engine(config: &Config, given: Option<&DatabaseSetting>) -> Engine {
    let mut databases = config.databases.clone();
    databases.extend(given.cloned());
    let state = config.state.clone();
    let known = Known {
        databases,
        fleets: config.fleets.clone(),
        members: Arc::default(),
        sessions: config.sessions.clone(),
    };
    Engine::new(Parts {
        catalogue: catalogue(),
        stores: Box::new(KnownStores { stores: config.stores.clone(), databases: known.clone() }),
        databases: Box::new(known),
        state: Box::new(move || open_state(&state)),
        state_is_there: {
            let state = config.state.clone();
            Box::new(move || match &state {
                StatePlace::Folder(folder) => folder.join(STATE).exists(),
                StatePlace::Database(_) => true,
            })
        },
        log_folder: config.log_folder.clone(),
        clock: match config.now {
            Some(now) => Arc::new(SetClock::moving(now)),
            None => Arc::new(SystemClock),
        },
        keep_undo: config.keep_undo.clone(),
        undo_max_bytes: config.undo_max_bytes,
        keep_runs: config.keep_runs.clone(),
        run_logs: config.run_logs.clone(),
        backups: config.backups.clone(),
        ended: config.traces.clone().map(|traces| -> Arc<Heard> {
            Arc::new(move |plan, events, report| traces.ended(plan, events, report))
        }),
    })
}

/// The file of the state in its folder.
const STATE: &str = "state.db";

/// Sessions to the databases of a configuration, in a process that keeps some. All its engines share them.
#[derive(Clone, Default)]
pub struct Sessions(Arc<OnceLock<HashMap<String, Arc<Pool>>>>);

impl Sessions {
    /// From now on sessions are kept; some are opened at once. What is not as it should be is told: a server that cannot be
    /// reached now, or that takes fewer than may be opened.
    pub fn begin(&self, config: &Config, tell: &mut dyn FnMut(String)) {
        let said = config.pool;
        let keep = Keep {
            min: said.min,
            size: said.size,
            overflow: said.overflow,
            wait: Duration::from_secs_f64(said.wait_timeout),
            recycle: Duration::from_secs_f64(said.recycle),
        };
        let mut pools = HashMap::new();
        for DatabaseSetting { name, url, .. } in &config.databases {
            // what is wrong with a URL is told by whoever connects
            let Url::Postgres { .. } = url else { continue };
            let Ok(pool) = Pool::new(name, url, keep) else { continue };
            let most = (said.size + said.overflow) as u64;
            match pool.fill() {
                Ok(takes) if (1..=most).contains(&takes) => tell(format!(
                    "`{name}` takes {takes} connections in all, but `[pool]` allows {most} (`size` and `overflow`): make it smaller"
                )),
                Ok(_) => {}
                Err(error) => tell(format!("no session to `{name}` is kept yet: {error}")),
            }
            pools.insert(name.clone(), pool);
        }
        let _ = self.0.set(pools);
    }

    fn of(&self, name: &str) -> Option<Arc<Pool>> {
        self.0.get()?.get(name).cloned()
    }
}

#[derive(Clone)]
struct Known {
    databases: Vec<DatabaseSetting>,
    fleets: Vec<FleetSetting>,
    /// The databases of fleets that were asked for last, by name.
    members: Arc<Mutex<BTreeMap<String, DatabaseSetting>>>,
    /// Those that are kept open.
    sessions: Sessions,
}

impl Known {
    /// A database of the configuration, or of one of its fleets as it is now.
    fn find(&self, name: &str) -> Result<Option<DatabaseSetting>> {
        if let Some(known) = self.databases.iter().find(|known| known.name == name) {
            return Ok(Some(known.clone()));
        }
        let mut listed = self.fleets.iter().filter_map(|fleet| match &fleet.members {
            Members::Listed(all) => all.iter().find(|known| known.name == name),
            Members::Queried { .. } => None,
        });
        if let Some(known) = listed.next() {
            return Ok(Some(known.clone()));
        }
        let asked = |fleet: &FleetSetting| matches!(fleet.members, Members::Queried { .. });
        if is_place(name) || !self.fleets.iter().any(asked) {
            return Ok(None);
        }
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if !members.contains_key(name) {
            members.clear();
            for fleet in self.fleets.iter().filter(|fleet| asked(fleet)) {
                let all = fleet::members(fleet, |from| self.configured(from))?;
                for member in all {
                    members.entry(member.setting.name.clone()).or_insert(member.setting);
                }
            }
        }
        Ok(members.get(name).cloned())
    }

    fn configured(&self, name: &str) -> Result<Arc<dyn Database>> {
        match self.databases.iter().find(|known| known.name == name) {
            Some(known) => Ok(connect_to(name, &known.url)),
            None => Err(Error::usage(format!("there is no database `{name}`"))),
        }
    }
}

/// The databases that a fleet has now.
pub fn members(config: &Config, fleet: &FleetSetting) -> Result<Vec<fleet::Member>> {
    let known = Known {
        databases: config.databases.clone(),
        fleets: Vec::new(),
        members: Arc::default(),
        sessions: config.sessions.clone(),
    };
    fleet::members(fleet, |from| known.configured(from))
}

impl Databases for Known {
    fn database(&self, name: &str) -> Result<Arc<dyn Database>> {
        if let Some(known) = self.find(name)? {
            return Ok(match &known.url {
                Url::Postgres { .. } => {
                    Arc::new(Postgres::new(name, known.url.clone()).with_sessions_of(self.sessions.of(name)))
                }
                url => connect_to(name, url),
            });
        }
        // Runs without a configuration remember their database by path or URL, so that they can be undone and resumed.
        if is_place(name) {
            return Ok(connect_to(name, &Url::parse(name)?));
        }
        let names: Vec<&str> = self.databases.iter().map(|known| known.name.as_str()).collect();
        Err(Error::usage(format!("there is no database `{name}`")).help(match nearest(name, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => {
                "name one with `--database PATH` or `--database postgres://…`".to_owned()
            }
            None => format!("the databases are {}", names.join(", ")),
        }))
    }

    fn names(&self) -> Vec<String> {
        self.databases.iter().map(|known| known.name.clone()).collect()
    }
}

/// Whether a text on the command line means a place, not a name of the configuration.
pub fn is_place(text: &str) -> bool {
    let has_ending = Path::new(text)
        .extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ["db", "sqlite", "sqlite3", "db3"].contains(&ending));
    text.contains('/') || text.contains("://") || text.starts_with("sqlite:") || has_ending
}

fn connect_to(label: &str, url: &Url) -> Arc<dyn Database> {
    match url {
        Url::Sqlite { path } => Arc::new(Sqlite::new(label, path)),
        Url::Postgres { .. } => Arc::new(Postgres::new(label, url.clone())),
    }
}

struct KnownStores {
    stores: Vec<StoreSetting>,
    databases: Known,
}

/// The command that a worker for jq programs is started with.
pub const JQ_WORKER: &str = "jq-worker";
/// The address space that such a worker may have: 1 GB, of which its stack is reserved in advance.
const JQ_BYTES: u64 = 1 << 30;
/// How long a program may take for one row.
const JQ_PATIENCE: Duration = Duration::from_secs(5);

/// The whole life of a worker for jq programs, in a process of its own.
pub fn serve_jq() -> std::io::Result<()> {
    backends::jq::serve_within(JQ_BYTES, std::io::stdin(), std::io::stdout())
}

/// This very program, also when its file was replaced meanwhile.
fn own_program() -> PathBuf {
    let running = Path::new("/proc/self/exe");
    if running.exists() { running.to_owned() } else { std::env::current_exe().unwrap_or_default() }
}

impl Stores for KnownStores {
    fn database(&self, name: &str) -> Result<Arc<dyn Database>> {
        self.databases.database(name)
    }

    fn place(&self, name: &str) -> Result<Url> {
        match self.databases.find(name)? {
            Some(known) => Ok(known.url),
            None => Url::parse(name),
        }
    }

    fn programs(&self) -> Result<Arc<dyn Programs>> {
        Ok(Arc::new(Children {
            program: own_program(),
            arguments: vec![JQ_WORKER.into()],
            patience: JQ_PATIENCE,
        }))
    }

    fn store(&self, name: &str) -> Result<Arc<dyn Files>> {
        let given =
            store_place(name).map(|place| StoreSetting { name: name.to_owned(), place, usual: false });
        let Some(known) = self.stores.iter().find(|known| known.name == name).or(given.as_ref()) else {
            let names: Vec<&str> = self.stores.iter().map(|known| known.name.as_str()).collect();
            let help = match nearest(name, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name one of the configuration (`[store.cold]` with `folder = \"…\"`), or say where it is: a folder \
                         with a `/` in it, or `s3://bucket`"
                    .to_owned(),
            };
            return Err(Error::usage(format!("there is no store `{name}`")).help(help));
        };
        match &known.place {
            StorePlace::Folder(folder) if known.usual => {
                Ok(Arc::new(LocalFiles::new(name, folder).with_parents()))
            }
            StorePlace::Folder(folder) => Ok(Arc::new(LocalFiles::new(name, folder))),
            StorePlace::Bucket { url, endpoint, region, access_key, secret_key } => {
                let credentials = match (access_key, secret_key) {
                    (Some(access_key), Some(secret_key)) => Credentials::Keys {
                        access_key: access_key.expose_secret().to_owned(),
                        secret_key: secret_key.clone(),
                        token: None,
                    },
                    _ => Credentials::Instance,
                };
                let options = BucketOptions {
                    endpoint: endpoint.clone(),
                    region: region.clone(),
                    credentials,
                    // A server of one's own seldom has a host name for each bucket.
                    path_style: endpoint.is_some(),
                    allow_http: endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")),
                    ..BucketOptions::default()
                };
                Ok(Arc::new(Bucket::new(name, url, options)?))
            }
        }
    }
}

/// A file store that is named by its place: a folder with a `/` in it, or a bucket.
fn store_place(text: &str) -> Option<StorePlace> {
    if text.starts_with("s3://") {
        let url = text.to_owned();
        return Some(StorePlace::Bucket {
            url,
            endpoint: None,
            region: None,
            access_key: None,
            secret_key: None,
        });
    }
    (text.contains('/') && !text.contains("://")).then(|| StorePlace::Folder(PathBuf::from(text)))
}

/// The same store as it is found from any other folder: what is undone later remembers it by this name.
pub fn absolute_store(text: &str) -> String {
    match store_place(text) {
        Some(StorePlace::Folder(folder)) => {
            let folder = std::path::absolute(&folder).unwrap_or(folder);
            folder.components().collect::<PathBuf>().display().to_string()
        }
        _ => text.to_owned(),
    }
}

/// Makes the SQLite database of an example.
pub fn make_example(file: &Path, scripts: &[&str]) -> Result<()> {
    Sqlite::create("example", file)?.script(scripts)
}

/// Gives back the memory that only the start needed.
pub fn give_back_memory() {
    backends::heap::give_back();
}

/// Which file the state is now, where it is one; another one, or none, when it was taken away.
pub fn state_file(config: &Config) -> Option<(u64, u64)> {
    let StatePlace::Folder(folder) = &config.state else { return None };
    let found = std::fs::metadata(folder.join(STATE)).ok()?;
    Some((found.dev(), found.ino()))
}

/// The state, made at its first use.
fn open_state(place: &StatePlace) -> Result<Arc<dyn Database>> {
    let folder = match place {
        StatePlace::Database(url) => return Ok(connect_to("state", url)),
        StatePlace::Folder(folder) => folder,
    };
    let file = folder.join(STATE);
    if !file.exists() {
        // Plans and reports say what is in a database.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| {
            Error::system(format!("the state folder `{}` cannot be made", folder.display()))
                .help("choose another one: `[state]` with `folder = \"…\"` in the configuration, or another `XDG_STATE_HOME`")
                .because(error)
        })?;
        return Ok(Arc::new(Sqlite::create("state", &file)?));
    }
    Ok(Arc::new(Sqlite::new("state", &file)))
}

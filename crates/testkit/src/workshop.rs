//! An engine around one place, with a state of its own; and the same engine again, as a new process would make it.

use crate::Place;
use engine::age::Age;
use engine::backup::Proof;
use engine::{BackupPolicy, Clock, Databases, Engine, Error, Kind, Parts, Result, Stores, SystemClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use targets::db::Database;
use targets::files::Files;
use targets::programs::Programs;

/// What an engine is made of in a test.
pub struct Workshop {
    folder: tempfile::TempDir,
    database: Arc<dyn Database>,
    catalogue: Vec<&'static dyn Kind>,
    clock: Arc<dyn Clock>,
    run_logs: Vec<engine::RunLog>,
    state: Option<Arc<dyn Database>>,
    backups: Option<BackupPolicy>,
    files: Option<Arc<dyn Files>>,
    stores: Option<Arc<dyn Stores>>,
}

struct Given(Arc<dyn Stores>);

impl Stores for Given {
    fn database(&self, name: &str) -> Result<Arc<dyn Database>> {
        self.0.database(name)
    }

    fn store(&self, name: &str) -> Result<Arc<dyn Files>> {
        self.0.store(name)
    }

    fn programs(&self) -> Result<Arc<dyn Programs>> {
        Ok(Arc::new(backends::jq::InProcess))
    }
}

struct One(Arc<dyn Database>);

impl Databases for One {
    fn database(&self, name: &str) -> Result<Arc<dyn Database>> {
        Ok(if name.contains("://") { crate::place::database_at(name) } else { Arc::clone(&self.0) })
    }

    fn names(&self) -> Vec<String> {
        vec!["test".to_owned()]
    }
}

struct Store(Arc<dyn Files>);

impl Stores for Store {
    /// Any database, by its path or URL.
    fn database(&self, name: &str) -> Result<Arc<dyn Database>> {
        Ok(crate::place::database_at(name))
    }

    fn store(&self, name: &str) -> Result<Arc<dyn Files>> {
        if name != "store" {
            return Err(Error::usage(format!("there is no store `{name}`")).help("the stores are store"));
        }
        Ok(Arc::clone(&self.0))
    }

    fn programs(&self) -> Result<Arc<dyn Programs>> {
        Ok(Arc::new(backends::jq::InProcess))
    }
}

/// Backups in the store, with the usual settings.
fn backups(folder: &Path) -> BackupPolicy {
    BackupPolicy {
        store: "store".to_owned(),
        keep: Age("30 days".to_owned()),
        keep_at_least: 3,
        compression: 1,
        check: Proof::Quick,
        fresh: Age("1 hour".to_owned()),
        format: None,
        jobs: 1,
        programs: None,
        scratch: folder.join("scratch"),
        recipient: None,
        identity: None,
        assertions: Vec::new(),
        restore_within: None,
        external: Vec::new(),
    }
}

impl Workshop {
    /// A workshop for this place.
    pub fn new(place: &Place, catalogue: Vec<&'static dyn Kind>) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self {
            backups: Some(backups(folder.path())),
            files: None,
            folder,
            database: place.database(),
            catalogue,
            clock: Arc::new(SystemClock),
            run_logs: Vec::new(),
            stores: None,
            state: None,
        }
    }

    /// A workshop for the database at a URL or path.
    pub fn over(url: &str, catalogue: Vec<&'static dyn Kind>) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"));
        Self {
            backups: Some(backups(folder.path())),
            files: None,
            folder,
            database: crate::place::database_at(url),
            catalogue,
            clock: Arc::new(SystemClock),
            run_logs: Vec::new(),
            stores: None,
            state: None,
        }
    }

    /// The same with other file stores.
    pub fn storing(mut self, stores: Arc<dyn Stores>) -> Self {
        self.stores = Some(stores);
        self
    }

    /// The same with the state in another database than a file of its own.
    pub fn remembering(mut self, state: Arc<dyn Database>) -> Self {
        self.state = Some(state);
        self
    }

    /// The same with another database, such as one with every right.
    pub fn on(mut self, database: Arc<dyn Database>) -> Self {
        self.database = database;
        self
    }

    /// The same with another clock.
    pub fn at(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same with another file store behind the name `store`.
    pub fn keeping(mut self, files: Arc<dyn Files>) -> Self {
        self.files = Some(files);
        self
    }

    /// The same with a table of the application that wants a row for each run.
    pub fn telling(mut self, log: engine::RunLog) -> Self {
        self.run_logs.push(log);
        self
    }

    /// The folder of the file store named `store`.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The file store itself.
    pub fn files(&self) -> Arc<dyn Files> {
        if let Some(files) = &self.files {
            return Arc::clone(files);
        }
        Arc::new(backends::local_files::LocalFiles::new("store", self.store()))
    }

    /// The folder of the state and of the copy of the run log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An engine, as a new process would have it.
    pub fn engine(&self) -> Engine {
        self.engine_at(Arc::clone(&self.clock))
    }

    /// The same with the same state, over another database or with other rights.
    pub fn also_at(&self, database: Arc<dyn Database>) -> Engine {
        self.also(database, |_| {})
    }

    /// The same with another way of making backups.
    pub fn also(&self, database: Arc<dyn Database>, change: impl FnOnce(&mut BackupPolicy)) -> Engine {
        let mut backups = self.backups.clone();
        if let Some(policy) = &mut backups {
            change(policy);
        }
        self.assembled(database, Arc::clone(&self.clock), backups)
    }

    /// The same without backups.
    pub fn without_backups(&self, database: Arc<dyn Database>) -> Engine {
        self.assembled(database, Arc::clone(&self.clock), None)
    }

    /// The same with the same state, on a machine with another clock.
    pub fn engine_at(&self, clock: Arc<dyn Clock>) -> Engine {
        self.assembled(Arc::clone(&self.database), clock, self.backups.clone())
    }

    fn assembled(
        &self,
        database: Arc<dyn Database>,
        clock: Arc<dyn Clock>,
        backups: Option<BackupPolicy>,
    ) -> Engine {
        let (file, shared) = (self.folder.path().join("state.db"), self.state.clone());
        let state = move || match &shared {
            Some(shared) => Ok(Arc::clone(shared)),
            None => Ok(Arc::new(backends::sqlite::Sqlite::create("state", &file)?) as Arc<dyn Database>),
        };
        Engine::new(Parts {
            catalogue: self.catalogue.clone(),
            databases: Box::new(One(database)),
            stores: match &self.stores {
                Some(stores) => Box::new(Given(Arc::clone(stores))),
                None => Box::new(Store(self.files())),
            },
            state: Box::new(state),
            state_is_there: Box::new(|| false),
            log_folder: Some(self.folder.path().to_owned()),
            clock,
            keep_undo: Age("30 days".to_owned()),
            undo_max_bytes: None,
            keep_runs: Age("365 days".to_owned()),
            run_logs: self.run_logs.clone(),
            backups,
            ended: None,
        })
    }
}

//! From a tree that passed the check to settings: secrets filled in, paths made whole, defaults applied.
//!
//! What can go wrong here is what lies outside the file: variables that are not set, URLs that are none.

use super::api::ApiSection;
use super::backups;
use super::document::Node;
use super::environment::Environment;
use super::operations::{manners_of, options_of};
use super::pool::PoolSection;
use super::problem::Problem;
use super::schedules;
use super::schema::bytes;
use super::secrets::{Missing, expand, expand_secret};
use super::sections::{
    BackupSection, DefaultsSection, FleetSection, LogSection, OnError, OperationSection, RunLogSection,
    UndoSection,
};
use super::{
    Config, DatabaseSetting, FleetSetting, GroupSetting, Members, OperationSetting, StatePlace, StorePlace,
    StoreSetting,
};
use engine::{Kind, RunLog};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use targets::db::Url;

/// The settings of this tree. `sound` says whether the tree passed its check; if not, only the references to the
/// outside are looked at, so that their mistakes are shown together with the others.
pub fn config(
    tree: &Node,
    folder: &Path,
    environment: &Environment,
    catalogue: &[&'static dyn Kind],
    sound: bool,
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    let mut outside = Outside { environment, folder, secrets: Vec::new(), problems };
    let databases = outside.databases(tree);
    let fleets = outside.fleets(tree, &databases);
    let stores = outside.stores(tree);
    let state = outside.state(tree);
    let identity = outside.identity(tree);
    let notify = super::channels::settings(tree, &mut outside);
    let traces = super::telemetry::traces(tree, &mut outside);
    let secrets = outside.secrets;
    if !sound {
        return None;
    }
    let log: LogSection = section(tree, "log");
    let undo: UndoSection = section(tree, "undo");
    let backup: BackupSection = section(tree, "backup");
    let defaults: DefaultsSection = section(tree, "defaults");
    let state_folder = match &state {
        StatePlace::Folder(state) => state.clone(),
        StatePlace::Database(_) => folder.join(".sexton"),
    };
    let mut stores = stores;
    if !stores.iter().any(|store| store.name == backups::STORE) {
        stores.push(backups::usual_store(&state_folder));
    }
    let log_folder = log.folder.as_ref().map_or_else(|| state_folder.clone(), |own| folder.join(own));
    let run_logs =
        entries(tree, "run_log").iter().filter_map(|(_, node)| run_log(node, &databases)).collect();
    let operations = entries(tree, "operation")
        .iter()
        .filter_map(|(name, node)| operation(name, node, folder, &databases, catalogue))
        .collect();
    Some(Config {
        file: None,
        databases,
        fleets,
        stores,
        operations,
        groups: entries(tree, "group").iter().map(|(name, node)| group(name, node)).collect(),
        schedules: schedules::of(tree),
        manners: tree.entry("defaults").map(manners_of).unwrap_or_default(),
        go_on: defaults.on_error == OnError::Continue,
        max_parallel: defaults.max_parallel,
        state,
        keep_undo: undo.keep,
        undo_max_bytes: undo.max_size.as_deref().and_then(bytes),
        keep_runs: log.keep,
        run_logs,
        log_level: log.level,
        log_format: log.format,
        log_folder: Some(log_folder),
        order: value(tree.entry("order")),
        first_run_dry: value(tree.entry("first_run_dry")),
        backups: backup.enabled.then(|| backups::policy(backup, folder, &state_folder, identity)),
        notify,
        api: section::<ApiSection>(tree, "api").within(folder),
        traces,
        pool: section::<PoolSection>(tree, "pool"),
        usual_target: None,
        sessions: Default::default(),
        secrets,
        now: None,
    })
}

pub(super) fn entries<'a>(tree: &'a Node, name: &str) -> &'a [(String, Node)] {
    tree.entry(name).map(Node::entries).unwrap_or_default()
}

/// A value that passed its schema, or its default.
pub(super) fn value<T: DeserializeOwned + Default>(node: Option<&Node>) -> T {
    node.and_then(|node| serde_json::from_value(node.json()).ok()).unwrap_or_default()
}

pub(super) fn section<T: DeserializeOwned + Default>(tree: &Node, name: &str) -> T {
    value(tree.entry(name))
}

fn operation(
    name: &str,
    node: &Node,
    folder: &Path,
    databases: &[DatabaseSetting],
    catalogue: &[&'static dyn Kind],
) -> Option<OperationSetting> {
    let common: OperationSection = serde_json::from_value(node.json()).ok()?;
    let kind = *catalogue.iter().find(|kind| kind.name() == common.kind)?;
    Some(OperationSetting {
        name: name.to_owned(),
        kind,
        title: common.title.unwrap_or_else(|| kind.title().to_owned()),
        database: common.database.or_else(|| Some(databases.first()?.name.clone()))?,
        severity: common.severity.unwrap_or_else(|| kind.severity()),
        backup: common.backup,
        needs: common.needs,
        verify_after: common.verify_after,
        expected_seconds: common.expected.and_then(|age| age.about_seconds().ok()),
        manners: manners_of(node),
        options: options_of(node, kind, folder),
    })
}

fn run_log(node: &Node, databases: &[DatabaseSetting]) -> Option<RunLog> {
    let own: RunLogSection = serde_json::from_value(node.json()).ok()?;
    Some(RunLog {
        database: own.database.or_else(|| Some(databases.first()?.name.clone()))?,
        table: own.table,
        columns: own.columns.into_iter().collect(),
    })
}

fn group(name: &str, node: &Node) -> GroupSetting {
    GroupSetting {
        name: name.to_owned(),
        description: node.entry("description").and_then(Node::text).map(str::to_owned),
        operations: value(node.entry("operations")),
        verify_after: node.entry("verify_after").and_then(Node::text).map(str::to_owned),
        max_parallel: value(node.entry("max_parallel")),
    }
}

/// Reads what refers to the outside, and remembers what must not be printed.
pub(super) struct Outside<'a> {
    pub(super) environment: &'a Environment,
    pub(super) folder: &'a Path,
    secrets: Vec<SecretString>,
    problems: &'a mut Vec<Problem>,
}

impl Outside<'_> {
    fn databases(&mut self, tree: &Node) -> Vec<DatabaseSetting> {
        let mut all = Vec::new();
        for (name, node) in entries(tree, "database") {
            let Some(url) = node.entry("url").and_then(|url| self.url(url)) else { continue };
            let zone = node.entry("zone").and_then(Node::text).map(str::to_owned);
            all.push(DatabaseSetting { name: name.clone(), url, zone });
        }
        all
    }

    fn fleets(&mut self, tree: &Node, databases: &[DatabaseSetting]) -> Vec<FleetSetting> {
        let mut all = Vec::new();
        for (name, node) in entries(tree, "fleet") {
            let own: FleetSection = value(Some(node));
            let members = match (own.from, own.query) {
                (Some(from), Some(query)) => {
                    let url = node.entry("url").and_then(|url| self.plain(url));
                    let url = url.unwrap_or_else(|| "{2}".to_owned());
                    self.secrets.extend(passwords(&url).into_iter().map(SecretString::from));
                    let folder = self.folder.to_owned();
                    Members::Queried { from, query, url: SecretString::from(url), folder }
                }
                _ => {
                    let listed = node.entry("databases").map(Node::items).unwrap_or_default();
                    Members::Listed(listed.iter().filter_map(|node| self.member(node, databases)).collect())
                }
            };
            all.push(FleetSetting {
                name: name.clone(),
                members,
                canary: own.canary,
                at_once: own.at_once,
                at_once_per_server: own.at_once_per_server,
                max_failed_percent: own.max_failed_percent,
            });
        }
        all
    }

    /// A database of the file, or a place that is written here.
    fn member(&mut self, node: &Node, databases: &[DatabaseSetting]) -> Option<DatabaseSetting> {
        let text = node.text()?;
        if let Some(known) = databases.iter().find(|known| known.name == text) {
            return Some(known.clone());
        }
        let url = self.url(node)?;
        let name = match &url {
            Url::Sqlite { .. } => text.to_owned(),
            Url::Postgres { .. } => url.to_string(),
        };
        Some(DatabaseSetting { name, url, zone: None })
    }

    fn stores(&mut self, tree: &Node) -> Vec<StoreSetting> {
        let mut all = Vec::new();
        for (name, node) in entries(tree, "store") {
            let place = match node.entry("folder").and_then(Node::text) {
                Some(folder) => StorePlace::Folder(self.folder.join(folder)),
                None => {
                    let url = node.entry("url").and_then(|url| self.plain(url)).unwrap_or_default();
                    StorePlace::Bucket {
                        url,
                        endpoint: node.entry("endpoint").and_then(|node| self.plain(node)),
                        region: node.entry("region").and_then(|node| self.plain(node)),
                        access_key: node.entry("access_key").and_then(|node| self.secret(node)),
                        secret_key: node.entry("secret_key").and_then(|node| self.secret(node)),
                    }
                }
            };
            all.push(StoreSetting { name: name.clone(), place, usual: false });
        }
        all
    }

    fn state(&mut self, tree: &Node) -> StatePlace {
        let state = tree.entry("state");
        if let Some(url) = state.and_then(|state| state.entry("url")) {
            match self.url(url) {
                Some(url @ Url::Postgres { .. }) => return StatePlace::Database(url),
                Some(Url::Sqlite { .. }) => self.problems.push(
                    Problem::new(&url.path, url.span.clone(), "the state cannot be at this URL")
                        .allowed("postgres://user@host/database")
                        .help("for a SQLite file, set `folder` instead"),
                ),
                None => {}
            }
        }
        let folder = state.and_then(|state| state.entry("folder")).and_then(Node::text).unwrap_or(".sexton");
        StatePlace::Folder(self.folder.join(folder))
    }

    fn identity(&mut self, tree: &Node) -> Option<SecretString> {
        let identity = tree.entry("backup")?.entry("identity")?;
        self.secret(identity)
    }

    fn url(&mut self, node: &Node) -> Option<Url> {
        let text = self.plain(node)?;
        match Url::parse(&text) {
            Ok(Url::Sqlite { path }) => Some(Url::Sqlite { path: self.whole(path) }),
            Ok(url) => {
                self.secrets.extend(passwords(&text).into_iter().map(SecretString::from));
                Some(url)
            }
            Err(error) => {
                let problem = Problem::new(&node.path, node.span.clone(), error.what);
                self.problems.push(match error.help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
                None
            }
        }
    }

    /// SQLite paths begin at the file's folder; what SQLite itself keeps in memory has no folder.
    fn whole(&self, path: PathBuf) -> PathBuf {
        if path.as_os_str() == ":memory:" { path } else { self.folder.join(path) }
    }

    pub(super) fn plain(&mut self, node: &Node) -> Option<String> {
        let expanded = expand(node.text()?, self.environment, self.folder);
        self.found(node, expanded)
    }

    pub(super) fn secret(&mut self, node: &Node) -> Option<SecretString> {
        let expanded = expand_secret(node.text()?, self.environment, self.folder);
        let text = self.found(node, expanded)?;
        self.secrets.push(SecretString::from(text.clone()));
        Some(SecretString::from(text))
    }

    fn found(&mut self, node: &Node, outcome: Result<String, Missing>) -> Option<String> {
        outcome
            .map_err(|missing| {
                let problem = Problem::new(&node.path, node.span.clone(), missing.what);
                self.problems.push(problem.help(missing.help));
            })
            .ok()
    }
}

/// The passwords in a URL, as written and as meant.
pub fn passwords(url: &str) -> Vec<String> {
    let written = written_passwords(url);
    let meant: Vec<String> =
        written.iter().map(|text| decoded(text)).filter(|text| !written.contains(text)).collect();
    written.into_iter().chain(meant).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        match rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                bytes.push(b'%');
                rest = &rest[at + 1..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn written_passwords(url: &str) -> Vec<String> {
    let mut all = Vec::new();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if let Some((who, _)) = rest.rsplit_once('@')
        && let Some((_, password)) = who.split_once(':')
    {
        all.push(password.to_owned());
    }
    for option in rest.split_once('?').map_or("", |(_, options)| options).split('&') {
        if let Some((_, password)) = option.split_once('=').filter(|(name, _)| name.ends_with("password")) {
            all.push(password.to_owned());
        }
    }
    all
}

//! From names, groups and flags to the request the engine gets.
//!
//! Explicit lists keep their order; `--all` and groups go by phase unless the configuration says `as_listed`. An
//! unknown name means that nothing is run at all (S1-006).

use crate::config::{
    Config, DatabaseSetting, MANNERS, OperationSetting, Order, Override, Overrides, nearest,
};
use crate::exit::Exit;
use crate::trouble::Trouble;
use crate::wiring::is_place;
use clap::ArgMatches;
use engine::{Kind, OperationRequest, Request, Trigger, new_id};
use targets::db::Url;

/// An operation that was chosen.
pub struct Chosen<'a> {
    /// It.
    pub operation: &'a OperationSetting,
    /// The names of those that it verifies, where they want it.
    pub verifies: Vec<String>,
}

impl<'a> Chosen<'a> {
    /// One that was named itself.
    pub fn named(operation: &'a OperationSetting) -> Self {
        Self { operation, verifies: Vec::new() }
    }
}

/// What was named to be run.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// All operations there are.
    pub all: bool,
    /// Operations or groups.
    pub any: Vec<String>,
    /// Operations.
    pub operations: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

impl Names {
    /// As they were typed.
    pub fn typed(matches: &ArgMatches) -> Self {
        let many = |id: &str| matches.get_many::<String>(id).into_iter().flatten().cloned().collect();
        Self {
            all: matches.get_flag("all"),
            any: many("names"),
            operations: many("operation"),
            groups: many("group"),
        }
    }

    /// Operations or groups, as a list has them.
    pub fn listed(any: &[String]) -> Self {
        Self { any: any.to_vec(), ..Self::default() }
    }

    /// The same as a list, in the order in which they run.
    pub fn into_list(self) -> Vec<String> {
        [self.any, self.operations, self.groups].concat()
    }

    /// Whether nothing was named.
    pub fn is_empty(&self) -> bool {
        !self.all && self.any.is_empty() && self.operations.is_empty() && self.groups.is_empty()
    }
}

/// The operations that were chosen, in the order in which they run. A check that others want after them (`verify_after`)
/// comes once, right after the last of those (S2-083).
pub fn operations<'a>(names: &Names, config: &'a Config) -> Result<Vec<Chosen<'a>>, Trouble> {
    let named = named(names, config)?;
    let mut wanted: Vec<(&str, Vec<String>)> = Vec::new();
    let mut want = |check: &'a Option<String>, verified: Vec<String>| {
        let Some(check) = check else { return };
        match wanted.iter_mut().find(|(known, _)| known == check) {
            Some((_, all)) => all.extend(verified),
            None => wanted.push((check, verified)),
        }
    };
    for operation in &named {
        want(&operation.verify_after, vec![operation.name.clone()]);
    }
    for name in names.any.iter().chain(&names.groups) {
        if let Some(group) = config.groups.iter().find(|group| group.name == *name) {
            let others = group.operations.iter().filter(|name| Some(*name) != group.verify_after.as_ref());
            want(&group.verify_after, others.cloned().collect());
        }
    }
    let verifies = |operation: &&OperationSetting| wanted.iter().any(|(check, _)| *check == operation.name);
    let mut chosen: Vec<Chosen> =
        named.into_iter().filter(|operation| !verifies(operation)).map(Chosen::named).collect();
    for (check, mut verified) in wanted {
        let last = chosen.iter().rposition(|one| verified.contains(&one.operation.name));
        let operation = operation(config, check, false)?;
        verified.retain(|name| chosen.iter().any(|one| one.operation.name == *name));
        verified.dedup();
        chosen.insert(last.map_or(chosen.len(), |last| last + 1), Chosen { operation, verifies: verified });
    }
    Ok(chosen)
}

/// How many operations may be at work at a time: what the groups say that were named; the least of it, where they differ.
pub fn side_by_side(names: &Names, config: &Config) -> usize {
    let named = names.any.iter().chain(&names.groups);
    let groups = named.filter_map(|name| config.groups.iter().find(|group| group.name == *name));
    groups.map(|group| group.max_parallel.unwrap_or(config.max_parallel)).min().unwrap_or(config.max_parallel)
}

/// What was named, in the order in which it runs.
fn named<'a>(names: &Names, config: &'a Config) -> Result<Vec<&'a OperationSetting>, Trouble> {
    if names.all {
        if names.any.iter().chain(&names.operations).chain(&names.groups).next().is_some() {
            return Err(Trouble::usage("`--all` and names exclude each other", "leave out one of the two"));
        }
        if config.operations.is_empty() {
            return Err(no_operations(config));
        }
        return Ok(in_order(config.operations.iter().collect(), config.order));
    }
    let mut chosen: Vec<&OperationSetting> = Vec::new();
    for name in &names.any {
        match config.groups.iter().any(|group| group.name == *name) {
            true => chosen.extend(group(config, name)?),
            false => chosen.push(operation(config, name, true)?),
        }
    }
    for name in &names.operations {
        chosen.push(operation(config, name, false)?);
    }
    for name in &names.groups {
        chosen.extend(group(config, name)?);
    }
    if chosen.is_empty() && config.operations.is_empty() {
        return Err(no_operations(config));
    }
    if chosen.is_empty() {
        return Err(Trouble::usage(
            "nothing to run was named",
            "give the names of operations or groups, `--operation NAME`, `--group NAME` or `--all`",
        ));
    }
    let mut once: Vec<&OperationSetting> = Vec::new();
    for operation in chosen {
        if !once.iter().any(|known| known.name == operation.name) {
            once.push(operation);
        }
    }
    Ok(once)
}

fn no_operations(config: &Config) -> Trouble {
    let what = match &config.file {
        Some(file) => format!("`{}` has no operations", file.display()),
        None => "there is no configuration here".to_owned(),
    };
    Trouble::usage(what, "`sexton init DATABASE > sexton.toml` drafts one; `--config FILE` names another")
}

fn operation<'a>(config: &'a Config, name: &str, or_group: bool) -> Result<&'a OperationSetting, Trouble> {
    if let Some(known) = config.operations.iter().find(|known| known.name == name) {
        return Ok(known);
    }
    if config.operations.is_empty() {
        let mut trouble = no_operations(config);
        trouble.causes.insert(0, format!("there is no operation `{name}`"));
        return Err(trouble);
    }
    let mut names = config.operation_names();
    if or_group {
        names.extend(config.groups.iter().map(|group| group.name.as_str()));
    }
    let what = if or_group { "operation or group" } else { "operation" };
    Err(unknown(what, name, &names))
}

fn group<'a>(config: &'a Config, name: &str) -> Result<Vec<&'a OperationSetting>, Trouble> {
    let names: Vec<&str> = config.groups.iter().map(|group| group.name.as_str()).collect();
    let Some(group) = config.groups.iter().find(|group| group.name == name) else {
        return Err(unknown("group", name, &names));
    };
    let of_group: Result<Vec<_>, _> =
        group.operations.iter().map(|name| operation(config, name, false)).collect();
    Ok(in_order(of_group?, config.order))
}

fn unknown(what: &str, name: &str, names: &[&str]) -> Trouble {
    let known = match names {
        [] => "there are none in the configuration".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    let help = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`? {known}"),
        None => known,
    };
    Trouble::usage(format!("there is no {what} `{name}`; nothing was run"), help)
}

fn in_order(mut operations: Vec<&OperationSetting>, order: Order) -> Vec<&OperationSetting> {
    if order == Order::ByPhase {
        // Stable: within a phase the order of the file stays.
        operations.sort_by_key(|operation| operation.kind.phase());
    }
    needed_first(operations)
}

/// What others need comes before them, whatever the order. The configuration has no circles of needs.
fn needed_first(operations: Vec<&OperationSetting>) -> Vec<&OperationSetting> {
    let mut ordered: Vec<&OperationSetting> = Vec::new();
    let mut waiting = operations;
    while !waiting.is_empty() {
        let free = |operation: &&OperationSetting| {
            !operation.needs.iter().any(|need| waiting.iter().any(|other| other.name == *need))
        };
        let next = waiting.iter().position(free).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    ordered
}

/// The request for these operations. Every override must be meant for at least one of them.
pub fn request(
    config: &Config,
    chosen: &[Chosen],
    said: &[Override],
    database: Option<&str>,
    actor: &str,
) -> Result<Request, Trouble> {
    let mut used = vec![false; said.len()];
    let mut operations = Vec::new();
    for Chosen { operation, verifies } in chosen {
        let mut overrides = Overrides { values: Vec::new(), database: database.map(str::to_owned) };
        for (n, one) in said.iter().enumerate() {
            let Some(key) = meant_for(one, operation, chosen) else { continue };
            used[n] = true;
            overrides.values.push(Override { key, ..one.clone() });
        }
        operations
            .push(OperationRequest { verifies: verifies.clone(), ..config.request(operation, &overrides)? });
    }
    if let Some(n) = used.iter().position(|used| !used) {
        let kinds: Vec<&str> = chosen.iter().map(|one| one.operation.kind.name()).collect();
        return Err(Trouble::usage(
            format!("`{}` is no option of {}", said[n].flag, kinds.join(", ")),
            format!("`sexton {} --help` shows its options", kinds.first().unwrap_or(&"run")),
        ));
    }
    Ok(Request {
        operations,
        dry_run: false,
        actor: actor.to_owned(),
        trigger: Trigger::Cli,
        correlation_id: new_id(),
        force: false,
        go_on: config.go_on,
        max_parallel: config.max_parallel,
    })
}

/// The key, if the override is meant for this operation.
fn meant_for(one: &Override, operation: &OperationSetting, chosen: &[Chosen]) -> Option<String> {
    if let Some((first, rest)) = one.key.split_once('.')
        && chosen.iter().any(|known| known.operation.name == first)
    {
        return (first == operation.name).then(|| rest.to_owned());
    }
    let fits = MANNERS.contains(&one.key) || Config::has_option(operation.kind, &one.key);
    fits.then(|| one.key.clone())
}

/// The database that `--database` names: a name of the configuration, or a place, which is then known by itself.
pub fn database(named: Option<&str>, config: &Config) -> Result<Option<DatabaseSetting>, Trouble> {
    let Some(named) = named else { return Ok(None) };
    if let Some(known) = config.databases.iter().find(|known| known.name == named) {
        return Ok(Some(known.clone()));
    }
    if !is_place(named) {
        let names: Vec<&str> = config.databases.iter().map(|known| known.name.as_str()).collect();
        let mut trouble = unknown("database", named, &names);
        if names.is_empty() || std::path::Path::new(named).exists() {
            trouble.help = Some(format!("a path has a `/` in it: `--database ./{named}`"));
        }
        return Err(Trouble { exit: Exit::Usage, ..trouble });
    }
    let url = match Url::parse(named)? {
        Url::Sqlite { path } => Url::Sqlite { path: std::path::absolute(&path).unwrap_or(path) },
        url => url,
    };
    Ok(Some(DatabaseSetting { name: url.to_string(), url, zone: None }))
}

/// The database into which a transfer goes: the one named; else, where the configuration has no PostgreSQL database, that of the
/// variable `DATABASE_URL`.
pub fn target(named: Option<&str>, config: &Config) -> Result<Option<DatabaseSetting>, Trouble> {
    let is_target = |database: &DatabaseSetting| matches!(database.url, Url::Postgres { .. });
    match named {
        None if !config.databases.iter().any(is_target) => Ok(config.usual_target.clone()),
        named => database(named, config),
    }
}

/// The name of the one database that is meant: the one named, or the only one there is.
pub fn the_database(named: Option<&str>, config: &Config) -> Result<String, Trouble> {
    if let Some(database) = database(named, config)? {
        return Ok(database.name);
    }
    match config.databases.as_slice() {
        [only] => Ok(only.name.clone()),
        [] => Err(Trouble::usage(
            "no database was named",
            "name one with `--database PATH` or `--database postgres://user@host/database`",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|database| database.name.as_str()).collect();
            Err(Trouble::usage(
                "which database?",
                format!("name one with `--database`: {}", names.join(", ")),
            ))
        }
    }
}

/// The operations of a kind in the configuration; only the one that was named, where one was.
pub fn of_kind<'a>(
    config: &'a Config,
    kind: &dyn Kind,
    named: Option<&str>,
    what: &str,
) -> Result<Vec<&'a OperationSetting>, Trouble> {
    let known: Vec<&OperationSetting> =
        config.operations.iter().filter(|one| one.kind.name() == kind.name()).collect();
    let Some(named) = named else { return Ok(known) };
    match known.iter().find(|one| one.name == named) {
        Some(one) => Ok(vec![one]),
        None => Err(Trouble::usage(
            format!("there is no {what} `{named}` in the configuration"),
            format!("there are {}", listed(&known)),
        )),
    }
}

/// Their names, for messages.
pub fn listed(operations: &[&OperationSetting]) -> String {
    operations.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The operation of a one-off: a kind with nothing but flags.
pub fn one_off(kind: &'static dyn Kind, database: &str) -> OperationSetting {
    OperationSetting {
        name: kind.name().to_owned(),
        kind,
        title: kind.title().to_owned(),
        database: database.to_owned(),
        severity: kind.severity(),
        backup: false,
        needs: Vec::new(),
        verify_after: None,
        expected_seconds: None,
        manners: serde_json::Map::new(),
        options: serde_json::Map::new(),
    }
}

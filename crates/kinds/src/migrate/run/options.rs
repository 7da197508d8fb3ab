//! What a migration can be told. The doc comments are the help texts of flags, config keys and the API.

use super::task::Assume;
use crate::migrate::directory::Convention;
use crate::migrate::graph::{Policy, Stance};
use crate::migrate::history::Shape;
use engine::age::Age;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Options of migrations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The folder with the migration files.
    #[schemars(with = "String", extend("format" = "path"))]
    pub directory: PathBuf,
    /// By whose rules the files are written: `native`, `dbmate`, `golang-migrate`, `goose`, `flyway`, `sqlx`, `diesel`,
    /// `refinery`, `structure`, or `auto` (found out).
    #[schemars(extend("enum" = ["auto", "native", "dbmate", "golang-migrate", "goose", "flyway", "sqlx", "diesel", "refinery", "structure"]))]
    pub convention: String,
    /// Which history counts: `own` (`sexton.migrations`, on SQLite `sexton_migrations`), `tool` (that of the tool whose
    /// rules the files follow), `plain` (a table `migrations` with version, description and executed_at), or `auto`: that
    /// of the tool until it is adopted. What happens is noted in our own in any case.
    pub history: Which,
    /// The name of our own table.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub table: String,
    /// The migration that is wanted to be the last: its id, version or number. Unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What to do: `up`, `down`, `redo`, `apply`, `revert`, `resume`, `adopt`, `baseline`, or `status` (only look).
    pub action: Action,
    /// With `up`, `down` and `redo`: so many. Unset: `up` all, the others one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// With `up`, `down` and `baseline`: until this one is the last that is in; `0` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// With `apply` and `revert`: which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// The folder with rows for trials: `ID.sql` is run on the copy before that migration, and what it inserts must survive
    /// the way there and back. Unset: `seeds` beside the folder of the migrations.
    #[schemars(with = "Option<String>", extend("format" = "path"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<PathBuf>,
    /// Numbers that are left out: `refuse`, `warn` or `allow`. Unset: as the tool does whose rules the files follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gaps: Option<Stance>,
    /// Pending ones that should have come before some that are in: `refuse`, `warn` or `allow`. Unset: as the tool does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_order: Option<Stance>,
    /// Those that are in, their files being gone: `refuse`, `warn` or `allow`. Unset: as the tool does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Stance>,
    /// Take files that were edited after they were applied as they are now. Told in the audit trail.
    pub accept_changed: bool,
    /// What is to be thought of a statement that was at work when a process died, where the database cannot tell: `in` or
    /// `out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume: Option<Assume>,
    /// How long to wait while somebody else maintains the database, such as another instance that migrates it.
    pub wait: Age,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Bring in what is pending.
    #[default]
    Up,
    /// Take the last ones out.
    Down,
    /// Take the last ones out and bring them in again.
    Redo,
    /// Bring in these.
    Apply,
    /// Take out these.
    Revert,
    /// Go on with one that stopped in the middle, then bring in what is pending.
    Resume,
    /// Take over the history of another tool.
    Adopt,
    /// Mark as in what is in without having been run.
    Baseline,
    /// Only look.
    Status,
}

/// Which history counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// That of the tool until it is adopted.
    #[default]
    Auto,
    /// Our own.
    Own,
    /// That of the tool whose rules the files follow.
    Tool,
    /// A table `migrations`.
    Plain,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("migrations"),
            convention: "auto".to_owned(),
            history: Which::Auto,
            table: "migrations".to_owned(),
            target: None,
            action: Action::Up,
            count: None,
            to: None,
            ids: Vec::new(),
            seeds: None,
            gaps: None,
            out_of_order: None,
            missing: None,
            accept_changed: false,
            assume: None,
            wait: Age("60 seconds".to_owned()),
        }
    }
}

impl Options {
    /// Reads them from JSON.
    pub fn read(json: &serde_json::Value) -> Result<Self> {
        let json = if json.is_null() { serde_json::json!({}) } else { json.clone() };
        let options: Self = serde_json::from_value(json)
            .map_err(|error| Error::usage("the options of the migration cannot be read").because(error))?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        self.wait.about_seconds()?;
        self.convention()?;
        if self.table.is_empty() || !self.table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Error::usage(format!("`{}` is no name for a table of ours", self.table))
                .help("use small letters, digits and `_`, such as `table = \"migrations\"`"));
        }
        let needs_ids = matches!(self.action, Action::Apply | Action::Revert);
        if needs_ids && self.ids.is_empty() {
            return Err(Error::usage("which migration?").help("name it: `sexton migrate status` shows them"));
        }
        if self.action == Action::Baseline && self.to.is_none() {
            return Err(Error::usage("which migrations are in already?")
                .help("name the last one: `sexton migrate baseline --to ID`"));
        }
        Ok(())
    }

    /// By whose rules; none to find out.
    pub fn convention(&self) -> Result<Option<Convention>> {
        match self.convention.as_str() {
            "auto" => Ok(None),
            name => Convention::named(name)
                .map(Some)
                .map_err(|problem| Error::usage(problem.what.clone()).help(problem.help.clone())),
        }
    }

    /// What is refused, warned of and allowed.
    pub fn policy(&self, convention: Convention) -> Policy {
        let mut policy = Policy::of(convention);
        for (stance, said) in [
            (&mut policy.gaps, self.gaps),
            (&mut policy.out_of_order, self.out_of_order),
            (&mut policy.missing, self.missing),
        ] {
            if let Some(said) = said {
                *stance = said;
            }
        }
        // What is being accepted or gone on with is not what stands in the way.
        if self.accept_changed {
            policy.changed = Stance::Allow;
        }
        if matches!(self.action, Action::Resume | Action::Revert | Action::Status) {
            policy.interrupted = Stance::Allow;
        }
        policy
    }

    /// The history of another tool that would count, by the options alone.
    pub fn shape(&self, convention: Convention) -> Option<Shape> {
        match (self.history, convention) {
            (Which::Own, _) | (Which::Auto | Which::Tool, Convention::Native) => None,
            (Which::Plain, _) => Some(Shape::Plain),
            (Which::Auto | Which::Tool, other) => Some(Shape::of(other)),
        }
    }
}

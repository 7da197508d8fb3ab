//! What a transfer can be told. The doc comments are the help texts of config keys and the API.

use super::convert::{Misfit, Zone};
use super::source::SourceTable;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The schema of the target in which a rehearsal takes place.
pub const REHEARSAL: &str = "sexton_rehearsal";
/// The most seconds that a cut-over may be allowed.
const LONGEST: f64 = 86_400.0;

/// Options of a transfer: from where, into which schema, what happens to each table, column and kind of dirty value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What to do: `run` (the whole transfer), `verify` (only compare what arrived before with the source), `rollback` (take an
    /// online transfer back, or a plain one that ended early), `settle` (end the time in which it can be taken back), or
    /// `rehearse` (an online transfer there and back, on copies).
    pub action: Action,
    /// The database that is read: a SQLite file, by its name in the configuration or by its path. It is only read, but for the
    /// triggers of an online transfer.
    pub source: String,
    /// The schema of the target that gets the tables; it is made where it is not there. Default: `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into_schema: Option<String>,
    /// The tables are there already and empty, made by the application or by a script: columns are matched by name, values become
    /// the columns' own types, and what the tables demand is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub existing: bool,
    /// Rows that these tables have already, such as those that migrations put there, make way for those of the source. They are kept in the
    /// target until the transfer is over, and come back when it is taken back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
    /// A script that makes the tables of the target: a file of SQL statements. The plan tries it in a database that is thrown away, the run
    /// begins with it; where the tables are there already it is passed over. The rest is as with `existing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_file: Option<String>,
    /// The names of tables and columns that are made: `keep` (exactly as they are), or `snake_case`.
    pub names: Names,
    /// The zone of times that say none. Default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// What happens to values that do not fit, where nothing else is said for their kind: `stop`, `quarantine` (the whole row is
    /// kept in a table of its own), `null`, `truncate` or `default`.
    pub policy: Policy,
    /// The same by kind of misfit: `unreadable`, `ambiguous` (a day whose numbers may be in several orders), `empty`, `out_of_range`, `too_fine`, `too_long`, `zero_character`,
    /// `broken_text`, `no_such_time`, `null`, `reference`, `check`, `duplicate` (rows that become equal in a unique key).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dirty: BTreeMap<Misfit, Policy>,
    /// What is compared afterwards: `rows` (every value of every row), `counts`, or `nothing`.
    pub verify: Proof,
    /// Questions that both sides must answer alike, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<String, Query>,
    /// The application goes on writing: what it changes meanwhile is written down by triggers in the file and carried after the copy.
    /// At the end nobody can write for a moment, the application is sent to the target, and the file refuses changes from then on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub online: bool,
    /// How the application is sent to the target at the end of an online transfer, and back by `sexton transfer rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switch: Option<Switch>,
    /// The most seconds in which nobody may write at the end of an online transfer, a day at the most; then it goes back. The copy before
    /// it may take as long as it takes. Default: 300.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cut_over_limit: Option<f64>,
    /// After an online transfer nothing is noted in the target, so that it can be left, but not gone back to the file with what was
    /// written since.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_way: bool,
    /// Tables that nothing but the number of a row tells apart, and whose changes in the target may be lost on the way back: they have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_way_back: Vec<String>,
    /// Columns such as `updated_at` that the target sets to the present time with every update of a row that does not set them itself, in
    /// every table that has them: by triggers, whose statements the plan shows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stamps: Vec<String>,
    /// How many rows of the target may be left behind by `rollback`, because they have no way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<u64>,
    /// What makes an online transfer go back by itself before the application is sent elsewhere: `check` (one that failed), `limit`
    /// (that of the cut-over), `error` (any other), `cancel` (it was stopped). Default: all of them. After what is not in the list it can
    /// be resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_back_on: Option<Vec<Trouble>>,
    /// What is known not to arrive and therefore no finding: names of views, triggers, indexes, and of columns whose default or
    /// expression has no counterpart, as `table.column`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leave: Vec<String>,
    /// What differs from table to table, by their names in the source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<String, TableMap>,
}

/// How the application is sent to another database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Switch {
    /// The file in which the application looks: a `.env`, or one that holds nothing but the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The variable in that file, such as `DATABASE_URL`; the other lines stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// What is written; `{url}` stands for the URL of the target. Default: `{url}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A command that is run afterwards, without a shell: it finds the URL in `SEXTON_DATABASE_URL`, and `there` or `back` in
    /// `SEXTON_DIRECTION`. It may be run more than once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

/// What can go wrong in an online transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A check failed.
    Check,
    /// The cut-over took too long.
    Limit,
    /// Anything else went wrong.
    Error,
    /// It was stopped.
    Cancel,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The whole transfer.
    #[default]
    Run,
    /// Only the comparison.
    Verify,
    /// Back to the source: before the application was sent to the target, by taking away what was made there; after it, by carrying
    /// back what it wrote there.
    Rollback,
    /// There and back on copies.
    Rehearse,
    /// There is no way back any more: nothing is noted in the target from now on.
    Settle,
}

/// The names that are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// Exactly as they are.
    #[default]
    Keep,
    /// `orderItems` becomes `order_items`.
    SnakeCase,
}

/// What happens to a value that does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Nothing is copied while there is one.
    #[default]
    Stop,
    /// The row is kept aside, whole, with the reason.
    Quarantine,
    /// The value becomes NULL.
    Null,
    /// What is too long or too fine is cut; characters that cannot be are left out or replaced.
    Truncate,
    /// The value becomes the column's `default` of the mapping.
    Default,
}

impl Policy {
    /// As the configuration says it.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Stop => "stop",
            Policy::Quarantine => "quarantine",
            Policy::Null => "null",
            Policy::Truncate => "truncate",
            Policy::Default => "default",
        }
    }
}

/// What is compared afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Every value of every row.
    #[default]
    Rows,
    /// How many rows there are.
    Counts,
    /// Nothing.
    Nothing,
}

/// A question to both sides. The same rows are expected, in any order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The statement for the source.
    pub source: String,
    /// The statement for the target, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What differs for a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TableMap {
    /// Its name in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// It is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drop: bool,
    /// What differs from column to column, by their names in the source.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnMap>,
}

/// What differs for a column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnMap {
    /// Its name in the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rename: Option<String>,
    /// It is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drop: bool,
    /// The type that it gets, such as `numeric(10, 2)` or `jsonb`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cast: Option<String>,
    /// A program in jq that makes the value: it gets what the source has, such as `fromjson | .name`. Needs `cast`, where the table is
    /// made. It is asked before `values`, `null` and `empty`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<String>,
    /// Other values for these ones: `{ Y = true, N = false }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, Json>,
    /// The value that stands in for NULL, and for what the policy `default` replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// What happens to NULL: `keep`, `default` or `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub null: Option<Empty>,
    /// What happens to an empty text: `keep`, `default`, `error`, or `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty: Option<Empty>,
    /// The zone of its times that say none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "zone"))]
    pub zone: Option<String>,
    /// What its numbers count, where they are times, since 1970, or lengths of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Its values are ids that become uuids, and so do those of every column that refers to it: a uuid stays, any other id becomes the
    /// same uuid every time. Which became which is kept in the table `sexton.ids` of the target.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uuid: bool,
    /// Its values are ids of rows of this table, whose ids become uuids (`uuid`), though no reference says so: they become the same ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids_of: Option<String>,
    /// What happens to values that do not fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dirty: BTreeMap<Misfit, Policy>,
}

impl ColumnMap {
    /// Whether the values that arrive are those of the source.
    pub fn keeps_values(&self) -> bool {
        let keeps = |empty: &Option<Empty>| matches!(empty, None | Some(Empty::Keep));
        self.jq.is_none()
            && self.values.is_empty()
            && self.default.is_none()
            && keeps(&self.null)
            && keeps(&self.empty)
    }
}

/// What happens to a value that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Empty {
    /// It stays.
    Keep,
    /// It becomes the default.
    Default,
    /// It does not fit.
    Error,
    /// It becomes NULL.
    Null,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Epoch {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

impl Epoch {
    /// How many microseconds one is.
    pub fn micros(self) -> i64 {
        match self {
            Epoch::Seconds => 1_000_000,
            Epoch::Milliseconds => 1_000,
            Epoch::Microseconds => 1,
        }
    }
}

impl Options {
    /// Reads options that passed the schema.
    pub fn read(options: &Json) -> Result<Self> {
        let options: Self = serde_json::from_value(options.clone())
            .map_err(|error| Error::usage("the options of the transfer cannot be read").because(error))?;
        if options.source.is_empty() {
            return Err(Error::usage("`source` is missing").help(
                "name the SQLite file that is read: `source = \"old\"`, a database of the configuration",
            ));
        }
        zone(options.zone.as_deref())?;
        if !(0.0..=LONGEST).contains(&options.limit()) {
            return Err(Error::usage(format!("`cut_over_limit` is {}", options.limit()))
                .help(format!("write seconds, from 0 to a day ({LONGEST})")));
        }
        Ok(options)
    }

    /// The most seconds that nobody may write.
    pub fn limit(&self) -> f64 {
        self.cut_over_limit.unwrap_or(300.0)
    }

    /// What makes an online transfer go back by itself.
    pub fn go_back_on(&self) -> Vec<Trouble> {
        let all = || vec![Trouble::Check, Trouble::Limit, Trouble::Error, Trouble::Cancel];
        self.go_back_on.clone().unwrap_or_else(all)
    }

    /// Whether this is the run of an online transfer.
    pub fn runs_online(&self) -> bool {
        self.online && self.action == Action::Run || self.action == Action::Rehearse
    }

    /// The schema of the target.
    pub fn into(&self) -> &str {
        self.into_schema.as_deref().unwrap_or("public")
    }

    /// Where its tables are while it runs: those of a rehearsal in a schema of their own.
    pub fn lands_in(&self) -> &str {
        match self.action {
            Action::Rehearse => REHEARSAL,
            _ => self.into(),
        }
    }

    /// What is said about a table.
    pub fn table(&self, name: &str) -> Option<&TableMap> {
        self.map.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, map)| map)
    }

    /// What is said about a column.
    pub fn column(&self, table: &str, column: &str) -> Option<&ColumnMap> {
        let columns = &self.table(table)?.columns;
        columns.iter().find(|(known, _)| known.eq_ignore_ascii_case(column)).map(|(_, map)| map)
    }

    /// The table whose ids are in this column, where they become uuids: its own, the one that is named, or one that it refers to.
    pub fn ids(&self, table: &SourceTable, column: &str) -> Option<String> {
        let own = self.column(table.name(), column);
        if own.is_some_and(|own| own.uuid) {
            return Some(table.name().to_lowercase());
        }
        if let Some(named) = own.and_then(|own| own.ids_of.as_ref()) {
            return Some(named.to_lowercase());
        }
        table.references.iter().find_map(|reference| {
            let n = reference.columns.iter().position(|one| one.eq_ignore_ascii_case(column))?;
            let key = match reference.parent_columns.get(n) {
                Some(key) => self.column(&reference.parent, key),
                // the primary key, of which only one can be meant
                None => self.table(&reference.parent)?.columns.values().find(|own| own.uuid),
            };
            key.filter(|own| own.uuid).map(|_| reference.parent.to_lowercase())
        })
    }

    /// The tables that `ids_of` names have ids that become uuids.
    pub fn known_ids(&self) -> Result<()> {
        for (table, map) in &self.map {
            for (column, own) in &map.columns {
                let Some(named) = &own.ids_of else { continue };
                let place = format!("{table}.{column}");
                if own.uuid {
                    return Err(Error::usage(format!("`{place}` has both `uuid` and `ids_of`")).help(
                        "`uuid` is for the ids of the table itself, `ids_of` for those of another one",
                    ));
                }
                if !self.table(named).is_some_and(|parent| parent.columns.values().any(|one| one.uuid)) {
                    let why = format!("`{place}` has the ids of `{named}`, of which no column becomes uuids");
                    return Err(Error::usage(why).help(format!(
                        "write `uuid = true` at the id of that table: `map.{named}.columns.id`"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What happens to a misfit.
    pub fn policy(&self, column: Option<&ColumnMap>, misfit: Misfit) -> Policy {
        let own = column.and_then(|column| column.dirty.get(&misfit));
        own.or_else(|| self.dirty.get(&misfit)).copied().unwrap_or(self.policy)
    }

    /// Whether a program makes the values of a column.
    pub fn has_programs(&self) -> bool {
        self.map.values().any(|table| table.columns.values().any(|column| column.jq.is_some()))
    }

    /// Whether it is known that the changes of this table have no way back.
    pub fn lets_go(&self, table: &str) -> bool {
        self.one_way || self.without_way_back.iter().any(|known| known.eq_ignore_ascii_case(table))
    }

    /// Whether it is known not to arrive.
    pub fn leaves(&self, name: &str) -> bool {
        self.leave.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The zone of this name.
pub fn zone(name: Option<&str>) -> Result<Zone> {
    let Some(name) = name else { return Ok(Zone::Utc) };
    Zone::try_from(name.to_owned()).map_err(|why| {
        Error::usage(format!("there is no time zone `{name}`"))
            .because(why)
            .help("write one such as `Europe/Berlin`")
    })
}

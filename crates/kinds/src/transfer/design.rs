//! The tables of the target, made from those of the source: by what is declared, by what is really in them, and by what the
//! mapping says. Whatever has no counterpart is listed with the reason.
//!
//! Everything here is decided from facts; nothing is asked and nothing is made.

use super::choose::{self, Choice, Meaning, Type, choose};
use super::convert::{Misfit, Rule};
use super::naming::{Taken, spelled};
use super::options::{ColumnMap, Options, Policy, zone};
use super::profile::{Profile, Readings};
use super::source::{Other, Source, SourceTable};
use super::translate::columns::{is_mixed, known};
use super::translate::defaults::{default, literal};
use super::translate::expression::{self, Scope, Sort};
use super::translate::grammar::WrittenReference;
use super::translate::members::Members;
use super::translate::{triggers, views};
use super::types;
use engine::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use targets::db::{Column, Seen, TableName};

/// What is to be made.
#[derive(Debug, Clone, Default)]
pub struct Design {
    /// The tables, parents first where that is possible.
    pub tables: Vec<NewTable>,
    /// The views, those that others read first.
    pub views: Vec<NewView>,
    /// The triggers.
    pub triggers: Vec<NewTrigger>,
    /// What does not arrive.
    pub left: Vec<Left>,
}

/// Something that does not arrive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// What it is: `view`, `trigger`, `index`, `check`, `default`, …
    pub what: String,
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
    /// How the source writes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sql: String,
}

impl Left {
    /// A virtual table.
    pub fn of_module(other: &Other) -> Self {
        Self::new(other.what, &other.name, "only its SQLite module can read it", &other.sql)
    }

    /// What does not arrive, and why.
    pub fn new(what: &str, name: impl Into<String>, why: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { what: what.to_owned(), name: name.into(), why: why.into(), sql: sql.into() }
    }
}

/// A view of the target.
#[derive(Debug, Clone)]
pub struct NewView {
    /// Its name in the source.
    pub source: String,
    /// Its name in the target.
    pub name: TableName,
    /// Its statement.
    pub sql: String,
    /// Why it has another name.
    pub reason: Option<String>,
}

/// A trigger of the target, with its function.
#[derive(Debug, Clone)]
pub struct NewTrigger {
    /// Its name in the source.
    pub source: String,
    /// Its function, quoted.
    pub function: String,
    /// What makes both.
    pub statements: Vec<String>,
    /// What it does, as statements that can be planned before there is a row.
    pub probes: Vec<String>,
    /// Why it has another name.
    pub reason: Option<String>,
}

/// A table of the target.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// Its name in the source.
    pub source: String,
    /// Its name in the target.
    pub name: TableName,
    /// Why that is another one.
    pub reason: Option<String>,
    /// Its columns.
    pub columns: Vec<NewColumn>,
    /// Its checks.
    pub checks: Vec<(Option<String>, String)>,
    /// Its keys and indexes.
    pub indexes: Vec<NewIndex>,
    /// Its references.
    pub references: Vec<NewReference>,
    /// The largest id that the source ever gave.
    pub sequence: Option<i64>,
    /// The columns that tell its rows apart, by their names in the target; empty where nothing does for certain.
    pub key: Vec<String>,
}

/// A column of the target.
#[derive(Debug, Clone)]
pub struct NewColumn {
    /// Its name in the source.
    pub source: String,
    /// Its name in the target.
    pub name: String,
    /// Its type.
    pub spelled: String,
    /// How its values are read.
    pub rule: Rule,
    /// There must be a value.
    pub not_null: bool,
    /// What it gets that is given no value.
    pub default: Option<String>,
    /// The target gives it numbers.
    pub identity: bool,
    /// The expression that computes it.
    pub generated: Option<String>,
    /// It does not hold what the source holds: there are values of several kinds, or they become others.
    pub mixed: bool,
    /// Its values are moments that are written as days.
    pub days: bool,
    /// What its documents hold, where the source's own expressions read them.
    pub members: Option<Members>,
    /// Why it is not as it was declared.
    pub reasons: Vec<String>,
}

/// A key or an index of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewIndex {
    /// Its name.
    pub name: String,
    /// Its statement, which does nothing where it is there.
    pub sql: String,
    /// The columns of which no two rows have the same; none where it is about something else, or not about all rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<String>,
    /// What makes a key of it.
    pub key: Option<String>,
    /// Why it is otherwise than in the source.
    pub reason: Option<String>,
}

/// A reference of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewReference {
    /// Its name.
    pub name: String,
    /// What declares it, without a look at the rows.
    pub add: String,
    /// What looks at them.
    pub validate: String,
    /// As a person would write it, both at once.
    pub shown: String,
    /// The referring columns, in the source.
    pub columns: Vec<String>,
    /// The table referred to, in the source.
    pub parent: String,
    /// Its columns.
    pub parent_columns: Vec<String>,
}

/// What was seen in each table: by its name, one profile for each column.
pub type Profiles = HashMap<String, Vec<Profile>>;

/// Makes the design.
pub fn design(source: &Source, profiles: &Profiles, options: &Options) -> Result<Design> {
    let mut design = Design::default();
    let mut kept: Vec<&SourceTable> = Vec::new();
    for table in &source.tables {
        match options.table(table.name()) {
            Some(map) if map.drop => {}
            _ if table.table.columns.len() > 1600 => design.left.push(Left::new(
                "table",
                table.name(),
                format!("it has {} columns, PostgreSQL takes 1600", table.table.columns.len()),
                "",
            )),
            _ => kept.push(table),
        }
    }
    let choices = types_of(&kept, profiles, options)?;
    let mut names = Taken::default();
    let mut renamed = BTreeMap::new();
    for table in &kept {
        let wanted = options.table(table.name()).and_then(|map| map.rename.clone());
        let wanted = wanted.unwrap_or_else(|| spelled(table.name(), options.names));
        renamed.insert(table.name().to_lowercase(), names.name(&wanted));
    }
    for table in &kept {
        let (name, reason) = renamed[&table.name().to_lowercase()].clone();
        let made = table_of(table, &choices, profiles, options, &mut design.left)?;
        let name = TableName::within(options.into(), &name);
        design.tables.push(NewTable { name, reason, ..made });
    }
    super::keys::add(&kept, &mut design, profiles, options, &mut names);
    let mut catalogue = views::catalogue(source, &design, profiles, options);
    views::translate(source, &mut design, &mut catalogue, options, &mut names);
    triggers::translate(source, &mut design, &catalogue, options);
    let virtuals = source.others.iter().filter(|other| other.what == "virtual table");
    design.left.extend(virtuals.map(Left::of_module));
    design.left.retain(|left| !options.leaves(&left.name));
    Ok(order(design))
}

/// Parents before children, where there is such an order; else as the names are.
fn order(mut design: Design) -> Design {
    let mut rest = std::mem::take(&mut design.tables);
    while !rest.is_empty() {
        let free = rest.iter().position(|table| {
            let waits = |parent: &String| {
                !parent.eq_ignore_ascii_case(&table.source)
                    && rest.iter().any(|other| other.source.eq_ignore_ascii_case(parent))
            };
            !table.references.iter().any(|reference| waits(&reference.parent))
        });
        design.tables.push(rest.remove(free.unwrap_or(0)));
    }
    design
}

/// The type of each column: table and column in lower case.
type Choices = HashMap<(String, String), Choice>;

fn at(table: &str, column: &str) -> (String, String) {
    (table.to_lowercase(), column.to_lowercase())
}

fn types_of(tables: &[&SourceTable], profiles: &Profiles, options: &Options) -> Result<Choices> {
    let mut choices = Choices::new();
    let empty = Profile::default();
    let seen = |table: &SourceTable, n: usize| {
        profiles.get(table.name()).and_then(|all| all.get(n)).unwrap_or(&empty).clone()
    };
    for table in tables {
        for (n, column) in table.table.columns.iter().enumerate() {
            let own = options.column(table.name(), &column.name);
            let choice = if table.rowid_column().is_some_and(|alias| alias.name == column.name) {
                Choice { typ: Type::Bigint, reason: None, epoch: None }
            } else {
                let mut choice = choose(table.declared(column), &seen(table, n));
                if choice.typ == Type::Jsonb && table.declared(column) != column.declared {
                    choice.reason = Some("its check lets nothing but documents in".to_owned());
                }
                // numbers that are said to be times
                let epoch = own.and_then(|own| own.epoch);
                if epoch.is_some() && choose::meaning(table.declared(column)) == Meaning::Moment {
                    choice = Choice { typ: Type::Timestamptz, reason: None, epoch: None };
                }
                choice
            };
            choices.insert(at(table.name(), &column.name), choice);
        }
    }
    // What refers must be comparable with what it refers to; a chain takes as many rounds as it is long.
    for _ in 0..4 {
        for table in tables {
            for reference in &table.references {
                let Some(parent) =
                    tables.iter().find(|one| one.name().eq_ignore_ascii_case(&reference.parent))
                else {
                    continue;
                };
                let columns = parent_columns(reference, parent);
                for (child, key) in reference.columns.iter().zip(&columns) {
                    let place = |table: &SourceTable, name: &str| {
                        table.table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
                    };
                    let (Some(n), Some(_)) = (place(table, child), place(parent, key)) else { continue };
                    agree(
                        &mut choices,
                        (at(table.name(), child), &seen(table, n)),
                        at(parent.name(), key),
                        &format!("{}.{}", parent.name(), key),
                    );
                }
            }
        }
    }
    Ok(choices)
}

/// Gives a referring column a type that can be compared with that of its parent, or both one that can.
fn agree(
    choices: &mut Choices,
    (child, profile): ((String, String), &Profile),
    parent: (String, String),
    shown: &str,
) {
    let (Some(a), Some(b)) = (choices.get(&child).cloned(), choices.get(&parent).cloned()) else { return };
    let (from, to) = (Sort::from(a.typ), Sort::from(b.typ));
    if from == to && b.typ == Type::Bigint && a.typ != b.typ {
        // ids grow, and what refers to them with them
        choices.insert(child, Choice { typ: Type::Bigint, ..a });
        return;
    }
    if from == to || from == Sort::Bytes || to == Sort::Bytes {
        return;
    }
    let as_parent = profile.values() == 0 || to == Sort::Whole && profile.values() == profile.integers;
    let reason = Some(format!("it refers to `{shown}`, which is `{}`", b.typ));
    if as_parent {
        let typ = if to == Sort::Whole { Type::Bigint } else { b.typ };
        choices.insert(child, Choice { typ, reason, epoch: None });
        return;
    }
    choices.insert(
        child,
        Choice { typ: Type::Text, reason: if to == Sort::Text { reason } else { a.reason }, epoch: None },
    );
    if to != Sort::Text {
        let why = format!("`{}.{}` refers to it with other values", parent.0, parent.1);
        choices.insert(parent, Choice { typ: Type::Text, reason: Some(why), epoch: None });
    }
}

/// The columns that a reference means.
pub fn parent_columns(reference: &WrittenReference, parent: &SourceTable) -> Vec<String> {
    match reference.parent_columns.is_empty() {
        true => parent.primary.clone(),
        false => reference.parent_columns.clone(),
    }
}

fn table_of(
    table: &SourceTable,
    choices: &Choices,
    profiles: &Profiles,
    options: &Options,
    left: &mut Vec<Left>,
) -> Result<NewTable> {
    let mut names = Taken::default();
    let mut columns = Vec::new();
    for (n, column) in table.table.columns.iter().enumerate() {
        let own = options.column(table.name(), &column.name);
        if own.is_some_and(|own| own.drop) {
            continue;
        }
        let choice = choices[&at(table.name(), &column.name)].clone();
        let made = column_of(table, column, choice, own, options, left)?;
        let wanted = own.and_then(|own| own.rename.clone());
        let (name, reason) = names.name(&wanted.unwrap_or_else(|| spelled(&column.name, options.names)));
        let reasons = made.reasons.into_iter().chain(reason).collect();
        let seen = profiles.get(table.name()).and_then(|all| all.get(n));
        let mixed = seen.is_some_and(|seen| is_mixed(&made.rule, seen));
        let days =
            matches!(made.rule, Rule::Moment(..)) && seen.is_some_and(|seen| seen.reads_as(Readings::DAY));
        let keeps_values = own.is_none_or(ColumnMap::keeps_values);
        let members = match made.rule {
            Rule::Text(None) | Rule::Json(false) if keeps_values => seen.map(|seen| seen.members.clone()),
            _ => None,
        };
        columns.push(NewColumn { name, reasons, mixed, days, members, ..made });
    }
    check_names(table, options)?;
    let all = known(table, &columns);
    let scope = Scope::of(&all, true);
    let mut stored = all.clone();
    for known in &mut stored {
        known.gone |= known.computed;
    }
    for column in &mut columns {
        let there = table.table.column(&column.source);
        let Some(written) = there.and_then(|there| table.generated(there)) else { continue };
        let said = match written {
            Some(text) => expression::value(text, scope),
            None => Err("its expression cannot be read".to_owned()),
        };
        let reads_stored = |text: &str| expression::value(text, Scope::of(&stored, true)).is_ok();
        let fits = |said: &expression::Said| {
            let sort = types::sort(&column.rule);
            // what documents do not hold yet will be a text there
            let will_be = sort == Sort::Text && said.sort == Sort::Mixed && said.says(Sort::Text);
            said.sort == sort || said.sort == Sort::Null || will_be
        };
        match said {
            Ok(said) if fits(&said) && written.is_some_and(reads_stored) => {
                column.generated = Some(said.sql);
                column.default = None;
            }
            outcome => {
                let other = |said: &expression::Said| match fits(said) {
                    true => "it reads another computed column, which PostgreSQL does not take",
                    false => "its expression gives another type",
                };
                let why = outcome.map_or_else(|why| why, |said| other(&said).to_owned());
                column.reasons.push("nothing computes it any more".to_owned());
                let name = format!("{}.{}", table.name(), column.source);
                left.push(Left::new("generated column", name, why, written.unwrap_or_default()));
            }
        }
    }
    let mut checks = Vec::new();
    for (name, text) in table.written.iter().flat_map(|written| &written.checks) {
        match expression::condition(text, Scope::rule(&all)) {
            Ok(sql) => checks.push((name.clone(), sql)),
            Err(why) => {
                left.push(Left::new(
                    "check",
                    name.clone().unwrap_or_else(|| table.name().to_owned()),
                    why,
                    text,
                ));
            }
        }
    }
    for (of, how) in table.written.iter().flat_map(|written| &written.conflicts) {
        let name = format!("{}.{of}", table.name());
        let why = "PostgreSQL says in each statement what happens to a row that breaks a rule";
        left.push(Left::new("conflict clause", name, why, how));
    }
    if table.written.is_none() {
        let why = "its statement cannot be read, so its checks and collations are not known";
        left.push(Left::new("checks", table.name(), why, ""));
    }
    Ok(NewTable {
        source: table.name().to_owned(),
        name: table.table.name.clone(),
        reason: None,
        columns,
        checks,
        indexes: Vec::new(),
        references: Vec::new(),
        sequence: table.sequence,
        key: Vec::new(),
    })
}

/// The mapping names only what is there.
fn check_names(table: &SourceTable, options: &Options) -> Result<()> {
    for name in options.table(table.name()).into_iter().flat_map(|map| map.columns.keys()) {
        if !table.table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
            table.table.expect_column(name)?;
        }
    }
    Ok(())
}

fn column_of(
    table: &SourceTable,
    column: &Column,
    choice: Choice,
    own: Option<&ColumnMap>,
    options: &Options,
    left: &mut Vec<Left>,
) -> Result<NewColumn> {
    let place = format!("{}.{}", table.name(), column.name);
    let clock = own.and_then(|own| own.zone.as_deref()).or(options.zone.as_deref());
    let zone = zone(clock)?;
    let epoch = own.and_then(|own| own.epoch).map(|epoch| epoch.micros());
    let mut reasons: Vec<String> = choice.reason.into_iter().collect();
    let ids = options.ids(table, &column.name);
    if own.is_some_and(|own| own.jq.is_some() && own.cast.is_none()) {
        return Err(Error::usage(format!("nobody knows the type of what jq makes of `{place}`"))
            .help("say it with `cast`, such as `cast = \"text\"`"));
    }
    let (mut spelled, mut rule, typ) = match (ids, own.and_then(|own| own.cast.as_deref())) {
        (Some(ids), _) => {
            reasons.clear();
            reasons.push("ids become uuids".to_owned());
            ("uuid".to_owned(), Rule::Id(ids), None)
        }
        (None, Some(cast)) => {
            reasons.clear();
            let rule = types::rule(cast, epoch, &zone).ok_or_else(|| {
                Error::usage(format!("`{cast}`, the type for `{place}`, is not known"))
                    .help("write one such as `integer`, `numeric(10, 2)`, `timestamptz`, `uuid` or `jsonb`")
            })?;
            (cast.to_owned(), rule, None)
        }
        (None, None) => {
            (choice.typ.to_string(), Rule::of(choice.typ, epoch.or(choice.epoch), &zone), Some(choice.typ))
        }
    };
    let identity = table.rowid_column().is_some_and(|alias| alias.name == column.name)
        && matches!(rule, Rule::Whole(..));
    let mut not_null = column.not_null && own.is_none_or(|own| own.null != Some(super::options::Empty::Null));
    // a policy that makes NULLs of what does not fit must be able to
    let makes_nulls = [Misfit::Unreadable, Misfit::Ambiguous, Misfit::OutOfRange, Misfit::TooLong]
        .iter()
        .any(|misfit| options.policy(own, *misfit) == Policy::Null);
    if not_null && makes_nulls && typ.is_none() {
        not_null = false;
        reasons.push("values that do not fit become NULL".to_owned());
    }
    let mut written = column.default.clone().filter(|_| !identity);
    if let Some(value) = own.and_then(|own| own.default.as_ref()) {
        let text = types::text(value);
        let value = literal(Seen::Text(&text), &rule).map_err(|misfit| {
            Error::usage(format!("the default `{text}` of `{place}` {misfit} `{spelled}`"))
        })?;
        return Ok(NewColumn {
            source: column.name.clone(),
            name: column.name.clone(),
            spelled,
            rule,
            not_null,
            default: Some(value),
            identity: false,
            generated: None,
            mixed: false,
            days: false,
            members: None,
            reasons,
        });
    }
    let mut typ = typ.or_else(|| types::kind(&rule));
    // what counts time outgrows the numbers that are there
    let counts = |text: &String| match default(text, Type::Bigint, &Rule::Whole(i64::MIN, i64::MAX), clock) {
        Ok(Some(sql)) => sql.contains("now()"),
        _ => false,
    };
    let is_made = own.is_none_or(|own| own.cast.is_none());
    if is_made && matches!(typ, Some(Type::Smallint | Type::Integer)) && written.as_ref().is_some_and(counts)
    {
        (spelled, rule, typ) =
            (Type::Bigint.to_string(), Rule::of(Type::Bigint, None, &zone), Some(Type::Bigint));
        reasons.push("its default counts time".to_owned());
    }
    let default = match (written.take(), typ) {
        (Some(text), Some(typ)) => match default(&text, typ, &rule, clock) {
            Ok(default) => default,
            Err(why) => {
                left.push(Left::new("default", place, why, text));
                None
            }
        },
        (Some(text), None) => {
            left.push(Left::new("default", place, "the type it is cast to says nothing of it", text));
            None
        }
        (None, _) => None,
    };
    Ok(NewColumn {
        source: column.name.clone(),
        name: column.name.clone(),
        spelled,
        rule,
        not_null,
        default,
        identity,
        generated: None,
        mixed: false,
        days: false,
        members: None,
        reasons,
    })
}

//! Tables that are there already, made by the application or a script: source and target are matched by name, and each value becomes
//! one of the column's own type. What the target demands is kept, and its checks are asked of the server before anything is copied.

use super::choose;
use super::convert::{Rule, Zone};
use super::demands::Asked;
use super::design::{Design, NewColumn, NewReference, NewTable};
use super::domains::{self, Domains};
use super::expressed;
use super::ledgers;
use super::naming::{is_cut_to, snake};
use super::options::{Action, Options, zone};
use super::profile::Profile;
use super::sequences::{self, Counter};
use super::source::{Source, SourceTable};
use super::types;
use engine::{Finding, Result};
use std::collections::HashMap;
use targets::db::{Column, Facts, Generated, Row, Schema, Sql, Table, TableKind, Trigger, Value, quote};

/// What the target has beside its tables.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// The conditions of each table, by its quoted name.
    pub checks: HashMap<String, Vec<Asked>>,
    /// Its domains.
    pub domains: Domains,
    /// What takes references away that cannot stand while rows come, and what puts them back, in order.
    pub release: Vec<String>,
    /// See `release`.
    pub restore: Vec<String>,
    /// What counts by itself: the statement that lets it go on for each.
    pub sequences: Vec<(Counter, String)>,
}

/// Matches source and target.
pub fn design(
    source: &Source,
    options: &Options,
    reader: &mut dyn Facts,
    target: &mut dyn Facts,
) -> Result<(Design, Demands, Vec<Finding>)> {
    let schema = target.schema()?;
    let into = options.into();
    let types = Types { labels: labels(target)?, domains: Domains::read(target)? };
    let mut findings = Vec::new();
    let mut design = Design::default();
    let is_django = source.tables.iter().any(|table| table.name() == "django_migrations");
    for table in &source.tables {
        let own = options.table(table.name());
        if own.is_some_and(|own| own.drop) {
            continue;
        }
        let wanted = own.and_then(|own| own.rename.clone());
        let there = find_table(&schema, into, wanted.as_deref().unwrap_or(table.name()));
        if own.is_none()
            && let Some(told) = ledgers::stays(table, there, reader, target)?
        {
            findings.push(told);
            continue;
        }
        let Some(there) = there else {
            findings.push(Finding::forbid(
                "unmapped",
                table.name(),
                format!("the schema `{into}` has no table for it"),
                format!(
                    "name it with `map.{0}.rename`, or leave it out with `map.{0}.drop = true`",
                    table.name()
                ),
            ));
            continue;
        };
        if let Some(other) = design.tables.iter().find(|made| made.name == there.name) {
            findings.push(ambiguous(table.name(), &other.source, &there.name.to_string()));
            continue;
        }
        let mut made = table_of(table, there, options, &types, &mut findings)?;
        let told = count_time(&mut made, is_django, reader)?;
        // a comparison reads them as the run did, which told it
        findings.extend(told.into_iter().filter(|_| options.action != Action::Verify));
        design.tables.push(made);
    }
    let names: Vec<&Table> = design.tables.iter().filter_map(|table| schema.table(&table.name)).collect();
    order(&mut design.tables, &schema);
    if options.action != Action::Verify {
        for table in &names {
            findings.extend(expressed::exclusions(table, target)?);
        }
    }
    let demands = Demands { domains: types.domains, ..demands(&names, &design.tables, target)? };
    Ok((design, demands, findings))
}

/// The tables of the source that the target has, and those that it has not.
pub fn there(source: &Source, options: &Options, schema: &Schema) -> (Vec<String>, Vec<String>) {
    let wanted = source
        .tables
        .iter()
        .filter(|table| options.table(table.name()).map_or(!ledgers::is_one(table), |own| !own.drop));
    let is_there = |table: &&SourceTable| {
        let renamed = options.table(table.name()).and_then(|own| own.rename.clone());
        find_table(schema, options.into(), renamed.as_deref().unwrap_or(table.name())).is_some()
    };
    let (there, missing): (Vec<_>, Vec<_>) = wanted.partition(is_there);
    let names = |all: Vec<&SourceTable>| all.into_iter().map(|table| table.name().to_owned()).collect();
    (names(there), names(missing))
}

/// Two of the source that become one of the target.
fn ambiguous(name: &str, other: &str, there: &str) -> Finding {
    Finding::forbid(
        "ambiguous",
        name,
        format!("it matches `{there}` of the target, and so does `{other}`"),
        "name what is meant with `rename`, or leave one of them out with `drop = true`, in `map`",
    )
}

/// What the numbers of a table count that become times, where nobody says it: what leaves all of them between 1980 and 2100. Of lengths
/// of time only frameworks are known to count in one way.
fn count_time(table: &mut NewTable, is_django: bool, reader: &mut dyn Facts) -> Result<Vec<Finding>> {
    let is_open =
        |column: &&mut NewColumn| matches!(column.rule, Rule::Moment(None, ..) | Rule::Span(None, _));
    let open: Vec<&mut NewColumn> = table.columns.iter_mut().filter(is_open).collect();
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let ends = open.iter().flat_map(|column| ["min", "max"].map(|end| (end, quote(&column.source))));
    let ends = ends.map(|(end, name)| {
        format!("{end}(case when typeof({name}) in ('integer', 'real') then cast({name} as integer) end)")
    });
    let sql = format!("select {} from ", ends.collect::<Vec<_>>().join(", "));
    let row = reader.rows(&Sql::new(&sql).name(&table.source))?.into_iter().next().unwrap_or_default();
    let mut findings = Vec::new();
    for (column, ends) in open.into_iter().zip(row.chunks(2)) {
        let [Value::Int(least), Value::Int(most)] = ends else { continue };
        let seen = Profile { range: Some((*least, *most)), ..Profile::default() };
        let place = format!("{}.{}", table.source, column.source);
        let (since, micros) = match &column.rule {
            Rule::Span(..) if is_django => (", as Django writes them", Some(1)),
            Rule::Span(..) => {
                findings.push(Finding::forbid(
                    "epoch",
                    place,
                    "nothing says what its numbers count",
                    "say it in `map`: `epoch = \"seconds\"`, `\"milliseconds\"` or `\"microseconds\"`",
                ));
                continue;
            }
            _ => (" since 1970", choose::epoch(&seen)),
        };
        let Some(micros) = micros else { continue };
        let unit = match micros {
            1 => "microseconds",
            1_000 => "milliseconds",
            _ => "seconds",
        };
        findings.push(Finding::note(
            "epoch",
            place,
            format!("its numbers are read as {unit}{since}"),
            "say what they count with `epoch` in `map`, where that is wrong",
        ));
        if let Rule::Moment(unit, ..) | Rule::Span(unit, _) = &mut column.rule {
            *unit = Some(micros);
        }
    }
    Ok(findings)
}

fn find_table<'a>(schema: &'a Schema, into: &str, name: &str) -> Option<&'a Table> {
    let all = || {
        schema.tables.iter().filter(|table| {
            table.name.schema.as_deref() == Some(into)
                && matches!(table.kind, TableKind::Ordinary | TableKind::Partitioned)
        })
    };
    let is = |same: &dyn Fn(&str) -> bool| all().find(|table| same(&table.name.name));
    is(&|known| known == name)
        .or_else(|| is(&|known| known.eq_ignore_ascii_case(name)))
        .or_else(|| is(&|known| snake(known) == snake(name)))
        .or_else(|| is(&|known| is_cut_to(name, known)))
}

fn find_column<'a>(table: &'a Table, name: &str) -> Option<&'a Column> {
    let is = |same: &dyn Fn(&str) -> bool| table.columns.iter().find(|column| same(&column.name));
    is(&|known| known == name)
        .or_else(|| is(&|known| known.eq_ignore_ascii_case(name)))
        .or_else(|| is(&|known| snake(known) == snake(name)))
        .or_else(|| is(&|known| is_cut_to(name, known)))
}

fn table_of(
    source: &SourceTable,
    there: &Table,
    options: &Options,
    types: &Types,
    findings: &mut Vec<Finding>,
) -> Result<NewTable> {
    let mut columns: Vec<NewColumn> = Vec::new();
    for column in &source.table.columns {
        let own = options.column(source.name(), &column.name);
        if own.is_some_and(|own| own.drop) {
            continue;
        }
        let wanted = own.and_then(|own| own.rename.as_deref()).unwrap_or(&column.name);
        let place = format!("{}.{}", source.name(), column.name);
        let Some(to) = find_column(there, wanted) else {
            findings.push(Finding::forbid(
                "unmapped",
                &place,
                format!("`{}` has no column for it", there.name),
                "name it with `rename`, or leave it out with `drop = true`, in `map`",
            ));
            continue;
        };
        if let Some(other) = columns.iter().find(|made| made.name == to.name) {
            findings.push(ambiguous(&place, &other.source, &format!("{}.{}", there.name, to.name)));
            continue;
        }
        let zone = zone(own.and_then(|own| own.zone.as_deref()).or(options.zone.as_deref()))?;
        let epoch = own.and_then(|own| own.epoch).map(|epoch| epoch.micros());
        columns.push(NewColumn {
            source: column.name.clone(),
            name: to.name.clone(),
            spelled: to.declared.clone(),
            rule: match options.ids(source, &column.name) {
                Some(table) => Rule::Id(table),
                None => types.rule(to, epoch, &zone),
            },
            not_null: to.not_null || types.domains.refuses_null(&to.declared),
            default: to.default.clone(),
            identity: to.identity,
            generated: (to.generated != Generated::No).then(String::new),
            mixed: false,
            days: false,
            members: None,
            reasons: Vec::new(),
        });
    }
    for column in there.stored() {
        let given = columns.iter().any(|one| one.name == column.name);
        let must = column.not_null || types.domains.refuses_null(&column.declared);
        let filled = column.default.as_ref().is_some_and(|default| !is_null(default))
            || column.identity
            || types.domains.has_default(&column.declared);
        if !given && must && !filled {
            findings.push(Finding::forbid(
                "no_value",
                format!("{}.{}", there.name, column.name),
                "it must have a value, and the source has no column for it",
                "give it a default in the target, or name the column of the source with `rename`",
            ));
        }
    }
    let ours = |name: &str| name.starts_with("sexton_");
    let copies = options.action != Action::Verify;
    let fires = |trigger: &Trigger| trigger.enabled && trigger.on_insert && !ours(&trigger.name);
    if copies && there.triggers.iter().any(fires) {
        findings.push(Finding::warning(
            "triggers",
            there.name.to_string(),
            "triggers fire on every row that is copied",
            "switch them off for the time: `alter table … disable trigger user`",
        ));
    }
    if !there.rights.select || copies && !there.rights.insert {
        let (what, rights) = if copies { ("read and write", "select, insert") } else { ("read", "select") };
        findings.push(Finding::forbid(
            "permission",
            there.name.to_string(),
            format!("this user may not {what} its rows"),
            format!("let someone who may run `grant {rights} on {} to …`", there.name.quoted()),
        ));
    }
    Ok(NewTable {
        source: source.name().to_owned(),
        name: there.name.clone(),
        reason: None,
        columns,
        checks: Vec::new(),
        indexes: Vec::new(),
        references: Vec::new(),
        sequence: source.sequence,
        key: there.key.as_ref().map(|key| key.columns.clone()).unwrap_or_default(),
    })
}

/// The types that the target has of its own, by their names.
struct Types {
    /// The labels of enumerations.
    labels: HashMap<String, Vec<String>>,
    domains: Domains,
}

impl Types {
    fn rule(&self, column: &Column, epoch: Option<i64>, zone: &Zone) -> Rule {
        let base = self.domains.base(&column.declared);
        if let Some(labels) = self.labels.get(base.trim_matches('"')) {
            return Rule::Label(labels.clone());
        }
        types::rule(base, epoch, zone).unwrap_or_else(|| Rule::Written(column.declared.clone()))
    }
}

/// The enumerations and their labels.
fn labels(target: &mut dyn Facts) -> Result<HashMap<String, Vec<String>>> {
    let mut labels: HashMap<String, Vec<String>> = HashMap::new();
    let sql = "select format_type(t.oid, null), e.enumlabel from pg_type t join pg_enum e on e.enumtypid = t.oid \
               order by 1, e.enumsortorder";
    for row in target.rows(&Sql::new(sql))? {
        labels.entry(text(&row, 0).trim_matches('"').to_owned()).or_default().push(text(&row, 1));
    }
    Ok(labels)
}

/// A default that gives no value.
fn is_null(default: &str) -> bool {
    default.eq_ignore_ascii_case("null") || default.starts_with("NULL::")
}

fn text(row: &Row, n: usize) -> String {
    row.get(n).and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// Parents before children.
fn order(tables: &mut Vec<NewTable>, schema: &Schema) {
    let mut rest = std::mem::take(tables);
    while !rest.is_empty() {
        let free = rest.iter().position(|table| {
            let references =
                schema.table(&table.name).map(|table| table.references.as_slice()).unwrap_or_default();
            !references.iter().any(|reference| {
                reference.parent != table.name && rest.iter().any(|other| other.name == reference.parent)
            })
        });
        tables.push(rest.remove(free.unwrap_or(0)));
    }
}

fn demands(tables: &[&Table], order: &[NewTable], target: &mut dyn Facts) -> Result<Demands> {
    let mut demands = Demands::default();
    let place = |name: &targets::db::TableName| order.iter().position(|table| table.name == *name);
    for table in tables {
        let oid = Sql::new("").bind(table.name.quoted()).text("::text::regclass");
        let checks = target.rows(
            &Sql::new("select c.conname::text, pg_get_expr(c.conbin, c.conrelid), (select string_agg(a.attname::text, chr(31) order by array_position(c.conkey, a.attnum)) \
                       from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any (c.conkey)) \
                       from pg_constraint c where c.contype = 'c' and c.conrelid = ")
                .add(&oid),
        )?;
        for row in checks {
            let columns: Vec<String> = text(&row, 2).split('\u{1f}').map(str::to_owned).collect();
            let asked = Asked::of_table(text(&row, 0), text(&row, 1), columns);
            demands.checks.entry(table.name.quoted()).or_default().push(asked);
        }
        let of_domains = domains::checks(&table.name, target)?;
        demands.checks.entry(table.name.quoted()).or_default().extend(of_domains);
        for reference in &table.references {
            // rows that come before those they refer to
            let (Some(own), Some(parent)) = (place(&table.name), place(&reference.parent)) else { continue };
            if parent < own {
                continue;
            }
            let defined = target.value(
                &Sql::new(
                    "select pg_get_constraintdef(oid) from pg_constraint where contype = 'f' and conname = ",
                )
                .bind(reference.name.as_str())
                .text(" and conrelid = ")
                .add(&oid),
            )?;
            let Some(defined) = defined.as_text() else { continue };
            let alter = format!("alter table {}", table.name.quoted());
            let name = quote(&reference.name);
            demands.release.push(format!("{alter} drop constraint if exists {name}"));
            let not_valid = if defined.ends_with("NOT VALID") { "" } else { " not valid" };
            demands.restore.push(format!("{alter} add constraint {name} {defined}{not_valid}"));
            if !not_valid.is_empty() {
                demands.restore.push(format!("{alter} validate constraint {name}"));
            }
        }
        let made = order.iter().find(|one| one.name == table.name);
        let given = made.and_then(|made| made.sequence).unwrap_or(0);
        for counter in sequences::of(&table.name, target)? {
            let go_on = counter.go_on(given);
            demands.sequences.push((counter, go_on));
        }
    }
    Ok(demands)
}

/// The references of a table, as pairs of columns of the source.
pub fn references(table: &NewTable, design: &Design, target: &mut dyn Facts) -> Result<Vec<NewReference>> {
    let schema = target.schema()?;
    let there = schema.table(&table.name).map(|table| table.references.as_slice()).unwrap_or_default();
    let source = |table: &NewTable, names: &[String]| -> Option<Vec<String>> {
        let one = |name: &String| table.columns.iter().find(|column| column.name == *name);
        names.iter().map(|name| one(name).map(|column| column.source.clone())).collect()
    };
    let mut all = Vec::new();
    for reference in there {
        let Some(parent) = design.tables.iter().find(|one| one.name == reference.parent) else { continue };
        let (Some(columns), Some(parent_columns)) =
            (source(table, &reference.columns), source(parent, &reference.parent_columns))
        else {
            continue;
        };
        all.push(NewReference {
            name: reference.name.clone(),
            add: String::new(),
            validate: String::new(),
            shown: String::new(),
            columns,
            parent: parent.source.clone(),
            parent_columns,
        });
    }
    Ok(all)
}

//! From the rule to a step: which accounts, what hangs on them, where they are kept. Read-only.

use super::hanging::{self, Hanging};
use super::options::{Options, Policy, Relation};
use super::{EXPIRE, act::Task};
use crate::purge::{Target, which};
use crate::sweep::{self, Act, Archive, Setting, Sweep};
use engine::words::{either, of};
use engine::{Error, Finding, Planned, Planning, Result, Step, undo::not_exempt};
use targets::db::{EpochUnit, Facts, Schema, Sql, Table};

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let mut planned = Planned::default();
    let (step, task) = accounts(options, &schema, facts, planning, &mut planned.findings)?;
    planned.steps.push(task.write(step)?);
    if let Some(step) = expired(options, &schema, facts, planning, &mut planned.findings)? {
        planned.steps.push(step);
    }
    inactive(options, &task.table, facts, planning, &mut planned.findings)?;
    planned.undo = Some(options.undo(planning)?);
    Ok(planned)
}

fn accounts(
    options: &Options,
    schema: &Schema,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<(Step, Task)> {
    let table = schema.find(&options.table)?.clone();
    sweep::check_table(&table)?;
    let Some(key) = table.key.clone().filter(|key| key.columns.len() == 1) else {
        return Err(Error::usage(format!("what tells the accounts of `{}` apart?", table.name))
            .help("the table needs a primary key of one column"));
    };
    let rule = which(&options.target(), &table, facts, planning)?;
    if let Some(raw) = &rule.raw {
        sweep::check_condition(&table, "t", raw, facts)?;
    }
    let zone = engine::age::zone(options.zone.as_deref().unwrap_or("UTC"))?;
    let dialect = facts.dialect();
    let values = |table: &Table, relation: &Relation| {
        let setting = Setting { table, now: planning.now, unit: EpochUnit::default(), zone: &zone, dialect };
        setting.all(&relation.anonymise)
    };
    let tree = hanging::tree(options, schema, &table, &values, findings)?;
    let own = Relation { anonymise: options.anonymise.clone(), ..Relation::default() };
    let changes = values(&table, &own)?;
    let archive_table = match &options.archive_table {
        Some(said) => {
            let table = schema.find(&said.table)?.clone();
            for column in [&said.key, &said.at, &said.data] {
                table.expect_column(column)?;
            }
            Some((table, said.clone()))
        }
        None => None,
    };
    let mut condition = rule.condition;
    let leaves: Vec<Table> = schema.leaves(&table).into_iter().cloned().collect();
    if let Some(exempt) = not_exempt(facts, std::iter::once(&table).chain(&leaves))? {
        condition = condition.text(" and ").add(&exempt);
    }
    if let Some((archive, said)) = &archive_table {
        let known = Sql::new("t.")
            .name(&key.columns[0])
            .text(" in (select k.")
            .name(&said.key)
            .text(" from ")
            .table(&archive.name)
            .text(" as k)");
        let again = count(&table, &condition.clone().text(" and ").add(&known), facts)?;
        if again > 0 {
            findings.push(Finding::warning(
                "archived_before",
                &archive.name,
                format!(
                    "{} the rule and {} an entry already: left alone",
                    of(again, "account satisfies", "accounts satisfy"),
                    either(again, "has", "have")
                ),
                "restore them or remove their old entries, then run again",
            ));
        }
        condition = condition.text(" and not (").add(&known).text(")");
    }
    let named = |column: &String| options.condition.as_ref().is_some_and(|raw| raw.contains(column.as_str()));
    if archive_table.is_none() && !options.delete && !options.anonymise.keys().any(named) {
        return Err(Error::usage("an anonymised account would satisfy the rule again").help(
            "let the rule look at a column that is overwritten, such as `where = \"status = 'suspended'\"`",
        ));
    }
    let matched = count(&table, &condition, facts)?;
    let total = count(&table, &Sql::new("1 = 1"), facts)?;
    let dependants = match matched {
        0 => Vec::new(),
        _ => hanging::count(&tree, &table, &condition, facts)?,
    };
    triggers(options, &table, &leaves, &tree, findings);
    if let Some(store) = &options.archive {
        planning.stores.store(store)?;
    }
    let task = Task {
        key: key.columns[0].clone(),
        leaves,
        condition,
        changes: (!options.delete).then_some(changes),
        tree,
        archive_table,
        archive: options.archive.clone().map(|store| Archive {
            store,
            format: options.archive_format,
            operation: planning.request.name.clone(),
            database: planning.request.database.clone(),
        }),
        zone: options.zone.clone().unwrap_or_else(|| "UTC".to_owned()),
        table: table.clone(),
    };
    let step = Step {
        id: table.name.to_string(),
        label: table.name.to_string(),
        action: if options.delete { "archive_and_delete" } else { "anonymise" }.to_owned(),
        object: table.name.to_string(),
        matched,
        exact: true,
        total: Some(total),
        total_exact: true,
        dependants,
        unreadable: match &rule.unreadable {
            Some(unreadable) => count(&table, unreadable, facts)?,
            None => 0,
        },
        batches: matched.div_ceil(super::act::MOST).max(1),
        way: "account by account: all of one in one transaction".to_owned(),
        facts: rule.facts,
        ..Step::default()
    };
    Ok((step, task))
}

fn count(table: &Table, condition: &Sql, facts: &mut dyn Facts) -> Result<u64> {
    facts.count(&Sql::new("select count(*) from ").table(&table.name).text(" as t where ").add(condition))
}

fn triggers(
    options: &Options,
    table: &Table,
    leaves: &[Table],
    tree: &[Hanging],
    findings: &mut Vec<Finding>,
) {
    let mut tables: Vec<(&Table, bool)> = leaves.iter().map(|leaf| (leaf, !options.delete)).collect();
    if leaves.is_empty() {
        tables.push((table, !options.delete));
    }
    let mut open: Vec<&Hanging> = tree.iter().collect();
    while let Some(hanging) = open.pop() {
        open.extend(&hanging.below);
        if hanging.policy != Policy::Keep {
            tables.extend(hanging.leaves.iter().map(|leaf| (leaf, !hanging.policy.removes())));
        }
    }
    for (table, updates) in tables {
        let fires = |trigger: &&targets::db::Trigger| {
            trigger.enabled && if updates { trigger.on_update } else { trigger.on_delete }
        };
        for trigger in table.triggers.iter().filter(fires) {
            findings.push(options.triggers.finding(table, trigger));
        }
    }
}

/// The step that drops entries of the archive that are too old (W-073).
fn expired(
    options: &Options,
    schema: &Schema,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<Option<Step>> {
    let (Some(keep), Some(said)) = (&options.archive_keep, &options.archive_table) else { return Ok(None) };
    let table = schema.find(&said.table)?.clone();
    let target = Target {
        table: said.table.clone(),
        age_column: Some(said.at.clone()),
        older_than: Some(keep.clone()),
        zone: options.zone.clone(),
        ..Target::default()
    };
    let rule = which(&target, &table, facts, planning)?;
    let sweep = Sweep {
        id: EXPIRE.to_owned(),
        label: Some(format!("{} over their time", table.name)),
        table,
        rule: rule.condition,
        newest: None,
        joins: false,
        joined: None,
        aside: None,
        unreadable: rule.unreadable,
        facts: rule.facts,
        act: Act::Delete,
        archive: None,
        dependants: sweep::Policy::default(),
        relations: Vec::new(),
        triggers: options.triggers,
        undo: options.undo,
    };
    let (step, task) = sweep::plan(&sweep, schema, facts, planning, findings)?;
    Ok(Some(task.write(step, facts.dialect())?))
}

/// Accounts that nobody has used for long are told, not touched.
fn inactive(
    options: &Options,
    table: &Table,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let Some(said) = &options.inactive else { return Ok(()) };
    let target = Target {
        table: options.table.clone(),
        age_column: Some(said.age_column.clone()),
        older_than: said.older_than.clone(),
        zone: options.zone.clone(),
        ..Target::default()
    };
    let rule = which(&target, table, facts, planning)?;
    let rows = count(table, &rule.condition, facts)?;
    if rows > 0 {
        let age = said.older_than.as_ref().map(|age| age.0.clone()).unwrap_or_default();
        findings.push(Finding::note(
            "inactive_accounts",
            &table.name,
            format!("{} not seen for {age}: only counted", of(rows, "account was", "accounts were")),
            "",
        ));
    }
    Ok(())
}

//! From targets to steps: the broken references of each become the rule of a sweep. Read-only.

use super::checks;
use super::link::{Link, links};
use super::options::{Mend, Options, Target};
use crate::sweep::{self, Act, Aside, Joined, Policy, Relation, Sweep, Undo};
use engine::words::rows;
use engine::{Error, Finding, Planned, Planning, Result, Step};
use targets::db::{Column, Dialect, Facts, Schema, Sql, Table, TableName, Value};

/// The plan of all targets.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let schema = facts.schema()?;
    let mut planned = Planned::default();
    let mut gone: Vec<String> = Vec::new();
    for target in &options.all_targets() {
        let table = schema.find(&target.table)?.clone();
        sweep::check_table(&table)?;
        let links = links(target, &table, &schema, facts.dialect())?;
        let mut step =
            plan_target(options, target, &table, &links, &schema, facts, planning, &mut planned.findings)?;
        // What an earlier target takes away leaves orphans of its own.
        step.exact = !links.iter().any(|link| gone.contains(&link.parent.name.to_string()));
        if target.policy.takes_rows() {
            gone.push(table.name.to_string());
        }
        if planned.steps.iter().any(|other| other.id == step.id) {
            return Err(Error::usage(format!("two targets have the id `{}`", step.id))
                .help("give one of them an `id`"));
        }
        planned.steps.push(step);
    }
    let archive = options.all_targets().iter().find_map(|target| target.archive.clone());
    planned.undo = Some(sweep::undo(options.undo, archive, &planned.steps, planning)?);
    Ok(planned)
}

#[expect(clippy::too_many_arguments, reason = "what planning is about; no two of them belong together")]
fn plan_target(
    options: &Options,
    target: &Target,
    table: &Table,
    links: &[Link],
    schema: &Schema,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
) -> Result<Step> {
    if let Some(condition) = &target.condition {
        sweep::check_condition(table, "t", condition, facts)?;
    }
    for link in links {
        if let Some(condition) = &link.parent_where {
            sweep::check_condition(&link.parent, "p", condition, facts)?;
        }
    }
    let rule = rule(target, links, facts.dialect())?;
    let dependants = match (options.undo, target.dependants) {
        (Undo::Archive, Policy::Cascade) => Policy::Archive,
        (_, dependants) => dependants,
    };
    let sweep = Sweep {
        id: target.id.clone().unwrap_or_else(|| table.name.to_string()),
        label: target.label.clone(),
        table: table.clone(),
        rule,
        newest: None,
        joins: true,
        joined: joined(target, links, facts.dialect())?,
        unreadable: unreadable(links, facts.dialect())?,
        facts: shown(target, links),
        act: act(target, links, facts.dialect())?,
        archive: target.archive.clone().map(|store| (store, target.archive_format)),
        aside: aside(target, table, schema)?,
        dependants,
        relations: relations(target, links),
        triggers: target.triggers,
        undo: options.undo,
    };
    let (mut step, task) = sweep::plan(&sweep, schema, facts, planning, findings)?;
    if step.unreadable > 0 {
        let what = format!("{} whose reference cannot be read stay", rows(step.unreadable));
        step.facts.push(("unreadable".to_owned(), what));
    }
    checks::check(options, target, links, &step, facts, findings)?;
    task.write(step, facts.dialect())
}

/// Which rows, over `t`: any of the references is broken, and the target's own condition holds.
fn rule(target: &Target, links: &[Link], dialect: &dyn Dialect) -> Result<Sql> {
    let broken: Result<Vec<Sql>> = links.iter().map(|link| link.is_broken(dialect)).collect();
    let broken = broken?;
    let mut rule = match broken.as_slice() {
        [one] => one.clone(),
        several => {
            let several: Vec<Sql> = several.iter().map(|one| Sql::new("(").add(one).text(")")).collect();
            Sql::new("(").add(&Sql::join(&several, " or ")).text(")")
        }
    };
    if let Some(condition) = &target.condition {
        // A line end, so that a comment in the condition cannot swallow the bracket.
        rule = rule.text(" and (").add(&Sql::raw(condition)).text("\n)");
    }
    if let (Mend::Reassign, [link]) = (target.policy, links) {
        // The parent that takes them may go at any time.
        rule = rule.text(" and exists (select 1 from ").add(&taker(target, link, dialect)?).text(")");
    }
    Ok(rule)
}

/// The rule as a join, where every reference finds at most one parent.
fn joined(target: &Target, links: &[Link], dialect: &dyn Dialect) -> Result<Option<Joined>> {
    let mut from = Sql::default();
    let mut broken = Vec::new();
    for (n, link) in links.iter().enumerate() {
        let Some((join, condition)) = link.joined(n, dialect)? else { return Ok(None) };
        from = from.add(&join);
        broken.push(Sql::new("(").add(&condition).text(")"));
    }
    let mut condition = Sql::new("(").add(&Sql::join(&broken, " or ")).text(")");
    if let Some(raw) = &target.condition {
        condition = condition.text(" and (").add(&Sql::raw(raw)).text("\n)");
    }
    if let (Mend::Reassign, [link]) = (target.policy, links) {
        condition =
            condition.text(" and exists (select 1 from ").add(&taker(target, link, dialect)?).text(")");
    }
    Ok(Some(Joined { from, condition }))
}

/// The parent that takes reassigned rows: `parent as p where …`.
pub fn taker(target: &Target, link: &Link, dialect: &dyn Dialect) -> Result<Sql> {
    let values = new_values(target, link)?;
    let same: Vec<Sql> = link
        .pairs
        .iter()
        .zip(values)
        .map(|((_, above), value)| {
            Sql::new("p.").name(&above.name).text(" = ").add(&dialect.inward(above, value))
        })
        .collect();
    Ok(link.parents(&Sql::join(&same, " and ")))
}

/// The key in `to`.
fn new_values(target: &Target, link: &Link) -> Result<Vec<Value>> {
    let given = match &target.to {
        Some(serde_json::Value::Array(values)) => values.clone(),
        Some(value) => vec![value.clone()],
        None => Vec::new(),
    };
    if given.len() != link.pairs.len() {
        return Err(Error::usage(format!(
            "`to` has {} values, but the reference has {} columns",
            given.len(),
            link.pairs.len()
        ))
        .help("say one value for each of the columns: `to = [1, 7]`"));
    }
    given
        .into_iter()
        .map(|value| match value {
            serde_json::Value::String(text) => Ok(Value::Text(text)),
            serde_json::Value::Number(number) if number.is_i64() => {
                Ok(Value::Int(number.as_i64().unwrap_or_default()))
            }
            _ => Err(Error::usage("`to` must be a whole number or a text")
                .help("say the key of the parent that takes the rows: `to = 1`")),
        })
        .collect()
}

fn act(target: &Target, links: &[Link], dialect: &dyn Dialect) -> Result<Act> {
    let mut changes: Vec<(String, Sql)> = Vec::new();
    match target.policy {
        Mend::Delete | Mend::Quarantine => return Ok(Act::Delete),
        Mend::SetNull => {
            for link in links {
                let broken = link.is_broken(dialect)?;
                for own in emptied(link, links) {
                    let as_it_was = match changes.iter().find(|(name, _)| *name == own.name) {
                        Some((_, earlier)) => earlier.clone(),
                        None => Sql::new("t.").name(&own.name),
                    };
                    changes.retain(|(name, _)| *name != own.name);
                    let value = match links {
                        [_] => Sql::new("null"),
                        _ => Sql::new("case when ")
                            .add(&broken)
                            .text(" then null else ")
                            .add(&as_it_was)
                            .text(" end"),
                    };
                    changes.push((own.name.clone(), value));
                }
            }
        }
        Mend::Reassign => {
            for link in links {
                for ((own, _), value) in link.pairs.iter().zip(new_values(target, link)?) {
                    changes.push((own.name.clone(), dialect.inward(own, value)));
                }
            }
        }
        Mend::Remove => {
            for link in links {
                let own = &link.pairs[0].0;
                if let Some(path) = &link.json {
                    let value = dialect.json_without(own, path, &link.finds_none(dialect)?)?;
                    changes.push((own.name.clone(), value));
                }
            }
        }
    }
    Ok(Act::Change(changes))
}

/// The quarantine table, as it is or will be.
fn aside(target: &Target, table: &Table, schema: &Schema) -> Result<Option<Aside>> {
    if target.policy != Mend::Quarantine {
        return Ok(None);
    }
    let name = target.quarantine_table.clone().unwrap_or_else(|| format!("{}_quarantine", table.name.name));
    let known = match &target.quarantine_table {
        Some(name) => schema.find(name).ok(),
        None => schema.table(&TableName { schema: table.name.schema.clone(), name: name.clone() }),
    };
    let own = match (name.split_once('.'), &table.name.schema) {
        (Some((schema, name)), Some(_)) => TableName::within(schema, name),
        _ => TableName { schema: table.name.schema.clone(), name: name.clone() },
    };
    if known.map_or(&own, |known| &known.name) == &table.name {
        return Err(Error::usage(format!("`{}` cannot be its own quarantine", table.name))
            .help("name another `quarantine_table`"));
    }
    Aside::of(table, own, known).map(Some)
}

/// The columns that become NULL: one is enough, so those stay that another reference needs too, such as the tenant.
fn emptied<'a>(link: &'a Link, links: &[Link]) -> Vec<&'a Column> {
    let may: Vec<&Column> = link.pairs.iter().map(|(own, _)| own).filter(|own| !own.not_null).collect();
    let all: Vec<&str> = link.columns().collect();
    let shared = |own: &&Column| {
        let declared = link.table.references.iter().map(|key| &key.columns);
        declared.into_iter().any(|columns| {
            columns.contains(&own.name) && !columns.iter().map(String::as_str).eq(all.iter().copied())
        }) || links.iter().any(|other| {
            other.columns().any(|name| name == own.name) && !other.columns().eq(all.iter().copied())
        })
    };
    let alone: Vec<&Column> = may.iter().copied().filter(|own| !shared(own)).collect();
    if alone.is_empty() { may } else { alone }
}

/// Orphans of a table that refers to itself have rows below them, also where nothing is declared.
fn relations(target: &Target, links: &[Link]) -> Vec<Relation> {
    let mut all = target.relations.clone();
    for link in links.iter().filter(|link| link.is_self() && link.declared.is_none()) {
        let columns: Vec<String> = link.columns().map(str::to_owned).collect();
        let said = all.iter().any(|relation| relation.table == target.table && relation.columns == columns);
        if said || link.of_type.is_some() || link.json.is_some() {
            continue;
        }
        all.push(Relation {
            table: target.table.clone(),
            parent: Some(target.table.clone()),
            columns,
            parent_columns: link.parent_columns().map(str::to_owned).collect(),
            policy: target.dependants,
        });
    }
    all
}

fn unreadable(links: &[Link], dialect: &dyn Dialect) -> Result<Option<Sql>> {
    let mut all = Vec::new();
    for link in links {
        all.extend(link.is_unreadable(dialect)?);
    }
    Ok((!all.is_empty()).then(|| Sql::new("(").add(&Sql::join(&all, " or ")).text(")")))
}

/// What a person checks.
fn shown(target: &Target, links: &[Link]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = links
        .iter()
        .map(|link| {
            let above: Vec<&str> = link.parent_columns().collect();
            let mut text = format!("{} → {} ({})", link.name(), link.parent.name, above.join(", "));
            if let Some((column, value)) = &link.of_type {
                text.push_str(&format!(", for {} = '{value}'", column.name));
            }
            if let Some(condition) = &link.parent_where {
                text.push_str(&format!(", where {condition}"));
            }
            ("no parent".to_owned(), text)
        })
        .collect();
    all.extend(target.condition.iter().map(|condition| ("where".to_owned(), condition.clone())));
    all
}

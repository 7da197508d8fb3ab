//! What stands in the way of judging orphans: no parents at all, keys that are NULL or spelled otherwise, a missing
//! index; and what would keep the next orphans away. Read-only.

use super::link::{Compared, Link, links};
use super::options::{Mend, Options, Target};
use super::plan::taker;
use crate::sweep::{Undo, create_index};
use engine::{Finding, Result, Step};
use targets::db::{Facts, ForeignKey, Sql, Table};

/// All that can be found before the run.
pub fn check(
    options: &Options,
    target: &Target,
    links: &[Link],
    step: &Step,
    facts: &mut dyn Facts,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for link in links {
        spelling(link, facts, findings)?;
        indexes(link, findings);
        null_keys(link, facts, findings)?;
        if step.matched > 0 && !target.allow_no_parents {
            no_parents(link, facts, findings)?;
        }
        put_back(options, target, link, step, findings);
        if target.policy == Mend::SetNull && link.pairs.iter().all(|(own, _)| own.not_null) {
            findings.push(Finding::forbid(
                "not_null",
                &link.table.name,
                format!("`{}` is NOT NULL, so the reference cannot be set to NULL", link.name()),
                "use another `policy`, or let the column be NULL",
            ));
        }
        if target.policy == Mend::Reassign && !any(&taker(target, link, facts.dialect())?, facts)? {
            findings.push(Finding::forbid(
                "no_such_parent",
                &link.parent.name,
                "the parent that is to take the rows is not there, or is no parent by `parent_where`",
                "name another one: `to = …`",
            ));
        }
    }
    Ok(())
}

/// A declared reference is checked for every row that is written: also for those that an undo writes.
fn put_back(options: &Options, target: &Target, link: &Link, step: &Step, findings: &mut Vec<Finding>) {
    let Some(key) = link.declared.as_ref().filter(|key| key.checks_writes) else { return };
    if step.matched == 0 || options.undo == Undo::None || target.policy == Mend::Remove {
        return;
    }
    findings.push(Finding::warning(
        "undo_refused",
        &link.table.name,
        format!("the database keeps `{}` for every row that is written, so an undo cannot bring these orphans back", key.name),
        format!(
            "before an undo: alter table {} drop constraint {}",
            link.table.name.quoted(),
            targets::db::quote(&key.name)
        ),
    ));
}

/// Whether a `from` finds any row.
fn any(from: &Sql, facts: &mut dyn Facts) -> Result<bool> {
    Ok(facts.count(
        &Sql::new("select count(*) from (select 1 as one from ").add(from).text(" limit 1) as sample"),
    )? > 0)
}

/// No parents at all: the wrong database, an import that failed, a condition that is mistyped (W-017).
fn no_parents(link: &Link, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    if any(&link.parents(&Sql::default()), facts)? {
        return Ok(());
    }
    let what = match &link.parent_where {
        Some(condition) => format!("no row satisfies `{condition}`, so every row would be an orphan"),
        None => "it is empty, so every row would be an orphan".to_owned(),
    };
    findings.push(Finding::refuse(
        "no_parents",
        &link.parent.name,
        what,
        "see whether this is the right database; if it is, say `allow_no_parents = true`",
    ));
    Ok(())
}

/// A NULL key can be nobody's parent (W-014).
fn null_keys(link: &Link, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    for (_, above) in link.pairs.iter().filter(|(_, above)| !above.not_null) {
        let null =
            Sql::default().table(&link.parent.name).text(" as p where p.").name(&above.name).text(" is null");
        if any(&null, facts)? {
            findings.push(Finding::warning(
                "null_keys",
                &link.parent.name,
                format!("some rows have no `{}`: nothing can refer to them", above.name),
                format!(
                    "look at them: select * from {} where {} is null",
                    link.parent.name.quoted(),
                    targets::db::quote(&above.name)
                ),
            ));
        }
    }
    Ok(())
}

/// Where a number is compared with a text, the text must be the number's own spelling: `01` would be missed.
fn spelling(link: &Link, facts: &mut dyn Facts, findings: &mut Vec<Finding>) -> Result<()> {
    for pair in &link.pairs {
        if link.compared(pair, facts.dialect())? != Compared::Written {
            continue;
        }
        let above = Sql::new("p.").name(&pair.1.name);
        let Some(read) = facts.dialect().read_as(&above, &pair.0) else { continue };
        let other = Sql::default()
            .table(&link.parent.name)
            .text(" as p where cast(")
            .add(&read)
            .text(" as text) <> ")
            .add(&above);
        if any(&other, facts)? {
            findings.push(Finding::forbid(
                "types_differ",
                &link.parent.name,
                format!(
                    "`{}` is text and `{}.{}` is not, and some keys are spelled otherwise, such as 01 for 1",
                    pair.1.name, link.table.name, pair.0.name
                ),
                "give both columns the same type first",
            ));
        }
    }
    Ok(())
}

/// Without an index on the parent's key every row costs a walk through the parents; without one on the reference, every
/// parent that goes costs a walk through the children.
fn indexes(link: &Link, findings: &mut Vec<Finding>) {
    let mut missing = |table: &Table, columns: Vec<&str>, what: &str| {
        if has_index(table, &columns) {
            return;
        }
        let remedy = create_index(table, &columns);
        if findings.iter().any(|known| known.remedy == remedy) {
            return;
        }
        findings.push(Finding::warning(
            "missing_index",
            &table.name,
            format!("no index begins with ({}): {what}", columns.join(", ")),
            remedy,
        ));
    };
    if link.parent.kind != targets::db::TableKind::View {
        missing(
            &link.parent,
            link.parent_columns().collect(),
            "looking for parents may read it again and again",
        );
    }
    if link.json.is_none() {
        missing(&link.table, link.columns().collect(), "whoever deletes a parent reads the whole table");
    }
}

/// Whether an index begins with these columns, in any order.
pub fn has_index(table: &Table, columns: &[&str]) -> bool {
    let begins = |own: &[Option<String>]| {
        own.len() >= columns.len()
            && own[..columns.len()]
                .iter()
                .all(|column| column.as_ref().is_some_and(|column| columns.contains(&column.as_str())))
    };
    let key = |columns: &[String]| columns.iter().cloned().map(Some).collect::<Vec<_>>();
    table.indexes.iter().any(|index| index.valid && !index.partial && begins(&index.columns))
        || table.key.as_ref().is_some_and(|own| begins(&key(&own.columns)))
}

/// After the run: what would make the database itself refuse the next orphans.
pub fn constraints(options: &Options, facts: &mut dyn Facts) -> Result<Vec<Finding>> {
    let schema = facts.schema()?;
    let mut findings = Vec::new();
    for target in options.all_targets() {
        let table = schema.find(&target.table)?;
        for link in links(&target, table, &schema, facts.dialect())? {
            let Some(statements) = constraint(&link, facts) else { continue };
            findings.push(Finding::note(
                "constraint",
                &table.name,
                format!("nothing keeps `{}` from becoming an orphan again", link.name()),
                statements.join(" "),
            ));
        }
    }
    Ok(findings)
}

/// The statements that would make the database keep the reference; none when it does already, or cannot.
pub fn constraint(link: &Link, facts: &dyn Facts) -> Option<Vec<String>> {
    if !link.could_be_declared() || link.declared.as_ref().is_some_and(|key| key.validated) {
        return None;
    }
    let columns: Vec<String> = link.columns().map(str::to_owned).collect();
    let key = link.declared.clone().unwrap_or_else(|| ForeignKey {
        number: 0,
        name: format!("{}_{}_fkey", link.table.name.name, columns.join("_")),
        columns,
        parent: link.parent.name.clone(),
        parent_columns: link.parent_columns().map(str::to_owned).collect(),
        on_delete: targets::db::Action::NoAction,
        validated: false,
        acts_on_all: false,
        checks_writes: false,
    });
    Some(facts.dialect().keep_reference(&link.table, &key, link.declared.is_some()))
}

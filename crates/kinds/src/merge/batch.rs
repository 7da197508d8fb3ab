//! One batch of a merge: a scope, or some groups of duplicates, in the open transaction.
//!
//! What refers to rows that go is pointed to the row that stays, then they go, then the row that stays takes over what
//! they had. Where a row on its way would meet one that is about to go, that one is given another name first.

use super::clash::{clashing, new_name, next_number};
use super::fields::{changes, differs, gathered};
use super::listed;
use super::members::{MAP, gone, map, stays};
use super::options::Policy;
use super::result;
use super::task::{Clash, Field, Node, Place, Reference, Task, numbered};
use engine::words::rows as said;
use engine::{Batch, Class, Counts, Error, Result, Rows, Work};
use std::collections::BTreeMap;
use targets::db::{Sql, Table, Value};

/// Groups of a batch without scopes hold about this many rows.
const ROWS_PER_GROUP: u64 = 3;

/// What a batch did, by table.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rows that refer to another row now.
    pub moved: BTreeMap<String, u64>,
    /// Rows of those that have another name.
    pub renamed: BTreeMap<String, u64>,
    /// Rows that became one with another, other than the merged ones.
    pub folded: BTreeMap<String, u64>,
    /// Other rows that were changed.
    pub changed: u64,
}

impl Tally {
    fn dependants(&self) -> u64 {
        let sum = |all: &BTreeMap<String, u64>| all.values().sum::<u64>();
        sum(&self.moved) + sum(&self.folded) + self.changed
    }
}

/// Does the batch.
pub fn act(task: &Task, mut place: Place, rows: u64, work: &mut Work) -> Result<Batch> {
    if task.scope.is_none() {
        return groups(task, place, rows, work);
    }
    let Some(value) = task.scopes.get(place.scope) else {
        return Ok(Batch { counts: Counts::default(), next: None });
    };
    let scope = inward(task, value, work)?;
    let column = task.scope.as_deref().unwrap_or_default();
    // Held to the end: who adds a row below one of them waits, and then finds that its parent is gone.
    for leaf in &task.node.leaves {
        work.hold(&Rows::all(leaf, Sql::new("t.").name(column).text(" = ").add(&scope)))?;
    }
    let key = numbered("o", task.node.key);
    let found = work.tabulate(MAP, &map(task, Some(&scope), None), &[key])?;
    let mut counts = Counts::default();
    if found > 0 {
        let detail = merge(task, work, &mut counts)?;
        let text = result::shown(value);
        let mut told = result::of_scope(task, &text, detail);
        told["rollback_id"] = work.scope(&text).into();
        work.tell(told);
    }
    place.scope += 1;
    let next = if place.scope < task.scopes.len() { Some(place.cursor()?) } else { None };
    Ok(Batch { counts, next })
}

fn inward(task: &Task, value: &Value, work: &Work) -> Result<Sql> {
    let column = task.node.table.expect_column(task.scope.as_deref().unwrap_or_default())?;
    Ok(work.dialect().inward(column, value.clone()))
}

/// Some groups of the list that the session keeps.
fn groups(task: &Task, mut place: Place, rows: u64, work: &mut Work) -> Result<Batch> {
    let Some(list) = place.list.clone() else { return compared(task, place, rows, work) };
    let mut counts = Counts::default();
    let part = listed::part(&task.node, &list.table, &place);
    for leaf in &task.node.leaves {
        work.hold(&Rows::all(leaf, task.node.among(&part)))?;
    }
    let indexes = [numbered("o", task.node.key)];
    let found = work.tabulate(MAP, &listed::pairs(task, &list.table, &place), &indexes)?;
    if let Some(tree) = task.tree.as_ref().filter(|_| found > 0)
        && work.count(&listed::changed(task, tree))? > 0
    {
        let next = place.listed_anew();
        return Ok(Batch { counts, next: next.map(|place| place.cursor()).transpose()? });
    }
    if found > 0 {
        merge(task, work, &mut counts)?;
        place.done += found;
    }
    // What came since the list was made is seen by the verification.
    let Some(from) = place.to.take() else { return Ok(Batch { counts, next: None }) };
    place.from = from;
    Ok(Batch { counts, next: Some(place.cursor()?) })
}

/// Some groups, wherever they are, where no list can be kept: the whole table is compared.
fn compared(task: &Task, mut place: Place, rows: u64, work: &mut Work) -> Result<Batch> {
    let mut counts = Counts::default();
    let indexes = [numbered("o", task.node.key)];
    let most = task.max_rows.map_or(u64::MAX, |most| most.saturating_sub(place.done));
    let rows = rows.max(task.at_least).min(most);
    let select = map(task, None, Some((rows / ROWS_PER_GROUP).max(1)));
    let mut found = work.tabulate(MAP, &select, &indexes)?;
    if found == 0 {
        return Ok(Batch { counts, next: None });
    }
    for leaf in &task.node.leaves {
        let both = gone(MAP, &task.node).text(" union all ").add(&stays(MAP, &task.node));
        work.hold(&Rows::all(leaf, task.node.among(&both)))?;
    }
    if task.tree.is_some() {
        found = work.tabulate(MAP, &select, &indexes)?;
    } else if still_the_same(task, work)? != found {
        return Err(Error::transient("rows were changed while they were being compared"));
    }
    merge(task, work, &mut counts)?;
    place.done += found;
    // What came since the plan is seen by the verification.
    let next = if place.done < task.planned { Some(place.cursor()?) } else { None };
    Ok(Batch { counts, next })
}

/// How many of the pairs are duplicates now that both rows are locked.
fn still_the_same(task: &Task, work: &mut Work) -> Result<u64> {
    let select = Sql::new(&format!("select count(*) from {MAP} as m where "));
    let both = [listed::same(task, "m", "o"), listed::same(task, "m", "n")];
    work.count(&select.add(&Sql::join(&both, " and ")))
}

/// Merges what the mapping says.
fn merge(task: &Task, work: &mut Work, counts: &mut Counts) -> Result<result::Detail> {
    let mut tally = Tally::default();
    let detail = result::pairs(task, work)?;
    if let Some(column) = &task.park {
        park(task, column, work, &mut tally)?;
    }
    counts.deleted += fold(&task.node, MAP, work, &mut tally)?;
    tally.changed += take_over(&task.node, &task.fields, task.age.as_ref(), MAP, work)?;
    counts.dependants += tally.dependants();
    Ok(detail.with(tally))
}

/// Rows that are about to go give up their names, which others on their way would meet.
fn park(task: &Task, column: &str, work: &mut Work, tally: &mut Tally) -> Result<()> {
    let key = Sql::new("t.").name(&task.node.values[0]);
    let name = Sql::new("'sexton:' || cast(").add(&key).text(" as text)");
    for leaf in &task.node.leaves {
        let rows = Rows::all(leaf, task.node.among(&gone(MAP, &task.node)));
        tally.changed += work.change(&rows, &[(column.to_owned(), name.clone())])?;
    }
    Ok(())
}

/// Points everything to the rows that stay and deletes the others; how many those were.
fn fold(node: &Node, map: &str, work: &mut Work, tally: &mut Tally) -> Result<u64> {
    for (n, reference) in node.references.iter().enumerate() {
        repoint(node, reference, map, &format!("{map}_{n}"), work, tally)?;
    }
    nobody_stays_and_goes(node, map, work)?;
    let mut deleted = 0;
    for leaf in &node.leaves {
        deleted += work.delete(&Rows::all(leaf, node.among(&gone(map, node)))).map_err(came_late)?;
    }
    Ok(deleted)
}

/// A row that others are merged into must not go itself: better nothing is done at all.
fn nobody_stays_and_goes(node: &Node, map: &str, work: &mut Work) -> Result<()> {
    let same: Vec<String> = (0..node.key).map(|n| format!("x.o{n} = m.n{n}")).collect();
    let both = work.count(&Sql::new(&format!(
        "select count(*) from {map} as m where m.deed = 2 and exists (select 1 from {map} as x where x.deed = 2 and {})",
        same.join(" and ")
    )))?;
    if both == 0 {
        return Ok(());
    }
    let what = format!("{} of `{}` would take others in and go too", said(both), node.table.name);
    Err(Error::data(what).help("see how its values compare: nothing was changed"))
}

/// Somebody referred to a row that goes while it was going: seen anew, that reference moves too.
fn came_late(error: Error) -> Error {
    match error.code.as_deref() {
        Some("23503") => Error { class: Class::Transient, ..error },
        _ => error,
    }
}

fn repoint(
    node: &Node,
    reference: &Reference,
    map: &str,
    name: &str,
    work: &mut Work,
    tally: &mut Tally,
) -> Result<()> {
    let below = &reference.node;
    let table = below.table.name.to_string();
    let mut clashes: Vec<(&Clash, String)> = Vec::new();
    for (n, clash) in reference.clashes.iter().enumerate() {
        let found = format!("{name}_{n}");
        let indexes = [numbered("o", below.key), numbered("n", below.key)];
        if work.tabulate(&found, &clashing(reference, clash, map), &indexes)? == 0 {
            continue;
        }
        let refused = work.count(&Sql::new(&format!("select count(*) from {found} where deed = 3")))?;
        if refused > 0 {
            return Err(Error::data(format!("{} of `{table}` would be in the way of others", said(refused)))
                .help("say what happens to them with `on_clash`"));
        }
        // Before the next key is looked at: what is folded by this one is in nobody's way any more, and takes nobody in.
        if clash.policy == Policy::Fold || clash.if_same == Policy::Fold {
            tally.changed += take_over(below, &clash.fields, None, &found, work)?;
            *tally.folded.entry(table.clone()).or_default() += fold(below, &found, work, tally)?;
        }
        clashes.push((clash, found));
    }
    let mut staying = Sql::default();
    if reference.own {
        staying = staying.text(" and not ").add(&below.among(&gone(map, node)));
    }
    for (_, found) in &clashes {
        let renamed = Sql::new(&format!(
            "select {} from {found} as m where m.deed = 1",
            numbered("m.o", below.key).join(", ")
        ));
        staying = staying.text(" and not ").add(&below.among(&renamed));
    }
    let moves: Vec<(String, Sql)> = (0..reference.columns.len())
        .map(|n| (reference.columns[n].clone(), reference.moved_to(n, map)))
        .collect();
    let mut moved = 0;
    for leaf in &below.leaves {
        moved += work.change(&Rows::all(leaf, reference.is_moved(map).add(&staying)), &moves)?;
    }
    for (clash, found) in &clashes {
        let renamed = rename(reference, clash, found, work)?;
        *tally.renamed.entry(table.clone()).or_default() += renamed;
        moved += renamed;
    }
    *tally.moved.entry(table).or_default() += moved;
    Ok(())
}

/// Moves rows under names that nobody has.
fn rename(reference: &Reference, clash: &Clash, found: &str, work: &mut Work) -> Result<u64> {
    let Some(column) = &clash.rename else { return Ok(0) };
    let below = &reference.node;
    while work.adjust(found, &next_number(reference, clash, found))? > 0 {}
    let of = |value: &str| {
        Sql::new(&format!("(select {value} from {found} as m where ")).add(&below.is("t", "m", "o")).text(")")
    };
    let mut changes: Vec<(String, Sql)> = (0..reference.columns.len())
        .map(|n| (reference.columns[n].clone(), of(&format!("m.d{n}"))))
        .collect();
    changes.push((column.clone(), of(&new_name("m"))));
    let mut renamed = 0;
    for leaf in &below.leaves {
        let rows = Sql::new(&format!(
            "select {} from {found} as m where m.deed = 1",
            numbered("m.o", below.key).join(", ")
        ));
        renamed += work.change(&Rows::all(leaf, below.among(&rows)), &changes)?;
    }
    Ok(renamed)
}

/// The rows that stay take over what the others had; how many changed.
fn take_over(node: &Node, fields: &[Field], age: Option<&Sql>, map: &str, work: &mut Work) -> Result<u64> {
    if fields.is_empty() {
        return Ok(0);
    }
    let brought = format!("{map}_gain");
    work.tabulate(&brought, &gathered(node, fields, map, age.is_some()), &[numbered("n", node.key)])?;
    let condition = Sql::new(&format!("exists (select 1 from {brought} as g where "))
        .add(&node.is("t", "g", "n"))
        .text(" and ")
        .add(&differs(fields, age, work.dialect()))
        .text(")");
    let keys = Sql::new(&format!("select {} from {brought} as m", numbered("m.n", node.key).join(", ")));
    let mut changed = 0;
    for leaf in &node.leaves {
        let rows: Rows = Rows::all(leaf as &Table, node.among(&keys).text(" and ").add(&condition));
        changed += work.change(&rows, &changes(node, fields, age, &brought))?;
    }
    Ok(changed)
}

//! Merges without scopes walk a list: who merges into whom is found out once, kept by the session, and done part by part.
//!
//! The list is made outside any transaction, so nobody waits for it, and every part is looked at again once its rows are
//! locked: pairs that others have changed meanwhile are left alone, and values are read anew. In a tree, where a change
//! further up or a new child decides too, the list is made anew. It does not look for duplicates that came later: those
//! are told by the verification.

use super::members::{MAP, map, name};
use super::task::{Node, Place, Task, Tree, numbered};
use engine::Result;
use targets::db::{Facts, Sql, TableName};

/// So often a list is made anew; what is left then is told by the verification.
const MOST_LISTS: u32 = 20;

/// What the list holds: the mapping without values, numbered by groups (`g`), the deepest first. Below a row that is merged,
/// all children that are the same are one already.
fn list(task: &Task) -> Sql {
    let bare = Task { fields: Vec::new(), age: None, ..task.clone() };
    let stays = numbered("q.n", task.node.key).join(", ");
    Sql::new(&format!("select q.*, dense_rank() over (order by q.level desc, {stays}) as g from ("))
        .add(&map(&bare, None, None))
        .text(") as q")
}

/// Where the next batch lies.
pub fn aim(task: &Task, step: &str, mut place: Place, rows: u64, facts: &mut dyn Facts) -> Result<Place> {
    if task.scope.is_some() {
        return Ok(place);
    }
    let kept = facts.list(&format!("{step} {}", place.again), &list(task), &["g"])?;
    if kept.is_none() || place.list != kept {
        // another list has other numbers: what was done of it is not in it any more
        (place.from, place.list) = (1, kept);
    }
    if let Some(list) = &place.list {
        let end = Sql::new("select l.g from ")
            .table(&list.table)
            .text(" as l where l.g >= ")
            .bind(place.from)
            .text(" order by l.g limit 1 offset ")
            .bind(i64::try_from(rows.max(1)).unwrap_or(i64::MAX));
        place.to = facts.value(&end)?.as_int().map(|end| end.max(place.from + 1));
    }
    Ok(place)
}

impl Place {
    /// The same after which the list is made anew; none when that was done too often.
    pub fn listed_anew(self) -> Option<Place> {
        let again = self.again + 1;
        (again < MOST_LISTS).then_some(Place { again, ..self })
    }

    /// The condition, over `l`, for this part of the list.
    fn part(&self) -> Sql {
        let part = Sql::new("l.g >= ").bind(self.from);
        match self.to {
            Some(to) => part.text(" and l.g < ").bind(to),
            None => part,
        }
    }
}

/// The keys of all rows of a part: those that go and those that stay.
pub fn part(node: &Node, list: &TableName, place: &Place) -> Sql {
    let keys = |kind: &str| {
        Sql::new(&format!("select {} from ", numbered(kind, node.key).join(", ")))
            .table(list)
            .text(" as l where ")
            .add(&place.part())
    };
    keys("l.o").text(" union all ").add(&keys("l.n"))
}

/// The mapping of a part, as in [`map`], of pairs that are the same still.
pub fn pairs(task: &Task, list: &TableName, place: &Place) -> Sql {
    let node = &task.node;
    let table = &node.table.name;
    // The keys from the table itself: those of the list have no type.
    let mut sql = Sql::new("select ");
    for (n, value) in node.values.iter().take(node.key).enumerate() {
        sql = sql.text("t.").name(value).text(&format!(" as o{n}, "));
    }
    let names: Vec<Sql> = (0..node.key).map(|n| node.named(n, "l")).collect();
    sql = sql.add(&Sql::join(&names, ", "));
    for (n, value) in node.values.iter().enumerate().skip(node.key) {
        sql = sql
            .text(", t.")
            .name(value)
            .text(&format!(" as o{n}, (select t."))
            .name(value)
            .text(" from ")
            .table(table)
            .text(" as t where ")
            .add(&node.is("t", "l", "n"))
            .text(&format!(") as n{n}"));
    }
    sql = sql.text(", l.nth, l.level, 2 as deed, l.s");
    for (n, field) in task.fields.iter().enumerate() {
        sql = sql.text(", t.").name(&field.column).text(&format!(" as f{n}"));
    }
    if let Some(age) = &task.age {
        sql = sql.text(", ").add(age).text(" as a");
    }
    sql = sql
        .text(" from ")
        .table(list)
        .text(" as l join ")
        .table(table)
        .text(" as t on ")
        .add(&node.is("t", "l", "o"))
        .text(" where ")
        .add(&place.part());
    if task.tree.is_none() {
        sql = sql.text(" and ").add(&same(task, "l", "o")).text(" and ").add(&same(task, "l", "n"));
    }
    sql
}

/// The row at one end of a pair (`o` or `n`, under an alias) takes part still, and is the same thing as before.
pub fn same(task: &Task, alias: &str, end: &str) -> Sql {
    let mut all = vec![task.node.is("t", alias, end), Sql::new("(").add(&task.wanted).text(")")];
    // The column first, which may know a way to compare of its own.
    all.extend(task.by.iter().enumerate().map(|(n, by)| by.clone().text(&format!(" = {alias}.c{n}"))));
    all.extend(task.free.clone());
    Sql::new("exists (select 1 from ")
        .table(&task.node.table.name)
        .text(" as t where ")
        .add(&Sql::join(&all, " and "))
        .text(")")
}

/// A query that counts what others have changed in a tree so that this part of the list does not fit any more: pairs, or
/// rows above them, that are no longer the same, and children that would become the same and are not in it.
pub fn changed(task: &Task, tree: &Tree) -> Sql {
    let node = &task.node;
    let table = &node.table.name;
    let key = &node.values[0];
    let named = name(task, tree);
    let of = |column: &str| {
        Sql::new("(select ")
            .add(&named)
            .text(" from ")
            .table(table)
            .text(" as t where t.")
            .name(key)
            .text(&format!(" = up.{column})"))
    };
    let parts =
        Sql::new(&format!("with recursive up(o, n) as (select m.o0, m.n0 from {MAP} as m union select a."))
            .name(&tree.parent)
            .text(", b.")
            .name(&tree.parent)
            .text(" from up join ")
            .table(table)
            .text(" as a on a.")
            .name(key)
            .text(" = up.o join ")
            .table(table)
            .text(" as b on b.")
            .name(key)
            .text(" = up.n where a.")
            .name(&tree.parent)
            .text(" <> b.")
            .name(&tree.parent)
            .text(") select (select count(*) from up where not coalesce(")
            .add(&of("o"))
            .text(" = ")
            .add(&of("n"))
            .text(", 1 = 0)) + (");
    let becomes = |row: &Sql| {
        Sql::new(&format!("coalesce((select m.n0 from {MAP} as m where m.o0 = "))
            .add(row)
            .text("), ")
            .add(row)
            .text(")")
    };
    let above = Sql::new("t.").name(&tree.parent);
    let twins = Sql::new("select ")
        .add(&becomes(&above))
        .text(" as above, ")
        .add(&named)
        .text(" as said, ")
        .add(&becomes(&Sql::new("t.").name(key)))
        .text(" as one from ")
        .table(table)
        .text(" as t where ")
        .add(&above)
        .text(&format!(" in (select o0 from {MAP} union all select n0 from {MAP})"));
    parts
        .text("select count(*) from (select 1 from (")
        .add(&twins)
        .text(") as child where child.said is not null group by child.above, child.said having count(distinct child.one) > 1) as twins)")
}

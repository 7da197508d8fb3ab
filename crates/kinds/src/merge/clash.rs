//! Rows that refer to merged ones and would be in each other's way: those are found, with what happens to them.
//!
//! A row is in the way when it moves and another, already there or moving too, agrees with it in the columns of a
//! unique key or of a rule (W-082). Each becomes one with that other, gets another name, or is refused; none is lost.

use super::members::ROWS;
use super::options::Policy;
use super::task::{Clash, Reference, numbered};
use targets::db::Sql;

/// What a clashing row has coming, as a number in `deed`.
fn deed(policy: Policy) -> u8 {
    match policy {
        Policy::Keep => 0,
        Policy::Rename => 1,
        Policy::Fold => 2,
        Policy::Refuse => 3,
    }
}

impl Reference {
    /// The columns, over `t`, are those of a row that goes.
    pub fn is_moved(&self, map: &str) -> Sql {
        let from: Vec<String> = self.to.iter().map(|to| format!("m.o{to}")).collect();
        self.own_columns().text(&format!(" in (select {} from {map} as m where m.deed = 2)", from.join(", ")))
    }

    /// The new value of the n-th column, over `t`.
    pub fn moved_to(&self, n: usize, map: &str) -> Sql {
        Sql::new(&format!("(select m.n{} from {map} as m where m.deed = 2 and ", self.to[n]))
            .add(&self.meets("t", "m"))
            .text(")")
    }

    /// `t.a = m.o0 and …`
    pub fn meets(&self, row: &str, map: &str) -> Sql {
        let same: Vec<Sql> = self
            .columns
            .iter()
            .zip(&self.to)
            .map(|(column, to)| Sql::new(&format!("{row}.")).name(column).text(&format!(" = {map}.o{to}")))
            .collect();
        Sql::join(&same, " and ")
    }

    fn own_columns(&self) -> Sql {
        let own = Sql::default().names("t.", self.columns.iter().map(String::as_str));
        if self.columns.len() > 1 { Sql::new("(").add(&own).text(")") } else { own }
    }
}

/// Every row of the reference that is in another's way: old values (`o0`, …), values of the row it meets (`n0`, …),
/// where it goes (`d0`, …), its rank there (`nth`), what happens (`deed`) and, for names, `name`.
pub fn clashing(reference: &Reference, clash: &Clash, map: &str) -> Sql {
    let node = &reference.node;
    let columns = reference.columns.len();
    let mut inner = Sql::new("select ");
    for (n, value) in node.values.iter().enumerate() {
        inner = inner.text("t.").name(value).text(&format!(" as v{n}, "));
    }
    for (n, column) in clash.beside.iter().enumerate() {
        inner = inner.text("t.").name(column).text(&format!(" as x{n}, "));
    }
    for (n, column) in clash.same.iter().enumerate() {
        inner = inner.text("t.").name(column).text(&format!(" as y{n}, "));
    }
    for (n, field) in clash.fields.iter().enumerate() {
        inner = inner.text("t.").name(&field.column).text(&format!(" as f{n}, "));
    }
    if let Some(rename) = &clash.rename {
        inner = inner.text("t.").name(rename).text(" as name, ");
    }
    // From the few merged rows to those that refer to them: never through the whole table, which a batch holds up.
    let ends = |from: &str, to: &str| {
        let each = reference.to.iter().enumerate();
        each.map(|(n, place)| format!("m.{from}{place} as p{n}, m.{to}{place} as d{n}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let same: Vec<Sql> = reference
        .columns
        .iter()
        .enumerate()
        .map(|(n, column)| Sql::new("t.").name(column).text(&format!(" = k.p{n}")))
        .collect();
    inner = inner
        .text(&format!("{}, k.s, k.moved from (", numbered("k.d", columns).join(", ")))
        .text(&format!(
            "select {}, m.s, 1 as moved from {map} as m where m.deed = 2 union all ",
            ends("o", "n")
        ))
        .text(&format!("select distinct {}, m.s, 0 from {map} as m where m.deed = 2", ends("n", "n")))
        .text(") as k cross join ")
        .table(&node.table.name)
        .text(" as t where ")
        .add(&Sql::join(&same, " and "));
    for column in &clash.beside {
        inner = inner.text(" and t.").name(column).text(" is not null");
    }
    if let Some(only) = &clash.only {
        inner = inner.text(" and ").add(&node.among(only));
    }
    let mut place: Vec<String> = clash.through.iter().map(|n| format!("d{n}")).collect();
    place.extend(numbered("x", clash.beside.len()));
    let place = place.join(", ");
    let mut alike = vec![place.clone()];
    alike.extend(numbered("y", clash.same.len()));
    let alike = alike.join(", ");
    let order = format!("order by moved, {}", numbered("v", node.key).join(", "));
    let values = node.values.len();
    let nth = match clash.same.as_slice() {
        [] => "row_number() over alike".to_owned(),
        _ => format!("row_number() over (partition by {place} {order})"),
    };
    let mut ranked = Sql::new(&format!("select z.*, {nth} as nth, row_number() over alike as nth_alike"));
    // What is folded though it is not the same goes into the first of all, not into the first of its own sort: itself.
    let first = match clash.policy {
        Policy::Fold if !clash.same.is_empty() => format!("(partition by {place} {order} {ROWS})"),
        _ => "alike".to_owned(),
    };
    for n in 0..values {
        ranked = ranked.text(&format!(", first_value(v{n}) over {first} as n{n}"));
    }
    let ranked = ranked
        .text(" from (")
        .add(&inner)
        .text(&format!(") as z window alike as (partition by {alike} {order} {ROWS})"));
    let old: Vec<String> = (0..values).map(|n| format!("v{n} as o{n}")).collect();
    let mut sql = Sql::new(&format!(
        "select {}, {}, {}, s, nth, case when nth_alike > 1 then {} else {} end as deed",
        old.join(", "),
        numbered("n", values).join(", "),
        numbered("d", columns).join(", "),
        deed(if clash.same.is_empty() { clash.policy } else { clash.if_same }),
        deed(clash.policy)
    ));
    for n in 0..clash.fields.len() {
        sql = sql.text(&format!(", f{n}"));
    }
    if clash.rename.is_some() {
        sql = sql.text(", ").add(&name_parts(clash.longest));
    }
    sql.text(" from (").add(&ranked).text(") as r where moved = 1 and nth > 1")
}

/// `stem`, `ending` and `number` of a name: `a.txt` becomes `a (2).txt`. A name that begins with its only dot has no ending.
fn name_parts(longest: Option<u64>) -> Sql {
    // what is left when everything after the last dot is cut off, the dot included
    let upto = "length(rtrim(name, replace(name, '.', '')))";
    let stem = format!("case when {upto} > 1 then substr(name, 1, {upto} - 1) else name end");
    let ending = format!("case when {upto} > 1 then substr(name, {upto}) else '' end");
    let stem = match longest {
        // room for a number of six digits
        Some(longest) => {
            format!("substr({stem}, 1, {} - length({ending}))", longest.saturating_sub(9))
        }
        None => stem,
    };
    Sql::new(&format!("{stem} as stem, {ending} as ending, nth as number"))
}

/// The name that a row of a temporary table of clashes gets, under an alias.
pub fn new_name(alias: &str) -> String {
    format!("{alias}.stem || ' (' || {alias}.number || ')' || {alias}.ending")
}

/// Counts up the numbers of names that are taken, by rows that are there or by others that are to be renamed.
pub fn next_number(reference: &Reference, clash: &Clash, names: &str) -> Sql {
    let node = &reference.node;
    let Some(rename) = &clash.rename else { return Sql::new("set number = number where 1 = 0") };
    let mut there: Vec<Sql> = Vec::new();
    let mut beside: Vec<Sql> = Vec::new();
    for n in &clash.through {
        there.push(Sql::new("x.").name(&reference.columns[*n]).text(&format!(" = s.d{n}")));
        beside.push(Sql::new(&format!("x.d{n} = s.d{n}")));
    }
    let before = numbered("x.o", node.key).join(", ");
    let this = numbered("s.o", node.key).join(", ");
    Sql::new("set number = number + 1 where s.deed = 1 and (exists (select 1 from ")
        .table(&node.table.name)
        .text(" as x where ")
        .add(&Sql::join(&there, " and "))
        .text(" and x.")
        .name(rename)
        .text(&format!(" = {}) or exists (select 1 from {names} as x where x.deed = 1 and ", new_name("s")))
        .add(&Sql::join(&beside, " and "))
        .text(&format!(" and {} = {} and ({before}) < ({this})))", new_name("x"), new_name("s")))
}

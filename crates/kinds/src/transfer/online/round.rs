//! One round: the rows that changed since the last one, read again at one moment of the source and put in place of what they were, in
//! one transaction of the target, which afterwards is as the source was at that moment.
//!
//! Rows that are gone go first, then the others are written; references wait for the end. Where that fails because unique values
//! have changed hands, the rows are taken away and added again, with the references to them out of the way meanwhile.

use super::super::compare::Prints;
use super::super::machines::Machines;
use super::ask::Source;
use super::keys::{self, Key};
use super::stage::{self, Span, Staged};
use super::{CHECK, Online, capture, entry};
use engine::words::rows as rows_of;
use engine::{Class, Error, Result, Work};
use targets::db::{Sql, TableName, quote};

/// The code of a unique value that is there already.
const TAKEN: &str = "23505";

/// What a round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Up to which place of what was written down.
    pub upto: i64,
    /// Keys that had changed.
    pub changed: u64,
    /// Rows that were written.
    pub written: u64,
    /// Rows that went.
    pub removed: u64,
    /// Rows that fit nowhere and are kept aside.
    pub aside: u64,
}

/// Carries what changed after `from`.
pub fn carry(
    online: &Online,
    machines: &Machines,
    from: i64,
    source: &mut Source,
    work: &mut Work,
) -> Result<Round> {
    if capture::schema(source)? != online.schema {
        return Err(capture::schema_changed(&online.source));
    }
    if online.without_key().next().is_some() && !entry::is_untouched(source)? {
        return Err(Error::data(format!(
            "`{}` was written anew meanwhile (by `vacuum`, say), and rows of tables without a key are not found again",
            online.source
        ))
        .code(CHECK)
        .help("give these tables a key, or begin the transfer again"));
    }
    let changes = capture::changes();
    let last = Sql::new("select coalesce(max(n), 0) from ").table(&changes);
    let upto = source.number(&last)?.unwrap_or(0);
    let mut round = Round { upto, ..Round::default() };
    let span = Span { from, upto };
    let touched = touched(online, from, source)?;
    if touched.is_empty() {
        return Ok(round);
    }
    let keys: Vec<Key> = keys::of(online, work)?;
    let near: Vec<Key> = keys.iter().filter(|key| is_near(key, online, &touched)).cloned().collect();
    keys::wait(&near, work)?;
    let mut staged = Vec::new();
    for n in &touched {
        staged.push(stage::bring(*n, &online.carries[*n], machines, span, source, work)?);
    }
    for key in near.iter().filter(|key| key.takes_along) {
        refuse_orphans(key, &staged, work)?;
    }
    work.statement("savepoint sexton_round")?;
    match replace(&staged, work) {
        Ok((written, removed)) => {
            work.statement("release savepoint sexton_round")?;
            (round.written, round.removed) = (written, removed);
            keys::check(&near, work)?;
        }
        Err(error) if error.class == Class::Data && error.code.as_deref() == Some(TAKEN) => {
            work.statement("rollback to savepoint sexton_round")?;
            // what waits for the end of the transaction stands in the way of another definition
            keys::check(&near, work)?;
            let tables: Vec<&TableName> = staged.iter().map(|one| &one.carry.name).collect();
            let away = keys::release(&near, &tables, work)?;
            (round.written, round.removed) = add_again(&staged, work)?;
            keys::declare(&away, work)?;
        }
        Err(error) => return Err(error),
    }
    for one in &staged {
        prove(one, work)?;
        round.changed += one.changed;
        round.aside += one.aside;
    }
    Ok(round)
}

/// The tables of which anything changed after `from`.
pub fn touched(online: &Online, from: i64, source: &mut Source) -> Result<Vec<usize>> {
    let sql = Sql::new("select distinct t from ")
        .table(&capture::changes())
        .text(&format!(" where n > {from} order by t"));
    let numbers = source.rows(&sql)?;
    let numbers =
        numbers.iter().filter_map(|row| row.first()?.as_int().and_then(|n| usize::try_from(n).ok()));
    Ok(numbers.filter(|n| *n < online.carries.len()).collect())
}

fn is_near(key: &Key, online: &Online, touched: &[usize]) -> bool {
    touched.iter().any(|n| {
        let name = &online.carries[*n].name;
        *name == key.child || *name == key.parent
    })
}

/// `a."x" = b."x" and …` over the columns of the key.
fn same(one: &Staged, a: &str, b: &str) -> String {
    let columns = one.carry.key.iter().map(|n| quote(&one.carry.columns[*n].target));
    columns.map(|column| format!("{a}.{column} = {b}.{column}")).collect::<Vec<_>>().join(" and ")
}

/// The keys, over `k`, that have no row any more.
fn is_gone(one: &Staged) -> String {
    format!("not exists (select 1 from {} as r where {})", one.rows.quoted(), same(one, "r", "k"))
}

/// Rows that the target would take along with their parents, although the source still has them.
fn refuse_orphans(key: &Key, staged: &[Staged], work: &mut Work) -> Result<()> {
    let Some(parent) = staged.iter().find(|one| one.carry.name == key.parent) else { return Ok(()) };
    let pairs = key.columns.iter().zip(&key.parent_columns);
    let refers = pairs.map(|(own, theirs)| format!("c.{} = p.{}", quote(own), quote(theirs)));
    let known = match staged.iter().find(|one| one.carry.name == key.child) {
        Some(child) => {
            format!(
                " and not exists (select 1 from {} as own where {})",
                child.keys.quoted(),
                same(child, "own", "c")
            )
        }
        None => String::new(),
    };
    let count = Sql::new(&format!(
        "select count(*) from {} as k join {} as p on {} join {} as c on {} where {}{known}",
        parent.keys.quoted(),
        parent.carry.name.quoted(),
        same(parent, "p", "k"),
        key.child.quoted(),
        refers.collect::<Vec<_>>().join(" and "),
        is_gone(parent),
    ));
    match work.count(&count)? {
        0 => Ok(()),
        rows => Err(keys::orphaned(key, rows)),
    }
}

/// Removes what is gone, children first, and writes the rest, parents first.
fn replace(staged: &[Staged], work: &mut Work) -> Result<(u64, u64)> {
    let (mut written, mut removed) = (0, 0);
    for one in staged.iter().rev() {
        removed += work.statement(&format!(
            "delete from {} as t using {} as k where {} and {}",
            one.carry.name.quoted(),
            one.keys.quoted(),
            same(one, "t", "k"),
            is_gone(one),
        ))?;
    }
    for one in staged {
        let columns = stage::sent_columns(one.carry);
        let list = columns.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        let keys: Vec<&str> = one.carry.key.iter().map(|n| one.carry.columns[*n].target.as_str()).collect();
        let others: Vec<String> = columns
            .iter()
            .filter(|name| !keys.contains(name))
            .map(|name| format!("{0} = excluded.{0}", quote(name)))
            .collect();
        let then = match others.is_empty() {
            true => "nothing".to_owned(),
            false => format!("update set {}", others.join(", ")),
        };
        let keys = keys.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        written += work.statement(&format!(
            "insert into {} ({list}) overriding system value select {list} from {} on conflict ({keys}) do {then}",
            one.carry.name.quoted(),
            one.rows.quoted(),
        ))?;
    }
    Ok((written, removed))
}

/// Takes all changed rows away and adds what they are now.
fn add_again(staged: &[Staged], work: &mut Work) -> Result<(u64, u64)> {
    let (mut written, mut removed) = (0, 0);
    for one in staged.iter().rev() {
        removed += work.statement(&format!(
            "delete from {} as t using {} as k where {}",
            one.carry.name.quoted(),
            one.keys.quoted(),
            same(one, "t", "k"),
        ))?;
    }
    for one in staged {
        let list =
            stage::sent_columns(one.carry).iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        written += work.statement(&format!(
            "insert into {} ({list}) overriding system value select {list} from {}",
            one.carry.name.quoted(),
            one.rows.quoted(),
        ))?;
    }
    Ok((written, removed.saturating_sub(written)))
}

/// Reads the changed rows back: each is there as it was sent, and no other.
fn prove(one: &Staged, work: &mut Work) -> Result<()> {
    let prints = Prints::of(one.carry);
    let (mut there, mut hash) = (0_u64, 0_u128);
    let sql = prints.read().text(&format!(
        " from {} as t join {} as k on {}",
        one.carry.name.quoted(),
        one.keys.quoted(),
        same(one, "t", "k")
    ));
    work.query(&sql, &mut |row| {
        there += 1;
        hash = hash.wrapping_add(prints.found(&row));
        Ok(())
    })?;
    if (there, hash) == (one.sent, one.hash) {
        return Ok(());
    }
    Err(Error::data(format!(
        "of {} of `{}` that changed, {there} are in the target and not all as they were sent",
        rows_of(one.sent),
        one.carry.table
    ))
    .code(CHECK)
    .help("a trigger or a rule of the target changes rows as they come, or somebody else writes there: switch it off, then begin again"))
}

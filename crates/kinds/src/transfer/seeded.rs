//! Rows that the tables of the application had before the transfer, such as those that its migrations put there: they make way for
//! those of the source where that is wanted, are kept in the target until the transfer is over, and come back when it is taken back. They
//! are kept as the server writes whole rows: through JSON not every document would come back as it was, or at all.

use super::carried;
use super::design::Design;
use super::options::Options;
use super::refusals;
use super::translate::expression::string;
use engine::words::count;
use engine::{Finding, Result, Work};
use targets::db::{Facts, Row, Schema, Sql, Table, TableName, Value};

/// Where they are kept.
pub const REPLACED: &str = "replaced";
/// What has more rows was not filled by migrations.
const MOST: u64 = 10_000;

/// Tables that hold rows already.
pub fn findings(design: &Design, options: &Options, target: &mut dyn Facts) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let mut filled: Vec<(&TableName, u64)> = Vec::new();
    for table in &design.tables {
        let most = Sql::new("select count(*) from (select 1 from ")
            .table(&table.name)
            .text(&format!(" limit {}) as t", MOST + 1));
        match target.count(&most)? {
            0 => {}
            there => filled.push((&table.name, there)),
        }
    }
    let is_filled = |quoted: &str| filled.iter().any(|(name, _)| name.quoted() == quoted);
    if filled.is_empty() {
        return Ok(found);
    }
    let list: Vec<String> = filled
        .iter()
        .map(|(name, there)| match *there > MOST {
            true => format!("{name} (more than {})", count(MOST)),
            false => format!("{name} ({})", count(*there)),
        })
        .collect();
    let list = list.join(", ");
    let rests = refusals::of_unfinished(target, &is_filled)?;
    let too_many = filled.iter().any(|(_, there)| *there > MOST);
    if !options.replace || too_many || rests.is_some() {
        let help = match (rests, too_many) {
            (Some(help), _) => help,
            (None, true) => "empty them, or leave them out with `drop = true` in `map`: so many rows are not what migrations put there".to_owned(),
            (None, false) => "where the application's migrations put them there, let those of the source take their place with `replace = true` (`--replace`); else empty them, or leave them out with `drop = true` in `map`".to_owned(),
        };
        found.push(Finding::forbid(
            "target_not_empty",
            options.into(),
            format!("tables have rows already: {list}"),
            help,
        ));
        return Ok(found);
    }
    let schema = target.schema()?;
    for (child, parent) in outside(design, &schema, &is_filled) {
        let some = Sql::new("select count(*) from (select 1 from ").table(&child.name).text(" limit 1) as t");
        if target.count(&some)? > 0 {
            found.push(Finding::forbid(
                "target_not_empty",
                child.name.to_string(),
                format!("its rows may refer to those of `{parent}`, which make way, and the source has no table for it"),
                "empty it, or leave the other one out with `drop = true` in `map`",
            ));
        }
    }
    found.push(Finding::note(
        "replaced",
        options.into(),
        format!("rows that are there make way for those of the source: {list}"),
        "nothing: they are kept until the transfer is over, and come back when it is taken back",
    ));
    Ok(found)
}

/// Tables that the source does not fill, and that refer to one that has rows.
fn outside<'s>(
    design: &Design,
    schema: &'s Schema,
    is_filled: &dyn Fn(&str) -> bool,
) -> Vec<(&'s Table, &'s TableName)> {
    let others = schema.tables.iter().filter(|table| !design.tables.iter().any(|one| one.name == table.name));
    let parent = |table: &'s Table| {
        let parents = table.references.iter().map(|reference| &reference.parent);
        parents.into_iter().find(|parent| is_filled(&parent.quoted()))
    };
    others.filter_map(|table| Some((table, parent(table)?))).collect()
}

/// Keeps the rows of tables, parents first, and empties them.
pub fn keep(tables: &[&TableName], work: &mut Work) -> Result<()> {
    let own = work.dialect().own(REPLACED);
    let create = Sql::new("create table if not exists ").table(&own).text(
        " (run text not null, place integer not null, target text not null, columns text not null, was text[] not null)",
    );
    work.record(&create)?;
    for (place, table) in tables.iter().enumerate() {
        let all = Sql::new("insert into ")
            .table(&own)
            .text(" select ")
            .bind(work.point())
            .text(&format!(", {place}, "))
            .bind(table.quoted())
            .text(", (select string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_attribute a where a.attrelid = ")
            .bind(table.quoted())
            .text("::text::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''), array_agg((kept.*)::text) from ")
            .table(table)
            .text(" as kept");
        work.record(&all)?;
    }
    carried::empty(tables, work)
}

/// What puts the rows that a run replaced back into their tables, once these are empty: parents first.
pub fn restore(run: &str, facts: &mut dyn Facts) -> Result<Vec<String>> {
    let own = facts.dialect().own(REPLACED);
    if facts.count(&facts.dialect().exists(&own))? == 0 {
        return Ok(Vec::new());
    }
    let rows = facts.rows(&kept(&own, run))?;
    Ok(rows.iter().map(|row| back(&own, run, row)).collect())
}

/// The same at once.
pub fn put_back(run: &str, work: &mut Work) -> Result<()> {
    let own = work.dialect().own(REPLACED);
    if work.count(&work.dialect().exists(&own))? == 0 {
        return Ok(());
    }
    let rows = work.rows(&kept(&own, run))?;
    rows.iter().try_for_each(|row| work.statement(&back(&own, run, row)).map(drop))
}

fn kept(own: &TableName, run: &str) -> Sql {
    Sql::new("select target, columns from ")
        .table(own)
        .text(" where run = ")
        .bind(run)
        .text(" order by place")
}

fn back(own: &TableName, run: &str, row: &Row) -> String {
    let text = |n: usize| row.get(n).and_then(Value::as_text).unwrap_or_default();
    let (table, columns) = (text(0), text(1));
    format!(
        "insert into {table} ({columns}) overriding system value select {columns} from (select (r.was::{table}).* from \
         (select unnest(was) as was from {own} where run = {run} and target = {target}) as r) as t",
        own = own.quoted(),
        run = string(run),
        target = string(table),
    )
}

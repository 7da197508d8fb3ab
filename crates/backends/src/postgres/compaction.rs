//! Moving the last rows of a table into free space before them: what stands in the way, and the statement that does it.
//!
//! An `update` writes a new version of its row, on the same page where there is room, else where the map of free space says,
//! which begins at the front after each vacuum. So a row leaves a page when it is updated until the page is full, and all of
//! that belongs into one transaction: afterwards the first reader would clean the page and make room again.

use super::session::Connected;
use targets::db::{Compaction, Facts, Result, Row, Shift, Sql, TableName};

/// More rows than these fit on no page.
const MOST_ON_PAGE: u64 = 291;
/// Pages of the first look at the end of a table, which is doubled as long as there is no row.
const FIRST_LOOK: u64 = 16;

/// The statement of a move.
pub(super) fn shift(version: u32, table: &TableName, shift: &Shift) -> Sql {
    let within = format!("ctid >= '({},0)'::tid and {{}}ctid < '({},0)'::tid", shift.from, shift.to);
    let over = |alias: &str| format!("{alias}{}", within.replace("{}", alias));
    // Older servers read the whole table for a range of places.
    let ranges = version == 0 || version >= 140_000;
    let places = format!(
        "select ('(' || p || ',' || o || ')')::tid from generate_series({}::bigint, {}) as p, generate_series(1, {MOST_ON_PAGE}) as o",
        shift.from,
        shift.to.saturating_sub(1)
    );
    let chosen = match (ranges, shift.skip_locked) {
        (true, false) => Sql::new(&over("t.")),
        (false, false) => Sql::new(&format!("t.ctid = any (array({places}))")),
        (_, true) => Sql::new("t.ctid = any (array(select x.ctid from only ")
            .table(table)
            .text(" as x where ")
            .text(&match ranges {
                true => over("x."),
                false => format!("x.ctid = any (array({places}))"),
            })
            .text(" for no key update skip locked))"),
    };
    Sql::new("with moved as (update only ")
        .table(table)
        .text(" as t set ")
        .name(shift.column)
        .text(" = t.")
        .name(shift.column)
        .text(" where ")
        .add(&chosen)
        .text(" returning t.ctid) select count(*), count(*) filter (where ")
        .text(&over(""))
        .text(&format!("), count(*) filter (where ctid >= '({},0)'::tid) from moved", shift.to))
}

// Asking for the true size of a table that somebody holds would wait for him.
//
// The value of the column stays, so no index on it is touched; what counts is what is computed or fires when it is set, and
// how many bytes are copied. A generated column would be computed anew when one of its sources is set.
const FACTS: &str = "
    select h.held, case when h.held then c.relpages * current_setting('block_size')::bigint else pg_relation_size(c.oid) end, current_setting('block_size')::bigint,
           f.name, to_json(coalesce(f.fires, '{}'))::text,
           to_json(array(select t.tgname::text || ' (trigger)' from pg_trigger as t
                 where t.tgrelid = c.oid and not t.tgisinternal and t.tgtype & 16 > 0 and t.tgenabled in ('A', 'R')
                 union all
                 select r.rulename::text || ' (rule)' from pg_rewrite as r
                 where r.ev_class = c.oid and r.ev_type = '2' and r.ev_enabled in ('A', 'R')))::text,
           {SILENCE},
           f.name is not null and has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage'),
           c.relrowsecurity and row_security_active(c.oid),
           to_json(array(select p.pubname::text from pg_publication as p
                 where p.pubupdate
                   and (p.puballtables {SCHEMAS}
                     or exists (select from pg_publication_rel as r
                                where r.prpubid = p.oid
                                  and (r.prrelid = c.oid or r.prrelid in (select relid from pg_partition_ancestors(c.oid)))))
                 order by 1))::text,
           case c.relreplident
             when 'f' then true
             when 'i' then exists (select from pg_index as i where i.indrelid = c.oid and i.indisreplident)
             when 'd' then exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)
             else false end,
           to_json(array(select k.conname::text from pg_constraint as k
                 where k.conrelid = c.oid and k.contype = 'c' and not k.convalidated order by 1))::text,
           m.amname::text,
           (select e.extversion from pg_extension as e where e.extname = 'pg_repack')
    from pg_class as c
      left join pg_am as m on m.oid = c.relam
      cross join lateral (
        select exists (select from pg_locks as k
                       where k.relation = c.oid and k.mode = 'AccessExclusiveLock' and k.granted) as held) as h
      left join lateral (
        select a.attname::text as name, x.fires
        from pg_attribute as a
          cross join lateral (
            select array(select t.tgname::text || ' (trigger)' from pg_trigger as t
                         where t.tgrelid = c.oid and not t.tgisinternal and t.tgtype & 16 > 0 and t.tgenabled in ('O', 'A')
                           and (t.tgattr = '' or a.attnum = any (t.tgattr::int2[]))
                         union all
                         select r.rulename::text || ' (rule)' from pg_rewrite as r
                         where r.ev_class = c.oid and r.ev_type = '2' and r.ev_enabled in ('O', 'A')) as fires) as x
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
          and a.attidentity <> 'a' and has_column_privilege(c.oid, a.attnum, 'update')
          and not exists (
            select from pg_depend as d join pg_attrdef as v on d.classid = 'pg_attrdef'::regclass and d.objid = v.oid
            where v.adrelid = c.oid and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
              and d.refobjsubid = a.attnum and v.adnum <> a.attnum)
        order by cardinality(x.fires), a.attlen < 0,
                 exists (select from pg_index as i where i.indrelid = c.oid and a.attnum = any (i.indkey::int2[])),
                 a.attlen, a.attnum
        limit 1) as f on true
    where c.relkind = 'r' and c.oid = to_regclass(";

/// The facts; none where the table is gone.
pub(super) fn look(session: &mut Connected, table: &TableName) -> Result<Option<Compaction>> {
    let version = session.dialect.version();
    let silence = match version >= 150_000 {
        true => "has_parameter_privilege('session_replication_role', 'set')",
        false => "(select rolsuper from pg_roles where rolname = current_user)",
    };
    let schemas = match version >= 150_000 {
        true => {
            "or exists (select from pg_publication_namespace as s where s.pnpubid = p.oid and s.pnnspid = c.relnamespace)"
        }
        false => "",
    };
    let facts = FACTS.replace("{SILENCE}", silence).replace("{SCHEMAS}", schemas);
    let sql = Sql::new(&facts).bind(table.quoted()).text(")");
    let mut rows = session.rows(&sql)?;
    let Some(row) = rows.pop() else { return Ok(None) };
    let number = |n: usize| row[n].as_int().unwrap_or(0).max(0) as u64;
    let flag = |n: usize| row[n].as_bool().unwrap_or(false);
    let page_size = number(2).max(1);
    let pages = number(1) / page_size;
    Ok(Some(Compaction {
        page_size,
        pages,
        empty_pages: if flag(0) { 0 } else { empty_pages(session, table, pages) },
        column: row[3].as_text().map(str::to_owned),
        fires: list(&row, 4),
        fires_silenced: list(&row, 5),
        may_silence: flag(6),
        may_update: flag(7),
        hidden: flag(8),
        sent_to: list(&row, 9),
        identified: flag(10),
        unproved: list(&row, 11),
        unusual: row[12].as_text().filter(|method| *method != "heap").map(str::to_owned),
        repack: row[13].as_text().map(str::to_owned),
        rewrites_beside: version >= 190_000,
    }))
}

/// How many pages at the end hold no row that anybody may see; 0 where that cannot be found out.
fn empty_pages(session: &mut Connected, table: &TableName, pages: u64) -> u64 {
    if session.dialect.version() < 140_000 {
        return 0;
    }
    let mut look = FIRST_LOOK;
    let mut from = pages;
    while from > 0 {
        let (to, next) = (from, from.saturating_sub(look));
        let sql = Sql::new("select max((x.ctid::text::point)[0]::bigint) from only ")
            .table(table)
            .text(&format!(" as x where x.ctid >= '({next},0)'::tid and x.ctid < '({to},0)'::tid"));
        let mut last = None;
        let asked = super::bloat::ask(session, &sql, &mut |row| {
            last = row[0].as_int();
            Ok(())
        });
        match (asked, last) {
            (Ok(()), None) => from = next,
            (Ok(()), Some(page)) => return pages.saturating_sub(page as u64 + 1),
            // Somebody holds it, or it takes too long.
            (Err(_), _) => return pages - from,
        }
        look *= 2;
    }
    pages
}

fn list(row: &Row, n: usize) -> Vec<String> {
    serde_json::from_str(row[n].as_text().unwrap_or("[]")).unwrap_or_default()
}

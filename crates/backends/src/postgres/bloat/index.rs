//! A b-tree, measured by what a fresh one would take: its keys are read from a sample of the rows, and how many rows share a
//! key is looked up in the index itself.

use super::super::session::Connected;
use super::heap;
use super::layout;
use targets::db::{Result, Row, Sql};

/// Keys that are looked up to see how many rows share them, and rows counted of each.
const KEYS: u64 = 150;
const SHARE: u64 = 60;

/// One b-tree as the catalogue has it.
pub struct Tree {
    pub schema: String,
    pub name: String,
    pub oid: i64,
    pub bytes: u64,
    fill: f64,
    unique: bool,
    /// Equal entries are kept as one with a list.
    lists: bool,
    only: Option<String>,
    keys: Vec<String>,
    entries: f64,
}

const TREES: &str = "
    select n.nspname::text, c.relname::text, c.oid::bigint, pg_relation_size(c.oid),
           coalesce((select o.option_value::int from pg_options_to_table(c.reloptions) as o
                     where o.option_name = 'fillfactor'), 90)::double precision,
           i.indisunique,
           i.indnatts = i.indnkeyatts
             and coalesce((select o.option_value::boolean from pg_options_to_table(c.reloptions) as o
                           where o.option_name = 'deduplicate_items'), true)
             and not exists (select from unnest(i.indclass) as u (oid) join pg_opclass as k on k.oid = u.oid
                             where not exists (select from pg_amproc as f
                                               where f.amprocfamily = k.opcfamily and f.amprocnum = 4
                                                 and f.amproclefttype = k.opcintype
                                                 and f.amprocrighttype = k.opcintype))
             and not exists (select from unnest(i.indcollation) as u (oid) join pg_collation as l on l.oid = u.oid
                             where not l.collisdeterministic),
           pg_get_expr(i.indpred, i.indrelid),
           (select json_agg(pg_get_indexdef(c.oid, a.attnum, true) || case when a.attlen = -2 then '::text' else '' end
                            order by a.attnum)::text
            from pg_attribute as a where a.attrelid = c.oid),
           c.reltuples::double precision
    from pg_index as i
      join pg_class as c on c.oid = i.indexrelid
      join pg_namespace as n on n.oid = c.relnamespace
      join pg_am as m on m.oid = c.relam
    where m.amname = 'btree' and i.indisvalid and pg_relation_size(c.oid) >= {LEAST} and i.indrelid = ";

/// The b-trees of a table that are not smaller than that.
pub fn trees(session: &mut Connected, table: i64, least: u64) -> Result<Vec<Tree>> {
    let sql =
        Sql::raw(&TREES.replace("{LEAST}", &least.to_string())).bind(table).text("::oid order by 4 desc");
    let mut found = Vec::new();
    heap::ask(session, &sql, &mut |row| {
        found.push(tree(&row));
        Ok(())
    })?;
    Ok(found)
}

fn tree(row: &Row) -> Tree {
    let text = |n: usize| row[n].as_text().unwrap_or_default().to_owned();
    let flag = |n: usize| row[n].as_bool().unwrap_or(false);
    let keys = row[8].as_text().unwrap_or("[]").to_owned();
    Tree {
        schema: text(0),
        name: text(1),
        oid: row[2].as_int().unwrap_or(0),
        bytes: row[3].as_int().unwrap_or(0).max(0) as u64,
        fill: row[4].as_real().unwrap_or(90.0),
        unique: flag(5),
        lists: flag(6),
        only: row[7].as_text().map(str::to_owned),
        keys: serde_json::from_str(&keys).unwrap_or_default(),
        entries: row[9].as_real().unwrap_or(-1.0),
    }
}

impl Tree {
    /// The bytes of a fresh one, and by how many points of a hundred of its present size that may be wrong.
    pub fn fresh(
        &self,
        session: &mut Connected,
        table: &str,
        pages: (u64, u64),
        page: f64,
    ) -> Result<(f64, f64)> {
        let keys = self.keys.join(", ");
        // A row of the keys is laid out as the entry is, but for its header.
        let header = format!(
            "case when num_nulls({keys}) > 0 then {} else 8 end",
            if self.keys.len() > 8 { 8 } else { 16 }
        );
        let size = format!("({header} + pg_column_size(row({keys})) - 24 + 7) / 8 * 8 + 4");
        let only = self.only.as_ref().map_or("true".to_owned(), |only| format!("({only})"));
        let found = heap::sample(session, table, pages, &size, &only)?;
        let entries = found.rows * pages.0 as f64;
        let key = if found.rows > 0.0 { found.bytes / found.rows } else { 20.0 };
        let mut entry = key;
        if self.lists && !self.unique && found.rows > 0.0 {
            entry = self.shared(session, table, pages, page, &only)?.unwrap_or(key);
        }
        let fresh = layout::tree(page, self.fill, entries, entry, key) * page;
        let spread = if found.bytes > 0.0 { found.error / found.bytes } else { 0.0 };
        Ok((fresh, 100.0 * 1.96 * spread * fresh / self.bytes.max(1) as f64))
    }

    /// The bytes of an entry for each row, where rows with the same key share one.
    fn shared(
        &self,
        session: &mut Connected,
        table: &str,
        (total, _): (u64, u64),
        page: f64,
        only: &str,
    ) -> Result<Option<f64>> {
        let keys = self.keys.join(", ");
        let named: Vec<String> =
            self.keys.iter().enumerate().map(|(n, key)| format!("{key} as sexton_k{n}")).collect();
        let same: Vec<String> =
            self.keys.iter().enumerate().map(|(n, key)| format!("{key} = y.sexton_k{n}")).collect();
        let within = heap::within(session.dialect.version());
        // Which row of its page is looked up must not depend on its key.
        let sql = format!(
            "select y.size::double precision, y.nulls, s.n::double precision from {}
             cross join lateral (
               select {}, num_nulls({keys}) > 0 as nulls,
                      (8 + pg_column_size(row({keys})) - 24 + 7) / 8 * 8 as size
               from only {table} as t where {within} and {only} order by md5(t.ctid::text) limit 1) as y
             cross join lateral (
               select count(*) as n
               from (select from only {table} as x where {} and {only} limit {SHARE}) as few) as s",
            heap::chosen(total, KEYS.min(total)),
            named.join(", "),
            same.join(" and "),
        );
        let (mut sum, mut looked) = (0.0, 0u32);
        heap::ask(session, &Sql::raw(&sql), &mut |row| {
            let size = row[0].as_real().unwrap_or(16.0);
            let rows = row[2].as_real().unwrap_or(1.0);
            let many = row[1].as_bool().unwrap_or(false) || rows >= SHARE as f64;
            sum += layout::listed(page, size, if many { 1e9 } else { rows });
            looked += 1;
            Ok(())
        })?;
        Ok((looked > 0).then(|| sum / f64::from(looked)))
    }

    /// The same from statistics, for whoever may not read the table.
    pub fn fresh_by_statistics(&self, width: f64, page: f64) -> Option<f64> {
        if self.entries < 0.0 || self.keys.is_empty() {
            return None;
        }
        let key = layout::eight((8.0 + width) as u64) as f64 + layout::POINTER;
        Some(layout::tree(page, self.fill, self.entries, key, key) * page)
    }

    /// The pages of a fresh one, where so many leaves are so full, in points of a hundred.
    pub fn by_density(&self, leaves: f64, density: f64, inner: f64) -> f64 {
        let shrunk = (density / self.fill).min(1.0);
        1.0 + (leaves * shrunk).ceil() + (inner * shrunk).ceil()
    }
}

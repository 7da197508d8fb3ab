//! Unique keys of the target that are more than columns: over expressions, with a condition, or in which NULLs are equal. What such a
//! key of a row is, only the server knows, so it is asked for every row of the source, beforehand.

use super::carry::{Carrier, Span, select};
use super::demands::{self, Ask};
use super::domains::Domains;
use super::refusals;
use super::task::Twice;
use super::twice;
use engine::words::count;
use engine::{Finding, Result};
use targets::db::{Facts, Generated, Row, Sql, Table, Value, quote};

/// Of tables with more rows it is not asked: it would take minutes.
const MOST: u64 = 4_000_000;

/// Such a key.
#[derive(Debug, Clone)]
struct Expressed {
    name: String,
    /// Its parts, each as a text that is the same for equal values.
    parts: Vec<String>,
    only: Option<String>,
    /// NULLs are equal to each other.
    with_nulls: bool,
    /// The columns that it is about.
    columns: Vec<String>,
}

fn text(row: &Row, n: usize) -> Option<String> {
    row.get(n).and_then(Value::as_text).map(str::to_owned)
}

fn list(row: &Row, n: usize) -> Vec<String> {
    text(row, n).unwrap_or_default().split('\u{1f}').map(str::to_owned).collect()
}

/// Those of a table.
fn of(table: &Table, domains: &Domains, target: &mut dyn Facts) -> Result<Vec<Expressed>> {
    // by way of JSON, because not every server has those columns
    let sql = Sql::new(
        "select i.relname::text, pg_get_expr(x.indpred, x.indrelid), to_jsonb(x) ->> 'indnullsnotdistinct' = 'true', \
         (select string_agg(pg_get_indexdef(x.indexrelid, a.attnum, true), chr(31) order by a.attnum) from pg_attribute a \
          where a.attrelid = x.indexrelid and a.attnum <= coalesce((to_jsonb(x) ->> 'indnkeyatts')::int, x.indnatts)), \
         (select string_agg(format_type(a.atttypid, null), chr(31) order by a.attnum) from pg_attribute a \
          where a.attrelid = x.indexrelid and a.attnum <= coalesce((to_jsonb(x) ->> 'indnkeyatts')::int, x.indnatts)), \
         (select string_agg(a.attname::text, chr(31) order by a.attnum <> all (x.indkey), a.attnum) from pg_attribute a \
          where a.attrelid = x.indrelid and a.attnum > 0 and (a.attnum = any (x.indkey) or exists (select 1 from pg_depend d \
           where d.classid = 'pg_class'::regclass and d.objid = x.indexrelid and d.refobjid = x.indrelid and d.refobjsubid = a.attnum))) \
         from pg_index x join pg_class i on i.oid = x.indexrelid where x.indisunique and x.indisvalid \
         and (x.indexprs is not null or x.indpred is not null or to_jsonb(x) ->> 'indnullsnotdistinct' = 'true') and x.indrelid = ",
    )
    .bind(table.name.quoted())
    .text("::text::regclass order by 1");
    let one = |row: &Row| Expressed {
        name: text(row, 0).unwrap_or_default(),
        only: text(row, 1),
        with_nulls: row.get(2).and_then(Value::as_bool) == Some(true),
        parts: (list(row, 3).iter().zip(list(row, 4)))
            .map(|(part, typ)| as_text(part, domains.base(&typ)))
            .collect(),
        columns: list(row, 5),
    };
    Ok(target.rows(&sql)?.iter().map(one).collect())
}

/// Equal values of a type as the same text.
fn as_text(part: &str, typ: &str) -> String {
    // without its size and its schema
    let name = typ.split('(').next().and_then(|name| name.rsplit('.').next());
    match name.unwrap_or_default() {
        "numeric" => {
            let text = format!("({part})::text");
            format!("case when {text} like '%.%' then rtrim(rtrim({text}, '0'), '.') else {text} end")
        }
        "real" | "double precision" => format!("(({part}) + 0)::text"),
        "character" | "bpchar" => format!("rtrim(({part})::text)"),
        "citext" => format!("lower(({part})::text)"),
        _ => format!("({part})::text"),
    }
}

/// The rows of a table that are equal to an earlier one in such a key, and what cannot be asked.
pub fn ask(
    asking: &Ask,
    table: &Table,
    rows: u64,
    source: &mut dyn Facts,
    target: &mut dyn Facts,
) -> Result<(Vec<Twice>, Vec<Finding>)> {
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    for key in of(table, asking.domains, target)? {
        let place = |name: &String| asking.carry.columns.iter().position(|column| column.target == *name);
        let (given, missing): (Vec<&String>, Vec<&String>) =
            key.columns.iter().partition(|name| place(name).is_some());
        if given.is_empty() {
            continue;
        }
        // what the source does not give is NULL there, where the target does not fill it
        let is_filled = |name: &&String| {
            table.column(name).is_none_or(|column| {
                column.default.is_some() || column.identity || column.generated != Generated::No
            })
        };
        let why = match missing.iter().any(is_filled) {
            true => Some(refusals::FILLED.to_owned()),
            false => (rows > MOST).then(|| format!("of {} rows that would take long", count(rows))),
        };
        if let Some(why) = why {
            findings.push(refusals::not_asked(&table.name, &format!("the key `{}`", key.name), &why));
            continue;
        }
        let columns: Vec<usize> = given.iter().filter_map(|name| place(name)).collect();
        let missing: Vec<String> = missing
            .iter()
            .filter_map(|name| table.column(name))
            .map(|column| format!(", null::{} as {}", column.declared, quote(&column.name)))
            .collect();
        let hashed = Hashed { asking, key: &key, columns: &columns, missing: missing.concat() };
        let twice = twice::equal(rows, &mut |each| hashed.rows(source, target, each))?;
        let (twice, told) = twice::told(asking.carry, (&key.name, &columns), &twice);
        all.extend(twice.map(|twice| Twice { expressed: true, ..twice }));
        findings.extend(told);
    }
    Ok((all, findings))
}

/// Constraints of a table that nobody can ask before the copy.
pub fn exclusions(table: &Table, target: &mut dyn Facts) -> Result<Vec<Finding>> {
    let sql = Sql::new("select conname::text, pg_get_constraintdef(oid) from pg_constraint where contype = 'x' and conrelid = ")
        .bind(table.name.quoted())
        .text("::text::regclass order by 1");
    let one = |row: &Row| {
        let (name, defined) = (text(row, 0).unwrap_or_default(), text(row, 1).unwrap_or_default());
        let what = format!("the constraint `{name}`, {defined},");
        refusals::not_asked(&table.name, &what, "whether two rows exclude each other only the server can say")
    };
    Ok(target.rows(&sql)?.iter().map(one).collect())
}

/// The keys of the rows of a table.
struct Hashed<'a> {
    asking: &'a Ask<'a>,
    key: &'a Expressed,
    /// The columns that the source gives, by their places,
    columns: &'a [usize],
    /// and the others.
    missing: String,
}

impl Hashed<'_> {
    /// Hands the hash of the key of each row to `each`, and what orders the row.
    fn rows(&self, source: &mut dyn Facts, target: &mut dyn Facts, each: twice::Each) -> Result<()> {
        let at_once = demands::at_once(self.columns.len());
        let carry = self.asking.carry;
        let mut waiting: Vec<(u128, Vec<Value>)> = Vec::new();
        let mut carrier = Carrier::new(carry, self.asking.machines);
        source.scan(&select(carry, &Span::default()), &mut |row| {
            carrier.row(row, &mut |cells| {
                let place = twice::place_of(&row[..carry.order.len()]);
                waiting.push((place, self.columns.iter().map(|n| demands::value(&cells[*n])).collect()));
                match waiting.len() >= at_once {
                    true => self.some(&std::mem::take(&mut waiting), target, each),
                    false => Ok(()),
                }
            })?;
            carrier.met = Default::default();
            Ok(())
        })?;
        self.some(&waiting, target, each)
    }

    fn some(&self, some: &[(u128, Vec<Value>)], target: &mut dyn Facts, each: twice::Each) -> Result<()> {
        if some.is_empty() {
            return Ok(());
        }
        let parts = &self.key.parts;
        let one = |part: &String| format!("coalesce(length({part})::text || ':' || {part}, '-')");
        let whole: Vec<String> = parts.iter().map(one).collect();
        let mut only: Vec<String> = self.key.only.iter().map(|only| format!("({only})")).collect();
        if !self.key.with_nulls {
            only.extend(parts.iter().map(|part| format!("({part}) is not null")));
        }
        let condition = if only.is_empty() { "true".to_owned() } else { only.join(" and ") };
        let own = quote(&self.asking.carry.name.name);
        let sql = Sql::new(&format!(
            "select sexton_place, md5({}) from (select sexton_given.*{} from ",
            whole.join(" || "),
            self.missing
        ))
        .add(&self.asking.values(some, self.columns, "sexton_given", None))
        .text(&format!(") as {own} where {condition} order by 1"));
        let rows = target.rows(&sql).map_err(|error| demands::unasked(&self.key.name, error))?;
        for row in rows {
            let place = row.first().and_then(Value::as_int).and_then(|n| some.get(usize::try_from(n).ok()?));
            let hash =
                row.get(1).and_then(Value::as_text).and_then(|hash| u128::from_str_radix(hash, 16).ok());
            if let (Some((place, _)), Some(hash)) = (place, hash) {
                each(hash, &|| *place);
            }
        }
        Ok(())
    }
}

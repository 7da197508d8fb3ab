//! References, constraints that were never proved, and sequences.

use super::{Look, flag, list, optional, text};
use targets::db::{ConstraintFacts, ReferenceFacts, Result, SequenceFacts, TableName};

pub(super) fn references(look: &mut Look) -> Result<Vec<ReferenceFacts>> {
    let rows = look.ask(
        "select k.conname::text, n.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
                (select string_agg(a.attname::text, e'\\x1f' order by u.n)
                 from unnest(k.conkey) with ordinality as u (attnum, n)
                   join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum),
                (select string_agg(a.attname::text, e'\\x1f' order by u.n)
                 from unnest(k.confkey) with ordinality as u (attnum, n)
                   join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.attnum)
         from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
           join pg_class p on p.oid = k.confrelid
           join pg_namespace pn on pn.oid = p.relnamespace
         where k.contype = 'f' and k.conparentid = 0 and {OURS}
         order by n.nspname, c.relname, k.conname",
    )?;
    Ok(rows
        .iter()
        .map(|row| ReferenceFacts {
            name: text(row, 0),
            table: TableName::within(&text(row, 1), &text(row, 2)),
            parent: TableName::within(&text(row, 3), &text(row, 4)),
            columns: list(row, 5),
            parent_columns: list(row, 6),
        })
        .collect())
}

pub(super) fn unvalidated(look: &mut Look) -> Result<Vec<ConstraintFacts>> {
    let rows = look.ask(
        "select k.conname::text, n.nspname::text, c.relname::text
         from pg_constraint k
           join pg_class c on c.oid = k.conrelid
           join pg_namespace n on n.oid = c.relnamespace
         where not k.convalidated and k.contype in ('f', 'c') and {OURS}
         order by n.nspname, c.relname, k.conname",
    )?;
    Ok(rows
        .iter()
        .map(|row| ConstraintFacts {
            name: text(row, 0),
            table: TableName::within(&text(row, 1), &text(row, 2)),
        })
        .collect())
}

// The column may end before its sequence does: `integer` filled from a sequence of `bigint` is the usual case. What a
// default takes from a sequence counts as well as what owns it.
pub(super) fn sequences(look: &mut Look) -> Result<Vec<SequenceFacts>> {
    let rows = look.ask(
        "with {HELD},
         used as (
           select d.objid as sequence, d.refobjid as relation, d.refobjsubid as attnum
           from pg_depend d
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
             and d.refobjsubid > 0
           union
           select d.refobjid, f.adrelid, f.adnum
           from pg_depend d join pg_attrdef f on f.oid = d.objid
           where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid <> f.adrelid),
         own as materialized (
           select c.oid, n.nspname, c.relname, q.seqmax, q.seqcycle, q.seqincrement
           from pg_sequence q join pg_class c on c.oid = q.seqrelid join pg_namespace n on n.oid = c.relnamespace
           where {OURS} and c.relpersistence <> 't' and c.oid not in (select relation from held where relation is not null)
             -- the server may ask this before it has joined, of what is no sequence
             and case when c.relkind = 'S' then has_sequence_privilege(c.oid, 'select, usage') else false end),
         valued as materialized (select o.*, pg_sequence_last_value(o.oid) as last from own o)
         select v.nspname::text, v.relname::text, c.relname::text || '.' || a.attname::text, v.last,
                least(v.seqmax, case a.atttypid when 'int4'::regtype then 2147483647 when 'int2'::regtype then 32767 end),
                v.seqcycle
         from valued v
           left join used u on u.sequence = v.oid
           left join pg_class c on c.oid = u.relation and c.relkind in ('r', 'p')
           left join pg_attribute a on a.attrelid = u.relation and a.attnum = u.attnum
         where v.last is not null and v.seqincrement > 0
         order by v.last::double precision
                  / least(v.seqmax, case a.atttypid when 'int4'::regtype then 2147483647 when 'int2'::regtype then 32767 end) desc
         limit 1000",
    )?;
    let int = |row: &targets::db::Row, n: usize| row.get(n).and_then(targets::db::Value::as_int).unwrap_or(0);
    Ok(rows
        .iter()
        .map(|row| SequenceFacts {
            name: TableName::within(&text(row, 0), &text(row, 1)),
            column: optional(row, 2),
            last: int(row, 3),
            most: int(row, 4),
            cycles: flag(row, 5),
        })
        .collect())
}

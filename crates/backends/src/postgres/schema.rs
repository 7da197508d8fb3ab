//! Reads the catalogue: at most nine queries for all tables together, however many there are, and none for what no table
//! has.
//!
//! Tables that somebody holds locked against everyone are described without size and defaults, because asking for those
//! would wait. Sexton's own schema, the system's and temporary ones are left out.

use super::session::Connected;
use std::collections::HashMap;
use targets::db::{
    Action, Column, Facts, Family, ForeignKey, Generated, Index, Key, Result, Rights, Row, Schema, Sql,
    Table, TableKind, TableName, Trigger, Value,
};

const OURS: &str = "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'sexton')
    and n.nspname !~ '^pg_(toast_)?temp_'";

/// Everything about every table.
pub(super) fn read(session: &mut Connected) -> Result<Schema> {
    let mut schema = Schema::default();
    let mut places = HashMap::new();
    let [mut triggers, mut rules, mut heirs, mut references] = [false; 4];
    for row in rows(session, TABLES)? {
        places.insert(int(&row[0]), schema.tables.len());
        schema.tables.push(table(&row));
        for (n, any) in [&mut triggers, &mut rules, &mut heirs, &mut references].into_iter().enumerate() {
            *any |= row[12 + n].as_bool() == Some(true);
        }
    }
    let mut grouped =
        |session: &mut Connected, sql: &str, add: &mut dyn FnMut(&mut Table, &Row)| -> Result<()> {
            for row in rows(session, sql)? {
                if let Some(place) = places.get(&int(&row[0])) {
                    add(&mut schema.tables[*place], &row);
                }
            }
            Ok(())
        };
    grouped(session, COLUMNS, &mut |table, row| table.columns.push(column(row)))?;
    let mut found: Vec<FoundIndex> = Vec::new();
    grouped(session, INDEXES, &mut |table, row| add_index_column(&mut found, table, row))?;
    if references {
        grouped(session, REFERENCES, &mut add_reference)?;
    }
    if triggers {
        grouped(session, TRIGGERS, &mut |table, row| table.triggers.push(trigger(row)))?;
    }
    if rules {
        grouped(session, RULES, &mut |table, row| table.rules.push(trigger(row)))?;
    }
    if heirs {
        grouped(session, PARENTS, &mut |table, row| table.parents.push(name(&row[1], &row[2])))?;
        grouped(session, CHILDREN, &mut |table, row| table.children.push(name(&row[1], &row[2])))?;
    }
    let names: HashMap<TableName, usize> =
        schema.tables.iter().enumerate().map(|(place, table)| (table.name.clone(), place)).collect();
    for index in found {
        if let Some(place) = names.get(&index.table) {
            index.add_to(&mut schema.tables[*place]);
        }
    }
    for row in rows(session, "select s::text from unnest(current_schemas(false)) as s")? {
        schema.search_path.push(text(&row[0]));
    }
    Ok(schema)
}

fn rows(session: &mut Connected, sql: &str) -> Result<Vec<Row>> {
    session.rows(&Sql::new(&sql.replace("{OURS}", OURS)))
}

const TABLES: &str = "
    with locked as materialized (
      select relation from pg_locks where mode = 'AccessExclusiveLock' and granted and relation is not null)
    select c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples::double precision, c.relpages,
           case when c.relkind in ('r', 'm') and c.oid not in (select relation from locked)
                then pg_total_relation_size(c.oid) end,
           has_table_privilege(c.oid, 'select'), has_table_privilege(c.oid, 'insert'),
           has_any_column_privilege(c.oid, 'update'), has_table_privilege(c.oid, 'delete'),
           pg_has_role(c.relowner, 'usage'),
           c.relhastriggers, c.relhasrules, c.relhassubclass or c.relispartition,
           (select exists (select from pg_constraint where contype = 'f'))
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'v', 'm') and {OURS}
    order by n.nspname, c.relname";

fn table(row: &Row) -> Table {
    let kind = match text(&row[3]).as_str() {
        "r" => TableKind::Ordinary,
        "p" => TableKind::Partitioned,
        "f" => TableKind::Foreign,
        _ => TableKind::View,
    };
    let estimate = row[4].as_real().unwrap_or(-1.0);
    // Servers before 14 say 0 for "never counted"; a counted empty table has no pages either, so nothing is lost.
    let counted = estimate > 0.0 || (estimate == 0.0 && int(&row[5]) > 0);
    Table {
        name: name(&row[1], &row[2]),
        kind,
        columns: Vec::new(),
        key: None,
        uniques: Vec::new(),
        indexes: Vec::new(),
        references: Vec::new(),
        triggers: Vec::new(),
        rules: Vec::new(),
        rights: Rights {
            select: row[7].as_bool() == Some(true),
            insert: row[8].as_bool() == Some(true),
            update: row[9].as_bool() == Some(true),
            delete: row[10].as_bool() == Some(true),
            owner: row[11].as_bool() == Some(true),
        },
        parents: Vec::new(),
        children: Vec::new(),
        rowid: None,
        rows_estimate: counted.then_some(estimate as u64),
        bytes: row[6].as_int().map(|bytes| bytes as u64),
    }
}

const COLUMNS: &str = "
    with recursive locked as materialized (
      select relation from pg_locks where mode = 'AccessExclusiveLock' and granted and relation is not null),
    base as (
      select oid, oid as base from pg_type where typtype <> 'd'
      union all
      select d.oid, base.base from pg_type d join base on base.oid = d.typbasetype where d.typtype = 'd')
    select a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), b.typname, b.typcategory::text, a.attnotnull,
           case when c.oid not in (select relation from locked) then pg_get_expr(d.adbin, d.adrelid) end,
           a.attgenerated::text, a.attidentity::text
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join base on base.oid = a.atttypid
    join pg_type b on b.oid = base.base
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'v', 'm') and {OURS}
    order by a.attrelid, a.attnum";

fn column(row: &Row) -> Column {
    let generated = match text(&row[7]).as_str() {
        "" => Generated::No,
        "s" => Generated::Stored,
        _ => Generated::Virtual,
    };
    Column {
        name: text(&row[1]),
        declared: text(&row[2]),
        family: family(&text(&row[3]), &text(&row[4])),
        not_null: row[5].as_bool() == Some(true),
        // The expression of a generated column is not a default: it cannot be written.
        default: row[6].as_text().filter(|_| generated == Generated::No).map(str::to_owned),
        generated,
        identity: !text(&row[8]).is_empty(),
    }
}

fn family(base: &str, category: &str) -> Family {
    match base {
        "int2" | "int4" | "int8" => Family::Integer,
        "float4" | "float8" => Family::Real,
        "numeric" => Family::Numeric,
        "bytea" => Family::Blob,
        "bool" => Family::Bool,
        "date" => Family::Date,
        "timestamp" => Family::Timestamp,
        "timestamptz" => Family::TimestampTz,
        "json" | "jsonb" => Family::Json,
        "uuid" => Family::Uuid,
        "text" | "varchar" | "bpchar" | "name" | "citext" => Family::Text,
        _ if category == "S" && base != "xml" && base != "char" => Family::Text,
        _ => Family::Other,
    }
}

const INDEXES: &str = "
    select i.indrelid, ic.relname, i.indisunique, i.indisprimary, i.indisvalid and i.indisready,
           i.indpred is not null, i.indimmediate, a.attname, am.amname = 'btree',
           pg_get_expr(i.indpred, i.indrelid)
    from pg_index i
    join pg_class ic on ic.oid = i.indexrelid
    join pg_am am on am.oid = ic.relam
    join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
    left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum <> 0
    where k.n <= i.indnkeyatts and i.indislive and {OURS}
    order by i.indrelid, not i.indisprimary, ic.relname, k.n";

/// An index in the making, with what only the choice of the key needs.
struct FoundIndex {
    table: TableName,
    index: Index,
    primary: bool,
    immediate: bool,
}

fn add_index_column(found: &mut Vec<FoundIndex>, table: &Table, row: &Row) {
    let flag = |n: usize| row[n].as_bool() == Some(true);
    let index_name = text(&row[1]);
    let column = row[7].as_text().map(str::to_owned);
    match found.last_mut().filter(|last| last.table == table.name && last.index.name == index_name) {
        Some(last) => last.index.columns.push(column),
        None => found.push(FoundIndex {
            table: table.name.clone(),
            index: Index {
                name: index_name,
                columns: vec![column],
                unique: flag(2),
                partial: flag(5),
                only: row[9].as_text().map(str::to_owned),
                valid: flag(4),
                sorted: flag(8),
            },
            primary: flag(3),
            immediate: flag(6),
        }),
    }
}

impl FoundIndex {
    fn add_to(self, table: &mut Table) {
        let index = self.index;
        let columns: Option<Vec<String>> = index.columns.iter().cloned().collect();
        if let Some(columns) = columns.filter(|_| index.unique && index.valid && !index.partial) {
            let key = Key { name: index.name.clone(), columns };
            let tells_apart = self.immediate
                && key.columns.iter().all(|name| table.column(name).is_some_and(|column| column.not_null));
            // Primary keys come first, so a unique key is taken only where there is none.
            if table.key.is_none() && (self.primary || tells_apart) {
                table.key = Some(key.clone());
            }
            table.uniques.push(key);
        }
        table.indexes.push(index);
    }
}

const REFERENCES: &str = "
    select k.conrelid, k.conname, pn.nspname, p.relname, k.confdeltype::text, k.convalidated, a.attname, pa.attname,
           k.convalidated and not c.relhasrules and not c.relrowsecurity and not exists (
             select from pg_trigger g where g.tgconstraint = k.oid and g.tgenabled not in ('O', 'A')),
           exists (select 1 from pg_trigger g where g.tgconstraint = k.oid and g.tgrelid = k.conrelid and g.tgenabled in ('O', 'A'))
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_class p on p.oid = k.confrelid
    join pg_namespace pn on pn.oid = p.relnamespace
    cross join lateral unnest(k.conkey, k.confkey) with ordinality as pair (attnum, parent_attnum, n)
    join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.attnum
    join pg_attribute pa on pa.attrelid = k.confrelid and pa.attnum = pair.parent_attnum
    where k.contype = 'f' and k.conparentid = 0 and {OURS}
    order by k.conrelid, k.conname, pair.n";

fn add_reference(table: &mut Table, row: &Row) {
    let constraint = text(&row[1]);
    let (column, parent_column) = (text(&row[6]), text(&row[7]));
    if let Some(last) = table.references.last_mut().filter(|last| last.name == constraint) {
        last.columns.push(column);
        last.parent_columns.push(parent_column);
        return;
    }
    let number = table.references.len() as i64;
    table.references.push(ForeignKey {
        name: constraint,
        number,
        columns: vec![column],
        parent: name(&row[2], &row[3]),
        parent_columns: vec![parent_column],
        on_delete: match text(&row[4]).as_str() {
            "r" => Action::Restrict,
            "c" => Action::Cascade,
            "n" => Action::SetNull,
            "d" => Action::SetDefault,
            _ => Action::NoAction,
        },
        validated: row[5].as_bool() == Some(true),
        acts_on_all: row[8].as_bool() == Some(true),
        checks_writes: row[9].as_bool() == Some(true),
    });
}

const TRIGGERS: &str = "
    select g.tgrelid, g.tgname, g.tgtype::int, g.tgenabled in ('O', 'A')
    from pg_trigger g
    join pg_class c on c.oid = g.tgrelid
    join pg_namespace n on n.oid = c.relnamespace
    where not g.tgisinternal and {OURS}
    order by g.tgrelid, g.tgname";

fn trigger(row: &Row) -> Trigger {
    let events = int(&row[2]);
    Trigger {
        name: text(&row[1]),
        on_insert: events & 4 != 0,
        on_update: events & 16 != 0,
        on_delete: events & 8 != 0,
        enabled: row[3].as_bool() == Some(true),
    }
}

/// In the shape of triggers: the bits say on what.
const RULES: &str = "
    select r.ev_class, r.rulename, case r.ev_type when '2' then 16 when '3' then 4 when '4' then 8 else 0 end,
           r.ev_enabled in ('O', 'A')
    from pg_rewrite r
    join pg_class c on c.oid = r.ev_class
    join pg_namespace n on n.oid = c.relnamespace
    where r.ev_type <> '1' and {OURS}
    order by r.ev_class, r.rulename";

const PARENTS: &str = "
    select i.inhrelid, n.nspname, c.relname
    from pg_inherits i join pg_class c on c.oid = i.inhparent join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') and {OURS}
    order by i.inhrelid, i.inhseqno";

const CHILDREN: &str = "
    select i.inhparent, n.nspname, c.relname
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') and {OURS}
    order by i.inhparent, n.nspname, c.relname";

fn name(schema: &Value, table: &Value) -> TableName {
    TableName::within(&text(schema), &text(table))
}

fn text(value: &Value) -> String {
    value.as_text().unwrap_or_default().to_owned()
}

fn int(value: &Value) -> i64 {
    value.as_int().unwrap_or_default()
}

/// The columns of one table, without the rest of the schema.
pub(super) fn columns_of(table: &TableName) -> Sql {
    Sql::new(
        "select n.nspname, c.relname, a.attname
         from pg_attribute as a
         join pg_class as c on c.oid = a.attrelid
         join pg_namespace as n on n.oid = c.relnamespace
         where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p') and c.oid = to_regclass(",
    )
    .bind(table.quoted())
    .text(") order by a.attnum")
}

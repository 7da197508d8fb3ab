//! The schema as objects with their definitions, as the server spells them: one query for each sort of object.
//!
//! Names are spelled with their schema whatever the search path is, so that two databases can be compared. Left out: what
//! extensions made, the system's, temporary ones, Sexton's own, what hangs on a partition only because it hangs on the parent,
//! and casts, operators, text search and foreign servers.

use super::session::Connected;
use std::collections::BTreeMap;
use targets::db::{Error, Object, Result, Sql, Value};

/// Everything, sort by sort.
pub(super) fn read(session: &mut Connected) -> Result<Vec<Object>> {
    let mut all = Vec::new();
    let parts = [SCHEMAS, TYPES, SEQUENCES, TABLES, COLUMNS, CONSTRAINTS, INDEXES, VIEWS, RULES];
    for sql in parts.into_iter().chain([FUNCTIONS, TRIGGERS, POLICIES, OTHERS, GRANTS, COMMENTS]) {
        let sql = sql.replace("{OURS}", OURS).replace("{PRIVILEGES}", PRIVILEGES);
        let sql = sql.replace("{COLLATION of t.typcollation}", &COLLATION.replace("{OID}", "t.typcollation"));
        let sql = sql.replace("{COLLATION of a.attcollation}", &COLLATION.replace("{OID}", "a.attcollation"));
        session.ask_after(Some(NO_PATH), &Sql::new(&sql), &mut |row| {
            all.push(object(&row)?);
            Ok(())
        })?;
    }
    Ok(all)
}

/// With no path every name is spelled in full.
const NO_PATH: &str = "select set_config('search_path', '', true)";

const OURS: &str = "n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'sexton')
    and n.nspname !~ '^pg_(toast_)?temp_'";

/// A collation as statements spell it; `regcollation` came with PostgreSQL 13.
const COLLATION: &str = "(select case cn.nspname when 'pg_catalog' then quote_ident(co.collname)
                                 else format('%I.%I', cn.nspname, co.collname) end
                from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = {OID})";

/// The columns of every query: kind, name, of, create, drop, facts, set.
fn object(row: &[Value]) -> Result<Object> {
    let text = |n: usize| row.get(n).and_then(Value::as_text).map(str::to_owned);
    let map = |n: usize| -> Result<BTreeMap<String, String>> {
        let Some(text) = text(n) else { return Ok(BTreeMap::new()) };
        serde_json::from_str(&text)
            .map_err(|error| Error::system("the catalogue of the server cannot be read").because(error))
    };
    Ok(Object {
        kind: text(0).unwrap_or_default(),
        name: text(1).unwrap_or_default(),
        of: text(2),
        create: text(3),
        drop: text(4),
        facts: map(5)?,
        set: map(6)?,
    })
}

const SCHEMAS: &str = "
    select 'schema', quote_ident(n.nspname), null, format('create schema %I', n.nspname), null, null, null
    from pg_namespace n
    where {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_namespace'::regclass and x.objid = n.oid and x.deptype = 'e')
    union all
    select 'extension', quote_ident(e.extname), null,
           format('create extension %I schema %I', e.extname, n.nspname), null,
           jsonb_build_object('version', e.extversion, 'schema', n.nspname)::text, null
    from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    order by 1, 2";

const TYPES: &str = "
    select case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' else 'composite' end,
           format('%I.%I', n.nspname, t.typname), null,
           case t.typtype
             when 'e' then format('create type %I.%I as enum (%s)', n.nspname, t.typname,
                                  (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
                                   from pg_enum where enumtypid = t.oid))
             when 'c' then format('create type %I.%I as (%s)', n.nspname, t.typname, fields.list) end,
           null,
           jsonb_strip_nulls(jsonb_build_object(
             'labels', case t.typtype when 'e' then
               coalesce((select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
                         from pg_enum where enumtypid = t.oid), '') end,
             'type', case t.typtype when 'd' then format_type(t.typbasetype, t.typtypmod) end,
             'not null', case when t.typtype = 'd' and t.typnotnull then 'yes' end,
             'default', case t.typtype when 'd' then pg_get_expr(t.typdefaultbin, 0) end,
             'collation', case when t.typtype = 'd' and t.typcollation <> b.typcollation
               then {COLLATION of t.typcollation} end,
             'checks', (select string_agg(format('%I %s', k.conname, pg_get_constraintdef(k.oid)), e'\\n' order by k.conname)
                        from pg_constraint k where k.contypid = t.oid and k.contype = 'c'),
             'fields', fields.list,
             'subtype', (select format_type(g.rngsubtype, null) from pg_range g where g.rngtypid = t.oid)))::text,
           null
    from pg_type t
    join pg_namespace n on n.oid = t.typnamespace
    left join pg_type b on b.oid = t.typbasetype
    left join pg_class c on c.oid = t.typrelid
    left join lateral (
      select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) as list
      from pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) as fields on true
    where {OURS} and (t.typtype in ('e', 'd', 'r') or c.relkind = 'c') and not exists (
      select from pg_depend x where x.classid = 'pg_type'::regclass and x.objid = t.oid and x.deptype = 'e')
    order by 1, 2";

const SEQUENCES: &str = "
    select 'sequence', format('%I.%I', n.nspname, c.relname), owner.of,
           format('create sequence %I.%I as %s start with %s increment by %s minvalue %s maxvalue %s cache %s%s',
                  n.nspname, c.relname, format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
                  s.seqcache, case when s.seqcycle then ' cycle' else '' end),
           null,
           jsonb_strip_nulls(jsonb_build_object(
             'type', format_type(s.seqtypid, null), 'start', s.seqstart::text, 'increment', s.seqincrement::text,
             'minimum', s.seqmin::text, 'maximum', s.seqmax::text, 'cache', s.seqcache::text,
             'cycle', case when s.seqcycle then 'yes' end, 'owned by', owner.by))::text,
           case when owner.by is not null then jsonb_build_object(
             'owned by', format('alter sequence %I.%I owned by %s', n.nspname, c.relname, owner.by))::text end
    from pg_sequence s
    join pg_class c on c.oid = s.seqrelid
    join pg_namespace n on n.oid = c.relnamespace
    left join lateral (
      select format('%I.%I', tn.nspname, t.relname) as of, format('%I.%I.%I', tn.nspname, t.relname, a.attname) as by
      from pg_depend d
      join pg_class t on t.oid = d.refobjid
      join pg_namespace tn on tn.oid = t.relnamespace
      join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
        and d.deptype = 'a') as owner on true
    where {OURS} and not exists (
      select from pg_depend x
      where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype in ('e', 'i'))
    order by 1, 2";

const TABLES: &str = "
    select case c.relkind when 'f' then 'foreign table' else 'table' end, format('%I.%I', n.nspname, c.relname), null,
           null, null,
           jsonb_strip_nulls(jsonb_build_object(
             'columns', (select string_agg(a.attname, e'\\n' order by a.attnum) from pg_attribute a
                         where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
             'unlogged', case when c.relpersistence = 'u' then 'yes' end,
             'partition by', case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
             'inherits', (select string_agg(format('%I.%I', pn.nspname, p.relname), ', ' order by i.inhseqno)
                          from pg_inherits i join pg_class p on p.oid = i.inhparent
                          join pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid),
             'partition', pg_get_expr(c.relpartbound, c.oid),
             'of type', case when c.reloftype <> 0 then format_type(c.reloftype, null) end,
             'access method', (select am.amname from pg_am am where am.oid = c.relam and am.amname <> 'heap'),
             'options', array_to_string(c.reloptions, ', '),
             'row security', case when c.relforcerowsecurity then 'forced' when c.relrowsecurity then 'yes' end,
             'replica identity', case c.relreplident when 'n' then 'nothing' when 'f' then 'full' when 'i' then 'index' end))::text,
           null
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f') and {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    order by 1, 2";

const COLUMNS: &str = "
    select 'column', quote_ident(a.attname), f.tbl,
           format('alter table %s add column %I %s', f.tbl, a.attname, concat_ws(' ', f.typ, 'collate ' || f.coll,
                  case when f.expr is null then null when a.attgenerated <> '' then format('generated always as (%s) %s', f.expr, f.kept)
                       else 'default ' || f.expr end,
                  'generated ' || f.identity || ' as identity', case when a.attnotnull then 'not null' end)),
           null,
           jsonb_strip_nulls(jsonb_build_object(
             'type', f.typ, 'collation', f.coll, 'not null', case when a.attnotnull then 'yes' end,
             'default', case when a.attgenerated = '' then f.expr end,
             'generated', case when a.attgenerated <> '' then concat_ws(' ', f.expr, nullif(f.kept, 'stored')) end,
             'identity', f.identity,
             'inherited', case when a.attinhcount > 0 and a.attislocal then 'also here'
                               when a.attinhcount > 0 then 'yes' end,
             'storage', case when a.attstorage <> t.typstorage then
               case a.attstorage when 'p' then 'plain' when 'e' then 'external' when 'm' then 'main' else 'extended' end end))::text,
           jsonb_strip_nulls(jsonb_build_object(
             'default', case when a.attgenerated = '' and a.attidentity = '' then
               format('alter table %s alter column %I %s', f.tbl, a.attname, coalesce('set default ' || f.expr, 'drop default')) end,
             'not null', case when not a.attnotnull then
               format('alter table %s alter column %I drop not null', f.tbl, a.attname) end))::text
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    cross join lateral (
      select format('%I.%I', n.nspname, c.relname) as tbl, format_type(a.atttypid, a.atttypmod) as typ,
             case when a.attcollation <> t.typcollation then {COLLATION of a.attcollation} end as coll,
             pg_get_expr(d.adbin, d.adrelid) as expr,
             case a.attgenerated when 'v' then 'virtual' else 'stored' end as kept,
             case a.attidentity when 'a' then 'always' when 'd' then 'by default' end as identity) as f
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f') and {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    order by a.attrelid, a.attnum";

const CONSTRAINTS: &str = "
    select case k.contype when 'p' then 'primary key' when 'u' then 'unique' when 'c' then 'check' when 'f' then 'foreign key'
             else 'exclusion' end,
           quote_ident(k.conname), f.tbl,
           format('alter table %s add constraint %I %s', f.tbl, k.conname, pg_get_constraintdef(k.oid)),
           format('alter table %s drop constraint %I', f.tbl, k.conname),
           jsonb_strip_nulls(jsonb_build_object(
             'definition', regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
             'valid', case when not k.convalidated then 'no' end,
             'switched off', case when k.contype = 'f' and not exists (
               select from pg_trigger g where g.tgconstraint = k.oid and g.tgenabled <> 'D') then 'yes' end))::text,
           case when k.convalidated and k.contype in ('c', 'f') then jsonb_build_object(
             'valid', format('alter table %s validate constraint %I', f.tbl, k.conname))::text end
    from pg_constraint k
    join pg_class c on c.oid = k.conrelid
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (select format('%I.%I', n.nspname, c.relname) as tbl) as f
    where k.contype in ('p', 'u', 'c', 'f', 'x') and k.conparentid = 0 and (k.conislocal or k.contype <> 'c') and {OURS}
      and not exists (
        select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    order by 1, 3, 2";

const INDEXES: &str = "
    select 'index', format('%I.%I', n.nspname, ic.relname), format('%I.%I', n.nspname, c.relname),
           f.sql, format('drop index %I.%I', n.nspname, ic.relname),
           jsonb_strip_nulls(jsonb_build_object(
             'definition', f.sql, 'valid', case when not i.indisvalid then 'no' end))::text,
           null
    from pg_index i
    join pg_class ic on ic.oid = i.indexrelid
    join pg_class c on c.oid = i.indrelid
    join pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      select case c.relkind when 'p' then replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
                            else pg_get_indexdef(i.indexrelid) end as sql) as f
    where c.relkind in ('r', 'p', 'm') and not ic.relispartition and {OURS}
      and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
      and not exists (
        select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    order by 3, 2";

const VIEWS: &str = "
    select case c.relkind when 'v' then 'view' else 'materialized view' end, format('%I.%I', n.nspname, c.relname), null,
           format(case c.relkind when 'v' then 'create or replace view %I.%I%s as%s'
                                 else 'create materialized view %I.%I%s as%s' end,
                  n.nspname, c.relname, ' with (' || array_to_string(c.reloptions, ', ') || ')',
                  e'\\n' || rtrim(pg_get_viewdef(c.oid), ';')),
           format('drop %s %I.%I', case c.relkind when 'v' then 'view' else 'materialized view' end, n.nspname, c.relname),
           jsonb_strip_nulls(jsonb_build_object(
             'definition', rtrim(pg_get_viewdef(c.oid), ';'), 'options', array_to_string(c.reloptions, ', ')))::text,
           null
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('v', 'm') and {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    order by 1, 2";

const RULES: &str = "
    select 'rule', quote_ident(r.rulename), format('%I.%I', n.nspname, c.relname), pg_get_ruledef(r.oid),
           format('drop rule %I on %I.%I', r.rulename, n.nspname, c.relname),
           jsonb_strip_nulls(jsonb_build_object(
             'definition', pg_get_ruledef(r.oid), 'enabled', nullif(r.ev_enabled::text, 'O')))::text,
           null
    from pg_rewrite r join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
    where r.rulename <> '_RETURN' and {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_rewrite'::regclass and x.objid = r.oid and x.deptype = 'e')
    order by 3, 2";

const FUNCTIONS: &str = "
    select case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end,
           format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), null,
           case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
           format('drop %s %I.%I(%s)', case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end,
                  n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
           case when p.prokind <> 'a' then jsonb_build_object('definition', pg_get_functiondef(p.oid))
                else (select jsonb_strip_nulls(jsonb_build_object(
                        'state', format_type(g.aggtranstype, null), 'step', g.aggtransfn::text,
                        'final', nullif(g.aggfinalfn::text, '-'), 'combine', nullif(g.aggcombinefn::text, '-'),
                        'initial', g.agginitval, 'sort operator', nullif(g.aggsortop::regoperator::text, '0'),
                        'kind', nullif(g.aggkind::text, 'n')))
                      from pg_aggregate g where g.aggfnoid = p.oid) end::text,
           null
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_proc'::regclass and x.objid = p.oid and x.deptype in ('e', 'i'))
    order by 1, 2";

const TRIGGERS: &str = "
    select 'trigger', quote_ident(g.tgname), format('%I.%I', n.nspname, c.relname), pg_get_triggerdef(g.oid),
           format('drop trigger %I on %I.%I', g.tgname, n.nspname, c.relname),
           jsonb_strip_nulls(jsonb_build_object(
             'definition', pg_get_triggerdef(g.oid),
             'enabled', case g.tgenabled when 'D' then 'no' when 'R' then 'on replicas' when 'A' then 'always' end))::text,
           jsonb_build_object('enabled', format('alter table %I.%I %s trigger %I', n.nspname, c.relname,
             case g.tgenabled when 'D' then 'disable' when 'R' then 'enable replica' when 'A' then 'enable always' else 'enable' end,
             g.tgname))::text
    from pg_trigger g join pg_class c on c.oid = g.tgrelid join pg_namespace n on n.oid = c.relnamespace
    where not g.tgisinternal and {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_trigger'::regclass and x.objid = g.oid and x.deptype in ('e', 'P', 'S'))
    union all
    select 'event trigger', quote_ident(v.evtname), null, null, null,
           jsonb_strip_nulls(jsonb_build_object(
             'event', v.evtevent::text, 'function', v.evtfoid::regproc::text, 'tags', array_to_string(v.evttags, ', '),
             'enabled', nullif(v.evtenabled::text, 'O')))::text,
           null
    from pg_event_trigger v
    where not exists (
      select from pg_depend x where x.classid = 'pg_event_trigger'::regclass and x.objid = v.oid and x.deptype = 'e')
    order by 1, 3, 2";

const POLICIES: &str = "
    select 'policy', quote_ident(p.polname), format('%I.%I', n.nspname, c.relname), null, null,
           jsonb_strip_nulls(jsonb_build_object(
             'for', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                      else 'all' end,
             'restrictive', case when not p.polpermissive then 'yes' end,
             'to', (select string_agg(case r when 0 then 'public' else r::regrole::text end, ', ' order by r::regrole::text)
                    from unnest(p.polroles) as r),
             'using', pg_get_expr(p.polqual, p.polrelid), 'with check', pg_get_expr(p.polwithcheck, p.polrelid)))::text,
           null
    from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
    where {OURS}
    order by 3, 2";

const OTHERS: &str = "
    select 'statistics', format('%I.%I', n.nspname, s.stxname), format('%I.%I', cn.nspname, c.relname),
           pg_get_statisticsobjdef(s.oid), format('drop statistics %I.%I', n.nspname, s.stxname),
           jsonb_build_object('definition', pg_get_statisticsobjdef(s.oid))::text, null
    from pg_statistic_ext s
    join pg_namespace n on n.oid = s.stxnamespace
    join pg_class c on c.oid = s.stxrelid
    join pg_namespace cn on cn.oid = c.relnamespace
    where {OURS}
    union all
    select 'collation', format('%I.%I', n.nspname, o.collname), null, null, null,
           jsonb_strip_nulls(jsonb_build_object(
             'provider', o.collprovider::text, 'deterministic', case when not o.collisdeterministic then 'no' end,
             'lc_collate', o.collcollate::text, 'lc_ctype', o.collctype::text))::text,
           null
    from pg_collation o join pg_namespace n on n.oid = o.collnamespace
    where {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_collation'::regclass and x.objid = o.oid and x.deptype = 'e')
    union all
    select 'publication', quote_ident(p.pubname), null, null, null,
           jsonb_strip_nulls(jsonb_build_object(
             'all tables', case when p.puballtables then 'yes' end,
             'operations', concat_ws(', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end,
                                     case when p.pubdelete then 'delete' end, case when p.pubtruncate then 'truncate' end),
             'tables', (select string_agg(format('%I.%I', t.schemaname, t.tablename), ', ' order by t.schemaname, t.tablename)
                        from pg_publication_tables t where t.pubname = p.pubname and not p.puballtables)))::text,
           null
    from pg_publication p
    order by 1, 2";

/// The rights that a list of the catalogue grants to others than the owner: one list for each role.
const PRIVILEGES: &str = "
      select case x.grantee when 0 then 'public' else x.grantee::regrole::text end as role,
             string_agg(lower(x.privilege_type) || case when x.is_grantable then ' with grant option' else '' end, ', '
                        order by x.privilege_type) as list";

const GRANTS: &str = "
    select 'grant', format('to %s', p.role), format('%I.%I', n.nspname, c.relname), null, null,
           jsonb_build_object('rights', p.list)::text, null
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    cross join lateral ({PRIVILEGES} from aclexplode(c.relacl) as x where x.grantee <> c.relowner group by x.grantee) as p
    where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
    union all
    select 'grant', format('on %I to %s', a.attname, p.role), format('%I.%I', n.nspname, c.relname), null, null,
           jsonb_build_object('rights', p.list)::text, null
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    cross join lateral ({PRIVILEGES} from aclexplode(a.attacl) as x where x.grantee <> c.relowner group by x.grantee) as p
    where not a.attisdropped and c.relkind in ('r', 'p', 'f', 'v', 'm') and {OURS}
    union all
    select 'grant', format('to %s', p.role),
           format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)), null, null,
           jsonb_build_object('rights', p.list)::text, null
    from pg_proc f join pg_namespace n on n.oid = f.pronamespace
    cross join lateral ({PRIVILEGES} from aclexplode(f.proacl) as x where x.grantee <> f.proowner group by x.grantee) as p
    where {OURS} and not exists (
      select from pg_depend x where x.classid = 'pg_proc'::regclass and x.objid = f.oid and x.deptype = 'e')
    union all
    select 'grant', format('to %s', p.role), quote_ident(n.nspname), null, null,
           jsonb_build_object('rights', p.list)::text, null
    from pg_namespace n
    cross join lateral ({PRIVILEGES} from aclexplode(n.nspacl) as x where x.grantee <> n.nspowner group by x.grantee) as p
    where {OURS}
    order by 3, 2";

const COMMENTS: &str = "
    select 'comment', i.type || ' ' || i.identity, null,
           case when i.type in ('table', 'view', 'materialized view', 'index', 'sequence', 'function', 'procedure', 'schema', 'type')
                then format('comment on %s %s is %L', i.type, i.identity, d.description)
                when i.type = 'table column' then format('comment on column %s is %L', i.identity, d.description) end,
           null, jsonb_build_object('text', d.description)::text, null
    from pg_description d
    cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) as i
    left join pg_namespace n on n.nspname = i.schema
    where (case when i.schema is null then i.type in ('schema', 'trigger', 'table constraint', 'policy', 'rule', 'table column')
                else {OURS} end)
      and i.identity not like 'pg\\_%' and i.identity not like 'information\\_schema%' and i.identity not like 'sexton.%'
      and d.objoid >= 16384
      and not exists (
        select from pg_depend x where x.classid = d.classoid and x.objid = d.objoid and x.deptype = 'e')
    order by 2";

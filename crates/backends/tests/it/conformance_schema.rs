//! The catalogue is read completely and exactly.

use targets::db::{Action, Family, Generated, Sql, Table, TableKind, TableName, Value};
use testkit::Place;
use testkit::both;

#[test]
fn keys_references_indexes_and_triggers_are_seen_on_both() {
    both(|place| {
        place.script2(
            "create table parent (a integer not null, b text not null, primary key (a, b));
             create table child (
               id integer primary key, pa integer, pb text, code text not null unique,
               foreign key (pa, pb) references parent (a, b) on delete set null);
             create index child_parent on child (pa, pb);
             create unique index child_some on child (pb) where pa > 1;
             create index child_lower on child (lower(code), id);
             create trigger child_gone after delete on child begin select 1; end;",
            "create table parent (a integer not null, b text not null, primary key (a, b));
             create table child (
               id integer primary key, pa integer, pb text, code text not null unique,
               foreign key (pa, pb) references parent (a, b) on delete set null);
             create index child_parent on child (pa, pb);
             create unique index child_some on child (pb) where pa > 1;
             create index child_lower on child (lower(code), id);
             create function nothing() returns trigger language plpgsql as 'begin return null; end';
             create trigger child_gone after delete on child execute function nothing();",
        );
        let schema = place.database().read().unwrap().schema().unwrap();
        let child = schema.find("child").unwrap();
        assert_eq!(child.key.as_ref().unwrap().columns, ["id"]);
        assert_eq!(child.kind, TableKind::Ordinary);
        let uniques: Vec<_> = child.uniques.iter().map(|key| key.columns.join(" ")).collect();
        assert!(uniques.contains(&"code".to_owned()), "{uniques:?}");
        assert!(!uniques.contains(&"pb".to_owned()), "partial: {uniques:?}");
        let index = |name: &str| child.indexes.iter().find(|index| index.name == name).unwrap();
        assert_eq!(index("child_parent").columns, [Some("pa".into()), Some("pb".into())]);
        assert_eq!(index("child_lower").columns, [None, Some("id".into())]);
        assert!(index("child_some").partial && index("child_some").unique);
        assert_eq!(
            index("child_some").only.as_deref().map(|only| only.trim_matches(['(', ')'])),
            Some("pa > 1")
        );
        assert_eq!(index("child_parent").only, None);
        let reference = &child.references[0];
        assert_eq!(reference.columns, ["pa", "pb"]);
        assert_eq!(reference.parent_columns, ["a", "b"]);
        assert_eq!(reference.on_delete, Action::SetNull);
        assert_eq!(schema.referring(&schema.find("parent").unwrap().name).len(), 1);
        let trigger = &child.triggers[0];
        assert_eq!(
            (trigger.name.as_str(), trigger.on_delete, trigger.on_insert),
            ("child_gone", true, false)
        );
        assert!(trigger.enabled);
        assert!(child.column("code").unwrap().not_null && !child.column("pa").unwrap().not_null);
        assert_eq!(schema.find("parent").unwrap().key.as_ref().unwrap().columns, ["a", "b"]);
    });
}

#[test]
fn types_are_sorted_into_families_through_domains() {
    let place = Place::postgres();
    place.script(
        "create domain cents as bigint; create domain price as cents check (value >= 0);
         create type mood as enum ('a');
         create table t (
           i smallint default 7, r real, n numeric(5, 2), t varchar(20), c char(3), b bytea, f bool, d date,
           ts timestamp(3), tz timestamptz, j jsonb, u uuid, p price, m mood, a int[], x xml,
           g int generated always as (i * 2) stored, id int generated always as identity)",
    );
    let schema = place.database().read().unwrap().schema().unwrap();
    let table = schema.find("t").unwrap();
    let families: Vec<Family> = table.columns.iter().map(|column| column.family).collect();
    use Family::*;
    assert_eq!(
        families,
        [
            Integer,
            Real,
            Numeric,
            Text,
            Text,
            Blob,
            Bool,
            Date,
            Timestamp,
            TimestampTz,
            Json,
            Uuid,
            Integer,
            Other,
            Other,
            Other,
            Integer,
            Integer
        ]
    );
    assert_eq!(table.column("t").unwrap().declared, "character varying(20)");
    assert_eq!(table.column("p").unwrap().declared, "price");
    assert_eq!(table.column("i").unwrap().default.as_deref(), Some("7"));
    let g = table.column("g").unwrap();
    assert_eq!((g.generated, g.default.as_deref()), (Generated::Stored, None));
    assert!(table.column("id").unwrap().identity);
}

#[test]
fn only_a_sure_key_is_a_key() {
    let place = Place::postgres();
    place.script(
        "create table maybe (a int unique, b int not null);
         create unique index on maybe (b) where a > 0;
         create unique index on maybe ((b + 1));
         create table late (a int not null unique deferrable);
         create table sure (a int unique, b int not null, c int not null, unique (b, c));
         create table bare (a int)",
    );
    let schema = place.database().read().unwrap().schema().unwrap();
    let key = |name: &str| schema.find(name).unwrap().key.as_ref().map(|key| key.columns.join(" "));
    assert_eq!(key("maybe"), None);
    assert_eq!(key("late"), None);
    assert_eq!(key("sure").as_deref(), Some("b c"));
    assert_eq!(key("bare"), None);
    assert_eq!(schema.find("maybe").unwrap().uniques.len(), 1);
    assert_eq!(schema.find("maybe").unwrap().indexes.len(), 3);
}

#[test]
fn partitions_heirs_views_and_foreign_tables_are_told_apart() {
    let place = Place::postgres();
    place.admin_script(
        "create extension postgres_fdw; create server s foreign data wrapper postgres_fdw;
         create foreign table far (id int) server s;
         grant all on far to app",
    );
    place.script(
        "create table log (id int, at date, unique (id, at)) partition by range (at);
         create table log_1 partition of log for values from ('2025-01-01') to ('2026-01-01');
         create table parent (id int primary key); create table heir () inherits (parent);
         create table child (id int references parent, log_id int, at date, foreign key (log_id, at) references log (id, at));
         alter table child add constraint unsure foreign key (id) references parent not valid;
         create view v as select 1 as one; create materialized view mv as select 1 as one;
         create temporary table passing (id int);
         create schema sexton; create table sexton.undo_1 (id int)",
    );
    let schema = place.database().read().unwrap().schema().unwrap();
    let table = |name: &str| schema.find(name).unwrap();
    let names: Vec<String> = schema.tables.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["child", "far", "heir", "log", "log_1", "mv", "parent", "v"]);
    assert_eq!(table("log").kind, TableKind::Partitioned);
    assert_eq!(table("log").children, [TableName::within("public", "log_1")]);
    assert_eq!(table("log_1").parents, [TableName::within("public", "log")]);
    assert_eq!(table("heir").parents, [TableName::within("public", "parent")]);
    assert_eq!(
        (table("far").kind, table("v").kind, table("mv").kind),
        (TableKind::Foreign, TableKind::View, TableKind::View)
    );
    let references: Vec<(&str, bool)> =
        table("child").references.iter().map(|key| (key.name.as_str(), key.validated)).collect();
    assert_eq!(references, [("child_id_fkey", true), ("child_log_id_at_fkey", true), ("unsure", false)]);
    assert!(table("log_1").references.is_empty());
    assert_eq!(schema.search_path, ["public"]);
    let dialect = place.database();
    assert!(!dialect.dialect().walks(table("log")) && dialect.dialect().walks(table("log_1")));
}

#[test]
fn rows_are_estimated_only_when_they_were_counted() {
    let place = Place::postgres();
    place.script("create table t (id int); insert into t select generate_series(1, 1000)");
    let estimate = |place: &Place| -> Table {
        place.database().read().unwrap().schema().unwrap().find("t").unwrap().clone()
    };
    assert_eq!(estimate(&place).rows_estimate, None);
    place.script("analyze t");
    assert_eq!(estimate(&place).rows_estimate, Some(1000));
    assert!(estimate(&place).bytes.unwrap() >= 8192);
}

#[test]
fn a_thousand_tables_are_read_at_once_even_while_one_is_locked() {
    let place = Place::postgres();
    place.script(
        "do $$ begin for n in 1..1000 loop
           execute format('create table t_%s (id int primary key, at timestamptz default now(), x text unique)', n);
         end loop; end $$",
    );
    let database = place.database();
    let mut other = database.open().unwrap();
    let mut holding = other.begin(&targets::db::Limits::default()).unwrap();
    holding.execute(&Sql::new("lock table t_7 in access exclusive mode")).unwrap();
    let mut facts = database.read().unwrap();
    // To wait for the lock would end in an error.
    let schema = testkit::quickly(std::time::Duration::from_secs(2), || facts.schema().unwrap());
    assert_eq!(schema.tables.len(), 1000);
    assert!(schema.tables.iter().all(|table| table.columns.len() == 3 && table.key.is_some()));
    drop(holding);
}

#[test]
fn access_names_the_index_that_narrows_the_search() {
    both(|place| {
        place.script2(
            "create table t (id integer primary key, at integer, x text); create index t_at on t (at);
             with recursive n (n) as (select 1 union all select n + 1 from n where n < 5000)
             insert into t select n, n, 'x' from n; analyze t",
            "create table t (id integer primary key, at integer, x text); create index t_at on t (at);
             insert into t select n, n, 'x' from generate_series(1, 5000) n; analyze t",
        );
        let mut facts = place.database().read().unwrap();
        let few = Sql::new("select count(*) from t where at < ").bind(50_i64);
        assert_eq!(facts.access(&few).unwrap().index.as_deref(), Some("t_at"));
        let all = Sql::new("select count(*) from t where x <> ").bind("y");
        let access = facts.access(&all).unwrap();
        assert_eq!(access.index, None);
        assert!(!access.text.is_empty());
        if let Some(rows) = access.rows {
            assert!((4000..6000).contains(&rows), "{rows}");
        }
    });
}

#[test]
fn the_server_says_who_and_what_it_is() {
    both(|place| {
        let server = place.database().read().unwrap().server().unwrap();
        assert!(server.version_number > 30_000, "{server:?}");
        assert!(server.bytes > 0 && !server.read_only && !server.pooled);
        assert!(server.clock_us > 1_700_000_000_000_000);
        if !place.is_sqlite() {
            assert_eq!(
                (server.engine.as_str(), server.user.as_str(), server.host.as_str()),
                ("postgresql", "app", "")
            );
            assert!(!server.superuser);
            assert!(place.admin_database().read().unwrap().server().unwrap().superuser);
        }
    });
}

#[test]
fn settings_of_the_role_change_nothing() {
    // W-036
    let place = Place::postgres();
    place.admin_script(
        "do $$ declare setting text; begin
           foreach setting in array array['timezone = ''America/New_York''', 'datestyle = ''SQL, DMY''',
             'extra_float_digits = 0', 'intervalstyle = ''iso_8601''', 'bytea_output = ''escape''',
             'default_transaction_read_only = on', 'default_transaction_isolation = ''serializable''']
           loop
             execute format('alter role app in database %I set %s', current_database(), setting);
           end loop;
         end $$",
    );
    let mut facts = place.database().read().unwrap();
    let shown = facts
        .value(&Sql::new(
            "select concat_ws(' ', '2026-08-22 14:00+00'::timestamptz, 0.1::float8 + 0.2::float8, interval '1 day', '\\x00'::bytea)",
        ))
        .unwrap();
    let mut session = place.database().open().unwrap();
    let mut tx = session.begin(&targets::db::Limits::default()).unwrap();
    tx.execute(&Sql::new("create table t (id int)")).unwrap();
    let isolation = tx.rows(&Sql::new("show transaction_isolation")).unwrap();
    assert_eq!(isolation, [vec![Value::from("read committed")]]);
    assert_eq!(shown, Value::from("2026-08-22 14:00:00+00 0.30000000000000004 1 day \\x00"));
}

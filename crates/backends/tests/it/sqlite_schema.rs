//! What the catalogue says, for the shapes that mislead.

use crate::sqlite_kit::*;
use targets::db::{
    Action, Chore, Command, Database, Family, Generated, Limits, Order, Sql, TableKind, Vacuuming,
};

#[test]
fn tables_of_sqlite_of_sexton_and_inside_virtual_tables_are_left_out() {
    let kit = Kit::new(
        "create table b (id integer primary key autoincrement); create table a (v); create table sexton_x (v);
         create virtual table f using fts5(x); create view w as select * from a; analyze",
    );
    let schema = kit.database().read().unwrap().schema().unwrap();
    let names: Vec<(&str, TableKind)> =
        schema.tables.iter().map(|table| (table.name.name.as_str(), table.kind)).collect();
    assert_eq!(
        names,
        [
            ("a", TableKind::Ordinary),
            ("b", TableKind::Ordinary),
            ("f", TableKind::Foreign),
            ("w", TableKind::View)
        ]
    );
    assert!(schema.find("b").unwrap().columns[0].identity);
}

#[test]
fn a_primary_key_with_a_null_is_no_key() {
    // W-014
    let kit = Kit::new(
        "create table loose (id text primary key, v); insert into loose (id) values ('a');
         create table holed (id text primary key, v); insert into holed (id) values ('a'), (null), (null);
         create table pair (a text, b text, v, primary key (a, b));
         create table tight (id text primary key not null, v);
         create table alias (id integer primary key, v);
         create table descending (id integer primary key desc, v);
         create table strict_one (id text primary key, v any) strict;
         create table without_rowid (b int, a text, primary key (a, b)) without rowid;
         create table other (id text primary key, mail text not null unique, v); insert into other values (null, 'm', 1);
         create table folded (mail text not null); create unique index folded_mail on folded (mail collate nocase);
         create table part (v int not null); create unique index part_v on part (v) where v > 0",
    );
    let schema = kit.database().read().unwrap().schema().unwrap();
    let of = |name: &str| {
        let table = schema.find(name).unwrap();
        (table.key.as_ref().map(|key| key.columns.join(",")), table.rowid.clone(), table.uniques.len())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("loose"), (some("id"), some("rowid"), 1));
    assert_eq!(of("holed"), (None, some("rowid"), 1));
    assert_eq!(of("pair"), (None, some("rowid"), 1));
    assert_eq!(of("tight"), (some("id"), some("rowid"), 1));
    assert_eq!(of("alias"), (some("id"), some("id"), 1));
    assert_eq!(of("descending"), (some("id"), some("rowid"), 1));
    assert_eq!(of("strict_one"), (some("id"), some("rowid"), 1));
    assert_eq!(of("without_rowid"), (some("a,b"), None, 1));
    assert_eq!(of("other"), (some("mail"), some("rowid"), 2));
    assert_eq!(of("folded"), (None, some("rowid"), 1));
    assert_eq!(of("part"), (None, some("rowid"), 0));
    assert_eq!(schema.find("without_rowid").unwrap().kind, TableKind::WithoutRowid);
}

#[test]
fn the_rowid_goes_by_a_name_that_no_column_has() {
    let kit = Kit::new(
        "create table a (RowId text, v); create table b (rowid text, _rowid_ text, v); create table c (rowid, oid, _ROWID_)",
    );
    let schema = kit.database().read().unwrap().schema().unwrap();
    let names: Vec<Option<&str>> = schema.tables.iter().map(|table| table.rowid.as_deref()).collect();
    assert_eq!(names, [Some("_rowid_"), Some("oid"), None]);
}

#[test]
fn columns_are_described_as_declared() {
    let kit = Kit::new(
        "create table t (i bigint not null default 5, r double precision, c varchar(20), b blob, n, d timestamp, j json, x decimal(10, 2),
            g int generated always as (i + 1) stored, h text as (c || 'x'))",
    );
    let table = kit.table("t");
    let families: Vec<Family> = table.columns.iter().map(|column| column.family).collect();
    assert_eq!(
        families,
        [
            Family::Integer,
            Family::Real,
            Family::Text,
            Family::Blob,
            Family::Any,
            Family::Any,
            Family::Json,
            Family::Any,
            Family::Integer,
            Family::Text
        ]
    );
    let first = &table.columns[0];
    assert_eq!(
        (first.declared.as_str(), first.default.as_deref(), first.not_null),
        ("bigint", Some("5"), true)
    );
    assert_eq!((table.columns[8].generated, table.columns[8].declared.as_str()), (Generated::Stored, "INT"));
    assert_eq!(
        (table.columns[9].generated, table.columns[9].declared.as_str()),
        (Generated::Virtual, "TEXT")
    );
    assert_eq!(table.stored().count(), 8);
}

#[test]
fn references_name_the_columns_that_the_declaration_leaves_out() {
    let kit = Kit::new(
        "create table Parent (a int, b int, c text unique, primary key (b, a));
         create table child (x int, y int, z text references parent (C) on delete cascade, lost int references gone,
            foreign key (x, y) references PARENT on delete set null);
         create table tree (id integer primary key, up int references tree on delete restrict)",
    );
    let schema = kit.database().read().unwrap().schema().unwrap();
    let mut references: Vec<(String, String, Action)> = schema
        .find("child")
        .unwrap()
        .references
        .iter()
        .map(|key| {
            (
                key.columns.join(","),
                format!("{}({})", key.parent, key.parent_columns.join(",")),
                key.on_delete,
            )
        })
        .collect();
    references.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        references,
        [
            ("x,y".to_owned(), "Parent(b,a)".to_owned(), Action::SetNull),
            ("z".to_owned(), "Parent(c)".to_owned(), Action::Cascade)
        ]
    );
    assert_eq!(schema.referring(&schema.find("tree").unwrap().name).len(), 1);
}

#[test]
fn indexes_tell_expressions_and_conditions() {
    let kit = Kit::new(
        "create table t (a, b); create index i on t (b, lower(a)); create unique index u on t (a) where b is null",
    );
    let table = kit.table("t");
    let index = |name: &str| table.indexes.iter().find(|index| index.name == name).unwrap();
    assert_eq!(index("i").columns, [Some("b".to_owned()), None]);
    assert!(index("u").unique && index("u").partial && !index("i").partial);
}

#[test]
fn triggers_tell_their_event() {
    let kit = Kit::new(
        "create table t (a); create table log (a);
         create trigger \"before delete\" after insert on t begin insert into log values (1); end;
         create trigger if not exists main.u update of a on T begin insert into log values (1); end",
    );
    let events: Vec<(String, bool, bool, bool)> = kit
        .table("t")
        .triggers
        .into_iter()
        .map(|trigger| (trigger.name, trigger.on_insert, trigger.on_update, trigger.on_delete))
        .collect();
    assert_eq!(
        events,
        [("before delete".to_owned(), true, false, false), ("u".to_owned(), false, true, false)]
    );
}

fn chore(chore: Chore) -> Command {
    Command::Upkeep(Order { chore, limits: Limits::default() })
}

#[test]
fn rows_are_estimated_only_after_an_analysis() {
    let kit = Kit::new(
        "create table t (a); create index i on t (a) where a > 90; insert into t values (1), (95), (99)",
    );
    assert_eq!(kit.table("t").rows_estimate, None);
    let performed = kit
        .open()
        .perform(&chore(Chore::Analyze { table: Some(targets::db::TableName::bare("t")) }))
        .unwrap();
    assert_eq!(performed.statement, "analyze \"t\"");
    assert!(kit.table("t").rows_estimate.is_some());
}

#[test]
fn a_view_on_a_lost_table_does_not_hide_the_others() {
    let kit =
        Kit::new("create table t (a); create table u (a); create view w as select * from t; drop table t");
    let schema = kit.database().read().unwrap().schema().unwrap();
    assert_eq!(schema.tables.len(), 2);
    assert!(schema.find("w").unwrap().columns.is_empty());
}

#[test]
fn a_vacuum_gives_the_free_pages_back() {
    for mode in ["none", "incremental", "full"] {
        let kit = Kit::new(&format!(
            "pragma auto_vacuum = {mode}; create table t (a);
             insert into t select zeroblob(1000) from json_each('[' || substr(replace(hex(zeroblob(1000)), '00', ',0'), 2) || ']'); delete from t"
        ));
        let mut session = kit.open();
        let whole = Chore::Vacuum { table: None, how: Vacuuming::default() };
        session
            .perform(&chore(if mode == "incremental" { Chore::GiveBack { pages: 1_000_000 } } else { whole }))
            .unwrap();
        assert_eq!(session.value(&Sql::new("pragma freelist_count")).unwrap().as_int(), Some(0), "{mode}");
    }
}

#[test]
fn a_checkpoint_empties_the_log_of_a_wal_database_only() {
    let kit = Kit::new("pragma journal_mode = wal; create table t (a)");
    let keep_open = kit.app();
    keep_open.execute_batch("insert into t values (1)").unwrap();
    let mut session = kit.open();
    assert!(session.pulse().unwrap().wal_bytes.unwrap() > 0);
    let performed = session.perform(&Command::Checkpoint).unwrap();
    assert_eq!(performed.statement, "pragma wal_checkpoint(passive)");
    let plain = Kit::new("create table t (a)");
    assert_eq!(plain.open().perform(&Command::Checkpoint).unwrap().statement, "");
}

#[test]
fn whether_a_table_exists_is_asked_of_the_catalogue() {
    // S0-006
    let kit = Kit::new("create table \"a'b\" (v)");
    let mut facts = kit.database().read().unwrap();
    for (name, expected) in [("a'b", 1), ("A'B", 1), ("b", 0)] {
        let sql = backends::sqlite::SqliteDialect.exists(&targets::db::TableName::bare(name));
        assert_eq!(facts.value(&sql).unwrap().as_int(), Some(expected), "{name}");
    }
}

#[test]
fn the_server_describes_the_file() {
    let kit = Kit::new("create table t (a)");
    let server = kit.database().read().unwrap().server().unwrap();
    assert_eq!(server.engine, "sqlite");
    assert!(server.version_number > 3_050_000 && server.version.starts_with("3."));
    assert_eq!(server.bytes, std::fs::metadata(&kit.path).unwrap().len());
    assert!(server.clock_us > 1_700_000_000_000_000 && !server.read_only);
}

//! The linter without a database: real statements of both languages, and what must be said of them.

use crate::migrate_lint_kit::{bare, codes, linted, source};
use kinds::migrate::lint::{Engine, Level, Terms, lint};

/// What must be found in a statement, and (after `!`) what must not.
fn holds(engine: Engine, before: &str, sql: &str, expected: &[&str]) {
    let sources = match before {
        "" => vec![source(engine, sql)],
        before => vec![source(engine, before), source(engine, sql)],
    };
    let found = lint(&sources, &Terms::new(engine), None).unwrap();
    let found: Vec<&str> = found
        .statements
        .iter()
        .skip(if before.is_empty() { 0 } else { sources[0].script.statements.len() })
        .flat_map(|judged| judged.findings.iter().map(|finding| finding.code))
        .collect();
    for code in expected {
        match code.strip_prefix('!') {
            Some(not) => assert!(!found.contains(&not), "{sql}\n  must not find {not}: {found:?}"),
            None => assert!(found.contains(code), "{sql}\n  must find {code}: {found:?}"),
        }
    }
}

#[test]
fn statements_of_postgresql_are_judged() {
    let cases: &[(&str, &[&str])] = &[
        ("create index i on t (a)", &["index-not-concurrent", "lock-timeout"]),
        ("create index concurrently i on t (a)", &["!split-transaction", "!index-not-concurrent"]),
        (
            "create table u (id bigint primary key); create index concurrently i on t (a)",
            &["split-transaction"],
        ),
        ("begin; create index concurrently i on t (a); commit", &["outside-transaction"]),
        ("drop index i", &["index-drop-not-concurrent"]),
        ("reindex index i", &["reindex-not-concurrent"]),
        (
            "alter table t add constraint c foreign key (a) references p (id)",
            &["foreign-key-not-valid", "foreign-key-without-index"],
        ),
        (
            "alter table t add constraint c foreign key (a) references p (id) not valid",
            &["!foreign-key-not-valid", "!check-not-valid"],
        ),
        ("alter table t add constraint c check (a > 0)", &["check-not-valid", "rows-may-offend"]),
        ("alter table t add constraint c unique (a)", &["unique-not-using-index"]),
        (
            "alter table t add constraint c unique using index i",
            &["!unique-not-using-index", "!rows-may-offend"],
        ),
        ("alter table t add primary key (id)", &["primary-key-not-using-index"]),
        ("alter table t add constraint c exclude using gist (r with &&)", &["exclusion-constraint"]),
        ("alter table t alter a set not null", &["set-not-null-scan", "not-null-breaks-writers"]),
        ("alter table t alter a type bigint", &["column-type-rewrite"]),
        ("alter table t add column a uuid default gen_random_uuid()", &["default-rewrite"]),
        ("alter table t add column a timestamptz default now()", &["!default-rewrite"]),
        ("alter table t add column a int generated always as (b * 2) stored", &["generated-rewrite"]),
        ("alter table t add column a bigserial", &["identity-rewrite", "serial"]),
        ("alter table t set tablespace fast", &["table-rewrite"]),
        ("cluster t using i", &["table-rewrite"]),
        ("refresh materialized view m", &["refresh-not-concurrent"]),
        ("alter table t detach partition p", &["detach-not-concurrent"]),
        ("alter table t attach partition p for values in (1)", &["attach-scan"]),
        ("create table p partition of t for values in (1)", &["partition-of-lock", "!no-primary-key"]),
        ("alter domain d add constraint c check (value > 0)", &["domain-constraint"]),
        ("lock table t", &["lock-table"]),
        ("alter table t disable trigger all", &["trigger-off"]),
        ("begin", &["transaction-control"]),
        ("commit", &["transaction-control"]),
        ("set search_path = x", &["session-setting"]),
        ("set local search_path = x", &["!session-setting"]),
        ("set lock_timeout = '2s'; alter table t add column a int", &["!session-setting", "!lock-timeout"]),
        ("alter type mood add value 'x'; insert into t values ('x')", &["enum-order", "split-transaction"]),
        ("drop table t", &["drop-table"]),
        ("drop table t cascade", &["drop-table", "drop-cascade"]),
        ("alter table t drop column a", &["drop-column"]),
        ("drop schema s", &["drop-object"]),
        ("drop type s", &["drop-object"]),
        ("alter table t drop constraint c", &["drop-constraint"]),
        ("truncate t cascade", &["truncate", "drop-cascade"]),
        ("alter table t rename to u", &["rename-table"]),
        ("alter table t rename a to b", &["rename-column"]),
        ("alter view v rename to w", &["rename-object"]),
        ("alter table t set schema s", &["rename-object"]),
        ("alter table t add column a int not null", &["required-column"]),
        ("alter table t add column a int not null default 1", &["!required-column"]),
        ("alter table t alter a drop not null", &["drop-not-null"]),
        ("alter table t alter a drop default", &["drop-default"]),
        ("update t set a = 1", &["all-rows"]),
        ("delete from t where a = 1", &["!all-rows"]),
        ("with x as (delete from t) select 1", &["all-rows"]),
        ("revoke select on t from u", &["revoke"]),
        ("create or replace view v as select 1", &["replaced"]),
        (
            "create table t (id int primary key, x json, y char(3), z varchar(9), w timestamp, m money)",
            &["small-key", "json-type", "char-type", "varchar-limit", "timestamp-without-zone", "money-type"],
        ),
        (
            "create table t (id bigint primary key, x jsonb, y text, w timestamptz, w2 timestamp with time zone)",
            &["!small-key", "!json-type", "!char-type", "!timestamp-without-zone"],
        ),
        ("create table t (a int)", &["no-primary-key"]),
        ("create temporary table t (a int)", &["!no-primary-key"]),
        ("create table t (id bigint primary key, p bigint references p)", &["foreign-key-without-index"]),
        (
            "create table t (id bigint primary key, p bigint references p); create index on t (p)",
            &["!foreign-key-without-index", "!index-not-concurrent"],
        ),
        ("create index i on t (a, b, c, d)", &["wide-index"]),
        ("create table \"User\" (id bigint primary key)", &["reserved-name"]),
        ("create table \"Orders\" (id bigint primary key)", &["quoted-name"]),
        (
            "alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c",
            &["validate-in-transaction"],
        ),
        ("alter table t add column a int; alter table t add column b int", &["several-alters"]),
        ("alter table t add column a int; alter table u add column b int", &["several-locks"]),
        ("alter table t add column a int; update t set a = 1 where b", &["data-and-schema", "!all-rows"]),
        ("alter table t add column a int; create index i on u (b)", &["work-under-lock"]),
        ("alter table only t add column a int", &["!not-there"]),
        ("do $$ begin null; end $$", &["!syntax"]),
        ("alter table t add colum a int", &["syntax"]),
        ("create policy p on t using (true)", &["lock-timeout"]),
    ];
    for (sql, expected) in cases {
        holds(Engine::Postgres, "", sql, expected);
    }
    holds(
        Engine::Postgres,
        "create table t (id bigint primary key, a int)",
        "create index i on t (a)",
        &["index-not-concurrent"],
    );
    holds(
        Engine::Postgres,
        "create table t (v varchar(10))",
        "alter table t alter v type varchar(20)",
        &["column-type-change", "!column-type-rewrite"],
    );
    holds(Engine::Postgres, "create index i on t (a, b)", "create index j on t (a)", &["duplicate-index"]);
    holds(
        Engine::Postgres,
        "alter table t add constraint c check (a is not null) not valid; alter table t validate constraint c",
        "alter table t alter a set not null",
        &["!set-not-null-scan"],
    );
}

#[test]
fn a_table_that_the_migration_makes_is_exempt() {
    let text = "create table t (id bigint primary key, a text not null, p bigint references p);
        create index t_p on t (p); alter table t add constraint c check (a <> ''); alter table t alter a type varchar;
        insert into t select 1; update t set a = 'x'; alter table t alter p set not null; drop table t;";
    let found = linted(Engine::Postgres, text);
    let errors: Vec<_> = found.findings().filter(|(_, finding)| finding.level >= Level::Warning).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn what_runs_alone_should_be_able_to_run_again() {
    let found = lint(
        &[bare(
            Engine::Postgres,
            "create index concurrently i on t (a);\ncreate index concurrently if not exists j on t (b)",
        )],
        &Terms::new(Engine::Postgres),
        None,
    )
    .unwrap();
    assert_eq!(codes(&found), ["invalid-index-kept", "not-repeatable"]);
}

#[test]
fn statements_of_sqlite_are_judged() {
    let cases: &[(&str, &[&str])] = &[
        // W-012
        ("create table t (id integer primary key, a JSON, b TIMESTAMP, c TEXT)", &["numeric-affinity"]),
        (
            "create table t (id integer primary key, a TEXT) strict",
            &["!numeric-affinity", "!unknown-strict-type"],
        ),
        ("create table t (id integer primary key, a varchar(3)) strict", &["unknown-strict-type"]),
        ("create table t (id integer primary key, a text default \"x\")", &["text-in-double-quotes"]),
        ("create table t (a text)", &["no-primary-key"]),
        ("alter table t add column a text default current_timestamp", &["cannot-add-column"]),
        ("alter table t add column a text unique", &["cannot-add-column"]),
        ("alter table t add column a integer primary key", &["cannot-add-column"]),
        ("alter table t add column a text generated always as (b) stored", &["cannot-add-column"]),
        ("alter table t add column a integer default 1 references p (id)", &["cannot-add-column"]),
        ("alter table t add column a integer not null", &["required-column"]),
        (
            "alter table t add column a integer not null default 0",
            &["!required-column", "!cannot-add-column"],
        ),
        ("alter table t drop column a", &["drop-column", "long-write"]),
        ("create index i on t (a)", &["long-write", "!index-not-concurrent"]),
        ("create unique index i on t (a)", &["rows-may-offend"]),
        ("begin; pragma foreign_keys = off; commit", &["outside-transaction"]),
        ("pragma foreign_keys = off; create table t (id integer primary key)", &["split-transaction"]),
        ("attach 'x.db' as x", &["attach-in-migration"]),
        ("vacuum", &["outside-transaction"]),
        ("update t set a = 1", &["all-rows"]),
        ("drop table t", &["drop-table"]),
        ("alter table t rename to u", &["rename-table"]),
        // W-011
        (
            "create trigger g after update on t begin update t set u = 1 where id = new.id; end",
            &["trigger-recursion"],
        ),
        (
            "create trigger g after update of a on t begin update t set u = 1 where id = new.id; end",
            &["!trigger-recursion"],
        ),
        (
            "create trigger g after update on t when new.u is old.u begin update t set u = 1; end",
            &["!trigger-recursion"],
        ),
        ("create tabel t (a)", &["syntax"]),
        ("alter table t alter column a type text", &["syntax"]),
    ];
    for (sql, expected) in cases {
        holds(Engine::Sqlite, "", sql, expected);
    }
}

#[test]
fn a_rebuild_in_the_wrong_order_is_told_from_one_in_the_right_order() {
    let old = "create table t (id integer primary key, a text); create index t_a on t (a);
               create table c (id integer primary key, t_id integer references t)";
    let right = "create table new (id integer primary key, a text not null); insert into new select * from t;
                 drop table t; alter table new rename to t; create index t_a on t (a); pragma foreign_key_check";
    holds(
        Engine::Sqlite,
        old,
        right,
        &[
            "rebuild-enforced",
            "!rebuild-loses",
            "!rebuild-order",
            "!rebuild-unchecked",
            "!drop-table",
            "!rename-table",
        ],
    );
    let forgets =
        "create table new (id integer primary key, a text not null); insert into new select * from t;
                   drop table t; alter table new rename to t";
    holds(Engine::Sqlite, old, forgets, &["rebuild-loses", "rebuild-unchecked"]);
    // Our own mark does all of it.
    let folder = tempfile::tempdir().unwrap();
    let text = "-- sexton:description a is needed\n-- sexton:rebuild t\ncreate table t (id integer primary key, a text not null);\n";
    std::fs::write(folder.path().join("0001_x.sql"), text).unwrap();
    let sources =
        kinds::migrate::lint::files::named(&[folder.path().to_owned()], Engine::Sqlite, None).unwrap();
    let found =
        lint(&[source(Engine::Sqlite, old), sources[0].clone()], &Terms::new(Engine::Sqlite), None).unwrap();
    let last: Vec<_> = found.statements.last().unwrap().findings.iter().map(|f| (f.code, f.line)).collect();
    assert_eq!(last, [("long-write", 3)]);
    let wrong = "alter table t rename to old; create table t (id integer primary key, a text not null);
                 insert into t select * from old; drop table old";
    holds(Engine::Sqlite, old, wrong, &["rebuild-order"]);
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    // S2-039
    let found = linted(
        Engine::Postgres,
        "-- first\ncreate table t (\n  id bigint primary key\n);\n\nalter table t\n  add colum b int;\n",
    );
    let (judged, finding) = found.findings().find(|(_, finding)| finding.code == "syntax").unwrap();
    assert_eq!((judged.file.as_str(), judged.line, finding.line), ("0001_x.sql", 6, 7));
    assert_eq!(finding.level, Level::Error);
    let found = linted(Engine::Sqlite, "create table t (\n  id integer primary key,\n  a text not nul\n);\n");
    let (_, finding) = found.findings().find(|(_, finding)| finding.code == "syntax").unwrap();
    assert_eq!((finding.line, finding.column), (3, 14));
}

#[test]
fn a_comment_allows_and_one_that_allows_nothing_is_told() {
    let text = "-- sexton:ignore drop-table it was empty for a year\ndrop table t;\n\n-- squawk-ignore ban-drop-column\nalter table u drop column a;\n\n-- sexton:ignore rename-table\nalter table u add column b int;\n";
    let found = linted(Engine::Postgres, text);
    assert_eq!(found.ignored, 2);
    assert!(
        !codes(&found).contains(&"drop-table") && !codes(&found).contains(&"drop-column"),
        "{:?}",
        codes(&found)
    );
    assert!(codes(&found).contains(&"unused-ignore"));
}

#[test]
fn rules_may_be_switched_off() {
    let terms = Terms { allowed: vec!["drop-table".to_owned()], ..Terms::new(Engine::Postgres) };
    let found = lint(&[source(Engine::Postgres, "drop table t")], &terms, None).unwrap();
    assert!(!codes(&found).contains(&"drop-table"));
}

#[test]
fn the_version_decides() {
    let at = |version: u32, sql: &str| {
        let terms = Terms { version: Some(version), ..Terms::new(Engine::Postgres) };
        codes(&lint(&[source(Engine::Postgres, sql)], &terms, None).unwrap())
    };
    let constant = "alter table t add column a int default 1";
    assert!(
        at(100_000, constant).contains(&"default-rewrite")
            && !at(110_000, constant).contains(&"default-rewrite")
    );
    let value = "alter type mood add value 'x' after 'y'";
    assert!(
        at(110_000, value).contains(&"outside-transaction")
            && !at(120_000, value).contains(&"outside-transaction")
    );
}

//! One quirk of SQLite each: it arrives as it is, or what does not is said; and never is a value another one afterwards.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Finding, Status};
use serde_json::json;
use testkit::story;

/// A quirk: its name, the script, the types that columns get, and what is found: forbidden, or left.
type Quirk = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const QUIRKS: &[Quirk] = &[
    (
        "bool",
        "create table t (id integer primary key, b boolean not null default 0, c bool); insert into t (b, c) values (0, 1), (1, null), (1, 0)",
        &[("b", "boolean"), ("c", "boolean")],
        &[],
    ),
    (
        "odd bool",
        "create table t (id integer primary key, b boolean); insert into t (b) values (0), (1), (2), ('true'), (''), (null)",
        &[("b", "text")],
        &[],
    ),
    (
        "times",
        "create table t (id integer primary key, a datetime, b timestamp, d date, t time); insert into t (a, b, d, t) values ('2024-01-02 03:04:05', '2024-01-02T03:04:05.123456Z', '2024-02-29', '23:59:59'), ('2024-01-02 03:04:05+02:00', '2024-01-02 03:04:05.123456789', null, '00:00')",
        &[("a", "timestamp with time zone"), ("b", "text"), ("d", "date"), ("t", "time without time zone")],
        &[],
    ),
    (
        "epochs",
        "create table t (id integer primary key, a datetime, b timestamp); insert into t (a, b) values (1700000000, 1700000000123), (1700000001, 1700000000124)",
        &[("a", "timestamp with time zone"), ("b", "timestamp with time zone")],
        &[],
    ),
    (
        "zero dates",
        "create table t (id integer primary key, a datetime, d date); insert into t (a, d) values ('0000-00-00 00:00:00', '0000-00-00'), ('', ''), ('2024-01-01 00:00:00', '2024-01-01')",
        &[("a", "text"), ("d", "text")],
        &[],
    ),
    (
        "json",
        "create table t (id integer primary key, j json, k jsonb); insert into t (j, k) values ('{\"a\":1}', '[1,2]'), ('null', null), ('{\"a\":\"\\u0000\"}', '1')",
        &[("j", "json"), ("k", "jsonb")],
        &[],
    ),
    (
        "bad json",
        "create table t (id integer primary key, j json); insert into t (j) values ('{\"a\":1}'), ('not json'), (''), ('{a:1}')",
        &[("j", "text")],
        &[],
    ),
    (
        "wide integers",
        "create table t (id integer primary key, i int, b bigint, s smallint, u unsigned big int, m int8); insert into t (i, b, s, u, m) values (1, 4611686018427387904, 40000, -9223372036854775808, 9223372036854775807), (3000000000, 2, 2, 2, 2)",
        &[("i", "bigint"), ("b", "bigint"), ("s", "integer"), ("u", "bigint"), ("m", "bigint")],
        &[],
    ),
    (
        "text in numbers",
        "create table t (id integer primary key, n integer not null, r real); insert into t (n, r) values (1, 1.5), ('N/A', 'n/a'), (3.7, ''), (4, 2.5)",
        &[("n", "text"), ("r", "text")],
        &[],
    ),
    (
        "numbers in text",
        "create table t (id integer primary key, s text, v varchar(5)); insert into t (s, v) values (1, 'toolongvalue'), ('007', 1.5)",
        &[("s", "text"), ("v", "text")],
        &[],
    ),
    (
        "no types",
        "create table t (id integer primary key, x, y, z); insert into t (x, y, z) values (1, 'a', 2.5), ('b', 2.5, 7), (x'00ff', null, 1e20)",
        &[("x", "text"), ("y", "text"), ("z", "double precision")],
        &["dirty_unreadable t.x"],
    ),
    (
        "zero characters",
        "create table t (id integer primary key, s text); insert into t (s) values ('plain'), (cast(x'610062' as text)), (''), (null)",
        &[("s", "text")],
        &["dirty_zero_character t.s"],
    ),
    (
        "broken texts",
        "create table t (id integer primary key, s text); insert into t values (1, 'ok'), (2, cast(x'63616666e9' as text)), (3, cast(x'ff00fe' as text)), (4, '🚀 ok')",
        &[("s", "text")],
        &["dirty_broken_text t.s"],
    ),
    (
        "blobs",
        "create table t (id integer primary key, b blob); insert into t (b) values (x''), (null), (x'00ff'), ('text in blob'), (zeroblob(300000))",
        &[("b", "bytea")],
        &[],
    ),
    (
        "empty texts",
        "create table t (id integer primary key, s text not null, v varchar(10), c char(3)); insert into t (s, v, c) values ('', '', ''), (' ', '  ', 'a '), ('x', null, 'abc')",
        &[("v", "character varying(10)"), ("c", "character varying(3)")],
        &[],
    ),
    (
        "names",
        "create table \"My Table\" (\"Id\" integer primary key, \"First Name\" text, \"order\" text, \"ÄÖ\" text, \"a-b\" text, \"a\"\"q\" text, camelCase text); insert into \"My Table\" values (1, 'a', 'b', 'c', 'd', 'e', 'f'); create table \"user\" (id integer primary key, \"select\" text); insert into \"user\" values (1, 'x'); create index \"My Idx\" on \"My Table\" (\"First Name\"); create table \"t;drop\" (a text); insert into \"t;drop\" values ('z')",
        &[],
        &[],
    ),
    (
        "index names",
        "create table t (id integer primary key, a text); create table u (id integer primary key); create index i1 on t (a); create index t_pkey on t (a desc)",
        &[],
        &[],
    ),
    (
        "without rowid",
        "create table t (k text primary key, v integer) without rowid; insert into t values ('a', 1), ('b', 2), ('B', 3), ('', 4)",
        &[],
        &[],
    ),
    (
        "composite without rowid",
        "create table t (a integer, b text, c, primary key (b, a)) without rowid; insert into t values (1, 'a', 1), (2, 'a', 2), (1, 'b', 3), (1, 'c', 4), (2, 'c', 5)",
        &[],
        &[],
    ),
    (
        "generated",
        "create table t (id integer primary key, a integer, b integer generated always as (a * 2) stored, c text as (a || 'x') virtual); insert into t (a) values (1), (2)",
        &[],
        &[],
    ),
    (
        "views and triggers",
        "create table t (id integer primary key, a text); create table log (m text); create view v as select a from t; create trigger trg after insert on t begin insert into log values (new.a); end; insert into t values (2, 'y')",
        &[],
        &[],
    ),
    (
        "composite references",
        "create table p (a integer, b text, primary key (a, b)); create table c (id integer primary key, pa integer, pb text, foreign key (pa, pb) references p (a, b) on delete cascade); insert into p values (1, 'x'), (2, 'y'); insert into c (pa, pb) values (1, 'x'), (null, null)",
        &[],
        &[],
    ),
    (
        "checks",
        "create table t (id integer primary key, age integer check (age >= 0), s text check (length(s) < 10) unique, constraint ck check (age < 200 or s is null)); insert into t values (1, 5, 'a')",
        &[],
        &[],
    ),
    (
        "partial and expression indexes",
        "create table t (id integer primary key, a text, d integer, j text); insert into t values (1, 'Ab', null, '{}'), (2, 'Ab', 1, '{}'); create unique index u1 on t (a) where d is null; create index e1 on t (lower(a)); create index e2 on t (a collate nocase desc); create index e3 on t (json_extract(j, '$.x')); create index e4 on t (printf('%05d', d))",
        &[],
        &["not_carried e4"],
    ),
    (
        "nocase",
        "create table t (id integer primary key, e text collate nocase unique, n varchar(20) collate nocase); insert into t values (1, 'A@x', 'N'), (2, 'É', 'é'), (3, 'é', 'É')",
        &[],
        &[],
    ),
    (
        "defaults",
        "create table t (id integer primary key, a timestamp default current_timestamp, b date default current_date, c text default (datetime('now')), d integer default (1+2), e text default 'it''s', f real default 1.5, g text default null, h boolean default true, i text default \"dq\", j blob default x'00'); insert into t (id) values (1)",
        &[],
        &[],
    ),
    (
        "a default of chance",
        "create table t (id integer primary key, k text default (lower(hex(randomblob(8))))); insert into t (id) values (1)",
        &[],
        &["not_carried t.k"],
    ),
    (
        "gaps",
        "create table t (id integer primary key autoincrement, a text); insert into t values (1, 'a'), (100, 'b'); delete from t where id = 100",
        &[],
        &[],
    ),
    (
        "NULL in keys",
        "create table t (k text primary key, v text); insert into t values (null, 'a'), (null, 'b'), ('x', 'c')",
        &[],
        &[],
    ),
    (
        "broken references",
        "create table p (id integer primary key); create table c (id integer primary key, p integer references p (id)); insert into p values (1); insert into c values (1, 1), (2, 99)",
        &[],
        &["dirty_reference c.p"],
    ),
    (
        "implicit references",
        "create table p (id integer primary key); create table c (id integer primary key, p integer references p, q integer references missing (id)); insert into p values (1); insert into c values (1, 1, null)",
        &[],
        &["not_carried c(q) to missing"],
    ),
    (
        "cycles",
        "create table a (id integer primary key, b integer references b (id)); create table b (id integer primary key, a integer references a (id) deferrable initially deferred); insert into a values (1, 1); insert into b values (1, 1)",
        &[],
        &[],
    ),
    (
        "to itself",
        "create table t (id integer primary key, up integer references t on delete set null); insert into t values (1, null), (2, 1), (3, 4), (4, 3)",
        &[],
        &[],
    ),
    (
        "full text",
        "create virtual table docs using fts5 (title, body); insert into docs values ('t', 'hello'); create table t (id integer primary key); insert into t values (1)",
        &[],
        &["not_carried docs"],
    ),
    (
        "strict",
        "create table t (id integer primary key, a any, b blob, c text, d int, e real) strict; insert into t values (1, 'x', x'01', 'c', 1, 1.0), (2, 5, null, 'd', 2, 2.0)",
        &[("a", "text"), ("e", "double precision")],
        &[],
    ),
    (
        "weird types",
        "create table t (id integer primary key, a varchar(255), b nvarchar(50), c nchar(10), d clob, e double, f numeric(10,5), g string, h longvarchar, i uuid, j \"VARCHAR(10) NOT\", k integer(4), l money, m enum, n decimal(40,20)); insert into t (a, b, c, d, e, f, g, h, i, k, l, m, n) values ('a', 'b', 'c', 'd', 1.5, 2.25, '007', 'h', '6f1e1c1c-0000-4000-8000-000000000000', 4, 9.99, 'm', '12345678901234567890.123456789')",
        &[("i", "uuid"), ("f", "numeric(10,5)"), ("a", "character varying(255)")],
        &[],
    ),
    (
        "long texts",
        "create table t (id integer primary key, s text); insert into t (s) values (printf('%.*c', 2000000, 'x')), ('a' || char(9) || 'b\\c' || char(10) || 'd' || char(13) || 'e')",
        &[],
        &[],
    ),
    (
        "floats",
        "create table t (id integer primary key, r real, n numeric, d decimal(10,2), f float); insert into t (r, n, d, f) values (0.1, 0.1, 1.005, 1e308), (5e-324, 1e20, 2, 1.7976931348623157e308), (-0.0, 3, 0.5, 123456789.123456789), (9e999, 4, 1, -9e999)",
        &[("r", "double precision"), ("d", "numeric")],
        &[],
    ),
    (
        "infinite decimals",
        "create table t (id integer primary key, n numeric); insert into t (n) values (9e999), (1)",
        &[("n", "double precision")],
        &[],
    ),
    (
        "infinite decimals beside long ones",
        "create table t (id integer primary key, n numeric, x); insert into t (n, x) values (9e999, 9e999), (9007199254740993, 9007199254740993)",
        &[("n", "text"), ("x", "text")],
        &[],
    ),
    (
        "empty tables",
        "create table t (id integer primary key autoincrement, a text); create table empty2 (x text)",
        &[],
        &[],
    ),
    (
        "unique with NULL",
        "create table t (id integer primary key, a text unique, b text, unique (a, b)); insert into t values (1, null, 'x'), (2, null, 'x'), (3, 'q', 'x')",
        &[],
        &[],
    ),
    (
        "no key",
        "create table t (a text, b integer); insert into t values ('x', 1), ('x', 1), ('x', 2), (null, null)",
        &[],
        &[],
    ),
    (
        "int is no rowid",
        "create table t (id int primary key, a text); insert into t values (1, 'a'), (2, 'b')",
        &[("id", "integer")],
        &[],
    ),
    (
        "decimals as text",
        "create table t (id integer primary key, price decimal(10,2), amt text); insert into t (price, amt) values (19.99, '0.10'), ('1234567890123.45', '1')",
        &[("price", "numeric")],
        &[],
    ),
    (
        "mixed case references",
        "create table \"My Table\" (\"Id\" integer primary key, camelCase text); insert into \"My Table\" values (1, 'c'); create table c (id integer primary key, parentId integer references \"my table\" (\"ID\")); insert into c values (1, 1)",
        &[],
        &[],
    ),
    (
        "forms of dates",
        "create table t (id integer primary key, a datetime); insert into t values (1, '2024-01-02'), (2, '2024-01-02T03:04'), (3, '20240102'), (4, '12:30')",
        &[("a", "text")],
        &[],
    ),
    (
        "dates of the US",
        "create table t (id integer primary key, a date); insert into t values (1, '02/01/2024'), (2, '2024-1-2')",
        &[("a", "text")],
        &[],
    ),
    (
        "untyped reference",
        "create table p (id integer primary key); create table c (id integer primary key, p references p); insert into p values (1); insert into c values (1, 1)",
        &[],
        &[],
    ),
    (
        "text that refers to text",
        "create table p (id varchar(36) primary key); create table c (id text primary key, p text references p); insert into p values ('a'); insert into c values ('b', 'a')",
        &[],
        &[],
    ),
];

#[test]
fn every_quirk_arrives_or_is_told() {
    let mut wrong = Vec::new();
    for (name, script, types, expected) in QUIRKS {
        let it = Move::of(script);
        let plan = it.plan_with(json!({}), |manners| manners.batch_size = Some(2));
        let mut refused = forbidden(&plan);
        if !refused.is_empty() {
            refused.sort();
            if refused != *expected {
                wrong.push(format!("{name}: refused {refused:?}, {:?}", plan.items[0].findings));
            }
            continue;
        }
        let report = story::run(&it.engine(), &plan);
        for (column, typ) in *types {
            let really = it.typ("t", column);
            if really != *typ {
                wrong.push(format!("{name}: {column} is {really}"));
            }
        }
        let mut told = found(&report);
        told.retain(|one| !one.starts_with("clock"));
        told.sort();
        told.dedup();
        let mut expected: Vec<String> = expected.iter().map(|one| (*one).to_owned()).collect();
        expected.sort();
        let status = if expected.is_empty() { Status::Completed } else { Status::Partial };
        if report.status != status || told != expected {
            wrong.push(format!(
                "{name}: {:?} {told:?} {:?} {:?}",
                report.status, report.operations[0].findings, report.operations[0].errors
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_broken_reference_of_a_row_is_seen_however_many_there_are() {
    // W-102
    let columns = |each: &dyn Fn(usize) -> String| (0..12).map(each).collect::<Vec<_>>().join(", ");
    let desk = Move::of(&format!(
        "create table p (id integer primary key); insert into p values (1);
         create table c (id integer primary key, {}); insert into c values (1, {}), (2, {})",
        columns(&|n| format!("p{n} integer references p (id)")),
        columns(&|_| "99".to_owned()),
        columns(&|_| "1".to_owned()),
    ));
    let report = desk.run(json!({"dirty": {"reference": "null"}}));
    assert_eq!(
        desk.list("select * from c order by id"),
        [format!("1{}", "|null".repeat(12)), format!("2{}", "|1".repeat(12))],
        "{report:#?}"
    );
}

#[test]
fn what_rests_on_members_of_documents_is_made() {
    // S4-011, S4-013, S4-041
    let it = Move::of(
        r#"create table docs (id integer primary key, body text not null check (json_extract(body, '$.n') >= 0),
             name text generated always as (body ->> 'name') stored, data json);
           create index docs_n on docs (json_extract(body, '$.n'));
           create unique index docs_code on docs (json_extract(data, '$.code')) where data ->> 'gone' is null;
           create index docs_mixed on docs (data ->> 'mixed');
           create index docs_size on docs (abs(json_extract(body, '$.n')));
           create table names (name text, n integer);
           create trigger named after insert on docs when json_extract(new.body, '$.n') > 5
             begin insert into names values (new.body ->> 'name', json_array_length(new.data, '$.l')); end;
           insert into docs (body, data) values ('{"n": 1, "name": "Ann"}', '{"code": "a", "mixed": 1, "l": []}'),
             ('{"n": 2, "name": "Bob"}', '{"code": "b", "mixed": "x"}'), ('{"n": 3}', '{"code": "b", "gone": 1, "l": [1]}')"#,
    );
    let report = it.run(json!({}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    let index = |name: &str| it.list(&format!("select indexdef from pg_indexes where indexname = '{name}'"));
    // an index is one for statements as people write them; a unique one is exact
    assert!(index("docs_n")[0].ends_with("(((body)::jsonb ->> 'n'::text)))"), "{:?}", index("docs_n"));
    assert!(index("docs_mixed")[0].ends_with("((data ->> 'mixed'::text)))"), "{:?}", index("docs_mixed"));
    assert!(
        index("docs_code")[0].contains("WHERE ((data ->> 'gone'::text) IS NULL)"),
        "{:?}",
        index("docs_code")
    );
    it.to.script(
        r#"insert into docs (body, data) values ('{"n": 9, "name": "Zoe"}', '{"code": "c", "l": [1, 2]}')"#,
    );
    assert_eq!(it.list("select name from docs order by id"), ["Ann", "Bob", "null", "Zoe"]);
    assert_eq!(it.list("select name, n from names"), ["Zoe|2"]);
    for wrong in [r#"('{"n": -1}', null)"#, r#"('{"n": 1}', '{"code": "a"}')"#] {
        assert!(
            it.to.try_script(&format!("insert into docs (body, data) values {wrong}")).is_err(),
            "{wrong}"
        );
    }
    // what is no such number is no hindrance, as before
    let others = ["\"many\"", "2.5", "1e30", "-1e19", "null", "true", "[]"];
    for other in others {
        it.to.script(&format!("insert into docs (body) values ('{{\"n\": {other}}}')"));
    }
}

#[test]
fn rules_are_not_made_of_members_where_rows_that_come_could_break_them() {
    // S4-041
    let it = Move::of(
        r#"create table t (id integer primary key, body json,
             check (coalesce(json_extract(body, '$.n'), 0) >= 0), check (typeof(body ->> 'n') <> 'text'), check (body ->> 'n' is not 5));
           create unique index u on t (ifnull(body ->> 'n', id));
           insert into t (body) values ('{"n": 1}'), ('{"n": 2}')"#,
    );
    let mut told = found(&it.run(json!({})));
    told.sort();
    assert_eq!(told, ["not_carried t", "not_carried t", "not_carried t", "not_carried u"]);
}

#[test]
fn documents_that_become_something_else_are_read_by_nothing() {
    // S4-055, S4-041
    let it = Move::of(
        r#"create table t (id integer primary key, a text check (json_extract(a, '$.n') > 0),
             n text generated always as (b ->> 'name') stored, b text, c text);
           create view v as select c ->> 'n' as n from t;
           insert into t (a, b, c) values ('{"n": 1, "name": "x"}', '{"name": "Ann"}', null)"#,
    );
    let report = it.run(json!({"map": {"t": {"columns": {
        "a": {"jq": "fromjson | .name", "cast": "text"},
        "b": {"jq": "fromjson | .name", "cast": "text"},
        "c": {"null": "default", "default": "none"},
    }}}}));
    let mut told = found(&report);
    told.sort();
    assert_eq!(told, ["not_carried t", "not_carried t.n", "not_carried v"], "{report:#?}");
    assert_eq!(it.list("select a, b, c, n from t"), ["x|Ann|none|Ann"]);
}

#[test]
fn tables_with_the_names_of_our_own_stay_behind_and_are_told() {
    // S4-011
    let it = Move::of(
        "create table t (id integer primary key); create table Sexton_members (n text); insert into Sexton_members values ('x')",
    );
    let report = it.run(json!({}));
    assert_eq!(report.status, Status::Completed);
    let told: Vec<&Finding> =
        report.operations[0].findings.iter().filter(|finding| finding.code == "own_tables").collect();
    assert!(told.len() == 1 && told[0].what.ends_with("stay behind: `Sexton_members`"), "{told:#?}");
}

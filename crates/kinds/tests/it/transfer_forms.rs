//! Values in the forms in which people and programs write them: times, numbers, documents, ids, and texts of other encodings.

use crate::transfer_kit::{Move, forbidden, found};
use engine::{Plan, Status};
use serde_json::json;

/// Moments in Berlin or with their zone, all the same one, with the forms of as many programs.
const FORMS: [&str; 9] = [
    "2024-07-02 05:04:05",
    "2024/07/02 05:04:05",
    "2024-7-2 5:04:05",
    "20240702T030405Z",
    "2024/07/02 03:04:05.000 utc",
    "Tue, 02 Jul 2024 03:04:05 +0000",
    "2024-07-02 05:04:05 +0200 CEST",
    "2024-07-02 05:04:05+02",
    "Tue Jul 02 2024 05:04:05 GMT+0200 (CEST)",
];

fn reasons(plan: &Plan, column: &str) -> String {
    let tables = plan.items[0].result.as_ref().unwrap()["tables"].as_array().unwrap().clone();
    let columns = tables.iter().flat_map(|table| table["columns"].as_array().unwrap().clone());
    let mine = columns.filter(|one| one["source"] == column).map(|one| one["reasons"].to_string());
    mine.collect::<Vec<_>>().join(" ")
}

#[test]
fn times_in_every_usual_form_become_times() {
    // S4-011, W-095
    let it = Move::of("create table t (id integer primary key, at datetime, d date, x text)");
    for form in FORMS {
        it.from.script(&format!("insert into t (at) values ('{form}')"));
    }
    it.from.script("update t set d = '2024/7/2', x = '20240702'; update t set d = '2 Jul 2024' where id = 2");
    let options = json!({"zone": "Europe/Berlin", "map": {"t": {"columns": {"x": {"cast": "date"}}}}});
    let report = it.run(options.clone());
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    assert_eq!([it.typ("t", "at"), it.typ("t", "d")], ["timestamp with time zone", "date"]);
    assert_eq!(
        it.list("select distinct to_char(at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US'), d, x from t"),
        ["2024-07-02 03:04:05.000000|2024-07-02|2024-07-02"]
    );
    let mut again = options;
    again["action"] = json!("verify");
    assert_eq!(found(&it.run(again.clone())), [""; 0]);
    // a text that is read once more must be read the same
    it.from.script("update t set at = '2024/07/02 05:04:06' where id = 2");
    assert_eq!(found(&it.run(again)), ["differs t"]);
}

#[test]
fn the_tables_of_the_application_take_times_in_every_form() {
    // S4-011, S4-024
    let it = Move::of(
        "create table t (id integer primary key, at text, d text, c text);
         insert into t values (1, '2024/01/02 3:04 PM', '2024.01.02', '3:04 PM'), (2, '20240102T150400', '20240102', '150400')",
    );
    it.to.script("create table t (id int primary key, at timestamp, d date, c time)");
    let report = it.run(json!({"existing": true}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    assert_eq!(
        it.list("select distinct at::text, d::text, c::text from t"),
        ["2024-01-02 15:04:00|2024-01-02|15:04:00"]
    );
}

#[test]
fn a_day_whose_numbers_may_be_in_several_orders_is_never_guessed() {
    // S4-011, W-101
    let it = Move::of(
        "create table t (id integer primary key, d date, at datetime);
         insert into t values (1, '01/02/2024', '2024-01-02'), (2, '2024-01-02', '13.02.2024 10:00')",
    );
    let plan = it.plan(json!({}));
    for column in ["d", "at"] {
        assert!(reasons(&plan, column).contains("do not say which is the day"), "{}", reasons(&plan, column));
    }
    let cast = json!({"t": {"columns": {"d": {"cast": "date"}, "at": {"cast": "timestamptz"}}}});
    let plan = it.plan(json!({ "map": cast }));
    assert_eq!(forbidden(&plan), ["dirty_ambiguous t.d", "dirty_ambiguous t.at"]);
    assert!(format!("{:?}", plan.items[0].findings).contains("1 value does not say which is the day"));
    let report = it.run(json!({ "map": cast, "dirty": {"ambiguous": "null"} }));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(
        it.list("select id, d::text, at::date::text from t order by id"),
        ["1|null|2024-01-02", "2|2024-01-02|null"]
    );
}

#[test]
fn times_come_back_as_they_were_and_new_ones_as_their_neighbours_are() {
    // S4-036, S4-011
    let it = Move::of(
        "pragma journal_mode = wal;
         create table t (at datetime primary key, d date, m text, z datetime);
         insert into t values ('2024/01/02 03:04:05', '2024/1/2', 'a', 'Tue, 02 Jan 2024 03:04:05 +0000'),
           ('2024/01/03 03:04:05', '2024/01/03', 'b', '20240102T030405Z'), ('2024/01/04 03:04:05', '2024/01/04', 'c', '2024/01/02 03:04:05Z')",
    );
    let pointer = it.workshop.folder().join("pointer");
    std::fs::write(&pointer, "here").unwrap();
    let mut options = json!({"online": true, "switch": {"file": pointer}});
    let report = it.run(options.clone());
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    it.to.script(
        "update t set m = 'new' where m = 'a'; update t set d = '2025-02-03', z = '2025-02-03 01:02:03+00' where m in ('b', 'c');
         insert into t values ('2024-01-05 03:04:05+00', '2024-01-05', 'd', null); delete from t where m = 'c'",
    );
    options["action"] = json!("rollback");
    let report = it.run(options);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let rows = it.from.rows("select at, d, m, z from t order by at");
    let rows: Vec<String> =
        rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")).collect();
    assert_eq!(
        rows,
        [
            "'2024/01/02 03:04:05'|'2024/1/2'|'new'|'Tue, 02 Jan 2024 03:04:05 +0000'",
            "'2024/01/03 03:04:05'|'2025/02/03'|'b'|'2025-02-03 01:02:03Z'",
            "'2024/01/05 03:04:05'|'2024/01/05'|'d'|null",
        ]
    );
}

#[test]
fn the_plan_says_what_a_text_column_might_be_as_well() {
    // S4-013
    let it = Move::of(
        "create table t (id text primary key, doc varchar(50), at, d text, s text, n text, e text, none_there text, one text);
         insert into t values
          ('6f1e1c1c-0000-4000-8000-000000000001', '{\"a\": 1}', '2024/01/02 03:04', '2024-01-02', 'x', '1', '', null, null),
          ('6f1e1c1c-0000-4000-8000-000000000002', '[]', '2024-01-02', '20240103', '2024-01-02', '2', '2024-01-02', null, '[1]')",
    );
    let plan = it.plan(json!({}));
    for (column, hint) in [
        ("id", Some("every value is a uuid: `cast = \\\"uuid\\\"`")),
        ("doc", Some("every value is a JSON document: `cast = \\\"jsonb\\\"`")),
        ("at", Some("every value is a time: `cast = \\\"timestamptz\\\"`")),
        ("d", Some("every value is a day: `cast = \\\"date\\\"`")),
        ("one", Some("every value is a JSON document")),
        ("s", None),
        ("n", None),
        ("e", None),
        ("none_there", None),
    ] {
        let said = reasons(&plan, column);
        match hint {
            Some(hint) => assert!(said.contains(hint), "{column}: {said}"),
            None => assert_eq!(said, "[]", "{column}"),
        }
    }
    let report = it.run(json!({}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    assert_eq!(
        ["id", "doc", "at", "d"].map(|name| it.typ("t", name)),
        ["text", "character varying(50)", "text", "text"]
    );
    // what was only looked at in part is said to be
    it.from.script(
        "delete from t; with recursive n (n) as (select 1 union all select n + 1 from n where n < 10002)
         insert into t (id, s) select n, iif(n < 10002, '[]', 'x') from n",
    );
    let said = reasons(&it.plan(json!({"into_schema": "other"})), "s");
    assert!(said.contains("each of the first 10 000 values is a JSON document"), "{said}");
    let cast = json!({"t": {"columns": {"s": {"cast": "jsonb"}}}});
    assert_eq!(
        forbidden(&it.plan(json!({"into_schema": "other", "map": cast}))),
        ["dirty_unreadable t.s"],
        "each is asked where it counts"
    );
}

#[test]
fn a_number_that_would_lose_digits_is_told() {
    // W-101, S4-025
    let it = Move::of(
        "create table t (id integer primary key, a text, b text, j json);
         insert into t values (1, '3.14159265358979323846', '0.5', '{\"n\": 1e131071}'), (2, '0.30000000000000004', '1e22', '[1]')",
    );
    let map = json!({"t": {"columns": {"a": {"cast": "double precision"}, "b": {"cast": "float8"}}}});
    assert_eq!(forbidden(&it.plan(json!({ "map": map }))), ["dirty_too_fine t.a"]);
    let report = it.run(json!({ "map": map, "dirty": {"too_fine": "truncate"} }));
    let mut told = found(&report);
    told.dedup();
    assert_eq!(told, ["dirty_too_fine t.a"], "both sides are the same: {report:#?}");
    assert_eq!(
        it.list("select a::text, b::text, (j -> 'n')::text = '1' || repeat('0', 131071) from t order by id"),
        ["3.141592653589793|0.5|t", "0.30000000000000004|1e+22|null"]
    );
}

#[test]
fn numbers_of_documents_that_the_server_cannot_hold_are_told_before_the_copy() {
    // W-100, W-101
    let it = Move::of(
        "create table t (id integer primary key, j json, k json);
         insert into t values (1, '{\"n\": [1e131072]}', '{\"1e999999\": 1}'), (2, '1e-20000', '1e2')",
    );
    let cast = json!({"t": {"columns": {"j": {"cast": "jsonb"}}}});
    assert_eq!(forbidden(&it.plan(json!({ "map": cast }))), ["dirty_out_of_range t.j"]);
    let report = it.run(json!({}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    assert_eq!([it.typ("t", "j"), it.typ("t", "k")], ["json", "jsonb"]);
}

#[test]
fn a_default_is_what_its_column_holds_of_it() {
    // S4-001
    let it = Move::of(
        "create table t (id integer primary key, a real default 0.1, b text); insert into t values (1, 0.5, null)",
    );
    let map = json!({"t": {"columns": {"a": {"cast": "real"}, "b": {"cast": "real", "default": 0.1, "null": "default"}}}});
    let report = it.run(json!({ "map": map }));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    it.to.script("insert into t (id) values (2)");
    assert_eq!(it.list("select a::text, b::text from t order by id"), ["0.5|0.1", "0.1|0.1"]);
}

/// A file of another encoding than all others have.
fn encoded(encoding: &str, script: &str) -> Move {
    let it = Move::of("");
    // only a file that is not there yet can have one
    std::fs::remove_file(it.from.url()).unwrap();
    it.from.script(&format!("pragma encoding = '{encoding}'; {script}"));
    assert_eq!(it.from.rows("pragma encoding")[0][0].as_text(), Some(encoding));
    it
}

#[test]
fn texts_of_another_encoding_are_walked_in_their_own_order() {
    // W-100
    for encoding in ["UTF-16le", "UTF-16be"] {
        let it = encoded(
            encoding,
            "create table t (k text, n integer, primary key (k, n)) without rowid;
             create table c (id integer primary key, k text, n integer, foreign key (k, n) references t);
             create index by_parent on c (k, n);
             insert into t values ('z', 1), ('é', 1), ('Ā', 2), ('ￗ', 1), ('😀', 1), ('😀', 2), ('', 0), ('aa', 1), ('a', 1), ('ā', 3), ('豈', 1);
             insert into c (k, n) select k, n from t"
        );
        let report = it.run_in(2, json!({}));
        assert_eq!(
            (report.status, found(&report)),
            (Status::Completed, Vec::new()),
            "{encoding}: {report:#?}"
        );
        assert_eq!(it.list("select count(*), count(distinct (k, n)) from t"), ["11|11"], "{encoding}");
        assert_eq!(found(&it.run(json!({"action": "verify"}))), [""; 0], "{encoding}");
    }
}

#[test]
fn keys_that_are_no_text_in_utf_16_are_told_whatever_the_policy() {
    // W-101, W-100
    let it = encoded(
        "UTF-16le",
        "create table t (k text primary key, n integer) without rowid; create table r (k text primary key);
         insert into t values ('a', 1), ('b', 2), (cast(x'00d8' as text), 3), (cast(x'00d86100' as text), 4), ('c', 5), ('z', 6);
         insert into r values ('a'), (cast(x'00d8' as text))",
    );
    // behind such a row nothing would come any more
    let plan = it.plan(json!({"policy": "quarantine"}));
    assert_eq!(forbidden(&plan), ["broken_key t"]);
    assert!(format!("{:?}", plan.items[0].findings).contains("2 values of its key are no text in UTF-16"));
    it.from.script("pragma journal_mode = wal; delete from t where n in (3, 4)");
    let online = it.plan(json!({"policy": "quarantine", "online": true}));
    assert!(forbidden(&online).contains(&"broken_key r".to_owned()), "{:?}", forbidden(&online));
    let report = it.run_in(2, json!({"policy": "quarantine"}));
    assert_eq!(report.status, Status::Partial, "{report:#?}");
    assert_eq!(it.list("select (select count(*) from t), (select count(*) from r)"), ["4|1"]);
}

#[test]
fn ids_of_a_table_are_mapped_where_no_reference_says_so() {
    // W-090, S4-009
    let it = Move::of(
        "create table agents (id text primary key, name text); create table tasks (id integer primary key, agent text, other integer);
         create table people (id integer primary key);
         insert into agents values ('a1', 'Ann'), ('6F1E1C1C-0000-4000-8000-000000000002', 'Bob'); insert into people values (7);
         insert into tasks values (1, 'a1', 7), (2, '6F1E1C1C-0000-4000-8000-000000000002', null), (3, 'gone', 8), (4, null, 7)",
    );
    let columns = json!({
        "agents": {"columns": {"id": {"uuid": true}}}, "people": {"columns": {"id": {"uuid": true}}},
        "tasks": {"columns": {"agent": {"ids_of": "Agents"}, "other": {"ids_of": "people"}}},
    });
    let report = it.run(json!({ "map": columns }));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    assert_eq!([it.typ("tasks", "agent"), it.typ("tasks", "other")], ["uuid", "uuid"]);
    assert_eq!(
        it.list(
            "select t.id, a.name, t.agent is null, p.id is not null from tasks t left join agents a on a.id = t.agent \
             left join people p on p.id = t.other order by 1"
        ),
        ["1|Ann|f|t", "2|Bob|f|f", "3|null|f|f", "4|null|t|t"]
    );
    let refused = |column: serde_json::Value| {
        it.refusal(json!({"map": {"agents": {"columns": {"id": {"uuid": true}}}, "tasks": {"columns": {"agent": column}}}}))
    };
    let why = refused(json!({"ids_of": "nobody"}));
    assert!(why.contains("tasks.agent") && why.contains("`nobody`"), "{why}");
    assert!(refused(json!({"ids_of": "people"})).contains("`people`, of which no column becomes uuids"));
    assert!(refused(json!({"ids_of": "agents", "uuid": true})).contains("both `uuid` and `ids_of`"));
}

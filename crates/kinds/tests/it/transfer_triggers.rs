//! The triggers of the source on the other side: the same writes come to the same, or they are named with the reason.

use crate::transfer_kit::{Move, forbidden, found};
use engine::Status;
use serde_json::json;

const TABLES: &str = "
create table people (id integer primary key, name text not null, orders integer not null default 0, active boolean not null default 1,
  updated_at datetime, seen integer);
create table orders (id integer primary key, person_id integer references people(id) on delete cascade, total real, state text);
create table log (id integer primary key autoincrement, what text not null, who integer, at datetime default current_timestamp);
create table totals (state text primary key, n integer not null, sum real);
create view open_orders as select id, person_id, total from orders where state = 'open';
insert into people values (1, 'Ann', 0, 1, '2024-01-02 03:04:05', null), (2, 'Bob', 0, 1, null, 5);
";

const TRIGGERS: &[&str] = &[
    "create trigger counted after insert on orders begin update people set orders = orders + 1 where id = new.person_id; end",
    "create trigger uncounted after delete on orders when old.person_id is not null begin \
       update people set orders = orders - 1 where id = old.person_id; end",
    "create trigger touched after update of name on people begin update people set updated_at = datetime('now') where id = new.id; end",
    "create trigger logged after update on people when old.active is not new.active begin \
       insert into log (what, who) values (case when new.active then 'came' else 'left' end, new.id); end",
    "create trigger refused before insert on orders begin \
       select raise(abort, 'no such person') where new.person_id is not null and not exists (select 1 from people where id = new.person_id and active); \
       select case when new.total < 0 then raise(abort, 'less than nothing') when new.total > 1000 then raise(rollback, 'too much') end; end",
    "create trigger summed after insert on orders begin insert into totals values (new.state, 1, coalesce(new.total, 0)) \
       on conflict (state) do update set n = n + 1, sum = sum + excluded.sum where totals.state is not null; end",
    "create trigger once before insert on people when new.name = '' begin select raise(ignore); end",
    "create trigger through instead of insert on open_orders begin \
       insert into orders (id, person_id, total, state) values (new.id, new.person_id, new.total, 'open'); end",
    "create trigger away instead of delete on open_orders begin delete from orders where id = old.id and state = 'open'; end",
    "create trigger copied after update of state on orders begin \
       insert or ignore into totals (state, n) values (new.state, 0); \
       insert into log (what, who) select o.state || '->' || new.state, p.id from people p join orders o on o.person_id = p.id where o.id = new.id; end",
];

/// Writes of an application, and whether they are refused.
const WRITES: &[(&str, bool)] = &[
    ("insert into orders (id, person_id, total, state) values (1, 1, 10.5, 'paid')", false),
    ("insert into orders (id, person_id, total, state) values (2, 1, 2.5, 'paid'), (3, 2, 1, 'open')", false),
    ("insert into orders (id, person_id, total, state) values (4, 9, 1, 'open')", true),
    ("insert into orders (id, person_id, total, state) values (4, 1, -1, 'open')", true),
    ("insert into orders (id, person_id, total, state) values (4, 1, 2000, 'open')", true),
    ("insert into orders (id, person_id, total, state) values (4, null, null, 'lost')", false),
    ("insert into people (id, name) values (3, 'Cid'), (4, '')", false),
    ("insert into open_orders (id, person_id, total) values (5, 3, 7)", false),
    ("delete from open_orders where id = 3", false),
    ("update people set name = 'Anna' where id = 1", false),
    ("update orders set state = 'void' where id in (1, 2)", false),
    ("delete from orders where id = 2", false),
];

fn state(rows: impl Fn(&str) -> Vec<String>, switched: &str) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        &format!("select id, name, orders, {switched}, updated_at is null from people order by id"),
        "select id, person_id, total, state from orders order by id",
        "select what, who, at is null from log order by what, who",
        "select state, n, sum from totals order by state",
    ] {
        all.extend(rows(sql));
    }
    all
}

fn plain(all: Vec<String>) -> Vec<String> {
    let value = |text: &str| match text {
        "t" | "true" => "1".to_owned(),
        "f" | "false" => "0".to_owned(),
        other => other.parse::<f64>().map_or_else(|_| other.to_owned(), |number| number.to_string()),
    };
    all.iter().map(|row| row.split('|').map(value).collect::<Vec<_>>().join("|")).collect()
}

fn of_source(it: &Move) -> Vec<String> {
    let shown = |value: &targets::db::Value| match value {
        targets::db::Value::Text(text) => text.clone(),
        targets::db::Value::Null => "null".to_owned(),
        other => other.to_string(),
    };
    let rows = |sql: &str| {
        let rows = it.from.rows(sql);
        rows.iter().map(|row| row.iter().map(shown).collect::<Vec<_>>().join("|")).collect()
    };
    plain(state(rows, "active"))
}

#[test]
fn the_same_writes_come_to_the_same_on_the_other_side() {
    // S4-041, W-106
    let script = format!("{TABLES}{};", TRIGGERS.join(";\n"));
    let it = Move::of(&script);
    let plan = it.plan(json!({}));
    let result = plan.items[0].result.as_ref().unwrap();
    assert_eq!(result["left"], json!([]), "{:#}", result["left"]);
    assert!(result["sql"].as_str().unwrap().contains("create trigger \"through\" instead of insert on"));
    let report = it.run(json!({}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    let of_target = || plain(state(|sql| it.list(sql), "active"));
    assert_eq!(of_source(&it), of_target(), "the copy itself fires nothing");
    // a switch is a number there and a truth value here
    let mut writes: Vec<(String, String, bool)> =
        WRITES.iter().map(|(sql, fails)| ((*sql).to_owned(), (*sql).to_owned(), *fails)).collect();
    writes.push((
        "update people set active = 0 where id = 2".to_owned(),
        "update people set active = false where id = 2".to_owned(),
        false,
    ));
    for (sqlite, postgres, fails) in writes {
        let (there, here) = (it.from.try_script(&sqlite), it.to.try_script(&postgres));
        assert_eq!((there.is_err(), here.is_err()), (fails, fails), "{sqlite}: {there:?} {here:?}");
        if let (Err(there), Err(here)) = (there, here) {
            let said = |error: &str| {
                ["no such person", "less than nothing", "too much"]
                    .into_iter()
                    .find(|said| error.contains(said))
                    .map(str::to_owned)
            };
            assert_eq!(said(&format!("{there:?}")), said(&format!("{here:?}")));
        }
        assert_eq!(of_source(&it), of_target(), "after {sqlite}");
    }
    // a name that changes sets the time once, and does not go round for ever
    assert_eq!(it.list("select updated_at > now() - interval '1 hour' from people where id = 1"), ["t"]);
}

#[test]
fn triggers_without_a_counterpart_are_named_with_the_reason() {
    // S4-036
    let it = Move::of(
        "create table t (id integer primary key, s text, d text);
         create table u (id integer primary key, s text unique);
         create virtual table words using fts5(s);
         insert into t values (1, 'a', 'b');
         create trigger searched after insert on t begin insert into words (rowid, s) values (new.id, new.s); end;
         create trigger itself before update on t begin update t set d = 'x' where id = old.id; end;
         create trigger replaced after insert on t begin insert or replace into u values (new.id, new.s); end;
         create trigger random after insert on t begin update t set d = hex(randomblob(4)) where id = new.id; end;
         create trigger late after insert on t begin select raise(ignore) where new.s = ''; end;",
    );
    let plan = it.plan(json!({}));
    let result = plan.items[0].result.as_ref().unwrap();
    let why = |name: &str| {
        let all = result["left"].as_array().unwrap();
        all.iter()
            .find(|left| left["name"] == name)
            .map(|left| left["why"].as_str().unwrap().to_owned())
            .unwrap_or_default()
    };
    assert!(why("searched").contains("it only keeps `words` filled"), "{}", why("searched"));
    assert!(why("itself").contains("its own table"), "{}", why("itself"));
    assert!(why("replaced").contains("breaks a rule"), "{}", why("replaced"));
    assert!(why("random").contains("no counterpart"), "{}", why("random"));
    assert!(why("late").contains("ignores"), "{}", why("late"));
    assert_eq!(forbidden(&plan), Vec::<String>::new());
}

#[test]
fn triggers_of_every_kind_come_to_the_same() {
    // S4-041
    let it = Move::of(
        "create table cfg (k text primary key, v text);
         create table counts (id integer primary key, name text not null unique, n integer not null);
         create table sums (id integer primary key, a integer, b integer, tot integer as (a + b) stored);
         create table notes (id integer primary key, what text not null, at text);
         create table parents (id integer primary key, n integer); create table children (id integer primary key, pid integer references parents (id) on delete cascade);
         insert into parents values (1, 0), (2, 0); insert into children values (1, 1), (2, 2);
         create trigger keep before insert on cfg begin
           select raise(ignore) where exists (select 1 from cfg where k = new.k and v = new.v); delete from cfg where k = new.k; end;
         create trigger counted after insert on sums begin
           insert into counts (name, n) values ('sums', 1) on conflict (name) do update set n = n + 1;
           select case when count(*) > 4 then raise(abort, 'too many') end from sums where a = new.a; end;
         create trigger checked after insert on sums when new.tot < 0 begin select raise(abort, 'less than nothing'); end;
         create trigger noted after insert on sums begin insert or ignore into notes (what) values (new.b); end;
         create trigger gone after delete on parents begin insert into notes (what) select 'gone', old.id; end;
         create trigger each after update of n on parents begin update children set pid = pid where pid = new.id; insert into notes (what, at) select 'child ' || id, null from children where pid = new.id; end;",
    );
    let plan = it.plan(json!({}));
    let left = &plan.items[0].result.as_ref().unwrap()["left"];
    assert_eq!(left.as_array().unwrap().len(), 1, "{left:#}");
    assert!(
        left[0]["name"] == "gone" && left[0]["why"].as_str().unwrap().contains("other columns"),
        "{left:#}"
    );
    let report = it.run(json!({"leave": ["gone"]}));
    assert_eq!((report.status, found(&report)), (Status::Completed, Vec::new()), "{report:#?}");
    it.from.script("drop trigger gone");
    for (sql, fails) in [
        (
            "insert into cfg values ('a', '1'); insert into cfg values ('a', '1'); insert into cfg values ('a', '2'); insert into cfg values ('b', '1')",
            false,
        ),
        ("insert into sums (a, b) values (1, 2), (1, null)", false),
        ("insert into sums (a, b) values (1, -2)", true),
        ("insert into sums (a, b) values (1, 3), (1, 4)", false),
        ("insert into sums (a, b) values (1, 5)", true),
        ("insert into sums (a, b) values (2, 5)", false),
        ("update parents set n = n + 1", false),
        ("delete from parents where id = 1", false),
    ] {
        let (there, here) = (it.from.try_script(sql), it.to.try_script(sql));
        assert_eq!((there.is_err(), here.is_err()), (fails, fails), "{sql}: {there:?} {here:?}");
        for rows in [
            "select k || ' ' || v from cfg order by k",
            "select name || ' ' || n from counts order by name",
            "select a || ' ' || coalesce(b, 0) || ' ' || coalesce(tot, 0) from sums order by id",
            "select what from notes order by what",
            "select id || ' ' || n from parents order by id",
        ] {
            let there: Vec<String> =
                it.from.rows(rows).iter().map(|row| row[0].as_text().unwrap().to_owned()).collect();
            assert_eq!(it.list(rows), there, "{rows} after {sql}");
        }
    }
}

#[test]
fn triggers_that_the_server_fires_at_another_time_are_named() {
    // S4-036
    let it = Move::of(
        "create table p (id integer primary key, n integer); create table c (id integer primary key, p integer references p (id));
         create table g (id integer primary key, a integer, b integer as (a * 2) stored, k text unique on conflict replace);
         create trigger clean after delete on p begin delete from c where p = old.id; end;
         create trigger above before delete on p begin delete from c where p = old.id; end;
         create trigger back after delete on c begin update p set n = n - 1 where id = old.p; end;
         create trigger computed before insert on g begin select raise(abort, 'x') where new.b < 0; end;
         create trigger called after insert on g begin select send_mail(new.id); end;
         create trigger inner after insert on g begin
           select case when new.a is null then raise(abort, 'a') else case when new.a < 0 then raise(abort, 'b') end end; end;",
    );
    let plan = it.plan(json!({}));
    let result = plan.items[0].result.as_ref().unwrap();
    let named: Vec<&str> =
        result["left"].as_array().unwrap().iter().map(|left| left["name"].as_str().unwrap()).collect();
    for name in ["clean", "above", "computed", "called", "inner", "g.k"] {
        assert!(named.contains(&name), "{name} is not among {named:?}");
    }
    assert!(!named.contains(&"back"), "{named:?}");
}

#[test]
fn two_triggers_that_fire_each_other_come_to_an_end() {
    // S4-041
    let it = Move::of(
        "create table a (id integer primary key, n integer not null); create table b (id integer primary key, n integer not null);
         insert into a values (1, 0); insert into b values (1, 0);
         create trigger a_b after update on a begin update b set n = n + 1 where id = new.id; end;
         create trigger b_a after update on b begin update a set n = n + 1 where id = new.id; end;",
    );
    let report = it.run(json!({}));
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    for _ in 0..2 {
        it.from.script("update a set n = n + 1");
        it.to.script("update a set n = n + 1");
    }
    let both = "select a.n || ' ' || b.n from a, b";
    let there = it.from.rows(both)[0][0].as_text().unwrap().to_owned();
    assert_eq!(it.list(both), [there]);
}

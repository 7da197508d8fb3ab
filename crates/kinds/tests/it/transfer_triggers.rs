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
    assert!(why("searched").contains("`words`, which is not carried"), "{}", why("searched"));
    assert!(why("itself").contains("its own table"), "{}", why("itself"));
    assert!(why("replaced").contains("breaks a rule"), "{}", why("replaced"));
    assert!(why("random").contains("no counterpart"), "{}", why("random"));
    assert!(why("late").contains("ignores"), "{}", why("late"));
    assert_eq!(forbidden(&plan), Vec::<String>::new());
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

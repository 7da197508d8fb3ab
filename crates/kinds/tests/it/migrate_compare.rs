//! Two schemas are compared object by object, and what is offered to mend a difference does mend it.

use kinds::migrate::compare::{Comparison, Ignored, Snapshot, What};
use testkit::Place;

fn snapshot(place: &Place) -> Snapshot {
    Snapshot::read(&mut *place.database().read().unwrap(), &Ignored::default()).unwrap()
}

fn compared(expected: &Place, found: &Place) -> Comparison {
    snapshot(expected).compare(&snapshot(found)).unwrap()
}

/// Two empty places of each kind.
fn pairs(mut test: impl FnMut(&Place, &Place)) {
    test(&Place::sqlite(), &Place::sqlite());
    test(&Place::postgres(), &Place::postgres());
}

fn told(comparison: &Comparison) -> Vec<String> {
    let mut told: Vec<String> = comparison
        .differences
        .iter()
        .map(|one| {
            let facts: Vec<&str> = one.facts.iter().map(|fact| fact.fact.as_str()).collect();
            let name = one.name.replace("public.", "");
            format!("{:?} {} {name} {}", one.what, one.kind, facts.join(" ")).trim().to_owned()
        })
        .collect();
    told.sort();
    told
}

const USUAL: &str = "
    create table users (id integer primary key, name text not null default 'x', age integer check (age >= 0));
    create table orders (id integer primary key, who integer references users (id) on delete cascade, unique (who, id));
    create index orders_who on orders (who) where who > 1;
    create view seen as select id, name from users;";

#[test]
fn the_same_schema_written_in_another_way_is_equal() {
    // S2-039, W-009
    pairs(|a, b| {
        a.script(USUAL);
        b.script(
            "/* by hand */ CREATE TABLE \"users\"(ID INTEGER PRIMARY KEY, Name TEXT DEFAULT 'x' NOT NULL,
               AGE integer CHECK(age>=0));
             create table ORDERS (id integer primary key, who integer, unique (who,id),
               foreign key(who) references users(id) on delete cascade);
             create  index orders_who on orders(WHO) where who>1;
             create view seen AS select id,name from users; -- end",
        );
        let comparison = compared(a, b);
        // A check without a name is named after its table by PostgreSQL, and known by its text in SQLite.
        assert_eq!(told(&comparison), Vec::<String>::new(), "{comparison}");
        assert!(comparison.expected > 8 && comparison.expected == comparison.found);
    });
}

#[test]
fn histories_and_own_tables_are_no_difference() {
    pairs(|a, b| {
        a.script(USUAL);
        b.script(USUAL);
        b.script("create table schema_migrations (version varchar(255) primary key)");
        b.script2(
            "create table sexton_migrations (a)",
            "create schema sexton; create table sexton.migrations (a int)",
        );
        assert!(compared(a, b).is_equal(), "{}", compared(a, b));
        b.script("create table other_migrations (version text)");
        assert_eq!(told(&compared(a, b)), ["Extra table other_migrations"]);
    });
}

#[test]
fn each_difference_is_told_with_its_fact() {
    pairs(|a, b| {
        a.script(USUAL);
        b.script(
            &USUAL
                .replace("default 'x'", "default 'y'")
                .replace("on delete cascade", "")
                .replace("who > 1", "who > 2"),
        );
        b.script("create table more (id integer primary key, n integer); create index more_n on more (n)");
        b.script("create index users_name on users (name)");
        let comparison = compared(a, b);
        let key = if a.is_sqlite() { "foreign key (who) references users(id)" } else { "orders_who_fkey" };
        let mut expected = vec![
            "Different column name default".to_owned(),
            "Different index orders_who definition".to_owned(),
            "Extra index users_name".to_owned(),
            "Extra table more".to_owned(),
        ];
        match a.is_sqlite() {
            true => expected.extend([
                format!("Extra foreign key {key}"),
                format!("Missing foreign key {key} on delete cascade"),
            ]),
            false => expected.push(format!("Different foreign key {key} definition")),
        }
        expected.sort();
        assert_eq!(told(&comparison), expected);
        let more = comparison.differences.iter().find(|one| one.name.ends_with("more")).unwrap();
        assert_eq!(
            (more.what, more.with["index"], more.statements.len()),
            (What::Extra, 1, 0),
            "rows would be lost"
        );
        let text = comparison.to_string();
        assert!(text.contains("    - 'y'") && text.contains("    + 'x'"), "{text}");
        assert!(
            text.contains("extra     table") && text.contains("with 2 columns, 1 index, 1 primary key"),
            "{text}"
        );
    });
}

#[test]
fn what_is_offered_mends_the_difference() {
    pairs(|a, b| {
        a.script(USUAL);
        a.script(
            "create table late (id integer primary key, n integer not null, note text default 'a, b');
             create unique index late_n on late (n);",
        );
        b.script("create table users (id integer primary key, name text not null default 'x')");
        b.script(
            "create table orders (id integer primary key, who integer references users (id) on delete cascade,
               unique (who, id));
             create index orders_who on orders (id); create index wrong on orders (who);
             create view seen as select id from users;",
        );
        let before = compared(a, b);
        for statement in before.statements() {
            b.script(statement);
        }
        let after = compared(a, b);
        // SQLite adds no column with a rule; the rule of PostgreSQL is offered with the column.
        let left =
            if a.is_sqlite() { vec!["Missing check check (age >= 0)", "Missing column age"] } else { vec![] };
        assert_eq!(told(&after), left, "{before}\n\nand then\n\n{after}");
    });
}

#[test]
fn a_column_that_went_and_came_back_differs_in_its_place_only() {
    pairs(|a, b| {
        for place in [a, b] {
            place.script("create table t (id integer primary key, first text, last text)");
        }
        b.script("alter table t drop column first; alter table t add column first text");
        let comparison = compared(a, b);
        assert_eq!(told(&comparison), ["Different table t order of columns"]);
        assert_eq!(comparison.differences[0].facts[0].found.as_deref(), Some("id, last, first"));
    });
}

#[test]
fn two_kinds_of_database_are_not_compared() {
    let error = snapshot(&Place::sqlite()).compare(&snapshot(&Place::postgres())).unwrap_err();
    assert!(error.help.is_some(), "{error}");
}

#[test]
fn strictness_and_rowids_are_facts_of_a_table() {
    let (a, b) = (Place::sqlite(), Place::sqlite());
    a.script("create table t (id integer primary key) strict, without rowid");
    b.script("create table t (id integer primary key)");
    assert_eq!(told(&compared(&a, &b)), ["Different table t strict without rowid"]);
}

#[test]
fn new_labels_and_switches_of_postgresql_are_mended() {
    let (a, b) = (Place::postgres(), Place::postgres());
    for place in [&a, &b] {
        place.script(
            "create type mood as enum ('sad'); create table t (id int, n int);
             create function f() returns trigger language plpgsql as 'begin return new; end';
             create trigger g before insert on t for each row execute function f();",
        );
    }
    a.script("alter type mood add value 'fine, really'; alter type mood add value 'ok'");
    a.script(
        "alter table t add constraint positive check (n > 0); alter table t alter column n set default 3",
    );
    b.script(
        "alter table t add constraint positive check (n > 0) not valid; alter table t disable trigger g",
    );
    b.script("alter table t alter column id set not null");
    let first = compared(&a, &b);
    // A label with a comma is left to people.
    assert!(first.statements().all(|sql| !sql.contains("add value")), "{first}");
    b.script("alter type mood add value 'fine, really'");
    let second = compared(&a, &b);
    assert_eq!(
        told(&second),
        [
            "Different check positive valid",
            "Different column id not null",
            "Different column n default",
            "Different enum mood labels",
            "Different trigger g enabled"
        ]
    );
    for statement in second.statements() {
        b.script(statement);
    }
    assert!(compared(&a, &b).is_equal(), "{}", compared(&a, &b));
}

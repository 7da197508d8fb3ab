//! A schema is listed object by object, completely and in the database's own words.

use std::collections::BTreeMap;
use targets::db::Object;
use testkit::{Place, both};

fn objects(place: &Place) -> Vec<Object> {
    place.database().read().unwrap().objects().unwrap()
}

/// `kind name` → facts.
fn named(objects: &[Object]) -> BTreeMap<String, BTreeMap<String, String>> {
    objects
        .iter()
        .map(|object| {
            let of = object.of.as_deref().map(|of| format!(" of {of}")).unwrap_or_default();
            (format!("{} {}{of}", object.kind, object.name), object.facts.clone())
        })
        .collect()
}

#[test]
fn what_sexton_and_extensions_made_is_no_object_of_the_user() {
    both(|place| {
        place.script2(
            "create table t (a); create table sexton_undo (a); create index sexton_i on sexton_undo (a);
             create virtual table words using fts5(word);",
            "create table t (a int); create schema sexton; create table sexton.undo (a int)",
        );
        let found = objects(place);
        let tables: Vec<&str> =
            found.iter().filter(|object| object.kind == "table").map(|object| object.name.as_str()).collect();
        let expected = if place.is_sqlite() { vec!["t", "words"] } else { vec!["public.t"] };
        assert_eq!(tables, expected);
        assert!(found.iter().all(|object| !format!("{object:?}").contains("sexton")), "{found:#?}");
    });
}

#[test]
fn sqlite_gives_the_statements_themselves() {
    let place = Place::sqlite();
    place.script("create table t (a text); create index i on t (a); create view v as select a from t;");
    let found = objects(&place);
    let statements: Vec<&str> = found.iter().filter_map(|object| object.create.as_deref()).collect();
    assert_eq!(
        statements,
        ["CREATE TABLE t (a text)", "CREATE INDEX i on t (a)", "CREATE VIEW v as select a from t"]
    );
    assert_eq!(found[1].of.as_deref(), Some("t"));
    assert_eq!(found[1].drop.as_deref(), Some("drop index \"i\""));
    assert_eq!(found[0].drop, None);
}

const RICH: &str = "
    create schema shop;
    create type shop.mood as enum ('sad', 'it''s fine');
    create domain shop.positive as int default 1 check (value > 0);
    create type shop.pair as (a int, b text);
    create type shop.span as range (subtype = int4);
    create sequence shop.numbers start 10 increment 5;
    create table shop.users (
      id bigint generated always as identity primary key, name text not null default 'x', mood shop.mood,
      code text collate \"C\" unique, twice int generated always as (2 * 3) stored, n shop.positive, serial serial);
    create table shop.orders (
      id int primary key, who bigint references shop.users (id) on delete cascade deferrable,
      amount numeric(10,2) check (amount > 0), constraint apart exclude (amount with =));
    alter table shop.orders add constraint later check (id > 0) not valid;
    create index orders_some on shop.orders using hash (who) where amount > 1;
    create table parts (id int, at date) partition by range (at);
    create table parts_1 partition of parts for values from ('2020-01-01') to ('2021-01-01');
    create index parts_at on parts (at);
    create view shop.seen as select u.id from shop.users u;
    create materialized view shop.kept as select id from shop.users;
    create function shop.twice(n int) returns int language sql immutable as 'select 2 * n';
    create procedure shop.act() language sql as 'select 1';
    create aggregate shop.total(int) (sfunc = int4pl, stype = int, initcond = '0');
    create function shop.nothing() returns trigger language plpgsql as 'begin return null; end';
    create trigger gone after delete on shop.orders for each row execute function shop.nothing();
    alter table shop.orders disable trigger gone;
    create rule kept as on delete to parts do instead nothing;
    create policy mine on shop.users for select using (id = 1);
    alter table shop.users enable row level security;
    create statistics shop.pairs on id, who from shop.orders;
    comment on table shop.users is 'who';
    comment on column shop.users.name is 'how';
    grant select, update on shop.users to public;";

#[test]
fn postgresql_gives_every_sort_of_object() {
    let place = Place::postgres();
    place.script(RICH);
    let found = objects(&place);
    let all = named(&found);
    let fact = |name: &str, fact: &str| {
        let facts = all.get(name).unwrap_or_else(|| panic!("no {name} in {:#?}", all.keys()));
        facts.get(fact).cloned().unwrap_or_default()
    };
    let users = |column: &str| format!("column {column} of shop.users");
    assert_eq!(fact("enum shop.mood", "labels"), "'sad', 'it''s fine'");
    assert_eq!(fact("domain shop.positive", "default"), "1");
    assert!(fact("domain shop.positive", "checks").contains("VALUE > 0"));
    assert_eq!(fact("composite shop.pair", "fields"), "a integer, b text");
    assert_eq!(fact("range shop.span", "subtype"), "integer");
    assert_eq!(fact("sequence shop.numbers", "increment"), "5");
    assert_eq!(fact("sequence shop.users_serial_seq of shop.users", "owned by"), "shop.users.serial");
    assert_eq!(fact(&users("id"), "identity"), "always");
    assert_eq!(fact(&users("name"), "default"), "'x'::text");
    assert_eq!(fact(&users("name"), "not null"), "yes");
    assert_eq!(fact(&users("mood"), "type"), "shop.mood");
    assert!(fact(&users("code"), "collation").contains('C'));
    assert_eq!(fact(&users("twice"), "generated"), "(2 * 3)");
    assert_eq!(fact("table shop.users", "columns"), "id\nname\nmood\ncode\ntwice\nn\nserial");
    assert_eq!(fact("table shop.users", "row security"), "yes");
    let key = fact("foreign key orders_who_fkey of shop.orders", "definition");
    assert_eq!(key, "FOREIGN KEY (who) REFERENCES shop.users(id) ON DELETE CASCADE DEFERRABLE");
    assert_eq!(fact("check later of shop.orders", "valid"), "no");
    assert!(fact("exclusion apart of shop.orders", "definition").starts_with("EXCLUDE"));
    let index = fact("index shop.orders_some of shop.orders", "definition");
    assert!(index.contains("USING hash (who) WHERE (amount > (1)::numeric)"), "{index}");
    assert_eq!(fact("table public.parts", "partition by"), "RANGE (at)");
    assert_eq!(fact("table public.parts_1", "inherits"), "public.parts");
    assert!(all.keys().all(|name| !name.contains("parts_1_at")), "comes with the index of the parent");
    assert!(fact("view shop.seen", "definition").contains("FROM shop.users"));
    assert!(all.contains_key("materialized view shop.kept"));
    assert!(fact("function shop.twice(n integer)", "definition").contains("IMMUTABLE"));
    assert!(all.contains_key("procedure shop.act()"));
    assert_eq!(fact("aggregate shop.total(integer)", "initial"), "0");
    assert_eq!(fact("trigger gone of shop.orders", "enabled"), "no");
    assert!(all.contains_key("rule kept of public.parts"));
    assert_eq!(fact("policy mine of shop.users", "for"), "select");
    assert!(all.contains_key("statistics shop.pairs of shop.orders"));
    assert_eq!(fact("comment table shop.users", "text"), "who");
    assert_eq!(fact("comment table column shop.users.name", "text"), "how");
    assert_eq!(fact("grant to public of shop.users", "rights"), "select, update");
    place.script(
        "do $$ begin execute format('alter database %I set search_path = shop', current_database()); end $$",
    );
    let same = objects(&place);
    assert_eq!(found, same, "the search path changes no word");
}

#[test]
fn statements_of_objects_are_understood_by_the_server() {
    let place = Place::postgres();
    place.script(RICH);
    let found = objects(&place);
    for object in &found {
        for (fact, statement) in &object.set {
            place.try_script(statement).unwrap_or_else(|error| panic!("{fact} of {object:?}: {error}"));
        }
    }
    assert_eq!(named(&objects(&place)), named(&found), "they say what is so already");
    // Views, triggers, indexes and constraints are made again from what was read.
    for kind in ["view", "trigger", "index", "check", "statistics"] {
        for object in found.iter().filter(|object| object.kind == kind) {
            let (Some(drop), Some(create)) = (&object.drop, &object.create) else { panic!("{object:?}") };
            place.script(drop);
            place.script(create);
        }
    }
    let mut again = named(&objects(&place));
    // Switched off is a fact of its own, set afterwards.
    again.get_mut("trigger gone of shop.orders").unwrap().insert("enabled".into(), "no".into());
    assert_eq!(again, named(&found));
}

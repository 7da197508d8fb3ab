//! `sexton migrate … --fleet`: many databases, a few first, several at once, until too many have failed; the rest later.

use crate::kit::{Desk, Said};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use testkit::Place;

/// A desk with migrations and four SQLite files in a fleet.
fn desk(more: &str) -> (Desk, Vec<Place>) {
    let desk = Desk::empty();
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/0001_users.sql",
        "-- sexton:up\ncreate table users (id integer primary key, n integer);\n-- sexton:down\ndrop table users;\n",
    );
    std::fs::create_dir(desk.file("tenants")).unwrap();
    let places = ["a", "b", "c", "d"].map(|name| {
        let place = Place::elsewhere(&desk.file(&format!("tenants/{name}.db")).display().to_string());
        place.script("create table probe (x); drop table probe");
        place
    });
    desk.write(
        "sexton.toml",
        &format!(
            "[database.a]\nurl = \"tenants/a.db\"\n[database.b]\nurl = \"tenants/b.db\"\n\
             [fleet.tenants]\ndatabases = [\"a\", \"b\", \"tenants/c.db\", \"tenants/d.db\"]\n{more}"
        ),
    );
    (desk, places.into())
}

fn migrate(desk: &Desk, line: &str) -> Said {
    desk.sexton(&format!("migrate {line} --fleet tenants"))
}

/// What became of each.
fn states(said: &Said) -> BTreeMap<String, String> {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    said.json()["databases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["name"]), text(&one["state"])))
        .collect()
}

fn told(said: &Said) -> Vec<String> {
    states(said).into_values().collect()
}

#[test]
fn what_fails_in_one_is_told_and_only_the_rest_is_done_the_next_time() {
    // S2-034, X-26
    let (desk, places) = desk("max_failed_percent = 50.0\nat_once = 2\n");
    // Somebody made the table by hand in the third.
    places[2].script("create table users (id integer)");
    let said = migrate(&desk, "up --dry-run --output json").ends(3);
    assert!(
        places
            .iter()
            .all(|place| place.rows("select 1 from sqlite_schema where name like 'sexton%'").is_empty())
    );
    assert_eq!(said.json()["needed"], 4);
    let said = migrate(&desk, "up --output json").ends(5);
    assert_eq!(told(&said), ["done", "done", "refused", "done"], "{}", said.shown());
    let json = said.json();
    assert_eq!((&json["done"], &json["failed"], &json["not_begun"]), (&3.into(), &1.into(), &0.into()));
    assert!(json["databases"][2]["error"].as_str().unwrap().contains("users"), "{json}");
    assert_eq!(
        (&json["databases"][0]["canary"], &json["databases"][1]["canary"]),
        (&true.into(), &false.into())
    );
    let said = migrate(&desk, "check --output json").ends(5);
    assert_eq!(said.json()["needed"], 1);
    places[2].script("drop table users");
    let said = migrate(&desk, "up --output json").ends(0);
    assert_eq!(told(&said), ["up to date", "up to date", "done", "up to date"]);
    migrate(&desk, "check").ends(0);
    let said = migrate(&desk, "status").ends(0);
    assert!(said.stdout.contains("4 of 4 up to date"), "{}", said.shown());
    // What takes data away needs consent, once for all of them.
    migrate(&desk, "down").ends(3);
    migrate(&desk, "down --yes").ends(0);
    assert!(
        places.iter().all(|place| place.rows("select 1 from sqlite_schema where name = 'users'").is_empty())
    );
}

#[test]
fn nobody_else_is_touched_when_the_first_one_fails() {
    let (desk, places) = desk("canary = 1\nmax_failed_percent = 100.0\n");
    places[0].script("create table users (id integer)");
    let said = migrate(&desk, "up --output json").ends(3);
    assert_eq!(told(&said), ["refused", "not begun", "not begun", "not begun"], "{}", said.shown());
    assert!(said.json()["why"].as_str().unwrap().contains("go first"));
    assert!(places[1].rows("select 1 from sqlite_schema").is_empty());
}

#[test]
fn one_that_cannot_be_reached_is_told_by_name_and_the_others_are_looked_at() {
    let (desk, _places) = desk("");
    std::fs::remove_file(desk.file("tenants/c.db")).unwrap();
    let said = desk.sexton("fleet status tenants --output json").ends(1).json();
    assert_eq!((&said["unreachable"], &said["databases"][2]["reachable"]), (&1.into(), &false.into()));
    assert_eq!(said["databases"][3]["reachable"], true);
    let said = migrate(&desk, "status").ends(1);
    assert!(
        said.stdout.contains("tenants/c.db") && said.stdout.contains("there is no file"),
        "{}",
        said.shown()
    );
    let said = desk.sexton("fleet list").ends(0);
    assert!(said.stdout.contains("tenants"), "{}", said.shown());
    let said = desk.sexton("migrate up --fleet tenant").ends(2);
    assert!(said.stderr.contains("did you mean `tenants`?"), "{}", said.shown());
    let said = migrate(&desk, "test").ends(2);
    assert!(said.stderr.contains("not on a fleet"), "{}", said.shown());
}

#[test]
fn a_fleet_says_which_databases_it_has_in_one_way_only() {
    let desk = Desk::empty();
    for (fleet, what) in [
        ("", "does not say which databases"),
        ("databases = [\"main\"]\nfrom = \"main\"\nquery = \"select 1\"", "both a list and a query"),
        ("databases = [\"mian\"]", "there is no database `mian`"),
        ("from = \"other\"\nquery = \"select 1\"", "there is no database `other`"),
        ("databases = [\"main\"]\nurl = \"{1}\"", "is for the rows of a query"),
    ] {
        desk.write("sexton.toml", &format!("[database.main]\nurl = \"app.db\"\n[fleet.f]\n{fleet}\n"));
        let said = desk.sexton("config check").ends(2);
        assert!(said.stderr.contains(what), "{what}: {}", said.shown());
    }
}

#[test]
fn databases_that_a_query_yields_are_brought_up_until_one_fails_and_then_the_rest() {
    // S2-034
    let places = [Place::postgres(), Place::postgres(), Place::postgres()];
    let name = |place: &Place| {
        let rows = place.rows("select current_database()");
        rows[0][0].as_text().unwrap().to_owned()
    };
    let main = Place::postgres();
    main.script("create table tenant (place int, name text, active bool)");
    for (n, place) in places.iter().enumerate() {
        place.script("create table orders (n int)");
        main.script(&format!("insert into tenant values ({n}, '{}', true)", name(place)));
    }
    places[1].script("insert into orders values (-1)");
    main.script("insert into tenant values (9, 'gone', false)");
    // A password that nobody asks for, and nobody may see.
    let url = main.url().replacen('@', ":s3cret-word@", 1).replacen(&name(&main), "{1}", 1);
    let desk = Desk::at(main);
    std::fs::create_dir(desk.file("migrations")).unwrap();
    desk.write(
        "migrations/0001_positive.sql",
        "-- sexton:up\nalter table orders add constraint positive check (n > 0);\n-- sexton:down\n\
         alter table orders drop constraint positive;\n",
    );
    desk.write(
        "sexton.toml",
        &format!(
            "[database.main]\nurl = \"{}\"\n[fleet.tenants]\nfrom = \"main\"\n\
             query = \"select name from tenant where active order by place\"\nurl = \"{url}\"\nat_once = 1\n\
             max_failed_percent = 0.0\n",
            desk.place.url()
        ),
    );
    let listed = desk.sexton("fleet list tenants --output json").ends(0);
    assert_eq!(listed.json()["databases"].as_array().unwrap().len(), 3);
    let said = migrate(&desk, "up --output json").ends(1);
    let of = |said: &Said| places.iter().map(|place| states(said)[&name(place)].clone()).collect::<Vec<_>>();
    assert_eq!(of(&said), ["done", "failed", "not begun"], "{}", said.shown());
    assert!(said.json()["databases"][1]["error"].as_str().unwrap().contains("positive"), "{}", said.shown());
    let shown = migrate(&desk, "status").ends(0);
    for said in [&listed, &said, &shown, &migrate(&desk, "up").ends(1)] {
        assert!(!format!("{}{}", said.stdout, said.stderr).contains("s3cret"), "{}", said.shown());
    }
    places[1].script("delete from orders");
    let said = migrate(&desk, "up --output json").ends(0);
    assert_eq!(of(&said), ["up to date", "done", "done"]);
    assert_eq!(migrate(&desk, "check --output json").ends(0).json()["needed"], 0);
}

#[test]
fn the_message_about_a_fleet_is_one_for_all_of_its_databases() {
    let sink = testkit::HttpSink::start();
    let told = format!(
        "max_failed_percent = 100.0\n[notifications]\nby_hand = true\non_success = true\n\
         [notify.team]\ntype = \"webhook\"\nurl = \"{}\"\n",
        sink.url("/team")
    );
    let (desk, places) = desk(&told);
    places[2].script("create table users (id integer)");
    migrate(&desk, "up --yes");
    let calls: Vec<Json> = sink.take().iter().map(|call| call.json()).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    // all of them may fail
    assert_eq!(calls[0]["title"], "migrate on the fleet tenants done with warnings");
    let text = calls[0]["text"].as_str().unwrap();
    assert!(text.starts_with("3 of 4 databases done; 1 failed, the first one with: "), "{text}");
    places[2].script("drop table users");
    migrate(&desk, "up --yes").ends(0);
    let calls: Vec<Json> = sink.take().iter().map(|call| call.json()).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(calls[0]["title"], "migrate on the fleet tenants done");
}

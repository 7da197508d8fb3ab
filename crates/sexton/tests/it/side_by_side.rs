//! How many operations of a run are at work at a time: as the configuration, a group, the command line or a call says.

use crate::api::Server;
use crate::kit::Desk;
use serde_json::{Value as Json, json};
use testkit::Place;

const ROWS: &str = "create table items (id integer primary key);
    with recursive c(i) as (select 1 union all select i + 1 from c where i < 30) insert into items select i from c;";

/// So many rows a second where two are to be at work beside each other: the first must still be at it when the second begins.
const SLOW: u32 = 10;
/// The same where one comes after the other, however long each takes.
const FAST: u32 = 200;

/// Two purges of two databases, of thirty rows each, in a group.
fn desk(rate: u32, defaults: &str, group: &str, other: &Place) -> Desk {
    let desk = Desk::empty();
    desk.place.script(ROWS);
    other.script(ROWS);
    let purge = |name: &str, database: &str| {
        format!(
            "[operation.{name}]\nkind = \"purge\"\nseverity = \"LOW\"\ndatabase = \"{database}\"\ntable = \"items\"\nwhere = \"id > 0\"\nundo = \"none\"\n"
        )
    };
    desk.write(
        "sexton.toml",
        &format!(
            "[database.main]\nurl = \"app.db\"\n[database.other]\nurl = \"{}\"\n\
             [defaults]\nmax_percent = 100\nmin_free_disk_mb = 0\nbatch_size = 5\nrows_per_second = {rate}\n{defaults}\n\
             {}{}[group.both]\noperations = [\"a\", \"b\"]\n{group}\n[group.one]\noperations = [\"a\"]\n\
             [schedule.nightly]\nrun = [\"both\"]\ncron = \"0 2 * * *\"\n",
            other.url(),
            purge("a", "main"),
            purge("b", "other"),
        ),
    );
    desk
}

/// Whether the second began before the first had ended, by the log of the last run.
fn overlapped(desk: &Desk) -> bool {
    let id = desk.runs().pop().unwrap();
    let log = std::fs::read_to_string(desk.file(".sexton/runs.jsonl")).unwrap();
    let events: Vec<Json> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Json| event["run"] == id.as_str())
        .collect();
    let place = |item: u64, name: &str| {
        let found = events.iter().position(|event| event["item"] == item && event["event"] == name);
        found.unwrap_or_else(|| panic!("no {name} of {item}: {events:#?}"))
    };
    place(1, "started") < place(0, "finished")
}

#[test]
fn a_group_says_how_many_of_its_operations_go_at_a_time_and_the_flag_says_it_for_one_run() {
    // S1-075
    let other = Place::sqlite();
    for (defaults, group, line, expected) in [
        ("", "", "run both", false),
        ("max_parallel = 2", "", "run both", true),
        ("", "max_parallel = 2", "run both", true),
        ("max_parallel = 2", "max_parallel = 1", "run --group both", false),
        ("", "max_parallel = 2", "run both --max-parallel 1", false),
        ("", "", "run a b --max-parallel 3", true),
        // Of several groups the least counts.
        ("", "max_parallel = 2", "run both one", false),
        ("", "max_parallel = 2", "schedule run nightly", true),
    ] {
        let desk = desk(if expected { SLOW } else { FAST }, defaults, group, &other);
        desk.sexton(line).ends(0);
        assert_eq!(overlapped(&desk), expected, "{defaults} / {group} / {line}");
        other.script("drop table items");
    }
}

#[test]
fn a_schedule_that_was_made_from_a_group_keeps_what_the_group_says() {
    // S1-009, X-52
    let other = Place::sqlite();
    let desk = desk(SLOW, "", "max_parallel = 2", &other);
    desk.sexton("run both --schedule daily").ends(0);
    let shown = desk.sexton("schedule show daily --output json").ends(0).json();
    assert_eq!(shown["run"], json!(["both"]));
    desk.sexton("schedule approve daily").ends(0);
    desk.sexton("schedule run daily").ends(0);
    assert!(overlapped(&desk));
}

#[test]
fn a_call_says_how_many_operations_go_at_a_time() {
    let other = Place::sqlite();
    let server = Server::of(desk(SLOW, "", "max_parallel = 2", &other), "run");
    let run = |more: Json| {
        let mut body = json!({"operations": ["both"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.send("POST", "/api/v1/runs", &body, &[])
    };
    for (more, expected) in
        [(json!({}), true), (json!({"max_parallel": 1}), false), (json!({"max_parallel": 64}), true)]
    {
        let begun = run(more.clone());
        assert_eq!(begun.status, 202, "{}", begun.body);
        assert_eq!(server.wait(begun.json()["run_id"].as_str().unwrap())["status"], "completed");
        assert_eq!(overlapped(&server.desk), expected, "{more}");
        for place in [&server.desk.place, &other] {
            place.script(&format!("drop table items; {ROWS}"));
        }
    }
    for wrong in [json!({"max_parallel": 0}), json!({"max_parallel": 65}), json!({"max_parallel": "two"})] {
        let refused = run(wrong);
        assert_eq!(refused.wrong(422), "usage");
        assert!(refused.body.contains("max_parallel") || refused.body.contains("string"), "{}", refused.body);
    }
    let planned =
        server.send("POST", "/api/v1/plans", &json!({"operations": ["both"], "max_parallel": 5}), &[]);
    assert_eq!(planned.json()["request"]["max_parallel"], 5, "{}", planned.body);
    let again = run(json!({"plan": planned.json()["plan_id"], "operations": [], "max_parallel": 2}));
    assert_eq!(again.wrong(422), "usage");
}

#[test]
fn what_cannot_be_a_number_of_operations_is_told() {
    let other = Place::sqlite();
    let desk = desk(FAST, "", "max_parallel = 0", &other);
    let said = desk.sexton("config check").ends(2);
    assert!(said.stderr.contains("max_parallel"), "{}", said.shown());
    for line in [
        "run both --max-parallel 0",
        "run both --max-parallel many",
        "run both --schedule daily --max-parallel 2",
    ] {
        assert!(desk.sexton(line).ends(2).stderr.contains("--max-parallel"));
    }
}

//! Laws of merges of tables that are no trees, whatever refers to them: by a key of two references, through two unique keys
//! with rows below, by columns of another type, several times from one row.

use crate::merge::cells;
use crate::stage::{Stage, cases, manners};
use engine::{Manners, Status};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use testkit::{Place, story};

/// People, friendships between them, cards of theirs with stamps, and notes about them.
#[derive(Debug, Clone)]
struct Case {
    people: Vec<(u8, u8)>,
    friends: Vec<(u8, u8, u8)>,
    cards: Vec<(u8, u8, u8)>,
    stamps: Vec<(u8, u8)>,
    notes: Vec<(u8, u8)>,
    typed: usize,
    indexed: bool,
    scoped: bool,
    survivor: usize,
    batch_size: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let few = |most: usize| 0..most;
    (
        prop::collection::vec((0..3_u8, 0..2_u8), 2..10),
        prop::collection::vec((any::<u8>(), any::<u8>(), 1..9_u8), few(10)),
        prop::collection::vec((any::<u8>(), 0..3_u8, 0..3_u8), few(10)),
        prop::collection::vec((any::<u8>(), 0..2_u8), few(10)),
        prop::collection::vec((any::<u8>(), 0..3_u8), few(8)),
        (0..3_usize, any::<bool>(), any::<bool>(), 0..4_usize, 1..6_u64),
    )
        .prop_map(|(people, friends, cards, stamps, notes, choices)| Case {
            people,
            friends,
            cards,
            stamps,
            notes,
            typed: choices.0,
            indexed: choices.1,
            scoped: choices.2,
            survivor: choices.3,
            batch_size: choices.4,
        })
}

impl Case {
    fn person(&self, n: u8) -> usize {
        usize::from(n) % self.people.len()
    }

    fn script(&self, sqlite: bool) -> String {
        // Columns without a type, or of another one, exist on SQLite alone.
        let about = if sqlite { ["integer", "", "text"][self.typed] } else { "integer" };
        let mut text = format!(
            "create table people (id integer primary key, name text, team integer not null);
             create table friends (a integer not null references people (id), b integer not null references people (id), w integer not null,
               primary key (a, b));
             create table cards (id integer primary key, person integer references people (id), kind integer, shade integer,
               unique (person, kind), unique (person, shade));
             create table stamps (id integer primary key, card integer not null references cards (id), seen integer, unique (card, seen));
             create table notes (id integer primary key, about {about}, body text);"
        );
        if self.indexed {
            text.push_str(
                "create index notes_about on notes (about); create index stamps_card on stamps (card);",
            );
        }
        for (n, (name, team)) in self.people.iter().enumerate() {
            let _ = write!(text, "insert into people values ({n}, 'n{name}', {team});");
        }
        let mut taken = BTreeSet::new();
        for (a, b, w) in &self.friends {
            let (a, b) = (self.person(*a), self.person(*b));
            if taken.insert((a, b)) {
                let _ = write!(text, "insert into friends values ({a}, {b}, {w});");
            }
        }
        let (mut kinds, mut shades, mut cards) = (BTreeSet::new(), BTreeSet::new(), 0_usize);
        for (person, kind, shade) in &self.cards {
            let person = self.person(*person);
            if !kinds.contains(&(person, kind)) && shades.insert((person, shade)) {
                kinds.insert((person, kind));
                let _ = write!(text, "insert into cards values ({cards}, {person}, {kind}, {shade});");
                cards += 1;
            }
        }
        let mut taken = BTreeSet::new();
        for (n, (card, seen)) in self.stamps.iter().enumerate().filter(|_| cards > 0) {
            let card = usize::from(*card) % cards;
            if taken.insert((card, seen)) {
                let _ = write!(text, "insert into stamps values ({n}, {card}, {seen});");
            }
        }
        for (n, (person, spelled)) in self.notes.iter().enumerate() {
            let person = self.person(*person);
            let about = match (about, spelled) {
                ("integer", _) | (_, 0) => person.to_string(),
                ("text", 1) => format!("' {person}'"),
                (_, 1) => format!("'{person}'"),
                _ => format!("{person}.0"),
            };
            let _ = write!(text, "insert into notes values ({n}, {about}, 'b{n}');");
        }
        text
    }

    fn options(&self) -> Json {
        let survivor = [
            json!([]),
            json!(["lowest_key"]),
            json!(["most notes", "highest_key"]),
            json!(["most_dependants", "highest_key"]),
        ];
        let mut options = json!({
            "table": "people", "by": ["name", "team"], "survivor": survivor[self.survivor],
            "references": [{"table": "notes", "columns": ["about"]}],
            "on_clash": [
                {"table": "friends", "policy": "fold", "fields": {"w": "sum"}},
                {"table": "cards", "policy": "fold"},
                {"table": "stamps", "policy": "fold"},
            ],
        });
        if self.scoped {
            options["scope"] = "team".into();
        }
        options
    }
}

fn hold_the_laws(case: &Case, place: Place) {
    let stage = Stage::new(place);
    stage.place.script(&case.script(stage.place.is_sqlite()));
    let before = stage.place.dump();
    let said = |what: &str| cells(&stage.place, what);
    let people = "select distinct name, team from people order by name, team";
    let notes =
        "select n.body, p.name, p.team from notes as n join people as p on p.id = n.about order by n.id";
    let friends = "select a.name, a.team, b.name, b.team, sum(w) from friends as f join people as a on a.id = f.a join people as b on b.id = f.b
       group by a.name, a.team, b.name, b.team order by 1, 2, 3, 4";
    let kinds = "select distinct p.name, p.team, c.kind from cards as c join people as p on p.id = c.person order by 1, 2, 3";
    let whole = [said(people), said(notes), said(friends)];
    let kept: BTreeSet<String> = said(kinds).into_iter().collect();
    let engine = stage.engine();
    let manners = Manners { batch_size: Some(case.batch_size), ..manners() };
    let request = story::request("merge", case.options(), manners, false);
    let plan = story::plan(&engine, &request);
    assert_eq!(stage.place.dump(), before, "planning changed something");
    let report = story::run(&engine, &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let done = &report.operations[0];
    assert_eq!(report.totals.failed, 0, "{report:#?}");
    assert_eq!(
        [said(people), said(notes), said(friends)],
        whole,
        "somebody is lost, or something hangs elsewhere"
    );
    let left: BTreeSet<String> = said(kinds).into_iter().collect();
    assert!(left.is_subset(&kept), "{left:?} {kept:?}");
    let none = |select: &str, why: &str| assert_eq!(stage.number(select), 0, "{why}");
    none(
        "select count(*) from (select 1 from people group by name, team having count(*) > 1) as x",
        "something same is left",
    );
    none("select count(*) from stamps where card not in (select id from cards)", "a stamp is lost");
    none("select count(*) from cards where person not in (select id from people)", "a card is lost");
    if let Some(undo) = &done.undo_id {
        let undone = stage.undo(undo);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
    }
    assert_eq!(stage.place.dump(), before, "undo did not give back what was there");
    story::forget(&engine);
    assert_eq!(stage.place.leftovers(), Vec::<String>::new());
}

// S3-002, S3-004, W-081, W-082, W-084, W-112
proptest! {
    #![proptest_config(cases(60))]
    #[test]
    fn a_merge_loses_nobody_and_its_undo_is_the_identity_on_sqlite(case in case()) {
        hold_the_laws(&case, Place::sqlite());
    }
}

proptest! {
    #![proptest_config(cases(16))]
    #[test]
    fn a_merge_loses_nobody_and_its_undo_is_the_identity_on_postgresql(case in case()) {
        hold_the_laws(&case, Place::postgres());
    }
}

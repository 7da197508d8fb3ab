//! Random parents with holes and random children: every policy mends all orphans, touches no other row, and undo is the
//! identity.

use crate::orphans_stage::{Stage, manners};
use crate::stage::cases;
use engine::Status;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write;
use testkit::{Place, story};

#[derive(Debug, Clone)]
struct Case {
    /// Ids of parents, each with a flag that a condition may ask for.
    parents: Vec<(i64, bool)>,
    null_parent: bool,
    others: Vec<i64>,
    /// References to a parent and to another, each perhaps none.
    children: Vec<(Option<i64>, Option<i64>)>,
    policy: usize,
    both_references: bool,
    condition: bool,
    as_text: bool,
    indexed: bool,
    batch_size: u64,
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::btree_map(1..12_i64, any::<bool>(), 1..9),
        any::<bool>(),
        prop::collection::btree_set(1..6_i64, 1..5),
        prop::collection::vec((prop::option::of(0..14_i64), prop::option::of(0..7_i64)), 0..30),
        0..4_usize,
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        1..7_u64,
    )
        .prop_map(|(parents, null_parent, others, children, policy, flags, batch_size)| Case {
            parents: parents.into_iter().collect(),
            null_parent,
            others: others.into_iter().collect(),
            children,
            policy,
            both_references: flags.0,
            condition: flags.1,
            as_text: flags.2,
            indexed: flags.3,
            batch_size,
        })
}

impl Case {
    fn policy(&self) -> &'static str {
        ["delete", "set_null", "quarantine", if self.both_references { "delete" } else { "reassign" }]
            [self.policy]
    }

    /// The parent that takes reassigned rows: one that counts as a parent.
    fn taker(&self) -> Option<i64> {
        self.parents.iter().find(|(_, good)| *good || !self.condition).map(|(id, _)| *id)
    }

    fn has_parent(&self, id: Option<i64>) -> bool {
        id.is_none_or(|id| self.parents.iter().any(|(own, good)| *own == id && (*good || !self.condition)))
    }

    fn has_other(&self, id: Option<i64>) -> bool {
        !self.both_references || id.is_none_or(|id| self.others.contains(&id))
    }

    fn orphans(&self) -> Vec<usize> {
        let orphan = |(_, (parent, other)): &(usize, &(Option<i64>, Option<i64>))| {
            !self.has_parent(*parent) || !self.has_other(*other)
        };
        self.children.iter().enumerate().filter(orphan).map(|(n, _)| n).collect()
    }

    fn script(&self) -> String {
        let kind = if self.as_text { "text" } else { "integer" };
        let mut out = format!(
            "create table parents (id integer unique, good integer not null);
             create table others (id integer primary key);
             create table children (id integer primary key, parent_id {kind}, other_id integer, body text);
             create table children_quarantine (id integer, parent_id {kind}, other_id integer, body text,
               quarantined_at timestamp with time zone, quarantined_by text, primary key (id, quarantined_by));"
        );
        for (id, good) in &self.parents {
            let _ = write!(out, "insert into parents values ({id}, {});", u8::from(*good));
        }
        if self.null_parent {
            out.push_str("insert into parents values (null, 1);");
        }
        for id in &self.others {
            let _ = write!(out, "insert into others values ({id});");
        }
        let value = |id: Option<i64>, quoted: bool| match id {
            None => "null".to_owned(),
            Some(id) if quoted => format!("'{id}'"),
            Some(id) => id.to_string(),
        };
        for (n, (parent, other)) in self.children.iter().enumerate() {
            let (parent, other) = (value(*parent, self.as_text), value(*other, false));
            let _ = write!(out, "insert into children values ({n}, {parent}, {other}, 'row {n}');");
        }
        if self.indexed {
            out.push_str("create index children_parent on children (parent_id);");
        }
        out
    }

    fn options(&self) -> Value {
        let mut first = json!({"columns": ["parent_id"], "parent": "parents", "parent_columns": ["id"]});
        if self.condition {
            first["parent_where"] = json!("p.good = 1");
        }
        let mut references = vec![first];
        if self.both_references {
            references.push(json!({"columns": ["other_id"], "parent": "others"}));
        }
        let mut options = json!({"table": "children", "references": references, "policy": self.policy()});
        if self.policy() == "reassign" {
            options["to"] = json!(self.taker());
        }
        options
    }

    /// The rows that must be there afterwards: id, parent, other.
    fn expected(&self) -> Vec<String> {
        let orphans = self.orphans();
        let shown = |id: Option<i64>| id.map_or("null".to_owned(), |id| id.to_string());
        let mut all = Vec::new();
        for (n, (parent, other)) in self.children.iter().enumerate() {
            let (parent, other) = match (orphans.contains(&n), self.policy()) {
                (false, _) => (*parent, *other),
                (true, "set_null") => {
                    (parent.filter(|_| self.has_parent(*parent)), other.filter(|_| self.has_other(*other)))
                }
                (true, "reassign") => (self.taker(), *other),
                (true, _) => continue,
            };
            all.push(format!("{n} {} {} row {n}", shown(parent), shown(other)));
        }
        all.sort();
        all
    }
}

fn hold_the_laws(case: &Case, place: Place) {
    if case.policy() == "reassign" && case.taker().is_none() {
        return;
    }
    let stage = Stage::new(place);
    stage.place.script(&case.script());
    let before = stage.place.dump();
    let engine = stage.engine();
    let manners = engine::Manners { batch_size: Some(case.batch_size), ..manners() };
    let request = story::request("orphans", case.options(), manners, false);
    let plan = story::plan(&engine, &request);
    assert_eq!(stage.place.dump(), before, "planning changed something");
    let orphans = case.orphans();
    let step = &plan.items[0].steps[0];
    assert_eq!((step.matched, step.total), (orphans.len() as u64, Some(case.children.len() as u64)));
    let report = story::run(&engine, &plan);
    if report.status == Status::Refused {
        let none_counts = case.condition && case.parents.iter().all(|(_, good)| !good) && !case.null_parent;
        assert!(none_counts, "{report:#?}");
        assert_eq!(stage.place.dump(), before, "a refusal changed something");
        return;
    }
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    assert_eq!(report.totals.deleted + report.totals.changed, orphans.len() as u64, "{report:#?}");
    let rows = "select cast(id as text) || ' ' || coalesce(cast(parent_id as text), 'null') || ' ' ||
        coalesce(cast(other_id as text), 'null') || ' ' || body from children";
    let mut left = stage.list(rows);
    left.sort();
    assert_eq!(left, case.expected());
    let moved = stage.number("select count(*) from children_quarantine");
    assert_eq!(moved as usize, if case.policy() == "quarantine" { orphans.len() } else { 0 });
    let again = stage.plan(case.options());
    assert_eq!(again.matched(), 0, "an orphan is left");
    if report.operations[0].undo_id.is_some() {
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
    }
    assert_eq!(stage.place.dump(), before, "undo did not give back what was there");
    story::forget(&engine);
    assert_eq!(stage.place.leftovers(), Vec::<String>::new());
}

proptest! {
    #![proptest_config(cases(40))]
    #[test]
    fn every_orphan_is_mended_and_nothing_else_on_sqlite(case in case()) {
        hold_the_laws(&case, Place::sqlite());
    }
}

proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn every_orphan_is_mended_and_nothing_else_on_postgresql(case in case()) {
        hold_the_laws(&case, Place::postgres());
    }
}

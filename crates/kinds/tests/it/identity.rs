//! Laws that hold for any tables, rows and policies: run then undo is the identity, nothing is lost in between, a
//! second run finds nothing, and no reference is left dangling.

use crate::stage::{Stage, cases, manners};
use engine::{Plan, Status};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write;
use testkit::{Place, story};

/// A table: its key, its references, its rows.
#[derive(Debug, Clone)]
struct Spec {
    two_columns: bool,
    without_rowid: bool,
    references: Vec<Reference>,
    rows: Vec<u16>,
}

/// A reference to an earlier table or to the table itself.
#[derive(Debug, Clone)]
struct Reference {
    to: usize,
    nullable: bool,
    declared: bool,
    on_delete: usize,
    policy: usize,
    index: bool,
}

/// Everything about one case.
#[derive(Debug, Clone)]
struct Case {
    tables: Vec<Spec>,
    target: usize,
    batch_size: u64,
    index_on_rule: bool,
}

fn reference() -> impl Strategy<Value = Reference> {
    (any::<usize>(), any::<bool>(), prop::bool::weighted(0.8), 0..4_usize, 0..8_usize, any::<bool>())
        .prop_map(|(to, nullable, declared, on_delete, policy, index)| Reference {
            to,
            nullable,
            declared,
            on_delete,
            policy,
            index,
        })
}

fn spec() -> impl Strategy<Value = Spec> {
    (
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(reference(), 0..3),
        prop::collection::vec(any::<u16>(), 0..14),
    )
        .prop_map(|(two_columns, without_rowid, references, rows)| Spec {
            two_columns,
            without_rowid,
            references,
            rows,
        })
}

fn case() -> impl Strategy<Value = Case> {
    (prop::collection::vec(spec(), 1..5), any::<usize>(), 1..7_u64, any::<bool>()).prop_map(
        |(tables, target, batch_size, index_on_rule)| Case {
            target: target % tables.len(),
            tables,
            batch_size,
            index_on_rule,
        },
    )
}

impl Case {
    fn key(&self, table: usize) -> Vec<String> {
        if self.tables[table].two_columns { vec!["k".into(), "id".into()] } else { vec!["id".into()] }
    }

    fn own_columns(&self, table: usize, n: usize) -> Vec<String> {
        let to = self.parent(table, n);
        self.key(to).iter().map(|column| format!("r{n}_{column}")).collect()
    }

    fn parent(&self, table: usize, n: usize) -> usize {
        self.tables[table].references[n].to % (table + 1)
    }

    fn policy(&self, table: usize, n: usize) -> &'static str {
        let reference = &self.tables[table].references[n];
        match reference.policy {
            0 => "restrict",
            1..=3 if reference.nullable => "set_null",
            _ => "cascade",
        }
    }

    fn clears_own_references(&self) -> bool {
        let own = |n: usize| (0..self.tables[n].references.len()).filter(move |m| self.parent(n, *m) == n);
        (0..self.tables.len()).any(|n| own(n).any(|m| self.policy(n, m) == "set_null"))
    }

    fn script(&self, sqlite: bool) -> String {
        let mut out = String::new();
        for (n, table) in self.tables.iter().enumerate() {
            let mut columns =
                String::from("id integer not null, k integer not null, doomed integer not null, body text");
            let mut rest = format!(", primary key ({})", self.key(n).join(", "));
            let mut after = String::new();
            for (m, reference) in table.references.iter().enumerate() {
                let own = self.own_columns(n, m);
                let to = self.parent(n, m);
                for column in &own {
                    let _ = write!(
                        columns,
                        ", {column} integer{}",
                        if reference.nullable { "" } else { " not null" }
                    );
                }
                if reference.declared {
                    let action = ["", " on delete cascade", " on delete restrict", " on delete no action"]
                        [reference.on_delete];
                    let _ = write!(
                        rest,
                        ", foreign key ({}) references t{to} ({}){action}",
                        own.join(", "),
                        self.key(to).join(", ")
                    );
                }
                if reference.index {
                    let _ = write!(after, "create index t{n}_r{m} on t{n} ({});", own.join(", "));
                }
            }
            if self.index_on_rule {
                let _ = write!(after, "create index t{n}_doomed on t{n} (doomed);");
            }
            let ending = if sqlite && table.without_rowid { " without rowid" } else { "" };
            let _ = write!(out, "create table t{n} ({columns}{rest}){ending};{after}");
            out.push_str(&self.rows(n));
        }
        out
    }

    /// How many rows a table gets: none where a reference that must be there has nothing to refer to.
    fn many(&self, table: usize) -> usize {
        let spec = &self.tables[table];
        let empty = spec.references.iter().enumerate().any(|(m, reference)| {
            let to = self.parent(table, m);
            !reference.nullable && to != table && self.many(to) == 0
        });
        if empty { 0 } else { spec.rows.len() }
    }

    /// One statement, so that rows may refer to later ones of their own table.
    fn rows(&self, table: usize) -> String {
        let spec = &self.tables[table];
        let mut rows = Vec::new();
        for (i, bits) in spec.rows.iter().take(self.many(table)).enumerate() {
            let mut values = vec![
                (i + 1).to_string(),
                ((i + 1) % 3).to_string(),
                u8::from(bits & 3 == 0).to_string(),
                format!("'row {bits}'"),
            ];
            for (m, reference) in spec.references.iter().enumerate() {
                let to = self.parent(table, m);
                let many = self.many(to);
                let choice = usize::from(bits >> (4 + 4 * m)) & 15;
                let none = many == 0 || (reference.nullable && choice == 0);
                let id = (choice % many.max(1)) + 1;
                for column in self.key(to) {
                    values.push(match (none, column.as_str()) {
                        (true, _) => "null".to_owned(),
                        (false, "k") => (id % 3).to_string(),
                        (false, _) => id.to_string(),
                    });
                }
            }
            rows.push(format!("({})", values.join(", ")));
        }
        match rows.is_empty() {
            true => String::new(),
            false => format!("insert into t{table} values {};", rows.join(", ")),
        }
    }

    fn options(&self) -> Value {
        let mut relations = Vec::new();
        for (n, table) in self.tables.iter().enumerate() {
            for m in 0..table.references.len() {
                let to = self.parent(n, m);
                relations.push(json!({"table": format!("t{n}"), "parent": format!("t{to}"), "columns": self.own_columns(n, m),
                    "parent_columns": self.key(to), "policy": self.policy(n, m)}));
            }
        }
        json!({"table": format!("t{}", self.target), "where": "doomed = 1", "relations": relations})
    }

    /// Rows whose parent is not there.
    fn dangling(&self, stage: &Stage) -> i64 {
        let mut all = 0;
        for (n, table) in self.tables.iter().enumerate() {
            for m in 0..table.references.len() {
                let (own, to) = (self.own_columns(n, m), self.parent(n, m));
                let same: Vec<String> =
                    own.iter().zip(self.key(to)).map(|(own, key)| format!("p.{key} = c.{own}")).collect();
                all += stage.number(&format!(
                    "select count(*) from t{n} c where c.{} is not null and not exists (select 1 from t{to} p where {})",
                    own[0],
                    same.join(" and ")
                ));
            }
        }
        all
    }

    /// How many rows each table has.
    fn counts(&self, stage: &Stage) -> Vec<i64> {
        (0..self.tables.len()).map(|n| stage.number(&format!("select count(*) from t{n}"))).collect()
    }
}

fn hold_the_laws(case: &Case, place: Place) {
    let stage = Stage::new(place);
    stage.place.script(&case.script(stage.place.is_sqlite()));
    let before = stage.place.dump();
    let counts = case.counts(&stage);
    let engine = stage.engine();
    let request = story::request(
        "purge",
        case.options(),
        engine::Manners { batch_size: Some(case.batch_size), ..manners() },
        false,
    );
    let plan: Plan = story::plan(&engine, &request);
    assert_eq!(stage.place.dump(), before, "planning changed something");
    let report = story::run(&engine, &plan);
    let done = &report.operations[0];
    if report.status == Status::Refused {
        assert_eq!(stage.place.dump(), before, "a refusal changed something");
        return;
    }
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    // Rows that refer to each other in a ring make way for nobody.
    let held = done.findings.iter().any(|finding| finding.code == "rows_held");
    assert!(done.rows_deleted == plan.matched() || held && done.rows_deleted < plan.matched(), "{done:#?}");
    let promised: u64 = plan.items[0].steps[0].dependants.iter().map(|hanging| hanging.rows).sum();
    // A row whose reference into its own table is cleared may be doomed itself and go in a later batch.
    assert!(
        case.clears_own_references() || done.rows_dependent <= promised,
        "{promised} dependants were planned: {done:#?}"
    );
    assert_eq!(case.dangling(&stage), 0, "a reference is left dangling");
    let mut left = case.counts(&stage);
    for point in engine.undo_points("test").unwrap() {
        for table in point.tables.iter().filter(|table| table.change == engine::undo::Change::Delete) {
            let n: usize = table.source.name[1..].parse().unwrap();
            left[n] += stage.number(&format!("select count(*) from {}", table.undo.name.quoted()));
        }
    }
    assert_eq!(left, counts, "a row is neither left nor remembered");
    let after = stage.place.dump();
    let again = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!((again.status, again.totals.deleted, again.totals.dependants), (Status::Completed, 0, 0));
    assert_eq!(stage.place.dump(), after);
    if done.undo_id.is_some() {
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
    fn run_then_undo_is_the_identity_on_sqlite(case in case()) {
        hold_the_laws(&case, Place::sqlite());
    }
}

proptest! {
    #![proptest_config(cases(10))]
    #[test]
    fn run_then_undo_is_the_identity_on_postgresql(case in case()) {
        hold_the_laws(&case, Place::postgres());
    }
}

//! The law: whatever tables and values there are, what is carried is the same on both sides, and what is not is counted.

use crate::stage::cases;
use crate::transfer_kit::{Move, forbidden, found};
use engine::Status;
use proptest::prelude::*;
use serde_json::json;
use std::fmt::Write as _;
use testkit::story;

const TYPES: &[&str] = &[
    "",
    "integer",
    "int",
    "smallint",
    "bigint",
    "real",
    "double",
    "decimal(8,3)",
    "numeric",
    "text",
    "varchar(6)",
    "blob",
    "boolean",
    "datetime",
    "date",
    "time",
    "json",
    "uuid",
    "any",
    "string",
];

/// A value as SQL writes it.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just("null".to_owned()),
        2 => (-3_i64..4).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| if n == i64::MIN { "-9223372036854775807".to_owned() } else { n.to_string() }),
        1 => (1_600_000_000_i64..1_800_000_000).prop_map(|n| n.to_string()),
        2 => (-10_000_i32..10_000).prop_map(|n| format!("{:.2}", f64::from(n) / 100.0)),
        1 => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        2 => "[a-zA-Z0-9 äß🚀']{0,9}".prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        1 => (0_u32..40_000, 0_u32..86_400).prop_map(|(day, second)| format!("datetime({}, 'unixepoch')", u64::from(day) * 86_400 + u64::from(second))),
        1 => (0_u32..40_000).prop_map(|day| format!("date({}, 'unixepoch')", u64::from(day) * 86_400)),
        1 => proptest::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}'")
        }),
        1 => proptest::collection::vec(1_u8.., 0..4).prop_map(|bytes| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("cast(x'{hex}' as text)")
        }),
        1 => Just("'{\"a\": [1, 2.50, null], \"b\": \"x\"}'".to_owned()),
        1 => (0_u32..1000).prop_map(|n| format!("'6f1e1c1c-0000-4000-8000-{n:012}'")),
        1 => Just("''".to_owned()),
    ]
}

/// Tables with rows whose values are drawn from a few kinds each, so that some columns are of one kind and some of all.
fn script() -> impl Strategy<Value = String> {
    let column = (proptest::sample::select(TYPES), proptest::collection::vec(value(), 1..4));
    let table = (proptest::collection::vec(column, 1..6), 0_usize..12, 0_u8..4);
    proptest::collection::vec(table, 1..4).prop_map(|tables| {
        let mut out = String::new();
        for (n, (columns, rows, shape)) in tables.iter().enumerate() {
            let list: Vec<String> =
                columns.iter().enumerate().map(|(c, (typ, _))| format!("\"C {c}\" {typ}")).collect();
            let (key, end) = match shape {
                0 => ("id integer primary key, ", ""),
                1 => ("id text not null primary key, ", ""),
                2 => ("id text primary key, ", " without rowid"),
                _ => ("", ""),
            };
            let _ = write!(out, "create table t{n} ({key}{}){end};", list.join(", "));
            for row in 0..*rows {
                let mut values: Vec<String> = if *shape == 3 { vec![] } else { vec![format!("{}", row * 3)] };
                values.extend(
                    columns
                        .iter()
                        .enumerate()
                        .map(|(c, (_, some))| some[(row * (c + 1)) % some.len()].clone()),
                );
                let _ = write!(out, "insert into t{n} values ({});", values.join(", "));
            }
        }
        out
    })
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn what_is_carried_is_the_same_on_both_sides(script in script()) {
        let it = Move::of(&script);
        let plan = it.plan_with(json!({"policy": "quarantine"}), |manners| manners.batch_size = Some(4));
        prop_assert_eq!(forbidden(&plan), Vec::<String>::new());
        let report = story::run(&it.engine(), &plan);
        let done = &report.operations[0];
        prop_assert!(matches!(report.status, Status::Completed | Status::Partial), "{:?}", done.errors);
        let told = found(&report);
        prop_assert!(!told.iter().any(|one| one.starts_with("differs") || one.starts_with("not_carried")), "{:?}", done.findings);
        prop_assert_eq!(done.rows_changed + done.rows_failed, plan.matched());
        let kept = if done.rows_failed > 0 { it.list("select count(*) from sexton.unloaded").concat().parse().unwrap() } else { 0 };
        prop_assert_eq!(done.rows_failed, kept);
    }
}

/// How the rows of a family of tables refer to each other: the key of the parent, whether the child has a type, which index it has, and
/// the values of both sides.
type Family = (usize, bool, usize, Vec<u8>, Vec<(Option<u8>, Option<u8>)>);

fn family() -> impl Strategy<Value = Family> {
    let side = || proptest::option::weighted(0.9, 0_u8..9);
    let children = proptest::collection::vec((side(), side()), 0..14);
    (0_usize..4, any::<bool>(), 0_usize..4, proptest::collection::btree_set(0_u8..8, 0..8), children)
        .prop_map(|(key, typed, index, parents, rows)| {
            (key, typed, index, parents.into_iter().collect(), rows)
        })
}

fn family_script((key, typed, index, parents, rows): &Family) -> String {
    let (types, columns, words): (&[&str], &str, bool) = match key {
        0 => (&["integer"], "a", false),
        1 => (&["text"], "a", true),
        2 => (&["text", "integer"], "a, b", true),
        _ => (&["integer", "text"], "a, b", false),
    };
    let value = |n: usize, value: u8| match (n == 0) == words {
        true if n < types.len() => {
            format!("'{}'", ["x", "X", "ä", "y z", "", "0", "7", "a", "b"][usize::from(value)])
        }
        _ => value.to_string(),
    };
    let names = ["a", "b"];
    let list = |typed: bool| {
        let column = |n: usize| format!("{} {}", names[n], if typed { types[n] } else { "" });
        (0..types.len()).map(column).collect::<Vec<_>>().join(", ")
    };
    let mut out = format!(
        "create table p (n integer primary key, {}, unique ({columns})); create table c (id integer primary key, {}, note text, \
         foreign key ({columns}) references p ({columns}));",
        list(true),
        list(*typed),
    );
    let _ = match index {
        0 => Ok(()),
        1 => write!(out, "create index i on c ({columns});"),
        2 => write!(out, "create index i on c ({columns}, note);"),
        _ => write!(out, "create index i on c ({columns}) where note is null;"),
    };
    for parent in parents {
        let values: Vec<String> = (0..types.len()).map(|n| value(n, *parent)).collect();
        let _ = write!(out, "insert into p ({columns}) values ({});", values.join(", "));
    }
    for (a, b) in rows {
        let both = [a, b];
        let values: Vec<String> =
            (0..types.len()).map(|n| both[n].map_or("null".to_owned(), |one| value(n, one))).collect();
        let _ = write!(out, "insert into c ({columns}) values ({});", values.join(", "));
    }
    out
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn the_rows_that_lead_nowhere_are_those_of_which_sqlite_says_so(family in family()) {
        // W-102
        let it = Move::of(&family_script(&family));
        let lost = it.from.rows("select count(*) from pragma_foreign_key_check('c')")[0][0].as_int().unwrap();
        let report = it.run_in(5, json!({"dirty": {"reference": "quarantine"}}));
        let done = &report.operations[0];
        prop_assert!(matches!(report.status, Status::Completed | Status::Partial), "{:?}", done.errors);
        prop_assert_eq!(done.rows_failed, lost as u64, "{:?}", done.findings);
        let told = found(&report);
        prop_assert!(!told.iter().any(|one| one.starts_with("differs") || one.starts_with("not_carried")), "{:?}", done.findings);
        prop_assert_eq!(it.list("select convalidated::text from pg_constraint where contype = 'f'"), ["true"]);
    }
}

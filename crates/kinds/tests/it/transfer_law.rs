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

/// How the rows of a table are told apart.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    Number,
    Counted,
    Text,
    Nocase,
    TextAlone,
    Two,
    TwoAlone,
    None,
}

const KEYS: [Key; 8] =
    [Key::Number, Key::Counted, Key::Text, Key::Nocase, Key::TextAlone, Key::Two, Key::TwoAlone, Key::None];

impl Key {
    /// Its columns, the declaration of the key, and what ends the table.
    fn declared(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Key::Number => ("id integer primary key, ", "", ""),
            Key::Counted => ("id integer primary key autoincrement, ", "", ""),
            Key::Text => ("id text not null primary key, ", "", ""),
            Key::Nocase => ("id text collate nocase primary key, ", "", ""),
            Key::TextAlone => ("id text primary key, ", "", " without rowid"),
            Key::Two => ("a integer not null, b text not null, ", ", primary key (a, b)", ""),
            Key::TwoAlone => ("a integer, b text, ", ", primary key (b, a)", " without rowid"),
            Key::None => ("", "", ""),
        }
    }

    /// Of the row of this number.
    fn values(self, row: usize) -> Vec<String> {
        match self {
            Key::Number | Key::Counted => vec![format!("{}", row * 3 + 1)],
            Key::Text | Key::TextAlone => vec![format!(
                "'{}'",
                ["k", "K", "6f1e1c1c-0000-4000-8000-0000000000", "ä "][row % 4].to_owned()
                    + &format!("{row:02}")
            )],
            Key::Nocase => vec![format!("'{}{row}'", ["key", "KEY", "Key"][row % 3])],
            Key::Two | Key::TwoAlone => vec![(row / 2).to_string(), format!("'{}'", ["x", "X"][row % 2])],
            Key::None => vec![],
        }
    }
}

/// What a table has besides its columns.
#[derive(Debug, Clone)]
struct Table {
    key: Key,
    columns: Vec<(&'static str, Vec<String>)>,
    rows: usize,
    /// A number with a check, a unique text of any case, and indexes over a part of the rows.
    demands: bool,
    /// A reference to the first table, of whose rows one in so many is not there.
    refers: Option<usize>,
    /// What the mapping says of the table and of its columns.
    renamed: bool,
    casts: Vec<Option<&'static str>>,
    becomes_uuid: bool,
}

fn table() -> impl Strategy<Value = Table> {
    let column = (proptest::sample::select(TYPES), proptest::collection::vec(value(), 1..4));
    let cast = proptest::option::weighted(
        0.25,
        proptest::sample::select(
            &["text", "bigint", "varchar(5)", "jsonb", "drop", "rename", "numeric(9,2)"][..],
        ),
    );
    (
        (proptest::sample::select(&KEYS[..]), proptest::collection::vec((column, cast), 1..6), 0_usize..12),
        (any::<bool>(), proptest::option::weighted(0.4, 2_usize..9), any::<bool>(), any::<bool>()),
    )
        .prop_map(|((key, columns, rows), (demands, refers, renamed, becomes_uuid))| {
            let (columns, casts) = columns.into_iter().unzip();
            Table { key, columns, rows, demands, refers, renamed, casts, becomes_uuid }
        })
}

/// The script of the file, and the map of the transfer.
fn written(tables: &[Table]) -> (String, serde_json::Value) {
    let (mut out, mut map) = (String::new(), serde_json::Map::new());
    for (n, table) in tables.iter().enumerate() {
        let (key, at_end, end) = table.key.declared();
        let mut list: Vec<String> =
            table.columns.iter().enumerate().map(|(c, (typ, _))| format!("\"C {c}\" {typ}")).collect();
        if table.demands {
            list.push("amount integer not null default 3 check (amount between -5 and 500)".to_owned());
            list.push(
                "\"eMail\" text collate nocase unique check (length(\"eMail\") > 2 or \"eMail\" is null)"
                    .to_owned(),
            );
        }
        let parent = tables[0].key;
        let refers =
            table.refers.filter(|_| n > 0 && !matches!(parent, Key::Two | Key::TwoAlone | Key::None));
        if refers.is_some() {
            let typ = if matches!(parent, Key::Number | Key::Counted) { "integer" } else { "text" };
            list.push(format!("parent {typ} references t0 (id) on delete cascade"));
        }
        let _ = write!(out, "create table t{n} ({key}{}{at_end}){end};", list.join(", "));
        if table.demands {
            let _ = write!(
                out,
                "create index \"few {n}\" on t{n} (amount desc) where amount > 3 and \"eMail\" is not null; \
                 create unique index lower{n} on t{n} (lower(\"eMail\"), amount); create index both{n} on t{n} (\"eMail\" collate nocase, amount);"
            );
        }
        for row in 0..table.rows {
            let mut values = table.key.values(row);
            values.extend(
                table
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(c, (_, some))| some[(row * (c + 1)) % some.len()].clone()),
            );
            if table.demands {
                values.push(((row * 37) % 505).to_string());
                values.push(if row % 4 == 3 {
                    "null".to_owned()
                } else {
                    format!("'{}{row}@x.org'", ["m", "M"][row % 2])
                });
            }
            if let Some(often) = refers {
                let there = tables[0].rows.max(1);
                let at = if row % often == often - 1 { row + 100 } else { row % there };
                values.push(if row % 5 == 4 { "null".to_owned() } else { parent.values(at).concat() });
            }
            let _ = write!(out, "insert into t{n} values ({});", values.join(", "));
        }
        if table.key == Key::Counted {
            let _ = write!(out, "delete from t{n} where id = (select max(id) from t{n});");
        }
        let mut columns = serde_json::Map::new();
        for (c, cast) in table.casts.iter().enumerate() {
            let said = match cast {
                None => continue,
                Some("drop") => json!({"drop": true}),
                Some("rename") => json!({"rename": format!("Other {c}")}),
                Some(cast) => json!({"cast": cast, "empty": "null"}),
            };
            columns.insert(format!("C {c}"), said);
        }
        if table.becomes_uuid && matches!(table.key, Key::Text | Key::TextAlone | Key::Number) {
            columns.insert("id".to_owned(), json!({"uuid": true}));
        }
        let mut own = json!({"columns": columns});
        if table.renamed {
            own["rename"] = json!(format!("The table {n}"));
        }
        map.insert(format!("t{n}"), own);
    }
    (out, map.into())
}

proptest! {
    #![proptest_config(cases(24))]
    #[test]
    fn what_is_carried_is_the_same_on_both_sides(tables in proptest::collection::vec(table(), 1..4), snake in any::<bool>()) {
        // W-090, W-092, W-101, W-102
        let (script, map) = written(&tables);
        let it = Move::of(&script);
        let names = if snake { "snake_case" } else { "keep" };
        let asked = json!({"policy": "quarantine", "map": map, "names": names});
        let plan = it.plan_with(asked.clone(), |manners| manners.batch_size = Some(4));
        prop_assert_eq!(forbidden(&plan), Vec::<String>::new(), "{}\n{:#?}", script, plan.items[0].findings);
        let report = story::run(&it.engine(), &plan);
        let done = &report.operations[0];
        prop_assert!(matches!(report.status, Status::Completed | Status::Partial), "{}\n{:?}", script, done.errors);
        let wrong = |told: &[String]| told.iter().any(|one| one.starts_with("differs") || one.starts_with("not_carried"));
        prop_assert!(!wrong(&found(&report)), "{}\n{}\n{:?}", script, asked, done.findings);
        prop_assert_eq!(done.rows_changed + done.rows_failed, plan.matched());
        let kept = if done.rows_failed > 0 { it.list("select count(*) from sexton.unloaded").concat().parse().unwrap() } else { 0 };
        prop_assert_eq!(done.rows_failed, kept);
        let unproven = "select count(*) from pg_constraint where not convalidated and connamespace = 'public'::regnamespace";
        prop_assert_eq!(it.list(unproven), ["0"]);
        let mut again = asked.clone();
        again["action"] = json!("verify");
        let again = it.run(again);
        prop_assert!(!wrong(&found(&again)), "compared again: {}\n{}\n{:?}", script, asked, again.operations[0].findings);
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

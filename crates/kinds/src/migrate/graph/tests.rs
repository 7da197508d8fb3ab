//! Order, what is pending, the way back, and each thing that may be wrong.

use super::*;
use crate::migrate::directory::Convention;
use crate::migrate::model::{Script, State, Statement};
use crate::migrate::problem::{Fault, MIGRATE};

fn one(id: &str) -> Migration {
    let digits: String = id.chars().take_while(char::is_ascii_digit).collect();
    let script = |sql: &str| Script {
        file: format!("{id}.sql").into(),
        statements: vec![Statement { sql: sql.to_owned(), line: 1, ..Statement::default() }],
        transaction: true,
        ..Script::default()
    };
    Migration {
        id: id.to_owned(),
        number: digits.parse().ok(),
        version: if digits.is_empty() { id.to_owned() } else { digits },
        description: id.to_owned(),
        up: script("select 1"),
        down: Some(script("select 2")),
        checksum: format!("sum of {id}"),
        ..Migration::default()
    }
}

fn needing(id: &str, parents: &[&str]) -> Migration {
    Migration { depends_on: parents.iter().map(|parent| (*parent).to_owned()).collect(), ..one(id) }
}

fn versions(versions: &[&str]) -> Vec<Migration> {
    let flyway = |version: &&str| Migration {
        number: version.parse().ok(),
        version: (*version).to_owned(),
        ..one(&format!("V{version}__x"))
    };
    versions.iter().map(flyway).collect()
}

fn is_in(ids: &[&str]) -> Vec<Applied> {
    let entry = |id: &&str| Applied {
        id: (*id).to_owned(),
        version: id.chars().take_while(char::is_ascii_digit).collect(),
        state: State::Applied,
        checksum: Some(format!("sum of {id}")),
        ..Applied::default()
    };
    ids.iter().map(entry).collect()
}

fn all(migrations: &[Migration]) -> Vec<String> {
    let sequence = order(migrations, &Policy::default()).unwrap_or_else(|problems| panic!("{problems}"));
    sequence.ids().into_iter().map(str::to_owned).collect()
}

fn up(migrations: &[Migration], applied: &[&str], target: Target) -> Result<Vec<String>, String> {
    pending(migrations, &is_in(applied), &target, &Policy::default())
        .map(ids)
        .map_err(|problems| told(&problems))
}

fn down(migrations: &[Migration], applied: &[&str], target: Target) -> Result<Vec<String>, String> {
    back(migrations, &is_in(applied), &target, &Policy::default())
        .map(ids)
        .map_err(|problems| told(&problems))
}

fn ids(sequence: Sequence<'_>) -> Vec<String> {
    sequence.ids().into_iter().map(str::to_owned).collect()
}

/// With the command cut to a word, since the surface decides how it is called.
fn told(problems: &Problems) -> String {
    let lines = problems.0.iter().map(|problem| format!("{problem} → {}", problem.help));
    lines.collect::<Vec<_>>().join("\n").replace(MIGRATE, "MIGRATE")
}

fn to(name: &str) -> Target {
    Target::To(name.to_owned())
}

#[test]
fn what_others_need_comes_first_then_the_number_then_the_id() {
    // S2-031
    assert_eq!(all(&[needing("c", &["b"]), needing("b", &["a"]), one("a")]), ["a", "b", "c"]);
    assert_eq!(all(&[needing("1_a", &["3_c"]), one("2_b"), one("3_c")]), ["2_b", "3_c", "1_a"]);
    assert_eq!(all(&[one("10_j"), one("9_i"), one("8_h"), one("z")]), ["8_h", "9_i", "10_j", "z"]);
    assert_eq!(all(&[needing("b", &["2"]), one("2_x"), one("1_y")]), ["1_y", "2_x", "b"]);
    assert_eq!(
        all(&versions(&["1.10", "1.9", "2", "1.9.1", "1"])),
        ["V1__x", "V1.9__x", "V1.9.1__x", "V1.10__x", "V2__x"]
    );
    let repeated = Migration { repeatable: true, number: None, version: String::new(), ..one("R__views") };
    assert_eq!(all(&[repeated, one("1_a")]), ["1_a", "R__views"]);
}

#[test]
fn a_ring_or_a_missing_parent_is_told_with_the_ids() {
    // S2-032, S2-088, W-003
    let ring = [needing("a", &["c"]), needing("b", &["a"]), needing("c", &["b"]), needing("d", &["a"])];
    let problems = order(&ring, &Policy::default()).unwrap_err();
    let cycle = problems.0.iter().find(|problem| problem.fault == Fault::Cycle).unwrap();
    assert_eq!(cycle.what, "they depend on each other in a ring: `a` needs `c` needs `b` needs `a`");
    assert_eq!(cycle.ids, ["a", "c", "b"]);
    let own = order(&[needing("a", &["a"])], &Policy::default()).unwrap_err();
    assert!(told(&own).contains("`a` needs `a`"), "{own}");
    let lost = order(&[needing("a", &["nobody"])], &Policy::default()).unwrap_err();
    assert!(told(&lost).contains("`a.sql`: `a` depends on `nobody`, which is not there"), "{lost}");
}

#[test]
fn numbers_left_out_are_refused_where_numbers_are_counted() {
    // S0-015, W-003
    let gap = up(&[one("1_a"), one("3_c")], &[], to("3")).unwrap_err();
    assert!(
        gap.contains("there is no migration 2 → bring the file back, or say `gaps = \"allow\"`"),
        "{gap}"
    );
    assert!(up(&[one("2_b")], &[], Target::All).unwrap_err().contains("there is no migration 1"));
    assert!(up(&[one("1_a"), one("5_e")], &[], Target::All).unwrap_err().contains("no migrations 2 to 4"));
    assert_eq!(up(&[one("0_a"), one("1_b")], &[], Target::All).unwrap(), ["0_a", "1_b"]);
    let days = [one("20240131120000_a"), one("20240201130000_b")];
    assert_eq!(up(&days, &[], Target::All).unwrap().len(), 2);
    let lenient = Policy { gaps: Stance::Warn, ..Policy::default() };
    let holes = [one("1_a"), one("3_c")];
    assert_eq!(order(&holes, &lenient).unwrap().warnings.0.len(), 1);
    assert!(order(&holes, &Policy::of(Convention::Goose)).unwrap().warnings.0.is_empty());
}

#[test]
fn two_of_one_number_or_id_are_refused() {
    let same = order(&[one("1_a"), one("2_b"), one("2_c")], &Policy::default()).unwrap_err();
    assert_eq!(told(&same), "`2_b` and `2_c` have the same number → give `2_c` a number that is free");
    let twice =
        [one("1_a"), Migration { up: Script { file: "z.sql".into(), ..Script::default() }, ..one("1_a") }];
    let same = order(&twice, &Policy { duplicates: Stance::Allow, ..Policy::default() }).unwrap_err();
    assert_eq!(told(&same), "`1_a.sql` and `z.sql` have the same id `1_a` → give one of them another id");
    let zero = order(&versions(&["1", "1.0"]), &Policy::default()).unwrap_err();
    assert_eq!(zero.0[0].fault, Fault::Duplicate);
}

#[test]
fn several_ends_are_refused_where_only_dependencies_give_an_order() {
    let heads =
        order(&[one("a"), needing("b", &["a"]), needing("c", &["a"])], &Policy::default()).unwrap_err();
    assert!(told(&heads).contains("nothing comes after `b` and `c`"), "{heads}");
    all(&[one("a"), needing("b", &["a"]), needing("c", &["a"]), needing("d", &["b", "c"])]);
    all(&[one("a"), one("b")]);
    all(&[one("1_a"), needing("2_b", &["1_a"]), needing("3_c", &["1_a"])]);
}

#[test]
fn targets_up() {
    // S0-002, S0-008, S0-013
    let three = [one("1_a"), one("2_b"), one("3_c")];
    assert_eq!(up(&three, &[], Target::All).unwrap(), ["1_a", "2_b", "3_c"]);
    assert_eq!(up(&three, &["1_a"], to("2")).unwrap(), ["2_b"]);
    assert_eq!(up(&three, &["1_a"], Target::By(1)).unwrap(), ["2_b"]);
    assert_eq!(up(&three, &["1_a", "2_b"], to("2_b")).unwrap(), Vec::<String>::new());
    assert_eq!(up(&three, &[], Target::Only("1".to_owned())).unwrap(), ["1_a"]);
    assert!(up(&three, &[], to("7")).unwrap_err().contains("there is no migration `7`"));
    // W-004
    let newer = up(&three, &["1_a", "2_b", "3_c"], to("1")).unwrap_err();
    assert_eq!(
        newer,
        "the database is newer than `1_a`: it has `2_b` and `3_c` → to go back: `MIGRATE down --to 1_a`"
    );
}

#[test]
fn one_migration_alone_needs_what_it_depends_on() {
    // S2-033
    let two = [one("a"), needing("b", &["a"])];
    let alone = up(&two, &[], Target::Only("b".to_owned())).unwrap_err();
    assert_eq!(
        alone,
        "`b` depends on `a`, which is not in → `MIGRATE up --to b` brings in all that it needs"
    );
    assert_eq!(up(&two, &["a"], Target::Only("b".to_owned())).unwrap(), ["b"]);
}

#[test]
fn a_late_one_is_refused_and_may_be_allowed() {
    let three = [one("1_a"), one("2_b"), one("3_c")];
    let late = up(&three, &["1_a", "3_c"], Target::All).unwrap_err();
    assert!(late.starts_with("`2_b` should have come before some that are in → "), "{late}");
    let branches =
        pending(&three, &is_in(&["1_a", "3_c"]), &Target::All, &Policy::of(Convention::Sqlx)).unwrap();
    assert_eq!((branches.ids(), branches.warnings.0.len()), (vec!["2_b"], 1));
    assert!(standings(&three, &is_in(&["1_a", "3_c"]))[1].out_of_order);
}

#[test]
fn what_is_in_must_be_as_it_was() {
    // W-007
    let two = [one("1_a"), Migration { checksum: "another".to_owned(), ..one("2_b") }, one("3_c")];
    let changed = up(&two, &["1_a", "2_b"], Target::All).unwrap_err();
    assert!(changed.starts_with("`2_b` is in, but the file is another by now"), "{changed}");
    assert!(changed.ends_with("`MIGRATE up --accept-changed`"), "{changed}");
    let foreign = [Migration { foreign_checksum: Some("sum of 2_b".to_owned()), ..two[1].clone() }];
    assert!(!is_changed(&foreign[0], &is_in(&["2_b"])[0]), "the history keeps its tool's checksum");
    let gone = up(&[one("1_a"), one("3_c")], &["1_a", "2_b"], Target::All).unwrap_err();
    assert!(gone.contains("`2_b` is in, but its file is gone → bring the file back"), "{gone}");
    let state = standings(&two, &is_in(&["1_a", "2_b", "9_z"]));
    let shown: Vec<(&str, bool, bool)> =
        state.iter().map(|one| (one.id.as_str(), one.changed, one.missing)).collect();
    let wanted = [("1_a", false, false), ("2_b", true, false), ("3_c", false, false), ("9_z", false, true)];
    assert_eq!(shown, wanted);
}

#[test]
fn what_stopped_in_the_middle_stops_all_until_it_is_looked_at() {
    let two = [one("1_a"), one("2_b")];
    let mut applied = is_in(&["1_a"]);
    applied[0].state = State::Interrupted;
    let stuck = pending(&two, &applied, &Target::All, &Policy::default()).unwrap_err();
    assert_eq!(stuck.0[0].fault, Fault::Interrupted);
    let resumed = Policy { interrupted: Stance::Allow, ..Policy::default() };
    assert_eq!(pending(&two, &applied, &Target::All, &resumed).unwrap().ids(), ["1_a", "2_b"]);
    applied[0].state = State::Failed;
    assert_eq!(pending(&two, &applied, &Target::All, &Policy::default()).unwrap().ids(), ["1_a", "2_b"]);
}

#[test]
fn repeatable_ones_come_again_when_they_changed() {
    let views = Migration { repeatable: true, number: None, version: String::new(), ..one("R__views") };
    let edited = Migration { checksum: "another".to_owned(), ..views.clone() };
    assert_eq!(up(&[one("1_a"), views], &["1_a", "R__views"], Target::All).unwrap(), Vec::<String>::new());
    assert_eq!(up(&[one("1_a"), edited], &["1_a", "R__views"], Target::All).unwrap(), ["R__views"]);
}

#[test]
fn conflicts_are_told_before_anything_runs() {
    // S2-088
    let two = [one("1_a"), Migration { conflicts: vec!["1_a".to_owned()], ..one("2_b") }];
    assert!(up(&two, &["1_a"], Target::All).unwrap_err().contains("`2_b` and `1_a` must not both be in"));
    assert_eq!(up(&two, &[], Target::By(1)).unwrap(), ["1_a"]);
}

#[test]
fn what_cannot_run_is_refused_only_when_it_is_to_run() {
    let mut odd = one("2_b");
    odd.up.problems.push(Problem::new(Fault::Client, "odd", "mend it").within("2_b.sql").at(3));
    let empty = Migration { up: Script::default(), ..one("3_c") };
    let three = [one("1_a"), odd, empty];
    let told = up(&three, &["1_a"], Target::All).unwrap_err();
    assert!(
        told.contains("`2_b.sql`, line 3: odd → mend it") && told.contains("`3_c` has no statement"),
        "{told}"
    );
    assert_eq!(up(&three, &["1_a", "2_b", "3_c"], Target::All).unwrap(), Vec::<String>::new());
    assert_eq!(up(&three, &[], Target::By(1)).unwrap(), ["1_a"]);
}

#[test]
fn a_file_without_a_statement_is_usual_with_other_tools() {
    let empty = [Migration { up: Script::default(), ..one("7_note") }];
    let usual = pending(&empty, &[], &Target::All, &Policy::of(Convention::GolangMigrate)).unwrap();
    assert_eq!((usual.ids(), usual.warnings.0[0].fault), (vec!["7_note"], Fault::Empty));
}

#[test]
fn targets_down() {
    let three = [one("1_a"), one("2_b"), one("3_c")];
    let in_all = ["1_a", "2_b", "3_c"];
    assert_eq!(down(&three, &in_all, Target::By(2)).unwrap(), ["3_c", "2_b"]);
    assert_eq!(down(&three, &in_all, to("1")).unwrap(), ["3_c", "2_b"]);
    assert_eq!(down(&three, &in_all, Target::All).unwrap(), ["3_c", "2_b", "1_a"]);
    assert_eq!(down(&three, &in_all, Target::Only("2".to_owned())).unwrap(), ["2_b"]);
    assert_eq!(down(&three, &["1_a"], Target::By(5)).unwrap(), ["1_a"]);
    assert!(down(&three, &["1_a"], Target::Only("2".to_owned())).unwrap_err().contains("`2_b` is not in"));
}

#[test]
fn the_way_back_keeps_what_others_need_and_refuses_what_has_none() {
    // S2-035
    let two = [one("a"), needing("b", &["a"])];
    let needed = down(&two, &["a", "b"], Target::Only("a".to_owned())).unwrap_err();
    assert_eq!(needed, "`b` is in and depends on `a` → take it out first: `MIGRATE revert b`");
    let stuck = [one("1_a"), Migration { down: None, ..one("2_b") }];
    assert!(down(&stuck, &["1_a", "2_b"], Target::By(1)).unwrap_err().contains("`2_b` has no way back"));
    let lost = down(&[one("1_a"), one("2_b")], &["1_a", "2_b", "3_c"], Target::By(1)).unwrap_err();
    assert!(lost.contains("`3_c` came later"), "{lost}");
}

#[test]
fn a_name_may_be_an_id_a_version_a_number_or_a_beginning() {
    let some = [one("0001_users"), one("0002_orders"), one("0003_order_items")];
    let id =
        |name: &str| find(&some, name).map(|found| found.id.clone()).map_err(|problem| problem.to_string());
    for name in ["0002_orders", "0002", "2", "0002_o"] {
        assert_eq!(id(name).unwrap(), "0002_orders", "{name}");
    }
    assert_eq!(id("000").unwrap_err(), "`000` may mean `0001_users`, `0002_orders` and `0003_order_items`");
    assert!(id("").is_err());
}

#[test]
fn ten_thousand_migrations_are_ordered_at_once() {
    let many: Vec<Migration> = (1..=10_000).rev().map(|n| one(&format!("{n}_x"))).collect();
    let applied: Vec<String> = (1..=9_999).map(|n| format!("{n}_x")).collect();
    let applied: Vec<&str> = applied.iter().map(String::as_str).collect();
    assert_eq!(up(&many, &applied, Target::All).unwrap(), ["10000_x"]);
}

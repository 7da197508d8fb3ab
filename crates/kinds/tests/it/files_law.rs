//! The law: a file that a row refers to, in whatever form, is never moved; everything else that is old enough is; and
//! undo gives the same tree back.

use crate::files_kit::*;
use crate::stage::Stage;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use testkit::Place;

/// A file, and how a row speaks of it, if at all.
#[derive(Debug, Clone)]
struct Spec {
    folder: usize,
    name: usize,
    said: Option<usize>,
}

const FOLDERS: [&str; 5] = ["", "a/", "a/b c/", "ü/%41/", "x.y/..z/"];
const NAMES: [&str; 6] = ["1.png", "two words.txt", "100%.csv", "ñandú.json", "#7?.bin", "plus+&=.tar.gz"];
const FORMS: usize = 9;

fn spec() -> impl Strategy<Value = Spec> {
    (0..FOLDERS.len(), 0..NAMES.len(), prop::option::weighted(0.6, 0..FORMS))
        .prop_map(|(folder, name, said)| Spec { folder, name, said })
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'/' | b'.' | b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// The value of the column, in one of many forms.
fn said(form: usize, name: &str, store: &str) -> String {
    match form {
        0 => name.to_owned(),
        1 => format!("{store}/{name}"),
        2 => escaped(name),
        3 => format!("https://files.example.org/{}?v=1", escaped(name)),
        4 => json!([{"deep": {"er": [name]}}]).to_string(),
        5 => json!({"path": format!("{store}/./{name}")}).to_string(),
        6 => format!("./{}", name.replace('/', "//")),
        7 => json!(json!([escaped(name)]).to_string()).to_string(),
        _ => format!("file://{store}/other/../{name}"),
    }
}

fn holds(place: Place, specs: &[Spec]) {
    let stage = Stage::new(place);
    let store = stage.workshop.store();
    std::fs::create_dir_all(&store).unwrap();
    stage.place.script("create table rows (id bigint primary key, x text)");
    let root = store.display().to_string();
    let mut all = BTreeSet::new();
    let mut used = BTreeSet::new();
    for (n, spec) in specs.iter().enumerate() {
        let name = format!("{}{}", FOLDERS[spec.folder], NAMES[spec.name]);
        file(&store, &name, n + 1);
        all.insert(name.clone());
        if let Some(form) = spec.said {
            let value = said(form, &name, &root).replace('\'', "''");
            stage.place.script(&format!("insert into rows values ({n}, '{value}')"));
            used.insert(name);
        }
    }
    settle(&store);
    let before = tree(&stage);
    let options = json!({"store": "store", "prefixes": ["https://files.example.org"],
        "references": [{"table": "rows", "column": "x"}]});
    let plan = stage.plan_files(options);
    let found: BTreeSet<String> = all_found(&plan).into_iter().collect();
    assert!(found.is_disjoint(&used), "referenced, but found: {:?}", found.intersection(&used));
    // Readings of one name can meet another: `%41` is also `A`. That only ever keeps more.
    let free: BTreeSet<String> = all.difference(&used).cloned().collect();
    assert!(found.is_subset(&free));
    if !used.is_empty() {
        assert_eq!(found, free, "an orphan was not found");
        let report = stage.run_planned(&plan);
        assert_eq!(report.operations[0].rows_deleted as usize, found.len(), "{report:#?}");
        for name in &used {
            assert!(there(&stage, name), "{name} is gone");
        }
        if !found.is_empty() {
            stage.undo(&report.run_id);
        }
        let files = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|l| !l.ends_with('/')).cloned().collect()
        };
        assert_eq!(files(&tree(&stage)), files(&before));
    }
}

fn cases(count: u32, make: fn() -> Place) {
    let config = ProptestConfig {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 30,
        ..ProptestConfig::default()
    };
    proptest!(config, |(specs in prop::collection::vec(spec(), 1..14))| {
        holds(make(), &specs);
    });
}

#[test]
fn a_file_that_a_row_refers_to_is_never_moved_on_sqlite() {
    // W-018, W-019
    cases(24, Place::sqlite);
}

#[test]
fn a_file_that_a_row_refers_to_is_never_moved_on_postgresql() {
    // W-018, W-019
    cases(12, Place::postgres);
}

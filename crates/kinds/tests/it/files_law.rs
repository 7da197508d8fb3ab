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
const COLUMNS: &str =
    "id bigint primary key, x text, j JSON, a ARRAY, m text, n text, h text, p text, folder text";
const FORMS: usize = 17;

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

/// The column and its value, in one of many forms, for a file of this path below the base.
fn said(form: usize, path: &str, base: &str, place: &Place) -> (&'static str, String) {
    let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
    let list = match place.is_sqlite() {
        true => json!([[path]]).to_string(),
        false => format!("{{{{\"{}\"}}}}", path.replace('"', "\\\"")),
    };
    let text = |value: String| ("x", value);
    match form {
        0 => text(path.to_owned()),
        1 => text(format!("{base}/{path}")),
        2 => text(escaped(path)),
        3 => text(format!("https://files.example.org/{}?v=1", escaped(path))),
        4 => text(json!([{"deep": {"er": [path]}}]).to_string()),
        5 => text(json!({"path": format!("{base}/./{path}")}).to_string()),
        6 => text(format!("./{}", path.replace('/', "//"))),
        7 => text(json!(json!([escaped(path)]).to_string()).to_string()),
        8 => text(format!("file://{base}/other/../{path}")),
        9 => text(format!("['{}', None]", escaped(path))),
        10 => ("m", format!("See ![it]({}), please.", escaped(path))),
        11 => ("j", json!({"a": {"b": [1, null, path]}}).to_string()),
        12 => ("a", list),
        13 => ("n", last.to_owned()),
        14 => ("h", format!("sha256:{}", last.split('.').next().unwrap_or_default().to_uppercase())),
        15 => ("p", format!("{last}\n{folder}")),
        _ => text(format!("{base}-link/{path}")),
    }
}

/// Which files a value means: those named by their last part, by a checksum or by a path and a folder may be several.
fn meant<'a>(form: usize, path: &'a str, all: &'a BTreeSet<String>) -> Vec<&'a String> {
    let last = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
    let bare = |path: &'a str| last(path).split('.').next().unwrap_or_default().to_lowercase();
    all.iter()
        .filter(|other| match form {
            13 => last(other) == last(path),
            14 => bare(other) == bare(path),
            // Where a folder is named beside it, the path may mean that one or the base.
            15 => *other == path || *other == last(path),
            _ => *other == path,
        })
        .collect()
}

fn holds(place: Place, specs: &[Spec], base: &str) {
    let stage = Stage::new(place);
    let store = stage.workshop.store();
    let folder = store.join(base);
    std::fs::create_dir_all(&folder).unwrap();
    let (json_type, array) = if stage.place.is_sqlite() { ("json", "json") } else { ("jsonb", "text[][]") };
    let columns = COLUMNS.replace("JSON", json_type).replace("ARRAY", array);
    stage.place.script(&format!("create table rows ({columns})"));
    let root = folder.display().to_string().trim_end_matches('/').to_owned();
    std::os::unix::fs::symlink(&folder, format!("{root}-link")).unwrap();
    let path_of = |spec: &Spec| format!("{}{}", FOLDERS[spec.folder], NAMES[spec.name]);
    let all: BTreeSet<String> = specs.iter().map(path_of).collect();
    let mut used = BTreeSet::new();
    for (n, spec) in specs.iter().enumerate() {
        let path = path_of(spec);
        file(&folder, &path, n + 1);
        let Some(form) = spec.said else { continue };
        let (column, value) = said(form, &path, &root, &stage.place);
        let (value, within) = value.split_once('\n').unwrap_or((&value, ""));
        let quoted = |text: &str| text.replace('\'', "''");
        stage.place.script(&format!(
            "insert into rows (id, {column}, folder) values ({n}, '{}', '{}')",
            quoted(value),
            quoted(within)
        ));
        used.extend(meant(form, &path, &all).into_iter().cloned());
    }
    settle(&store);
    let before = tree(&stage);
    let options = json!({"store": "store", "base": base, "prefixes": ["https://files.example.org"],
    "references": [
        {"table": "rows", "column": "x"}, {"table": "rows", "column": "j", "form": "json"},
        {"table": "rows", "column": "a"}, {"table": "rows", "column": "m", "form": "text"},
        {"table": "rows", "column": "n", "form": "name"}, {"table": "rows", "column": "h", "form": "hash"},
        {"table": "rows", "column": "p", "form": "path", "within": "folder"},
    ]});
    let plan = stage.plan_files(options);
    let skip = if base.is_empty() { 0 } else { base.len() + 1 };
    let found: BTreeSet<String> = all_found(&plan).into_iter().map(|name| name[skip..].to_owned()).collect();
    assert!(found.is_disjoint(&used), "referred to, but found: {:?}", found.intersection(&used));
    let free: BTreeSet<String> = all.difference(&used).cloned().collect();
    assert!(found.is_subset(&free));
    if !used.is_empty() {
        assert_eq!(found, free, "an orphan was not found");
        let report = stage.run_planned(&plan);
        assert_eq!(report.operations[0].rows_deleted as usize, found.len(), "{report:#?}");
        for path in &used {
            assert!(folder.join(path).is_file(), "{path} is gone");
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
        max_shrink_iters: 30,
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let base = prop_oneof![Just(""), Just("in/deep")];
    proptest!(config, |(specs in prop::collection::vec(spec(), 1..14), base in base)| {
        holds(make(), &specs, base);
    });
}

#[test]
fn a_file_that_a_row_refers_to_is_never_moved_on_sqlite() {
    // W-018, W-019
    cases(40, Place::sqlite);
}

#[test]
fn a_file_that_a_row_refers_to_is_never_moved_on_postgresql() {
    // W-018, W-019
    cases(16, Place::postgres);
}

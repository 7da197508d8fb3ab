//! Laws of merges that hold for any tree: nothing is lost, nothing same is left, what runs is what was planned, and undo
//! is the identity, whole or scope by scope.

use crate::merge::cells;
use crate::stage::{Stage, cases, manners};
use engine::{Manners, Status};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::fmt::Write;
use testkit::{Place, story};

/// Folders with their parents and documents in them, and how they are merged.
#[derive(Debug, Clone)]
struct Case {
    folders: Vec<(u8, u8, u8)>,
    documents: Vec<(u8, u8, u8)>,
    circle: bool,
    unique_names: bool,
    unique_documents: bool,
    scoped: bool,
    survivor: usize,
    if_same: usize,
    policy: usize,
    batch_size: u64,
    /// How the documents refer to folders: by a declared key, by a column without a type, by text (the latter on SQLite).
    typed: usize,
    indexed: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (
        prop::collection::vec((0..2_u8, any::<u8>(), 0..3_u8), 1..16),
        prop::collection::vec((any::<u8>(), 0..3_u8, 0..3_u8), 0..14),
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        (0..3_usize, 0..3_usize, 0..2_usize, 1..12_u64, 0..3_usize, any::<bool>()),
    )
        .prop_map(|(folders, documents, flags, choices)| Case {
            folders,
            documents,
            circle: flags.0,
            unique_names: flags.1,
            unique_documents: flags.2,
            scoped: flags.3,
            survivor: choices.0,
            if_same: choices.1,
            policy: choices.2,
            batch_size: choices.3,
            typed: choices.4,
            indexed: choices.5,
        })
}

const NAMES: [&str; 3] = ["a", "b.txt", "a (2)"];

impl Case {
    /// The parent of the n-th folder: an earlier one of its application, or none.
    fn parent(&self, n: usize) -> Option<usize> {
        let (application, parent, _) = self.folders[n];
        let earlier: Vec<usize> = (0..n).filter(|m| self.folders[*m].0 == application).collect();
        (parent % 3 > 0 && !earlier.is_empty()).then(|| earlier[usize::from(parent) % earlier.len()])
    }

    fn script(&self, sqlite: bool) -> String {
        let typed = if sqlite { self.typed } else { self.typed.min(1) };
        let folder = match typed {
            0 => "integer references folders (id)",
            1 if sqlite => "",
            1 => "integer",
            _ => "text",
        };
        let indexed = if self.indexed { "create index documents_folder on documents (folder);" } else { "" };
        let names = if self.unique_names { ", unique (parent, name)" } else { "" };
        let documents = if self.unique_documents { ", unique (folder, name)" } else { "" };
        let mut text = format!(
            "create table folders (id integer primary key, app integer not null, parent integer references folders (id), name varchar(40) not null{names});
             create table documents (id integer primary key, folder {folder}, name varchar(40), hash text{documents});
             create table tags (folder integer not null references folders (id), tag text not null, primary key (folder, tag));
             create index folders_parent on folders (parent); create index folders_app on folders (app);
             {indexed}"
        );
        let mut taken = BTreeSet::new();
        for (n, (application, _, name)) in self.folders.iter().enumerate() {
            let parent = self.parent(n);
            let mut name = NAMES[usize::from(*name)].to_owned();
            if self.unique_names && parent.is_some() && !taken.insert((parent, name.clone())) {
                name = format!("own {n}");
            }
            let parent = parent.map_or("null".to_owned(), |parent| parent.to_string());
            let _ = write!(text, "insert into folders values ({n}, {application}, {parent}, '{name}');");
            let _ = write!(text, "insert into tags values ({n}, 't{}');", n % 3);
        }
        let mut taken = BTreeSet::new();
        for (n, (folder, name, hash)) in self.documents.iter().enumerate() {
            let folder = usize::from(*folder) % self.folders.len();
            let mut name = NAMES[usize::from(*name)].to_owned();
            if self.unique_documents && !taken.insert((folder, name.clone())) {
                name = format!("own {n}");
            }
            let spelled = match (typed, hash) {
                (1 | 2, 1) if sqlite => format!("'{folder}'"),
                (1 | 2, 2) if sqlite => format!("{folder}.0"),
                _ => folder.to_string(),
            };
            let _ = write!(text, "insert into documents values ({n}, {spelled}, '{name}', 'h{hash}');");
        }
        if self.circle {
            text.push_str(
                "insert into folders values (900, 0, null, 'k'), (901, 0, 900, 'l'), (902, 0, 901, 'm');
                 update folders set parent = 901 where id = 900; insert into documents values (900, 901, 'a', 'h0'), (901, 902, 'a', 'h0');",
            );
        }
        text
    }

    fn options(&self) -> Json {
        let policy = ["rename", "keep"][self.policy];
        let if_same = ["keep", "fold", "rename"][self.if_same];
        let survivor = [json!([]), json!(["lowest_key"]), json!(["most documents", "highest_key"])];
        let mut options = json!({
            "table": "folders", "by": ["app"], "tree": {"parent": "parent", "siblings": ["name"]},
            "survivor": survivor[self.survivor],
            "on_clash": [{
                "table": "documents", "columns": ["name"], "policy": policy, "rename": "name",
                "same": ["hash"], "if_same": if_same,
            }],
        });
        if self.typed > 0 {
            options["references"] = json!([{"table": "documents", "columns": ["folder"]}]);
        }
        if self.scoped {
            options["scope"] = "app".into();
        }
        options
    }
}

/// The names from the root, which is its application, down to each folder: what a merge leaves as it is.
const PATHS: &str = "with recursive paths(id, path) as (
       select id, cast(app as text) from folders where parent is null
       union all
       select f.id, p.path || '/' || f.name from folders as f join paths as p on f.parent = p.id)";

/// Every document with its place and content. A circle has no path.
fn leaves(stage: &Stage) -> Vec<String> {
    let select = "select d.id, coalesce(p.path, 'circle ' || d.folder), d.hash from documents as d left join paths as p on p.id = d.folder order by d.id";
    cells(&stage.place, &format!("{PATHS} {select}"))
}

/// Every place that has a tag, which each folder has.
fn tags(stage: &Stage) -> Vec<String> {
    let select =
        "select distinct p.path, t.tag from tags as t join paths as p on p.id = t.folder order by path, tag";
    cells(&stage.place, &format!("{PATHS} {select}"))
}

fn hold_the_laws(case: &Case, place: Place) {
    let stage = Stage::new(place);
    stage.place.script(&case.script(stage.place.is_sqlite()));
    let before = stage.place.dump();
    let lying = leaves(&stage);
    let tagged = tags(&stage);
    let circle = "select id, parent, name from folders where id >= 900 order by id";
    let circled = cells(&stage.place, circle);
    let engine = stage.engine();
    let manners = Manners { batch_size: Some(case.batch_size), ..manners() };
    let request = story::request("merge", case.options(), manners, false);
    let plan = story::plan(&engine, &request);
    assert_eq!(stage.place.dump(), before, "planning changed something");
    let report = story::run(&engine, &plan);
    assert_eq!(report.status, Status::Completed, "{report:#?}");
    let done = &report.operations[0];
    assert_eq!(done.rows_deleted, plan.matched(), "{done:#?}");
    let step = &plan.items[0].steps[0];
    let promised: u64 = step.dependants.iter().map(|hanging| hanging.rows).sum();
    // Between batches without scopes a row may move more than once on its way.
    if case.scoped {
        assert_eq!(done.rows_dependent, promised, "{step:#?}");
    }
    let lie = leaves(&stage);
    if case.if_same != 1 {
        assert_eq!(lie, lying, "a document is lost, or lies elsewhere");
    }
    let contents = |leaves: &[String]| {
        let content = |row: &String| row.split_once('|').map(|(_, rest)| rest.to_owned());
        leaves.iter().filter_map(content).collect::<BTreeSet<_>>()
    };
    assert_eq!(contents(&lie), contents(&lying), "a content is lost, or lies elsewhere");
    assert_eq!(tags(&stage), tagged, "a tag is lost, or is there twice");
    assert_eq!(cells(&stage.place, circle), circled, "a circle was touched");
    let same = "select count(*) from (select 1 from folders where id < 900 group by app, parent, case when parent is null then '' else name end having count(*) > 1) as x";
    assert_eq!(stage.number(same), 0, "something same is left");
    let lost = "select count(*) from folders as c where parent is not null and not exists (select 1 from folders as p where p.id = c.parent and p.app = c.app)";
    assert_eq!(stage.number(lost), 0, "a parent is lost");
    let after = stage.place.dump();
    let again = story::run(&engine, &story::plan(&engine, &request));
    assert_eq!((again.status, again.totals.deleted), (Status::Completed, 0));
    assert_eq!(stage.place.dump(), after);
    if case.scoped && case.circle {
        // One by one, in whatever order.
        for point in engine.undo_points("test").unwrap() {
            for scope in &point.scopes {
                let undone = stage.undo(&format!("{}-{}", point.id, scope.batch));
                assert_eq!(undone.status, Status::Completed, "{undone:#?}");
            }
        }
    } else if done.undo_id.is_some() {
        let undone = stage.undo(&report.run_id);
        assert_eq!(undone.status, Status::Completed, "{undone:#?}");
    }
    assert_eq!(stage.place.dump(), before, "undo did not give back what was there");
    story::forget(&engine);
    assert_eq!(stage.place.leftovers(), Vec::<String>::new());
}

// S3-002, S3-004, S3-008, W-082, W-083, W-112
proptest! {
    #![proptest_config(cases(40))]
    #[test]
    fn merge_then_undo_is_the_identity_on_sqlite(case in case()) {
        hold_the_laws(&case, Place::sqlite());
    }
}

proptest! {
    #![proptest_config(cases(12))]
    #[test]
    fn merge_then_undo_is_the_identity_on_postgresql(case in case()) {
        hold_the_laws(&case, Place::postgres());
    }
}

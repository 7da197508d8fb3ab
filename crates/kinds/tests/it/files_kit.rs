//! A store of an agent system (E0) beside its database, and short words for what tests do there. It judges nothing.

use crate::stage::{Stage, manners};
use engine::{Manners, Plan, Report, Stores};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use targets::files::{About, Each, File, Files, Moved, NewFile};
use testkit::{Story, story};

/// The tables that refer, as E0 has them.
pub const SQLITE: &str = "
    create table planners (planner_id text primary key, variable_file_paths json default '{}', image_file_paths json default '{}');
    create table workers (worker_id text primary key, planner_id text, input_variable_filepaths json default '{}');";
/// The same on PostgreSQL.
pub const POSTGRES: &str = "
    create table planners (planner_id text primary key, variable_file_paths jsonb default '{}', image_file_paths jsonb default '{}');
    create table workers (worker_id text primary key, planner_id text, input_variable_filepaths jsonb default '{}');";

/// Two planners with files, one worker with a file of the second.
pub const ROWS: &str = r#"
    insert into planners values
      ('planner-1', '{"a": "planner-1/variables/a.pkl", "b": "variables/b.pkl"}', '{"x": "planner-1/images/x.b64"}'),
      ('planner-2', null, null);
    insert into workers values ('worker-1', 'planner-2', '{"in": ["planner-2/variables/w.pkl"]}');"#;

/// A file with so many bytes, three hours old.
pub fn file(store: &Path, name: &str, bytes: usize) {
    file_aged(store, name, bytes, Duration::from_secs(3 * 3600));
}

/// A file with so many bytes, of this age.
pub fn file_aged(store: &Path, name: &str, bytes: usize, age: Duration) {
    let path = store.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, vec![b'x'; bytes]).unwrap();
    age_of(&path, age);
}

/// Sets the time of a file or folder.
pub fn age_of(path: &Path, age: Duration) {
    let at = SystemTime::now() - age;
    std::fs::File::open(path).unwrap().set_modified(at).unwrap();
}

/// Makes every folder old, after the last file was put into it.
pub fn settle(store: &Path) {
    let mut folders = vec![store.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
        age_of(&folder, Duration::from_secs(3 * 3600));
    }
}

/// What the application has left: two live folders, one whose planner is gone, and one orphan of each class.
pub fn stock(store: &Path) {
    for name in [
        "execution_plan_model.json",
        "current_task.json",
        "variables/a.pkl",
        "variables/b.pkl",
        "images/x.b64",
    ] {
        file(store, &format!("planner-1/{name}"), 10);
    }
    file(store, "planner-1/variables/lost.pkl", 100);
    file(store, "planner-1/images/lost.b64", 200);
    file(store, "planner-1/x.json", 300);
    file(store, "planner-2/variables/w.pkl", 20);
    file(store, "planner-2/variables/gone.pkl", 50);
    file(store, "planner-9/variables/deep/y.pkl", 1_000);
    file(store, "planner-9/current_task.json", 24);
    settle(store);
}

/// The options of E0, with changes.
pub fn options(more: Json) -> Json {
    let mut options = json!({
        "store": "store",
        "ids": "planners.planner_id",
        "id_pattern": "planner-*",
        "keep": ["execution_plan_model.json", "current_task.json"],
        "classes": [
            {"class": "orphaned_variables", "glob": "variables/*.pkl"},
            {"class": "orphaned_images", "glob": "images/*.b64"},
            {"class": "orphaned_json_files", "glob": "*.json"},
        ],
        "references": [
            {"table": "planners", "column": "variable_file_paths", "within": "planner_id"},
            {"table": "planners", "column": "image_file_paths", "within": "planner_id"},
            {"table": "workers", "column": "input_variable_filepaths", "within": "planner_id"},
        ],
    });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    options
}

/// A story about E0's store.
pub fn tale(more: Json) -> Story {
    Story::new(kinds::catalogue(), "files", options(more)).stocked(stock).given(|place| {
        place.script2(SQLITE, POSTGRES);
        place.script(ROWS);
    })
}

/// The same test on both databases, with E0's tables, rows and store.
pub fn both(mut test: impl FnMut(&Stage)) {
    crate::stage::both(SQLITE, POSTGRES, |stage| {
        stage.place.script(ROWS);
        stock(&stage.workshop.store());
        test(stage);
    });
}

/// A folder that does what a test wants right before it is asked: it is told what is done (`walk`, `look`, `move`) to
/// which name, and may refuse.
pub struct Odd {
    files: Arc<dyn Files>,
    hook: Arc<Hook>,
}

type Hook = dyn Fn(&str, &str) -> engine::Result<()> + Send + Sync;

struct OddStores(PathBuf, Arc<Hook>);

impl Stores for OddStores {
    fn store(&self, _name: &str) -> engine::Result<Arc<dyn Files>> {
        let files = backends::local_files::LocalFiles::new("store", &self.0);
        Ok(Arc::new(Odd { files: Arc::new(files), hook: Arc::clone(&self.1) }))
    }
}

impl Files for Odd {
    fn label(&self) -> &str {
        self.files.label()
    }
    fn create(&self, name: &str) -> engine::Result<Box<dyn NewFile>> {
        self.files.create(name)
    }
    fn open(&self, name: &str) -> engine::Result<Box<dyn std::io::Read + Send>> {
        self.files.open(name)
    }
    fn list(&self, prefix: &str) -> engine::Result<Vec<File>> {
        self.files.list(prefix)
    }
    fn remove(&self, name: &str) -> engine::Result<bool> {
        self.files.remove(name)
    }
    fn walk(&self, folder: &str, each: &mut Each) -> engine::Result<bool> {
        self.files.walk(folder, &mut |name, about| each(name, (self.hook)("walk", name).and(about)))
    }
    fn look(&self, name: &str) -> engine::Result<Option<About>> {
        (self.hook)("look", name)?;
        self.files.look(name)
    }
    fn move_to(&self, from: &str, to: &str) -> engine::Result<Moved> {
        (self.hook)("move", from)?;
        self.files.move_to(from, to)
    }
    fn settle(&self, names: &[&str]) -> engine::Result<()> {
        self.files.settle(names)
    }
    fn remove_tree(&self, name: &str) -> engine::Result<bool> {
        self.files.remove_tree(name)
    }
    fn roots(&self) -> Vec<String> {
        self.files.roots()
    }
    fn locate(&self, path: &str) -> Option<String> {
        self.files.locate(path)
    }
}

/// The same test on both databases, over a store with a mind of its own.
pub fn both_odd(
    hook: impl Fn(&Path, &str, &str) -> engine::Result<()> + Send + Sync + Clone + 'static,
    test: impl Fn(&Stage),
) {
    for place in [testkit::Place::sqlite(), testkit::Place::postgres()] {
        let stage = Stage::new(place);
        let store = stage.workshop.store();
        let (own, folder) = (hook.clone(), store.clone());
        let hook: Arc<Hook> = Arc::new(move |what, name| own(&folder, what, name));
        let stage = stage.storing(Arc::new(OddStores(store.clone(), hook)));
        stage.place.script2(SQLITE, POSTGRES);
        stage.place.script(ROWS);
        stock(&store);
        test(&stage);
    }
}

/// What tests say about files on a stage.
pub trait OnFiles {
    fn plan_files(&self, options: Json) -> Plan;
    fn plan_files_with(&self, options: Json, change: impl FnOnce(&mut Manners)) -> Plan;
    fn run_files(&self, options: Json) -> Report;
    fn run_planned(&self, plan: &Plan) -> Report;
}

impl OnFiles for Stage {
    fn plan_files(&self, options: Json) -> Plan {
        self.plan_files_with(options, |_| {})
    }

    fn plan_files_with(&self, options: Json, change: impl FnOnce(&mut Manners)) -> Plan {
        let mut manners = manners();
        change(&mut manners);
        story::plan(&self.engine(), &story::request("files", options, manners, false))
    }

    fn run_files(&self, options: Json) -> Report {
        let plan = self.plan_files(options);
        self.run_planned(&plan)
    }

    fn run_planned(&self, plan: &Plan) -> Report {
        story::run(&self.engine(), plan)
    }
}

/// The result of a plan.
pub fn result(plan: &Plan) -> &Json {
    plan.items[0].result.as_ref().unwrap_or_else(|| panic!("no result: {plan:#?}"))
}

/// The names that a plan found, of one class.
pub fn found(plan: &Plan, class: &str) -> Vec<String> {
    let names = result(plan)["orphans"][class].as_array().cloned().unwrap_or_default();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// All names that a plan found.
pub fn all_found(plan: &Plan) -> Vec<String> {
    let classes = result(plan)["orphans"].as_object().unwrap().clone();
    let names = classes.values().flat_map(|names| names.as_array().unwrap().clone());
    let mut names: Vec<String> = names.map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Whether something is there.
pub fn there(stage: &Stage, name: &str) -> bool {
    stage.workshop.store().join(name).symlink_metadata().is_ok()
}

/// Everything in the store but the quarantine.
pub fn tree(stage: &Stage) -> Vec<String> {
    let text = story::tree(&stage.workshop.store());
    text.lines().filter(|line| !line.contains(".sexton-quarantine")).map(str::to_owned).collect()
}

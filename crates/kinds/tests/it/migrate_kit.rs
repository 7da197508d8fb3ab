//! A folder of migrations beside a database, and short words for what tests do with both. It judges nothing.

use crate::stage::{manners, shown};
use engine::{Engine, Manners, Plan, Report, Request, SetClock, Status};
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use testkit::{Place, Workshop, story};

/// A place, its workshop, and a folder.
pub struct Yard {
    pub place: Place,
    pub workshop: Workshop,
    folder: Folder,
}

/// The folder of the migrations, in one that removes itself.
struct Folder(std::path::PathBuf, #[expect(dead_code, reason = "removes itself")] tempfile::TempDir);

impl Folder {
    fn path(&self) -> &std::path::Path {
        &self.0
    }
}

/// The same test on both databases.
pub fn both(mut test: impl FnMut(&Yard)) {
    for place in [Place::sqlite(), Place::postgres()] {
        let name = place.name();
        let yard = Yard::new(place);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&yard)));
        if let Err(panic) = outcome {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            panic!("on {name}: {}", text.unwrap_or_default());
        }
    }
}

impl Yard {
    pub fn new(place: Place) -> Self {
        let clock = Arc::new(SetClock::standing(Timestamp::now()));
        let workshop = Workshop::new(&place, kinds::catalogue()).at(clock);
        let desk = tempfile::tempdir().unwrap();
        let folder = Folder(desk.path().join("migrations"), desk);
        std::fs::create_dir(folder.path()).unwrap();
        Self { place, workshop, folder }
    }

    /// With these files.
    pub fn with(place: Place, files: &[(&str, &str)]) -> Self {
        let yard = Self::new(place);
        yard.write(files);
        yard
    }

    pub fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// The rows of trials.
    pub fn write_seeds(&self, files: &[(&str, &str)]) {
        let folder = self.folder.path().with_file_name("seeds");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).unwrap();
    }

    pub fn engine(&self) -> Engine {
        self.workshop.engine()
    }

    pub fn request(&self, options: Json) -> Request {
        self.request_with(options, |_| {})
    }

    pub fn request_with(&self, mut options: Json, change: impl FnOnce(&mut Manners)) -> Request {
        options["directory"] = self.folder.path().display().to_string().into();
        let mut manners = manners();
        change(&mut manners);
        story::request("migrate", options, manners, false)
    }

    pub fn plan(&self, options: Json) -> Plan {
        story::plan(&self.engine(), &self.request(options))
    }

    /// Why it cannot be planned.
    pub fn refusal(&self, options: Json) -> String {
        match self.engine().plan(&self.request(options)) {
            Ok(plan) => panic!("it was planned: {:#?}", plan.items[0]),
            Err(failure) => shown(&failure),
        }
    }

    pub fn run(&self, options: Json) -> Report {
        let engine = self.engine();
        let plan = story::plan(&engine, &self.request(options));
        story::run(&engine, &plan)
    }

    /// Runs it, and it is done.
    pub fn done(&self, options: Json) -> Report {
        let report = self.run(options);
        assert_eq!(report.status, Status::Completed, "{report:#?}");
        report
    }

    pub fn up(&self) -> Report {
        self.done(json!({}))
    }

    /// M1.
    pub fn status(&self) -> Json {
        let plan = self.plan(json!({"action": "status"}));
        plan.items[0].result.clone().unwrap()
    }

    /// The states of all migrations, in order.
    pub fn states(&self) -> Vec<(String, String)> {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let status = self.status();
        status["migrations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["id"]), text(&one["state"])))
            .collect()
    }

    /// One state.
    pub fn state(&self, id: &str) -> String {
        self.states().into_iter().find(|(known, _)| known == id).map(|(_, state)| state).unwrap_or_default()
    }

    /// The history: what was done to which, and what it is since.
    pub fn history(&self) -> Vec<String> {
        let table = if self.place.is_sqlite() { "sexton_migrations" } else { "sexton.migrations" };
        let sql =
            format!("select action || ' ' || id || ' ' || state || ' ' || done from {table} order by seq");
        self.list(&sql)
    }

    /// The first column of a query, as text.
    pub fn list(&self, sql: &str) -> Vec<String> {
        let text =
            |value: &targets::db::Value| value.as_text().map_or_else(|| value.to_string(), str::to_owned);
        self.place.rows(sql).iter().map(|row| row.first().map(text).unwrap_or_default()).collect()
    }

    /// Goes on with a run.
    pub fn resume(&self, id: &str) -> Result<Report, engine::Failure> {
        story::resumed(&self.engine(), id)
    }
}

/// Three small ones, with their ways back.
pub const THREE: [(&str, &str); 3] = [
    (
        "0001_users.sql",
        "-- sexton:up\ncreate table users (id integer primary key, name text not null);\ninsert into users values (1, 'ann');\n\
         -- sexton:down\ndrop table users;\n",
    ),
    (
        "0002_orders.sql",
        "-- sexton:up\ncreate table orders (id integer primary key, who integer not null);\ncreate index orders_who on orders (who);\n\
         insert into orders select 10 + id, id from users;\n-- sexton:down\ndrop table orders;\n",
    ),
    (
        "0003_note.sql",
        "-- sexton:up\nalter table orders add column note text;\nupdate orders set note = 'old';\n\
         -- sexton:down\nalter table orders drop column note;\n",
    ),
];

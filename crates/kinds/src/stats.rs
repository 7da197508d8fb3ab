//! `stats`: how large the tables are and how many rows they hold; beside it, where asked, a queue and a store of files.
//!
//! Nothing is walked through unless rows are to be counted exactly, table by table as named.

use crate::inspection::document;
use crate::queue;
use engine::{
    Batch, Counts, Cursor, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, Severity, Step,
    Undo, Work,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use targets::db::{Bounds, Facts, Sql};
use targets::files::Sort;

/// The catalogue entry.
pub struct Stats;

impl Kind for Stats {
    fn name(&self) -> &'static str {
        "stats"
    }

    fn title(&self) -> &'static str {
        "Show the largest tables, and count rows"
    }

    fn about(&self) -> &'static str {
        "Sizes and rows of the largest tables, from the catalogue: nothing is walked through, and estimates are said to be \
         some. Rows of tables that are named are counted exactly. Figures of a queue and of a file store can join them, so \
         that one report says how an application stands. Nothing is changed."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Low
    }

    fn phase(&self) -> Phase {
        Phase::Measure
    }

    fn operation(&self, options: &Json) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Options::read(options)?))
    }
}

/// Options of the statistics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// So many tables are listed, the largest ones.
    pub largest: usize,
    /// Tables whose rows are counted exactly. It reads them: give large ones quiet hours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub count: Vec<String>,
    /// Count the rows of the listed tables exactly, too.
    pub exact: bool,
    /// The options of a queue whose figures join the report, as of kind `queue` with `action = "stats"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Map<String, Json>>,
    /// The file store whose size joins the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { largest: 20, count: Vec::new(), exact: false, queue: None, store: None }
    }
}

impl Options {
    fn read(options: &Json) -> Result<Self> {
        if options.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `stats` cannot be read: {error}"))
                .help("`sexton help stats` shows the options and what they take")
        })
    }

    /// The figures of the queue, by its own kind.
    fn of_queue(
        &self,
        options: &Map<String, Json>,
        facts: &mut dyn Facts,
        planning: &Planning,
    ) -> Result<Planned> {
        let mut options = options.clone();
        options.insert("action".to_owned(), json!("stats"));
        queue::Options::read(&Json::Object(options))?.plan(facts, planning)
    }
}

impl Operation for Options {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        let all = facts.inspect(&Bounds::default())?;
        let mut planned = Planned { undo: Some(Undo::NotNeeded), ..Planned::default() };
        let mut result = Map::new();
        if let Some(queue) = &self.queue {
            let own = self.of_queue(queue, facts, planning)?;
            planned
                .findings
                .extend(own.findings.into_iter().filter(|found| found.level == engine::Level::Note));
            result.insert("task_queue".to_owned(), own.result.unwrap_or(Json::Null));
        }
        if let Some(store) = &self.store {
            result.insert("file_system".to_owned(), of_store(store, planning)?);
        }
        if !self.count.is_empty() {
            let schema = facts.schema()?;
            let mut rows = Map::new();
            for name in &self.count {
                let table = &schema.find(name)?.name;
                rows.insert(
                    name.clone(),
                    json!(facts.count(&Sql::new("select count(*) from ").table(table))?),
                );
            }
            result.insert("database".to_owned(), Json::Object(rows));
        }
        for (part, why, help) in all.missing().into_iter().filter(|(part, _, _)| *part == "tables") {
            planned.findings.push(Finding::note("not_seen", part, why, help));
        }
        let mut tables = document::tables(&all);
        if let Some(list) = tables.as_array_mut() {
            list.truncate(self.largest);
            if self.exact {
                for (one, table) in list.iter_mut().zip(largest(&all)) {
                    // One that went meanwhile keeps its estimate.
                    if let Ok(rows) = facts.count(&Sql::new("select count(*) from ").table(table)) {
                        one["rows"] = json!(rows);
                        one["rows_exact"] = json!(true);
                    }
                }
            }
        }
        result.insert("tables".to_owned(), tables);
        result.insert("table_count".to_owned(), json!(all.tables.known().map(Vec::len)));
        result.insert("database_bytes".to_owned(), json!(all.server.bytes));
        planned.result = Some(Json::Object(result));
        Ok(planned)
    }

    fn act(&self, _: &Step, _: &Cursor, _: u64, _: &mut Work) -> Result<Batch> {
        Ok(Batch { counts: Counts::default(), next: None })
    }

    fn verify(&self, _: &[Step], _: &[Counts], _: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }

    fn only_looks(&self) -> bool {
        true
    }

    fn looks_back(&self) -> bool {
        self.queue.is_some()
    }
}

/// The tables in the order of the document.
fn largest(all: &targets::db::Inspection) -> Vec<&targets::db::TableName> {
    let mut tables: Vec<_> = all.tables.known().into_iter().flatten().collect();
    tables.sort_by_key(|table| {
        (std::cmp::Reverse((table.total_bytes().unwrap_or(0), table.rows.unwrap_or(0))), table.name.clone())
    });
    tables.into_iter().map(|table| &table.name).collect()
}

/// R3e.
fn of_store(name: &str, planning: &Planning) -> Result<Json> {
    let (mut size, mut files, mut folders) = (0, 0, 0);
    planning.stores.store(name)?.walk("", &mut |_, about| {
        match about.map(|about| (about.sort, about.bytes)) {
            Ok((Sort::File, bytes)) => {
                files += 1;
                size += bytes;
            }
            Ok((Sort::Folder, _)) => folders += 1,
            _ => {}
        }
        Ok(true)
    })?;
    Ok(json!({ "total_size": size, "file_count": files, "directory_count": folders }))
}

//! `import`: rows from files into tables that are there, exactly as `export` wrote them.
//!
//! Every file is read to its end before anything changes: what would not go in is told with its line. Then rows come in batches,
//! each remembered, so that an undo takes them away again and a death in between is gone on from. It makes no tables.

mod options;
mod plan;
mod rows;

use crate::export::MANIFEST;
use engine::archive::TableReader;
use engine::words::{of, rows as so_many};
use engine::{
    Batch, Counts, Cursor, Done, Error, Finding, Kind, Operation, Phase, Planned, Planning, Result, RowSum,
    Severity, Step, Work,
};
use options::Options;
use rows::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use targets::db::{Facts, Sql, Table};

/// The catalogue entry.
pub struct Import;

impl Kind for Import {
    fn name(&self) -> &'static str {
        "import"
    }

    fn title(&self) -> &'static str {
        "Fill tables from files that `export` wrote"
    }

    fn about(&self) -> &'static str {
        "Rows go into tables that are there, matched by the names of tables and columns. Before anything changes, every file is read \
         to its end and compared with its manifest. Rows come in batches and are remembered: an undo takes them away again. \
         Afterwards the tables are compared with what was exported, to the bit."
    }

    fn schema(&self) -> schemars::Schema {
        schemars::schema_for!(Options)
    }

    fn severity(&self) -> Severity {
        Severity::Medium
    }

    fn phase(&self) -> Phase {
        Phase::Clean
    }

    fn operation(&self, options: &serde_json::Value) -> Result<Box<dyn Operation>> {
        Ok(Box::new(Importing {
            options: Options::read(options)?,
            incoming: RefCell::default(),
            found: RefCell::default(),
        }))
    }
}

struct Importing {
    options: Options,
    /// The file at work, where it goes on.
    incoming: RefCell<Option<Incoming>>,
    /// What the comparison found.
    found: RefCell<Vec<Finding>>,
}

/// What a step needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Task {
    store: String,
    file: String,
    table: Table,
    columns: Vec<String>,
    rows: u64,
    /// An export wrote the file.
    ours: bool,
    /// All rows go in together: they may refer to each other, and the database looks at once.
    together: bool,
    /// Of all rows, where it can be compared afterwards.
    digest: Option<String>,
}

impl Task {
    fn of(step: &Step) -> Result<Self> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))
    }
}

impl Operation for Importing {
    fn plan(&self, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
        plan::plan(&self.options, facts, planning)
    }

    fn act(&self, step: &Step, aim: &Cursor, rows: u64, work: &mut Work) -> Result<Batch> {
        let task = Task::of(step)?;
        let at = aim.0.as_u64().unwrap_or(0);
        // a batch that is done again finds the reader further on, and opens the file anew
        let ready = self.incoming.borrow_mut().take().filter(|open| open.is_at(&task.file, at));
        let mut incoming = match ready {
            Some(open) => open,
            None => Incoming::open(work.store(&task.store)?.as_ref(), &task.file, at)?,
        };
        let restored = match task.together {
            true => incoming.all(&task, work)?,
            false => incoming.some(&task, rows, work)?,
        };
        let done = at + restored;
        let ended = incoming.is_at_the_end()?;
        if ended {
            for statement in work.dialect().catch_up(&task.table) {
                work.query(&statement, &mut |_| Ok(()))?;
            }
        }
        *self.incoming.borrow_mut() = Some(incoming);
        let counts = Counts { restored, ..Counts::default() };
        Ok(Batch { counts, next: (!ended).then(|| Cursor(done.into())) })
    }

    fn result(&self, done: &Done, facts: &mut dyn Facts) -> Result<Option<serde_json::Value>> {
        let mut found = self.found.borrow_mut();
        found.clear();
        let (mut tables, mut all, mut compared) = (Vec::new(), 0, 0);
        for step in done.steps {
            let task = Task::of(step)?;
            all += task.rows;
            let same = match &task.digest {
                Some(digest) => Some(digest_of(&task, facts)? == *digest),
                None => None,
            };
            compared += u64::from(same == Some(true));
            if same == Some(false) {
                found.push(Finding::warning(
                    "differs",
                    &task.table.name,
                    "its rows are not those that were exported",
                    "somebody else wrote to it meanwhile, or a trigger changed rows: take it back with `sexton undo`, then import again",
                ));
            }
            tables.push(json!({ "table": task.table.name.to_string(), "file": task.file, "rows": task.rows, "same": same }));
        }
        if let Some(broken) = facts.dialect().broken_references() {
            let count = facts.query(&broken, &mut |_| Ok(()))?;
            if count > 0 {
                found.push(Finding::warning(
                    "broken_references",
                    "the database",
                    format!("{} without the row that they refer to", so_many(count)),
                    "`sexton check` lists them; import the tables that they refer to as well",
                ));
            }
        }
        let number = of(tables.len() as u64, "table", "tables");
        let proof = match compared {
            0 => "",
            _ if compared == tables.len() as u64 => ", each the same as exported",
            _ => ", as far as compared the same as exported",
        };
        let message = format!("{} into {number}{proof}", so_many(all));
        Ok(Some(json!({ "message": message, "tables": tables })))
    }

    fn verify(&self, _steps: &[Step], _counts: &[Counts], _facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        Ok(self.found.borrow().clone())
    }
}

/// The digest of the rows that are there.
fn digest_of(task: &Task, facts: &mut dyn Facts) -> Result<String> {
    let mut spelled = Vec::new();
    for column in &task.columns {
        spelled.push(facts.dialect().outward(task.table.expect_column(column)?));
    }
    let select =
        Sql::new(&format!("select {} from ", spelled.join(", "))).table(&task.table.name).text(" as t");
    let mut sum = RowSum::default();
    facts.query(&select, &mut |row| {
        sum.add(&row);
        Ok(())
    })?;
    Ok(sum.digest())
}

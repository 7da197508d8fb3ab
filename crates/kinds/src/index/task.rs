//! One index as a plan keeps it, and how it goes: looked at again, written down, dropped, noted as gone.

use crate::upkeep::bytes_said;
use engine::{Batch, Class, Counts, Cursor, Error, GivenUp, Result, Step, Work};
use serde::{Deserialize, Serialize};
use serde_json::json;
use targets::db::{Chore, Command, Facts, Limits, Order, Table, TableName};

/// What a step needs to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The index.
    pub index: TableName,
    /// Its table.
    pub table: Table,
    /// What makes it, as it was when it was planned.
    pub definition: String,
    /// Dropped beside those who read and write, outside of transactions.
    pub beside: bool,
    /// Why it goes.
    pub why: String,
    /// How large it is.
    pub bytes: Option<u64>,
    /// How often it was used, over all nodes that were asked.
    pub uses: Option<u64>,
    /// What is done, for the plan.
    pub chores: Vec<Chore>,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum Deed {
    /// It is dropped.
    Drop,
    /// A death came between the drop and its record: it is gone.
    Found,
    /// Nothing.
    Skip {
        /// Why.
        reason: String,
    },
}

impl Deed {
    fn of(cursor: &Cursor) -> Result<Deed> {
        serde_json::from_value(cursor.0.clone())
            .map_err(|error| Error::system("the place in a step cannot be read").because(error))
    }

    fn cursor(&self) -> Result<Option<Cursor>> {
        serde_json::to_value(self)
            .map(|value| Some(Cursor(value)))
            .map_err(|error| Error::system("the place in a step cannot be written").because(error))
    }
}

impl Task {
    /// Reads the task of a step.
    pub fn of(step: &Step) -> Result<Self> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("the step of a plan cannot be read").because(error))
    }

    /// Its step.
    pub fn step(&self, statement: String, facts: Vec<(String, String)>) -> Result<Step> {
        let said = self.index.to_string();
        let task = serde_json::to_value(self)
            .map_err(|error| Error::system("a step cannot be written down").because(error))?;
        Ok(Step {
            id: format!("drop {said}"),
            label: said.clone(),
            action: "drop_index".to_owned(),
            object: said,
            matched: 1,
            exact: true,
            batches: 1,
            statements: vec![statement],
            facts,
            task,
            ..Step::default()
        })
    }

    /// Looks again before it goes, also after a death.
    pub fn aim(&self, cursor: &Cursor, facts: &mut dyn Facts) -> Result<Option<Cursor>> {
        let begun = !cursor.0.is_null() && Deed::of(cursor)? == Deed::Drop;
        let skip = |reason: &str| Deed::Skip { reason: reason.to_owned() }.cursor();
        let makes = facts.dialect().makes_index(&self.index);
        let Some(now) = facts.value(&makes)?.as_text().map(str::to_owned) else {
            return match begun {
                true => Deed::Found.cursor(),
                false => skip("it is gone: somebody dropped it since the plan was made"),
            };
        };
        if now != self.definition {
            return skip("it is another one now than when the plan was made");
        }
        let upkeep = facts.upkeep(Some(&self.table.name))?;
        let busy =
            upkeep.indexes.into_iter().find(|known| known.name == self.index).and_then(|known| known.busy);
        match busy.filter(|busy| busy.builds) {
            // A process of the server goes on for a while after its client died.
            Some(busy) if begun => Err(Error::transient(format!(
                "process {} still works on `{}` ({})",
                busy.pid, self.index, busy.work
            ))),
            Some(busy) => skip(&format!("process {} works on its table ({})", busy.pid, busy.work)),
            None => Deed::Drop.cursor(),
        }
    }

    /// The command of an aim, where an index goes outside of transactions.
    pub fn outside(&self, aim: &Cursor, limits: Limits) -> Result<Option<Command>> {
        let drops = self.beside && Deed::of(aim)? == Deed::Drop;
        let chore = Chore::DropIndex { index: self.index.clone() };
        Ok(drops.then_some(Command::Upkeep(Order { chore, limits })))
    }

    /// Written down before the command.
    pub fn begin(&self, aim: &Cursor, work: &mut Work) -> Result<()> {
        match Deed::of(aim)? {
            Deed::Drop => work.remember_index(&self.index, &self.table),
            _ => Ok(()),
        }
    }

    /// Drops it, or writes down that it is gone.
    pub fn act(&self, aim: &Cursor, work: &mut Work) -> Result<Batch> {
        let (status, reason) = match Deed::of(aim)? {
            Deed::Skip { reason } => ("skipped", Some(reason)),
            Deed::Drop if !self.beside => {
                work.remember_index(&self.index, &self.table)?;
                work.drop_index(&self.index)?;
                ("done", None)
            }
            Deed::Drop | Deed::Found => {
                work.index_is_gone(&self.index)?;
                ("done", None)
            }
        };
        let did = work.did();
        work.tell(json!({
            "name": self.index.to_string(), "status": status, "reason": reason,
            "seconds": did.map(|did| did.seconds),
            "others_waited_seconds":
                did.and_then(|did| did.performed.others_waited).map(|waited| waited.as_secs_f64()),
        }));
        let skipped = u64::from(status == "skipped");
        Ok(Batch { counts: Counts { deleted: 1 - skipped, skipped, ..Counts::default() }, next: None })
    }

    /// An index that cannot get its turn is passed over, unless the next one would fail for the same reason.
    pub fn passes_over(&self, error: &Error) -> Option<GivenUp> {
        let code = error.code.as_deref().unwrap_or_default();
        let hopeless = match error.class {
            Class::Transient => code.starts_with("08") || code.starts_with("57P"),
            Class::System => code != "42501",
            _ => false,
        };
        let scope = self.index.to_string();
        let detail = json!({ "name": scope, "status": "failed", "reason": error.to_string() });
        (!hopeless).then_some(GivenUp { scope, next: None, detail })
    }

    /// Its size for people.
    pub fn size(&self) -> String {
        self.bytes.map_or_else(|| "not known".to_owned(), bytes_said)
    }
}

//! A job table with its mapping: conditions for the states, the columns that are named, the values that are written.

use super::options::{Options, Rule};
use crate::sweep::{self, Setting};
use engine::age::Age;
use engine::{Error, Planning, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use targets::db::{Age as AgeTest, Column, Dialect, Facts, Schema, Sql, Table, Value};

/// What a job may be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits.
    Pending,
    /// Is worked on.
    Running,
    /// Is done.
    Completed,
    /// Has failed.
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [State; 4] = [State::Pending, State::Running, State::Completed, State::Failed];

    /// As the configuration spells it.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::Completed => "completed",
            State::Failed => "failed",
        }
    }
}

/// A job table as its mapping describes it.
pub struct Jobs<'a> {
    /// The mapping.
    pub options: &'a Options,
    /// All tables.
    pub schema: &'a Schema,
    /// The table.
    pub table: &'a Table,
    /// The zone of times that have none.
    pub zone: TimeZone,
    /// The one moment all ages are measured from.
    pub now: Timestamp,
}

impl<'a> Jobs<'a> {
    /// Finds the table and checks that the columns are there.
    pub fn find(options: &'a Options, schema: &'a Schema, planning: &Planning) -> Result<Self> {
        let table = schema.find(&options.table)?;
        sweep::check_table(table)?;
        let zone = engine::age::zone(options.zone.as_deref().unwrap_or("UTC"))?;
        let jobs = Self { options, schema, table, zone, now: planning.now };
        let columns = &options.columns;
        for name in [
            &columns.id,
            &columns.state,
            &columns.function,
            &columns.entity_type,
            &columns.attempts,
            &columns.limit,
            &columns.created,
            &columns.started,
            &columns.updated,
            &columns.finished,
            &columns.run_after,
            &columns.heartbeat,
            &columns.lease,
            &columns.error,
            &columns.resets,
        ] {
            jobs.column(name)?;
        }
        Ok(jobs)
    }

    /// The column of this name, where one is named.
    pub fn column(&self, name: &Option<String>) -> Result<Option<&'a Column>> {
        Ok(match name {
            Some(name) => Some(self.table.expect_column(name)?),
            None => None,
        })
    }

    /// The column that tells jobs apart.
    pub fn id(&self) -> Result<&'a Column> {
        let of_key = || self.table.key.as_ref().filter(|key| key.columns.len() == 1);
        let name = match (&self.options.columns.id, of_key()) {
            (Some(id), _) => id.clone(),
            (None, Some(key)) => key.columns[0].clone(),
            (None, None) => {
                return Err(Error::usage(format!("what tells the jobs of `{}` apart?", self.table.name))
                    .help("say `columns = { id = \"…\" }`"));
            }
        };
        self.table.expect_column(&name)
    }

    /// The values of the state column for a state.
    pub fn words(&self, state: State) -> &'a [String] {
        let states = &self.options.states;
        match state {
            State::Pending => &states.pending,
            State::Running => &states.running,
            State::Completed => &states.completed,
            State::Failed => &states.failed,
        }
    }

    /// The condition, over `t`, that a job is in this state; none when the mapping does not know it.
    pub fn is(&self, state: State, dialect: &dyn Dialect) -> Result<Option<Sql>> {
        let when = &self.options.when;
        let raw = match state {
            State::Pending => &when.pending,
            State::Running => &when.running,
            State::Completed => &when.completed,
            State::Failed => &when.failed,
        };
        if let Some(raw) = raw {
            // A line end, so that a comment in the condition cannot swallow the bracket.
            return Ok(Some(Sql::new("(").add(&Sql::raw(raw)).text("\n)")));
        }
        self.one_of(self.words(state), dialect)
    }

    /// The same, or an error that says what is missing.
    pub fn must_be(&self, state: State, facts: &mut dyn Facts) -> Result<Sql> {
        let Some(condition) = self.is(state, facts.dialect())? else {
            let name = state.name();
            return Err(Error::usage(format!(
                "the mapping of `{}` does not say which jobs are {name}",
                self.table.name
            ))
            .help(format!(
                "say `columns = {{ state = \"…\" }}` and `states = {{ {name} = [\"…\"] }}`, or `when = {{ {name} = \"…\" }}`"
            )));
        };
        self.check(&condition, facts)?;
        Ok(condition)
    }

    /// The condition that the state column holds one of these values.
    pub fn one_of(&self, words: &[String], dialect: &dyn Dialect) -> Result<Option<Sql>> {
        let Some(column) = self.column(&self.options.columns.state)? else { return Ok(None) };
        let values: Vec<Sql> =
            words.iter().map(|word| dialect.inward(column, Value::Text(word.clone()))).collect();
        let name = Sql::new("t.").name(&column.name);
        Ok(match values.as_slice() {
            [] => None,
            [one] => Some(name.text(" = ").add(one)),
            _ => Some(name.text(" in (").add(&Sql::join(&values, ", ")).text(")")),
        })
    }

    /// Lets the database read a condition before anything is counted, so that its complaint is about the condition.
    fn check(&self, condition: &Sql, facts: &mut dyn Facts) -> Result<()> {
        let select = Sql::new("select 1 from ").table(&self.table.name).text(" as t where ").add(condition);
        facts.access(&select).map(|_| ()).map_err(|error| {
            let help = error.help.clone();
            let error = error.while_doing(&format!("reading the states of `{}`", self.table.name));
            error.help(help.unwrap_or_else(|| "see `states` and `when` of the mapping".to_owned()))
        })
    }

    /// Tests the age of a column.
    pub fn older(&self, column: &Column, age: &Age, dialect: &dyn Dialect) -> Result<AgeTest> {
        dialect.age(column, self.options.epoch_unit, &age.cutoff(self.now, &self.zone)?)
    }

    /// The column as a sortable time.
    pub fn instant(&self, column: &Column, dialect: &dyn Dialect) -> Result<Sql> {
        let cutoff = engine::age::cutoff(self.now, &self.zone);
        Ok(dialect.age(column, self.options.epoch_unit, &cutoff)?.instant)
    }

    /// The condition that no attempts are left; none when nothing says how many there are.
    pub fn exhausted(&self) -> Result<Option<Sql>> {
        let columns = &self.options.columns;
        let Some(attempts) = self.column(&columns.attempts)? else { return Ok(None) };
        let attempts = Sql::new("t.").name(&attempts.name).text(" >= ");
        Ok(match (self.column(&columns.limit)?, self.options.attempts_limit) {
            (Some(limit), _) => Some(attempts.text("t.").name(&limit.name)),
            (None, Some(limit)) => Some(attempts.text(&limit.to_string())),
            (None, None) => None,
        })
    }

    fn setting<'b>(&'b self, dialect: &'b dyn Dialect) -> Setting<'b> {
        Setting { table: self.table, now: self.now, unit: self.options.epoch_unit, zone: &self.zone, dialect }
    }

    /// The moment in the form in which the column holds times.
    pub fn moment(&self, at: Timestamp, column: &Column, dialect: &dyn Dialect) -> Sql {
        self.setting(dialect).moment(at, column)
    }

    /// Columns that the mapping sets besides those that it knows; they win over what is there already.
    pub fn also(
        &self,
        set: &mut Vec<(String, Sql)>,
        more: &BTreeMap<String, Json>,
        dialect: &dyn Dialect,
    ) -> Result<()> {
        for (name, value) in self.setting(dialect).all(more)? {
            set.retain(|(known, _)| *known != name);
            set.push((name, value));
        }
        Ok(())
    }

    /// Sets the state, where there is a column for it, and the time of the last touch.
    pub fn moved_to(&self, state: State, dialect: &dyn Dialect) -> Result<Vec<(String, Sql)>> {
        let mut set = Vec::new();
        let columns = &self.options.columns;
        if let (Some(column), Some(word)) = (self.column(&columns.state)?, self.words(state).first()) {
            set.push((column.name.clone(), dialect.inward(column, Value::Text(word.clone()))));
        }
        if let Some(column) = self.column(&columns.updated)? {
            set.push((column.name.clone(), self.moment(self.now, column, dialect)));
        }
        Ok(set)
    }

    /// The name of a state as the table spells it.
    pub fn said(&self, state: State) -> String {
        self.words(state).first().cloned().unwrap_or_else(|| state.name().to_owned())
    }

    /// The condition of a rule's state: one value of the column, else a state by its name.
    pub fn of_rule(&self, rule: &Rule, facts: &mut dyn Facts) -> Result<(Sql, Option<State>)> {
        let states = &self.options.states;
        let all = [&states.pending, &states.running, &states.completed, &states.failed, &states.other];
        let by_name = State::ALL.into_iter().find(|state| state.name() == rule.state);
        if all.iter().any(|words| words.contains(&rule.state))
            && let Some(condition) = self.one_of(std::slice::from_ref(&rule.state), facts.dialect())?
        {
            self.check(&condition, facts)?;
            let meaning = State::ALL.into_iter().find(|state| self.words(*state).contains(&rule.state));
            return Ok((condition, meaning));
        }
        match by_name {
            Some(state) => Ok((self.must_be(state, facts)?, Some(state))),
            None => {
                let words: Vec<&str> = all.into_iter().flatten().map(String::as_str).collect();
                let names = State::ALL.map(State::name).join(", ");
                Err(Error::usage(format!("there is no state `{}`", rule.state))
                    .help(format!("the states are {names}, or one of {}", words.join(", "))))
            }
        }
    }
}

//! Plans that were shown: each can be agreed to for a quarter of an hour, once, by whoever it was shown to, in whichever process.

use super::State;
use super::runs::sortable;
use crate::error::{Error, Result};
use crate::plan::Plan;
use jiff::{SignedDuration, Timestamp};
use targets::db::{Limits, Session, Sql, Value};

/// So long a plan that was shown can be agreed to.
const HOLDS: SignedDuration = SignedDuration::from_mins(15);
/// No more are kept of what was shown to one: who looks in a loop does not fill the state.
const MOST: i64 = 100;

/// A plan that was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownPlan {
    /// It.
    pub plan: Plan,
    /// The run that came of it, where somebody agreed to it already.
    pub run: Option<String>,
}

/// The plans of a state that were shown.
pub struct ShownPlans<'a> {
    state: &'a State,
}

pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("plans");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("create table if not exists ").table(&own).text(
        " (id text not null primary key, shown_to text not null, shown_at text not null, plan text not null, run text)",
    ))?;
    tx.commit()
}

impl<'a> ShownPlans<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// Keeps a plan that is shown to somebody. Those that hold no longer go.
    pub fn keep(&self, id: &str, to: &str, plan: &Plan, now: Timestamp) -> Result<()> {
        let body = serde_json::to_string(plan)
            .map_err(|error| Error::system("cannot store the plan").because(error))?;
        let own = self.state.own("plans");
        let over = Sql::new("delete from ").table(&own).text(" where shown_at <= ").bind(oldest(now));
        let too_many = Sql::new("delete from ")
            .table(&own)
            .text(" where shown_to = ")
            .bind(to)
            .text(" and id not in (select id from ")
            .table(&own)
            .text(" where shown_to = ")
            .bind(to)
            .text(" order by shown_at desc limit ")
            .bind(MOST - 1)
            .text(")");
        let new = Sql::new("insert into ")
            .table(&own)
            .text(" (id, shown_to, shown_at, plan) values (")
            .bind(id)
            .text(", ")
            .bind(to)
            .text(", ")
            .bind(sortable(now))
            .text(", ")
            .bind(body)
            .text(") on conflict (id) do nothing");
        self.state.write(&[over, too_many, new])
    }

    /// The plan of this id, if it holds and was shown to this one.
    pub fn find(&self, id: &str, to: &str, now: Timestamp) -> Result<Option<ShownPlan>> {
        let select = Sql::new("select plan, run from ")
            .table(&self.state.own("plans"))
            .text(" where id = ")
            .bind(id)
            .text(" and shown_to = ")
            .bind(to)
            .text(" and shown_at > ")
            .bind(oldest(now));
        let rows = self.state.rows(&select)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let text = |n: usize| row.get(n).and_then(Value::as_text);
        // What an older version has written and this one cannot read was shown by another program: it is shown again.
        let plan = text(0).and_then(|plan| serde_json::from_str(plan).ok());
        Ok(plan.map(|plan| ShownPlan { plan, run: text(1).map(str::to_owned) }))
    }

    /// Agrees to a plan with this run; false when another run has come of it before. What was agreed to once does nothing twice.
    pub fn agree(&self, id: &str, run: &str) -> Result<bool> {
        let own = self.state.own("plans");
        let update = Sql::new("update ")
            .table(&own)
            .text(" set run = ")
            .bind(run)
            .text(" where id = ")
            .bind(id)
            .text(" and (run is null or run = ")
            .bind(run)
            .text(")");
        self.state.change(|tx| Ok(tx.execute(&update)? > 0))
    }
}

/// What was shown then holds no longer.
fn oldest(now: Timestamp) -> String {
    sortable(now.checked_sub(HOLDS).unwrap_or(Timestamp::MIN))
}

//! What PostgreSQL tells of its health, part by part: catalogue and counters, no table of the user, no lock waited for.
//!
//! Functions that measure a relation take the lock of a reader; so those that somebody holds are left out beforehand, and
//! a lock that comes in between ends the part after a moment, not the look. Columns differ between the versions 12 to 17.

mod activity;
mod keys;
mod objects;
mod upkeep;

use super::session::Connected;
use crate::watchful::Watchful;
use std::time::Duration;
use targets::db::{Bounds, Facts, Inspection, Result, Row, Section, Server, Sql, Value};

/// Locks of others are not waited for.
const LOCK: &str = "50ms";

/// Relations that somebody holds for himself, or is about to, with the tables of held indexes.
const HELD: &str = "
    held as materialized (
      select l.relation from pg_locks l
      where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
        and l.database = (select oid from pg_database where datname = current_database())),
    held_tables as materialized (
      select relation as oid from held
      union
      select i.indrelid from pg_index i where i.indexrelid in (select relation from held)
      union
      select c.oid from pg_class c where c.reltoastrelid in (select relation from held))";

/// What belongs to the user.
const OURS: &str = "n.nspname not in ('pg_catalog', 'information_schema', 'sexton') and n.nspname not like 'pg\\_%'
      and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e')";

/// Looks at everything.
pub(super) fn look(session: &mut Connected, bounds: &Bounds) -> Result<Inspection> {
    let server = describe(session)?;
    let standby = server.read_only;
    let mut look = Look { session, watch: Watchful::begin(bounds), most: bounds.most as i64 };
    let mut all = Inspection::of(server);
    all.connections = Section::of(activity::connections(&mut look))?;
    all.locks = Section::of(activity::locks(&mut look))?;
    all.horizon = Section::of(upkeep::horizon(&mut look))?;
    all.replication = Section::of(upkeep::replication(&mut look, standby))?;
    all.counters = Section::of(upkeep::counters(&mut look))?;
    all.settings = Section::of(upkeep::settings(&mut look))?;
    all.disk = match look.session.disk() {
        Ok(Some(disk)) => Section::Known(disk),
        _ => Section::Missing {
            why: "the disk of the server cannot be seen from here".to_owned(),
            help: "look on the machine of the server, as a role that may read `data_directory`".to_owned(),
        },
    };
    all.sequences = Section::of(keys::sequences(&mut look))?;
    all.references = Section::of(keys::references(&mut look))?;
    all.unvalidated = Section::of(keys::unvalidated(&mut look))?;
    all.tables = Section::of(objects::tables(&mut look))?;
    all.indexes = Section::of(objects::indexes(&mut look))?;
    all.slow = match activity::slow(&mut look) {
        Ok(Some(slow)) => Section::Known(slow),
        Err(error) => Section::of(Err(error))?,
        Ok(None) => Section::Missing {
            why: "not available: the extension `pg_stat_statements` is not in use".to_owned(),
            help: "shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, a restart, then: create extension \
                   pg_stat_statements"
                .to_owned(),
        },
    };
    Ok(all)
}

/// About itself; the size is left out where it may not be known.
fn describe(session: &mut Connected) -> Result<Server> {
    session.server()
}

/// A look under way.
pub(super) struct Look<'a> {
    pub session: &'a mut Connected,
    pub watch: Watchful,
    pub most: i64,
}

impl Look<'_> {
    /// The server's version, such as 150018.
    pub fn version(&self) -> u32 {
        self.session.dialect.version()
    }

    /// The rows of one question, within the time of a part.
    pub fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>> {
        let time = self.watch.part();
        self.rows_within(time, sql)
    }

    fn rows_within(&mut self, time: Duration, sql: &Sql) -> Result<Vec<Row>> {
        let limits = format!(
            "select set_config('lock_timeout', '{LOCK}', true), set_config('statement_timeout', '{}', true)",
            time.as_millis().max(1)
        );
        let mut all = Vec::new();
        self.session.ask_after(Some(&limits), sql, &mut |row| {
            all.push(row);
            Ok(())
        })?;
        Ok(all)
    }

    /// The same for text of ours, with the words that many questions share.
    pub fn ask(&mut self, sql: &str) -> Result<Vec<Row>> {
        let text =
            sql.replace("{HELD}", HELD).replace("{OURS}", OURS).replace("{MOST}", &self.most.to_string());
        self.rows(&Sql::new(&text))
    }

    /// The first row, where there must be one.
    pub fn first(&mut self, sql: &str) -> Result<Row> {
        Ok(self.ask(sql)?.into_iter().next().unwrap_or_default())
    }
}

fn text(row: &Row, n: usize) -> String {
    optional(row, n).unwrap_or_default()
}

fn optional(row: &Row, n: usize) -> Option<String> {
    row.get(n).and_then(Value::as_text).map(str::to_owned)
}

fn count(row: &Row, n: usize) -> Option<u64> {
    row.get(n).and_then(Value::as_int).map(|number| number.max(0) as u64)
}

fn number(row: &Row, n: usize) -> u64 {
    count(row, n).unwrap_or(0)
}

fn real(row: &Row, n: usize) -> Option<f64> {
    row.get(n).and_then(Value::as_real)
}

fn flag(row: &Row, n: usize) -> bool {
    row.get(n).and_then(Value::as_bool) == Some(true)
}

fn list(row: &Row, n: usize) -> Vec<String> {
    // Names may hold anything but a NUL; the separator of units is the least likely of all characters.
    optional(row, n).map_or_else(Vec::new, |text| text.split('\u{1f}').map(str::to_owned).collect())
}

//! The way back after the cut-over, step by step: the target refuses changes, what was written there is carried back, the application
//! is sent back, and nothing of ours is left.
//!
//! At every moment at most one side takes changes. Until the application is sent back, whatever goes wrong lets the target take
//! changes again.

use super::super::carried;
use super::super::task::IDS;
use super::entry::{self, Entry, State};
use super::noted::Notes;
use super::switch::{self, Place};
use super::{Online, capture};
use engine::{Batch, Counts, Result, Stores, Work};
use serde_json::json;
use std::time::Duration;
use targets::db::{Limits, Session};

fn done() -> Batch {
    Batch { counts: Counts::default(), next: None }
}

fn note(own: &Entry, allow: bool, writer: &mut dyn Session) -> Result<()> {
    let mut tx = writer.begin(&Limits::default())?;
    if allow {
        capture::allow(tx.as_mut())?;
    }
    entry::write(own, tx.as_mut())?;
    tx.commit()
}

/// Nobody writes into the target any more.
pub fn stop(own: &Entry, writer: &mut dyn Session, work: &mut Work) -> Result<Batch> {
    let ids = work.dialect().own(IDS);
    if work.count(&work.dialect().exists(&ids))? > 0 {
        // before anybody waits: uuids are looked up by the hundred
        work.statement(&format!("create index if not exists ids_by_new on {} (new_id)", ids.quoted()))?;
    }
    Notes::of(&own.online, &own.run).refuse(work)?;
    let since = Some(work.clock().now().as_microsecond());
    note(&Entry { since, ..own.clone() }, false, writer)?;
    Ok(done())
}

/// The application is sent back.
pub fn switch(own: &Entry, writer: &mut dyn Session, work: &mut Work) -> Result<Batch> {
    let clock = work.clock();
    note(&Entry { state: State::Returning, ..own.clone() }, true, writer)?;
    if let Some(how) = &own.online.switch {
        let limit = Duration::from_secs_f64(own.online.limit.max(1.0));
        switch::send(how, &Place::Back(own.was.as_deref()), clock, limit)?;
    }
    let now = clock.now().as_microsecond();
    let seconds = (now - own.since.unwrap_or(now)).max(0) as f64 / 1e6;
    work.tell(json!({ "switched": { "seconds": seconds, "sent": own.online.switch.is_some() } }));
    Ok(done())
}

/// Nothing is noted in the target any more; `for_good`: there is no way back from now on.
pub fn settle(own: &Entry, for_good: bool, writer: &mut dyn Session, work: &mut Work) -> Result<Batch> {
    Notes::of(&own.online, &own.run).end(work)?;
    if for_good {
        note(&Entry { state: State::Settled, ..own.clone() }, false, writer)?;
    } else {
        carried::forget(&own.run, work)?;
    }
    Ok(done())
}

/// The way back failed before the application was sent: the target takes changes again.
pub fn given_up(source: &str, stores: &dyn Stores, work: Option<&mut Work>) -> Result<Option<String>> {
    let Some(own) = entry::read(stores.database(source)?.read()?.as_mut())? else { return Ok(None) };
    let Some(work) = work.filter(|_| matches!(own.state, State::Switching | State::Switched)) else {
        return Ok(None);
    };
    Notes::of(&own.online, &own.run).allow(work)?;
    Ok(Some(format!("`{}` takes changes as before", own.online.target)))
}

/// Nothing was written into the target since the application was being sent there, and it is sent back; else the target is as it was.
pub fn unsent(own: &Entry, work: &mut Work) -> Result<bool> {
    let online: &Online = &own.online;
    let notes = Notes::of(online, &own.run);
    notes.refuse(work)?;
    if notes.count(work)? != Some(0) {
        notes.allow(work)?;
        return Ok(false);
    }
    if let Some(how) = &online.switch {
        let file = super::super::options::Switch { command: Vec::new(), ..how.clone() };
        switch::send(&file, &Place::Back(own.was.as_deref()), work.clock(), Duration::from_secs(60))?;
        let command = super::super::options::Switch { file: None, ..how.clone() };
        // it failed on the way there; what it says now changes nothing
        let _ = switch::send(&command, &Place::Back(None), work.clock(), Duration::from_secs(60));
    }
    Ok(true)
}

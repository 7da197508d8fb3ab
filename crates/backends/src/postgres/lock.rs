//! The right to maintain a database: one session has it at a time.
//!
//! Directly it is an advisory lock, which dies with its session. Behind a transaction pooler a session has no life of
//! its own, so there it is a row in `sexton.lease` that ends by itself, is renewed by every batch and numbered by terms:
//! a batch of a session that has lost it fails. Each way looks at the other one too. Nothing here waits.

use super::session::Connected;
use targets::db::{Class, Error, Facts, Result, Sql, Value};

/// The two keys of the advisory lock. Advisory locks are per database, so they need not name it.
const KEYS: (i64, i64) = (0x5E_C7_04, 1);
/// How long a lease lives without a batch.
const LEASE: &str = "interval '2 minutes'";
/// Begins the application name of every session of ours.
pub(super) const OURS: &str = "sexton";

/// The right, while a session has it.
#[derive(Debug, Clone)]
pub(super) struct Right {
    pub holder: String,
    /// Of the lease; none for the advisory lock.
    term: Option<i64>,
}

/// Tries to take it, or to keep what `known` says we had.
pub(super) fn take(session: &mut Connected, holder: &str, known: Option<Right>) -> Result<bool> {
    let right = match session.pooled {
        true => lease(session, holder, known.and_then(|right| right.term))?.map(Some),
        false => advisory(session, holder, session.right.is_some())?.then_some(None),
    };
    session.right = right.map(|term| Right { holder: holder.to_owned(), term });
    Ok(session.right.is_some())
}

fn advisory(session: &mut Connected, holder: &str, had_it: bool) -> Result<bool> {
    if had_it {
        return Ok(true);
    }
    let (class, object) = KEYS;
    // Taken outside a read-only transaction would do no harm either, but the lock must outlive the transaction.
    let got = session.value(&Sql::new(&format!("select pg_try_advisory_lock({class}, {object})")))?;
    if got.as_bool() != Some(true) {
        return Ok(false);
    }
    if leased_to(session)?.is_some() {
        release(session)?;
        return Ok(false);
    }
    // A session that holds the right says for whom, to everybody who looks.
    let set = Sql::new("select set_config('application_name', ").bind(shown(holder)).text(", false)");
    session.value(&set)?;
    Ok(true)
}

fn lease(session: &mut Connected, holder: &str, term: Option<i64>) -> Result<Option<i64>> {
    if advisory_holder(session)?.is_some() {
        return Ok(None);
    }
    let mut statements = Vec::new();
    if term.is_none() && leased_to(session)?.is_some() {
        return Ok(None);
    }
    statements.extend(session.dialect().prepare_own());
    statements.push(Sql::new(
        "create table if not exists sexton.lease (
           only_one boolean primary key default true check (only_one),
           holder text not null, term bigint not null, until timestamptz not null)",
    ));
    // Terms come from the clock, so that they grow even after the row was deleted.
    let own = term.unwrap_or(0);
    statements.push(
        Sql::new("insert into sexton.lease as l (holder, term, until) values (").bind(holder).text(&format!(
            ", (extract(epoch from clock_timestamp()) * 1000000)::bigint, clock_timestamp() + {LEASE})
                 on conflict (only_one) do update
                 set holder = excluded.holder, until = excluded.until,
                     term = case when l.term = {own} then l.term else greatest(l.term + 1, excluded.term) end
                 where l.until < clock_timestamp() or l.term = {own}
                 returning term"
        )),
    );
    match session.change(&statements) {
        Ok(rows) => Ok(rows.first().and_then(|row| row.first()).and_then(Value::as_int)),
        // A batch of the holder has the row, or somebody makes the table at this moment.
        Err(error) if matches!(error.code.as_deref(), Some("55P03" | "23505" | "42P07" | "42P06")) => {
            Ok(None)
        }
        Err(error) => Err(error.while_doing("taking the lease in `sexton.lease`")),
    }
}

/// At the beginning of each batch behind a pooler: fails if the right was lost, and keeps others out until the commit.
pub(super) fn renew(session: &mut Connected) -> Result<()> {
    let Some(Right { term: Some(term), .. }) = session.right else { return Ok(()) };
    let renewed = session
        .wire
        .count(&format!("update sexton.lease set until = clock_timestamp() + {LEASE} where term = {term}"))?;
    if renewed == 1 {
        return Ok(());
    }
    session.right = None;
    Err(Error::transient("the right to maintain this database was lost to somebody else")
        .help("run the operation again: it goes on where it stopped"))
}

/// Gives it back.
pub(super) fn give_back(session: &mut Connected) -> Result<()> {
    match session.right.take() {
        None => Ok(()),
        // The advisory lock has gone with the connection, and a lease ends by itself.
        Some(_) if session.wire.is_lost() => Ok(()),
        Some(Right { term: None, .. }) => {
            release(session)?;
            session
                .value(&Sql::new(&format!("select set_config('application_name', '{OURS}', false)")))
                .map(drop)
        }
        Some(Right { term: Some(term), .. }) => {
            let mut statements = vec![
                Sql::new(&format!("delete from sexton.lease where term = {term}")),
                Sql::new(
                    "do $$ begin
                       if not exists (select from sexton.lease) then drop table sexton.lease; end if;
                     exception when lock_not_available then null;
                     end $$",
                ),
            ];
            statements.extend(session.dialect().remove_own());
            session.change(&statements).map(drop)
        }
    }
}

/// Ends the right of whoever has it under a name that begins with this: his session with its open transaction, or his lease.
pub(super) fn end(session: &mut Connected, holder: &str) -> Result<bool> {
    let (class, object) = KEYS;
    let begins = shown(holder);
    let ended = session.rows(
        &Sql::new(&format!(
            "select pg_terminate_backend(l.pid)
             from pg_locks l join pg_stat_activity a on a.pid = l.pid
             where l.locktype = 'advisory' and l.granted and l.objsubid = 2
               and l.database = (select oid from pg_database where datname = current_database())
               and l.classid = {class} and l.objid = {object} and left(a.application_name, {}) = ",
            begins.len()
        ))
        .bind(begins.as_str()),
    )?;
    if !ended.is_empty() {
        return Ok(true);
    }
    if leased_to(session)?.is_none_or(|other| !other.starts_with(holder)) {
        return Ok(false);
    }
    let gone = Sql::new("delete from sexton.lease where left(holder, ")
        .bind(holder.chars().count() as i64)
        .text("::int) = ")
        .bind(holder)
        .text(" returning 1");
    Ok(!session.change(&[gone])?.is_empty())
}

/// A holder as the name of its session shows it.
fn shown(holder: &str) -> String {
    let name = format!("{OURS} {holder}");
    name.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(63).collect()
}

/// Who has it.
pub(super) fn holder(session: &mut Connected) -> Result<Option<String>> {
    Ok(match advisory_holder(session)? {
        Some(holder) => Some(holder),
        None => leased_to(session)?,
    })
}

fn release(session: &mut Connected) -> Result<()> {
    let (class, object) = KEYS;
    session.value(&Sql::new(&format!("select pg_advisory_unlock({class}, {object})"))).map(drop)
}

fn advisory_holder(session: &mut Connected) -> Result<Option<String>> {
    let (class, object) = KEYS;
    let found = session.rows(&Sql::new(&format!(
        "select coalesce(a.application_name, ''), l.pid
         from pg_locks l left join pg_stat_activity a on a.pid = l.pid
         where l.locktype = 'advisory' and l.granted and l.objsubid = 2
           and l.database = (select oid from pg_database where datname = current_database())
           and l.classid = {class} and l.objid = {object}"
    )))?;
    Ok(found.first().map(|row| {
        let name = row[0].as_text().unwrap_or_default();
        let name = name.strip_prefix(OURS).unwrap_or(name).trim();
        let pid = row[1].as_int().unwrap_or(0);
        if name.is_empty() {
            format!("server process {pid}")
        } else {
            format!("{name} (server process {pid})")
        }
    }))
}

/// Whose lease has not ended.
fn leased_to(session: &mut Connected) -> Result<Option<String>> {
    let there = session.value(&Sql::new("select to_regclass('sexton.lease') is not null"))?;
    if there.as_bool() != Some(true) {
        return Ok(None);
    }
    match session.value(&Sql::new("select holder from sexton.lease where until >= clock_timestamp()")) {
        Ok(holder) => Ok(holder.as_text().map(str::to_owned)),
        // Dropped since, or not ours to see: then it is not ours to respect either.
        Err(error) if error.class == Class::Usage || error.code.as_deref() == Some("42501") => Ok(None),
        Err(error) => Err(error),
    }
}

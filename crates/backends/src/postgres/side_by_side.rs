//! Statements that do not need each other, on several connections at once.
//!
//! Each connection takes the next statement when it is done with one. The first error keeps further ones from being begun;
//! what is at work then is let finish, because half an index is worth nothing.

use super::address::Address;
use super::dialect::Spelling;
use super::session::Connected;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use targets::db::{Error, Limits, Performed, Result};

/// Runs them; what was done is told in the order in which it ended.
pub(super) fn run(
    address: &Address,
    dialect: &Spelling,
    sql: &[String],
    at_once: usize,
    limits: &Limits,
) -> Result<Performed> {
    let (next, first_error) = (AtomicUsize::new(0), Mutex::new(None::<Error>));
    let notices = Mutex::new(Vec::new());
    let fail = |error: Error| {
        next.store(sql.len(), Ordering::SeqCst);
        first_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
    };
    let worker = || {
        let mut session = match Connected::open(address.clone(), dialect.clone(), false) {
            Ok(session) => session,
            Err(error) => return fail(error),
        };
        while let Some(statement) = sql.get(next.fetch_add(1, Ordering::SeqCst)) {
            match session.statement(statement, limits) {
                Ok(done) => {
                    let mut told = notices.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    told.extend(done.notices);
                }
                Err(error) => return fail(error.while_doing(statement)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, sql.len().max(1)) {
            scope.spawn(worker);
        }
    });
    if let Some(error) = first_error.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(error);
    }
    let notices = notices.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(Performed { statement: sql.join(";\n"), notices, ..Performed::default() })
}

//! Who is signed in at the page: sessions, of which only a checksum is kept. One holds for a working day, and never longer than
//! the token that began it.

use super::State;
use super::runs::sortable;
use super::tokens::{checksum, same};
use crate::error::{Error, Result};
use crate::state::{Token, Tokens};
use jiff::{Timestamp, ToSpan};
use targets::db::{Limits, Sql, Value};

/// So long a session holds.
const HOURS: i64 = 12;

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct PageSession {
    /// By which token.
    pub token: Token,
    /// Until when.
    pub expires: Timestamp,
    /// What a request that changes something has to repeat in a header: another site cannot know it.
    pub proof: String,
}

/// The sessions of a state.
pub struct Sessions<'a> {
    state: &'a State,
}

pub(super) fn create(session: &mut dyn targets::db::Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("sessions");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("create table if not exists ").table(&own).text(
        " (checksum text not null primary key, token text not null, began text not null, expires text not null)",
    ))?;
    tx.commit()
}

impl<'a> Sessions<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// Begins a session for the holder of a token; its secret is told once and kept nowhere. Sessions that are over go.
    pub fn begin(&self, token: Token, now: Timestamp) -> Result<(PageSession, String)> {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let secret = format!("{}{}", random(), random());
        let day = now
            .checked_add(HOURS.hours())
            .map_err(|error| Error::usage("the clock is at the end of time").because(error))?;
        let expires = token.expires.map_or(day, |until| until.min(day));
        let own = self.state.own("sessions");
        self.state.write(&[
            Sql::new("delete from ").table(&own).text(" where expires <= ").bind(sortable(now)),
            Sql::new("insert into ")
                .table(&own)
                .text(" (checksum, token, began, expires) values (")
                .bind(checksum(&secret))
                .text(", ")
                .bind(token.id.as_str())
                .text(", ")
                .bind(sortable(now))
                .text(", ")
                .bind(sortable(expires))
                .text(") on conflict (checksum) do nothing"),
        ])?;
        Ok((PageSession { token, expires, proof: proof(&secret) }, secret))
    }

    /// The session of a secret, if it holds now, and its token too.
    pub fn check(&self, secret: &str, now: Timestamp) -> Result<Option<PageSession>> {
        let select = Sql::new("select token, expires from ")
            .table(&self.state.own("sessions"))
            .text(" where checksum = ")
            .bind(checksum(secret));
        let rows = self.state.rows(&select)?;
        let text = |n: usize| rows.first().and_then(|row| row.get(n)).and_then(Value::as_text);
        let (Some(token), Some(expires)) = (text(0), text(1)) else { return Ok(None) };
        let expires: Timestamp =
            expires.parse().map_err(|error| Error::system("a session cannot be read").because(error))?;
        if expires <= now {
            return Ok(None);
        }
        let token = Tokens::new(self.state).with_id(token, now)?;
        Ok(token.map(|token| PageSession { token, expires, proof: proof(secret) }))
    }

    /// Ends a session.
    pub fn end(&self, secret: &str) -> Result<()> {
        let own = self.state.own("sessions");
        let gone = Sql::new("delete from ").table(&own).text(" where checksum = ").bind(checksum(secret));
        self.state.write(&[gone])
    }
}

impl PageSession {
    /// Whether this is what its requests have to repeat.
    pub fn is_proven_by(&self, given: &str) -> bool {
        same(&self.proof, given)
    }
}

/// It follows from the secret, and the secret does not follow from it.
fn proof(secret: &str) -> String {
    checksum(&format!("this page, not another: {secret}"))
}

//! Who may use the API: tokens, of which only a checksum is kept.

use super::State;
use super::runs::sortable;
use crate::error::{Error, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use targets::db::{Limits, Session, Sql, Value};

/// What the holder of a token may do; each role may do what those before it may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything.
    Read,
    /// Plan, run, stop, resume and undo what is configured.
    Run,
    /// Add, change and approve schedules.
    Admin,
}

impl Role {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Run => "run",
            Role::Admin => "admin",
        }
    }

    /// Reads a name.
    pub fn parse(text: &str) -> Option<Self> {
        [Role::Read, Role::Run, Role::Admin].into_iter().find(|role| role.name() == text)
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    /// Its id, which is part of the secret.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// When it was made.
    pub made: Timestamp,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub used: Option<Timestamp>,
}

/// The tokens of a state.
pub struct Tokens<'a> {
    state: &'a State,
}

/// What every secret begins with, so that scanners of leaked secrets know it.
const MARK: &str = "sexton";

pub(super) fn create(session: &mut dyn Session, limits: &Limits) -> Result<()> {
    let own = session.dialect().own("tokens");
    let there = session.dialect().exists(&own);
    if session.count(&there)? > 0 {
        return Ok(());
    }
    let mut tx = session.begin(limits)?;
    tx.execute(&Sql::new("create table if not exists ").table(&own).text(
        " (id text not null primary key, name text not null, role text not null, checksum text not null, made text not null, \
         expires text, used text)",
    ))?;
    tx.commit()
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self { state }
    }

    /// Makes a token; its secret is told once and kept nowhere.
    pub fn make(
        &self,
        name: &str,
        role: Role,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(Token, String)> {
        let id = crate::engine::new_id();
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let secret = format!("{MARK}_{id}_{}{}", random(), random());
        let own = self.state.own("tokens");
        let until = expires.map_or(Value::Null, |at| Value::Text(sortable(at)));
        self.state.write(&[Sql::new("insert into ")
            .table(&own)
            .text(" (id, name, role, checksum, made, expires) values (")
            .bind(id.as_str())
            .text(", ")
            .bind(name)
            .text(", ")
            .bind(role.name())
            .text(", ")
            .bind(checksum(&secret))
            .text(", ")
            .bind(sortable(now))
            .text(", ")
            .bind(until)
            .text(")")])?;
        Ok((Token { id, name: name.to_owned(), role, made: now, expires, used: None }, secret))
    }

    /// The token of a secret, if it holds now. Everything that is wrong with it looks the same from outside.
    pub fn check(&self, secret: &str, now: Timestamp) -> Result<Option<Token>> {
        let Some(id) = secret
            .strip_prefix(MARK)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(|rest| rest.split('_').next())
        else {
            return Ok(None);
        };
        let select = self.select(", checksum").text(" where id = ").bind(id);
        let rows = self.state.rows(&select)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let known = row.get(6).and_then(Value::as_text).unwrap_or_default();
        let token = read(row)?;
        if !same(known, &checksum(secret)) || token.expires.is_some_and(|until| until <= now) {
            return Ok(None);
        }
        // Not every request writes.
        if token.used.is_none_or(|used| now.duration_since(used).as_hours() >= 1) {
            let noted = self.state.write(&[Sql::new("update ")
                .table(&self.state.own("tokens"))
                .text(" set used = ")
                .bind(sortable(now))
                .text(" where id = ")
                .bind(id)]);
            // It holds all the same.
            if let Err(error) = noted {
                tracing::warn!(%error, token = %id, "when it was used cannot be noted");
            }
        }
        Ok(Some(token))
    }

    /// The token with this id, if it holds now.
    pub(super) fn with_id(&self, id: &str, now: Timestamp) -> Result<Option<Token>> {
        let rows = self.state.rows(&self.select("").text(" where id = ").bind(id))?;
        let token = rows.first().map(|row| read(row)).transpose()?;
        Ok(token.filter(|token| token.expires.is_none_or(|until| until > now)))
    }

    /// All tokens, the newest first.
    pub fn all(&self) -> Result<Vec<Token>> {
        self.state
            .rows(&self.select("").text(" order by made desc, id"))?
            .iter()
            .map(|row| read(row))
            .collect()
    }

    /// Takes a token back; whether it was there.
    pub fn revoke(&self, id: &str) -> Result<bool> {
        let there = self.all()?.iter().any(|token| token.id == id);
        let gone = Sql::new("delete from ").table(&self.state.own("tokens")).text(" where id = ").bind(id);
        self.state.write(&[gone])?;
        Ok(there)
    }

    fn select(&self, more: &str) -> Sql {
        Sql::new(&format!("select id, name, role, made, expires, used{more} from "))
            .table(&self.state.own("tokens"))
    }
}

pub(super) fn checksum(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares without telling by its time how far two texts are the same.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn read(row: &[Value]) -> Result<Token> {
    let wrong =
        || Error::system("a token cannot be read").help("another version of sexton may have written it");
    let text = |n: usize| row.get(n).and_then(Value::as_text);
    let moment = |n: usize| -> Result<Option<Timestamp>> {
        text(n).map(|at| at.parse().map_err(|error| wrong().because(error))).transpose()
    };
    Ok(Token {
        id: text(0).ok_or_else(wrong)?.to_owned(),
        name: text(1).ok_or_else(wrong)?.to_owned(),
        role: text(2).and_then(Role::parse).ok_or_else(wrong)?,
        made: moment(3)?.ok_or_else(wrong)?,
        expires: moment(4)?,
        used: moment(5)?,
    })
}

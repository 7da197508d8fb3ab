//! What a query can name: everything that can be read, the tables in their places, and the queries around it.

use super::columns::Known;
use super::expression::{Outcome, Said, Scope, Sort, Within, no, said};
use super::grammar::unquoted;
use super::queries::{Query, select};
use super::sides::equal;
use super::{aggregates, moments};
use crate::transfer::options::Names;
use sqlite3_parser::ast::{Expr, Operator, QualifiedName, Select};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use targets::db::quote;

/// What can be read: a table, a view or a query with a name.
#[derive(Debug, Clone, Default)]
pub struct Relation {
    /// How it is written in full.
    pub sql: String,
    /// Its name alone.
    pub short: String,
    /// Its columns.
    pub columns: Vec<Known>,
    /// Its primary key, by the names of the target.
    pub key: Vec<String>,
    /// The column that is the rowid, by its name in the source.
    pub rowid: Option<String>,
    /// It is a query, of which a column may have no name of its own.
    pub is_query: bool,
    /// The columns that must be given a value, by their names in the target.
    pub required: Vec<String>,
    /// The columns in which there must be a value, whatever is given.
    pub filled: Vec<String>,
    /// It has checks.
    pub checked: bool,
}

/// All that can be read, by its name in the source in lower case; what is not carried has the reason.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// What arrives.
    pub relations: BTreeMap<String, Relation>,
    /// How names are spelled.
    pub names: Names,
    /// The zone of the application's clock.
    pub zone: Option<String>,
    /// How many parts may still be translated: what is nested deeply takes twice as many on each level.
    pub left: Arc<AtomicUsize>,
}

/// A view or a trigger may be of so many parts, each counted as often as it is looked at.
const PARTS: usize = 200_000;

impl Catalogue {
    /// Another view or trigger begins.
    pub(super) fn renew(&self) {
        self.left.store(PARTS, Ordering::Relaxed);
    }

    /// What is meant by a name.
    pub(super) fn relation(&self, name: &QualifiedName) -> Result<&Relation, String> {
        let own = unquoted(name.name.0);
        if name.db_name.as_ref().is_some_and(|schema| !schema.0.eq_ignore_ascii_case("main")) {
            return Err(format!("`{own}` is in another database"));
        }
        self.relations
            .get(&own.to_lowercase())
            .ok_or_else(|| format!("it reads `{own}`, which is not carried"))
    }
}

fn is_rowid(name: &str) -> bool {
    ["rowid", "_rowid_", "oid"].iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// A table in its place in a query.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The name that the source gives it here, in lower case.
    pub(super) alias: String,
    /// The name before its columns.
    pub(super) spoken: String,
    pub(super) relation: Relation,
    /// Columns that are the same as one of another table, in lower case.
    pub(super) merged: Vec<String>,
    /// Its columns need its name.
    pub(super) is_aside: bool,
}

impl Placed {
    pub(super) fn new(alias: &str, spoken: String, relation: Relation) -> Self {
        Self { alias: alias.to_lowercase(), spoken, relation, merged: Vec::new(), is_aside: false }
    }

    /// A row that is spoken of only by its name, such as the one that fires a trigger.
    pub(super) fn aside(alias: &str, spoken: String, relation: Relation) -> Self {
        Self { is_aside: true, ..Self::new(alias, spoken, relation) }
    }

    /// Its columns, but for those that another table shows.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Known> {
        let is_merged = |known: &Known| self.merged.contains(&known.name.to_ascii_lowercase());
        self.relation.columns.iter().filter(move |known| !known.gone && !is_merged(known))
    }

    /// A column of this name.
    pub(super) fn known(&self, name: &str) -> Option<&Known> {
        let by =
            |name: &str| self.relation.columns.iter().find(|known| known.name.eq_ignore_ascii_case(name));
        by(name).or_else(|| self.relation.rowid.as_deref().filter(|_| is_rowid(name)).and_then(by))
    }

    /// The same as a part.
    pub(super) fn column(&self, name: &str) -> Option<Said> {
        self.known(name).filter(|known| !known.gone).map(|known| known.said(Some(&self.spoken)))
    }

    /// Whether rows that are the same in these columns are one row.
    fn is_told_by(&self, keys: &[String]) -> bool {
        let own = |name: &String| format!("{}.{}", self.spoken, quote(name));
        !self.relation.key.is_empty() && self.relation.key.iter().all(|name| keys.contains(&own(name)))
    }
}

/// A query, and what is around it.
#[derive(Clone, Copy)]
pub struct Level<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) tables: &'a [Placed],
    /// What it gives, by name.
    pub(super) given: &'a [(String, Said)],
    /// What its rows are grouped by; none where each row stands for itself.
    pub(super) keys: Option<&'a [String]>,
    pub(super) outer: Option<&'a Level<'a>>,
}

impl<'a> Level<'a> {
    /// Over these tables.
    pub(super) fn of(catalogue: &'a Catalogue, tables: &'a [Placed], outer: Option<&'a Level<'a>>) -> Self {
        Self { catalogue, tables, given: &[], keys: None, outer }
    }

    /// Which column of its own tables is meant; an error where several may be.
    pub(super) fn meant(
        &self,
        table: Option<&str>,
        name: &str,
    ) -> Result<Option<(&'a Placed, &'a Known)>, String> {
        let mut found = None;
        for placed in self.tables {
            let meant = match table {
                Some(table) => placed.alias == table.to_lowercase(),
                None => !placed.is_aside && !placed.merged.contains(&name.to_ascii_lowercase()),
            };
            let Some(known) = placed.known(name).filter(|_| meant) else { continue };
            if found.replace((placed, known)).is_some() {
                return Err(format!("`{name}` may be a column of several tables"));
            }
        }
        Ok(found)
    }

    /// A column of a table of this query or of one around it.
    pub(super) fn column(&self, table: Option<&str>, name: &str) -> Option<Outcome> {
        let found = match self.meant(table, name) {
            Ok(found) => found,
            Err(why) => return Some(Err(why)),
        };
        if let Some((placed, known)) = found {
            if known.gone {
                return Some(Err(format!("the column `{name}` is not carried")));
            }
            let column = known.said(Some(&placed.spoken));
            let one = |keys: &[String]| keys.contains(&column.sql) || placed.is_told_by(keys);
            return Some(match self.keys {
                Some(keys) if !placed.is_aside && !one(keys) => {
                    Err(format!("of the rows that become one, which `{name}` is meant is not said"))
                }
                _ => Ok(column),
            });
        }
        let given = self.given.iter().find(|(known, _)| table.is_none() && known.eq_ignore_ascii_case(name));
        if let Some((_, given)) = given {
            return Some(Ok(given.clone()));
        }
        self.outer.and_then(|outer| outer.column(table, name))
    }

    /// A name in double quotes that nothing has is a text in SQLite; here only where nothing can have it.
    fn word(&self, written: &str) -> Option<Outcome> {
        let name = unquoted(written);
        if let Some(column) = self.column(None, &name) {
            return Some(column);
        }
        // nothing is called so
        let mut level = Some(self).filter(|_| !name.is_empty());
        while let Some(one) = level {
            let hidden = one
                .tables
                .iter()
                .any(|placed| !placed.is_aside && (placed.relation.is_query || is_rowid(&name)));
            if written.starts_with('"') && hidden {
                return Some(Err(format!("what `\"{name}\"` means is not certain")));
            }
            level = one.outer;
        }
        None
    }

    /// The table whose row number is meant, where no column is that number, but its key tells the same rows apart.
    fn numbered(&self, expr: &Expr) -> Option<&'a Placed> {
        let (table, name) = match expr {
            Expr::Id(id) => (None, id.0),
            Expr::Name(name) => (None, name.0),
            Expr::Qualified(table, name) => (Some(unquoted(table.0).to_lowercase()), name.0),
            _ => return None,
        };
        let is_meant = |placed: &&Placed| match &table {
            Some(table) => placed.alias == *table,
            None => !placed.is_aside,
        };
        let mut meant = self.tables.iter().filter(is_meant);
        match (meant.next(), meant.next()) {
            (Some(placed), None) if is_rowid(&unquoted(name)) && !placed.relation.key.is_empty() => {
                Some(placed).filter(|placed| placed.known(&unquoted(name)).is_none())
            }
            (None, _) => self.outer.and_then(|outer| outer.numbered(expr)),
            _ => None,
        }
    }

    /// `rowid = new.rowid`: a row has the number of another one of its table just where it has its key.
    fn same_row(&self, left: &Expr, right: &Expr) -> Option<Outcome> {
        let (left, right) = (self.numbered(left)?, self.numbered(right)?);
        if left.relation.sql != right.relation.sql {
            return None;
        }
        let each = left.relation.key.iter().map(|name| {
            let name = quote(name);
            format!("{}.{name} = {}.{name}", left.spoken, right.spoken)
        });
        Some(Ok(Said::new(format!("({})", each.collect::<Vec<_>>().join(" and ")), Sort::Bool)))
    }

    fn query(&self, inner: &Select) -> Result<Query, String> {
        select(inner, self.catalogue, Some(self))
    }
}

impl Within for Level<'_> {
    fn zone(&self) -> Option<&str> {
        self.catalogue.zone.as_deref()
    }

    fn own(&self, expr: &Expr) -> Option<Outcome> {
        let spent = self
            .catalogue
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if spent.is_err() {
            return Some(Err("it is nested too deeply".to_owned()));
        }
        let rows = Level { keys: None, ..*self };
        if let Some(keys) = self.keys.filter(|_| !matches!(expr, Expr::Literal(_)))
            && let Ok(part) = said(expr, Scope::within(&rows))
            && keys.contains(&part.sql)
        {
            return Some(Ok(part));
        }
        match expr {
            Expr::Id(id) => self.word(id.0),
            Expr::Name(name) => self.word(name.0),
            Expr::Qualified(table, name) | Expr::DoublyQualified(_, table, name) => {
                let (table, name) = (unquoted(table.0), unquoted(name.0));
                let missing = || Err(format!("`{table}.{name}` is not carried"));
                Some(self.column(Some(&table), &name).unwrap_or_else(missing))
            }
            Expr::Binary(left, Operator::Equals, right) => self.same_row(left, right),
            Expr::Literal(literal) => moments::current(literal).map(Ok),
            Expr::FunctionCallStar { .. } => {
                aggregates::call(expr, Scope::within(self), Scope::within(&rows))
            }
            Expr::FunctionCall { name, args, .. } => {
                aggregates::call(expr, Scope::within(self), Scope::within(&rows)).or_else(|| {
                    let (name, args) = (name.0.to_ascii_lowercase(), args.unwrap_or_default());
                    moments::call(expr, &name, args, Scope::within(self))
                })
            }
            Expr::Subquery(inner) => {
                Some(self.query(inner).and_then(|query| match query.columns.as_slice() {
                    [one] => {
                        // the first row is meant, where there are several
                        let sql = match query.is_one {
                            true => format!("({})", query.sql),
                            false => format!("(select * from ({}) as first limit 1)", query.sql),
                        };
                        let (affine, narrow, local) = (one.affine, one.narrow, one.local);
                        Ok(Said { affine, narrow, local, real: one.real, ..Said::new(sql, one.sort) })
                    }
                    _ => Err(no(expr)),
                }))
            }
            Expr::Exists(inner) => {
                Some(self.query(inner).map(|query| Said::new(format!("exists ({})", query.sql), Sort::Bool)))
            }
            Expr::InSelect { lhs, not, rhs } => Some(self.query(rhs).and_then(|query| {
                let [one] = query.columns.as_slice() else { return Err(no(expr)) };
                let (left, right) = (said(lhs, Scope::within(self))?, one.said(None));
                let (a, b) = equal(expr, left.clone(), right.clone())?;
                // the column of a query cannot be put into other words
                if a.sql != left.sql || b.sql != right.sql {
                    return Err(no(expr));
                }
                let not = if *not { "not " } else { "" };
                Ok(Said::new(format!("{} {not}in ({})", left.sql, query.sql), Sort::Bool))
            })),
            _ => None,
        }
    }
}

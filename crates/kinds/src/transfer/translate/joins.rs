//! What a query reads: tables, views and queries inside, and how they are joined.

use super::expression::{Said, Scope, judged};
use super::grammar::unquoted;
use super::levels::{Catalogue, Level, Placed, Relation};
use super::queries::select;
use super::sides::equal;
use sqlite3_parser::ast::{As, FromClause, JoinConstraint, JoinOperator, JoinType, SelectTable};
use targets::db::quote;

/// What is read, and how it is written.
pub(super) fn from(
    clause: &FromClause,
    catalogue: &Catalogue,
    outer: Option<&Level>,
) -> Result<(Vec<Placed>, String), String> {
    joined(clause, 1, catalogue, outer)
}

/// The same; the first table is the `n`th of all.
fn joined(
    clause: &FromClause,
    n: usize,
    catalogue: &Catalogue,
    outer: Option<&Level>,
) -> Result<(Vec<Placed>, String), String> {
    let Some(first) = clause.select else { return Err("it reads nothing".to_owned()) };
    let (mut placed, mut sql) = table(first, n, catalogue, outer)?;
    let hides = |tables: &[Placed]| {
        let mut level = outer;
        while let Some(one) = level {
            let of_other = |inner: &Placed| {
                one.tables.iter().find(|known| known.spoken == inner.spoken && known.alias != inner.alias)
            };
            if let Some(hidden) = tables.iter().find_map(of_other) {
                return Err(format!("a table inside of it is named {}, too", hidden.spoken));
            }
            level = one.outer;
        }
        Ok(())
    };
    hides(&placed)?;
    for join in clause.joins.iter().flatten() {
        let (mut right, written) = table(&join.table, n + placed.len(), catalogue, outer)?;
        // two names of the source may have become one
        let spoken_twice = |one: &Placed| placed.iter().any(|known| known.spoken == one.spoken);
        if let Some(twice) = right.iter().find(|one| spoken_twice(one)) {
            return Err(format!("two tables of it are named {}", twice.spoken));
        }
        if let Some(twice) = right.iter().find(|one| placed.iter().any(|known| known.alias == one.alias)) {
            return Err(format!("two tables of it are named `{}`", twice.alias));
        }
        hides(&right)?;
        let kind = match join.operator {
            JoinOperator::Comma | JoinOperator::TypedJoin(None) => JoinType::INNER,
            JoinOperator::TypedJoin(Some(kind)) => kind,
        };
        let word = match (kind.contains(JoinType::LEFT), kind.contains(JoinType::RIGHT)) {
            (true, true) => "full join",
            (true, false) => "left join",
            (false, true) => "right join",
            (false, false) => "join",
        };
        let using: Option<Vec<String>> = match &join.constraint {
            Some(JoinConstraint::Using(names)) => Some(names.iter().map(|name| unquoted(name.0)).collect()),
            _ if kind.contains(JoinType::NATURAL) => Some(common(&placed, &right)),
            _ => None,
        };
        let on = match (using, &join.constraint) {
            (Some(names), _) => {
                if word != "join" && word != "left join" {
                    return Err(format!("a {word} on names that both sides have"));
                }
                let mut all = Vec::new();
                for name in &names {
                    all.push(both(name, &placed, &right)?);
                    right.iter_mut().for_each(|table| table.merged.push(name.to_ascii_lowercase()));
                }
                (!all.is_empty()).then(|| all.join(" and "))
            }
            (None, Some(JoinConstraint::On(condition))) => {
                let all: Vec<Placed> = placed.iter().chain(&right).cloned().collect();
                let level = Level::of(catalogue, &all, outer);
                Some(judged(condition, Scope::within(&level))?)
            }
            (None, _) => None,
        };
        sql = match (word, on) {
            ("join", None) => format!("{sql} cross join {written}"),
            (word, None) => format!("{sql} {word} {written} on true"),
            (word, Some(on)) => format!("{sql} {word} {written} on {on}"),
        };
        placed.append(&mut right);
    }
    Ok((placed, sql))
}

fn named(alias: Option<&As>) -> Option<String> {
    alias.map(|alias| match alias {
        As::As(name) | As::Elided(name) => unquoted(name.0),
    })
}

fn table(
    table: &SelectTable,
    n: usize,
    catalogue: &Catalogue,
    outer: Option<&Level>,
) -> Result<(Vec<Placed>, String), String> {
    match table {
        SelectTable::Table(name, alias, _) => {
            let relation = catalogue.relation(name)?;
            let own = unquoted(name.name.0);
            let (alias, spoken) = match named(alias.as_ref()) {
                Some(alias) => (alias.clone(), alias),
                None => (own, relation.short.clone()),
            };
            let sql = format!("{} as {}", relation.sql, quote(&spoken));
            Ok((vec![Placed::new(&alias, quote(&spoken), relation.clone())], sql))
        }
        SelectTable::Select(inner, alias) => {
            let made = select(inner, catalogue, None)?;
            let alias = named(alias.as_ref()).unwrap_or_else(|| format!("query_{n}"));
            let sql = format!("({}) as {}", made.sql, quote(&alias));
            let relation = Relation { columns: made.columns, is_query: true, ..Relation::default() };
            Ok((vec![Placed::new(&alias, quote(&alias), relation)], sql))
        }
        SelectTable::Sub(inner, None) => {
            let (placed, sql) = joined(inner, n, catalogue, outer)?;
            Ok((placed, format!("({sql})")))
        }
        SelectTable::Sub(_, Some(_)) => Err("it names a join in brackets".to_owned()),
        SelectTable::TableCall(name, ..) => Err(format!(
            "it reads the function `{}`, whose rows the server would give another form",
            unquoted(name.name.0)
        )),
    }
}

/// The names that both sides have.
fn common(left: &[Placed], right: &[Placed]) -> Vec<String> {
    let names = |side: &[Placed]| -> Vec<String> {
        side.iter().flat_map(|table| table.shown().map(|known| known.name.clone())).collect()
    };
    let left = names(left);
    names(right).into_iter().filter(|name| left.iter().any(|one| one.eq_ignore_ascii_case(name))).collect()
}

/// A column of both sides is the same.
fn both(name: &str, left: &[Placed], right: &[Placed]) -> Result<String, String> {
    let find = |side: &[Placed]| -> Option<Said> { side.iter().find_map(|table| table.column(name)) };
    let missing = || format!("`{name}` is not on both sides of a join");
    let (a, b) = (find(left).ok_or_else(missing)?, find(right).ok_or_else(missing)?);
    let (a, b) = equal(&name, a, b)?;
    Ok(format!("{} = {}", a.sql, b.sql))
}

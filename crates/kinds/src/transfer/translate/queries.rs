//! Queries of the source in the words of the target, with the columns that they give.

use super::expression::{Known, Said, Scope, Sort, judged, no, said};
use super::grammar::unquoted;
use super::levels::{Catalogue, Level, Placed, Relation};
use super::sides::{alike, lowered};
use super::{aggregates, joins};
use crate::transfer::naming::spelled;
use sqlite3_parser::ast::{
    As, CommonTableExpr, CompoundOperator, Distinctness, Expr, IndexedColumn, Limit, NullsOrder, OneSelect,
    ResultColumn, Select, SortOrder, SortedColumn, With,
};
use targets::db::quote;

/// A translated query.
#[derive(Debug, Clone)]
pub struct Query {
    /// In PostgreSQL's words.
    pub sql: String,
    /// What it gives.
    pub columns: Vec<Known>,
    /// It gives one row at most.
    pub is_one: bool,
}

/// Translates a query.
pub fn select(select: &Select, catalogue: &Catalogue, outer: Option<&Level>) -> Result<Query, String> {
    let mut own = catalogue.clone();
    let with = match &select.with {
        Some(with) => self::with(with, &mut own, outer)?,
        None => String::new(),
    };
    let compounds = select.body.compounds.as_deref().unwrap_or_default();
    let order = select.order_by.unwrap_or_default();
    let limit = select.limit.map(limit).transpose()?.unwrap_or_default();
    let is_first = limit == " limit 1" || limit.starts_with(" limit 1 ");
    if compounds.is_empty() {
        let query = one(&select.body.select, order, &own, outer)?;
        let is_one = query.is_one || is_first;
        return Ok(Query { sql: format!("{with}{}{limit}", query.sql), is_one, ..query });
    }
    let first = one(&select.body.select, &[], &own, outer)?;
    let (mut sql, mut columns) = (first.sql, first.columns);
    for compound in compounds {
        let word = match compound.operator {
            CompoundOperator::Union => "union",
            CompoundOperator::UnionAll => "union all",
            CompoundOperator::Except => "except",
            CompoundOperator::Intersect => "intersect",
        };
        let other = one(&compound.select, &[], &own, outer)?;
        if other.columns.len() != columns.len() {
            return Err(format!("the sides of a `{word}` have other columns"));
        }
        for (column, right) in columns.iter_mut().zip(&other.columns) {
            use Sort::{Json, Null, Number, Whole};
            column.sort = match (column.sort, right.sort) {
                (Json, _) | (_, Json) if word != "union all" => return Err(apart(word, column)),
                (a, b) if a == b => a,
                (Null, b) => b,
                (a, Null) => a,
                (Whole | Number, Whole | Number) => Number,
                _ => return Err(apart(word, column)),
            };
            if (column.nocase || right.nocase) && word != "union all" {
                return Err(apart(word, column));
            }
            column.real &= right.real;
            column.epoch = column.epoch.filter(|_| column.epoch == right.epoch);
            column.times &= right.times;
            column.nocase |= right.nocase;
        }
        // one after the other: the server would do `intersect` first
        sql = format!("({sql}) {word} ({})", other.sql);
    }
    if order.is_empty() {
        return Ok(Query { sql: format!("{with}{sql}{limit}"), columns, is_one: is_first });
    }
    let sorted = order_of(order, &columns)?;
    Ok(Query {
        sql: format!("{with}select * from ({sql}) as q order by {sorted}{limit}"),
        columns,
        is_one: is_first,
    })
}

fn apart(word: &str, column: &Known) -> String {
    format!("the sides of a `{word}` hold different things in `{}`", column.name)
}

/// The queries that are named before.
fn with(with: &With, catalogue: &mut Catalogue, outer: Option<&Level>) -> Result<String, String> {
    let mut all = Vec::new();
    for table in with.ctes {
        let name = unquoted(table.tbl_name.0);
        let named = |columns: Vec<Known>| Relation {
            sql: quote(&name),
            short: name.clone(),
            columns: renamed(columns, table.columns),
            ..Relation::default()
        };
        if with.recursive && !table.select.body.compounds.as_deref().unwrap_or_default().is_empty() {
            // what it begins with says what its columns are
            let first = one(&table.select.body.select, &[], catalogue, outer)?;
            catalogue.relations.insert(name.to_lowercase(), named(first.columns));
        }
        let made = select(table.select, catalogue, outer)?;
        let relation = named(made.columns);
        let list: Vec<String> = relation.columns.iter().map(|known| quote(&known.target)).collect();
        all.push(format!("{} ({}) as {}({})", quote(&name), list.join(", "), kept(table), made.sql));
        catalogue.relations.insert(name.to_lowercase(), relation);
    }
    Ok(format!("with {}{} ", if with.recursive { "recursive " } else { "" }, all.join(", ")))
}

fn kept(table: &CommonTableExpr) -> &'static str {
    match table.materialized {
        sqlite3_parser::ast::Materialized::Any => "",
        sqlite3_parser::ast::Materialized::Yes => "materialized ",
        sqlite3_parser::ast::Materialized::No => "not materialized ",
    }
}

/// Columns by other names.
fn renamed(columns: Vec<Known>, names: Option<&[IndexedColumn]>) -> Vec<Known> {
    let Some(names) = names else { return columns };
    let pairs = columns.into_iter().zip(names);
    pairs
        .map(|(known, name)| {
            let name = unquoted(name.col_name.0);
            Known { target: name.clone(), name, ..known }
        })
        .collect()
}

/// So many rows; only as a number that everybody can see.
fn limit(limit: &Limit) -> Result<String, String> {
    let count = |expr: &Expr| match expr.is_integer() {
        Some(count) if count >= 0 => Ok(count),
        _ => Err(no(expr)),
    };
    let offset = limit.offset.as_ref().map(count).transpose()?;
    let most = count(&limit.expr)?;
    Ok(format!(" limit {most}{}", offset.map(|count| format!(" offset {count}")).unwrap_or_default()))
}

/// By what rows are put together.
pub(super) fn key(expr: &Expr, scope: Scope) -> Result<String, String> {
    let part = said(expr, scope)?;
    match part.nocase || part.sort == Sort::Json {
        true => Err(no(expr)),
        false => Ok(part.sql),
    }
}

/// By what rows are sorted.
pub(super) fn sorted(part: Said, how: &SortedColumn) -> Result<String, String> {
    let part = if part.nocase && part.sort == Sort::Text { lowered(part) } else { part };
    let collation = match part.sort {
        Sort::Text => " collate \"C\"",
        Sort::Json => return Err(no(&how.expr)),
        _ => "",
    };
    let descending = how.order == Some(SortOrder::Desc);
    // NULL is less than everything there
    let nulls = match (&how.nulls, descending) {
        (Some(NullsOrder::First), _) | (None, false) => "first",
        (Some(NullsOrder::Last), _) | (None, true) => "last",
    };
    let way = if descending { " desc" } else { "" };
    Ok(format!("{}{collation}{way} nulls {nulls}", part.sql))
}

/// An order of what a query gives.
fn order_of(order: &[SortedColumn], columns: &[Known]) -> Result<String, String> {
    let each = order.iter().map(|one| {
        let (expr, nocase) = match &one.expr {
            Expr::Collate(inner, name) if name.eq_ignore_ascii_case("nocase") => (*inner, true),
            other => (other, false),
        };
        let known = match (expr.is_integer(), expr) {
            (Some(n), _) => usize::try_from(n - 1).ok().and_then(|n| columns.get(n)),
            (None, Expr::Id(id)) => {
                columns.iter().find(|known| known.name.eq_ignore_ascii_case(&unquoted(id.0)))
            }
            (None, Expr::Name(name)) => {
                columns.iter().find(|known| known.name.eq_ignore_ascii_case(&unquoted(name.0)))
            }
            (None, Expr::Qualified(_, name)) => {
                columns.iter().find(|known| known.name.eq_ignore_ascii_case(&unquoted(name.0)))
            }
            _ => None,
        };
        let part = known.ok_or_else(|| no(&one.expr))?.said(Some("q"));
        sorted(Said { nocase: part.nocase || nocase, ..part }, one)
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// A column of a result.
struct Given {
    /// What a part that is no column is named.
    known: Known,
    said: Said,
}

fn given(part: Said, name: String, target: String) -> Given {
    let known = Known {
        name,
        target,
        sort: part.sort,
        nocase: part.nocase,
        real: part.real,
        epoch: None,
        local: part.local,
        times: false,
    };
    Given { known, said: part }
}

/// One `select` or `values`.
fn one(
    query: &OneSelect,
    order: &[SortedColumn],
    catalogue: &Catalogue,
    outer: Option<&Level>,
) -> Result<Query, String> {
    let OneSelect::Select { distinctness, columns, from, where_clause, group_by, having, window_clause } =
        query
    else {
        return values(query, catalogue, outer);
    };
    let (tables, read) = match from {
        Some(from) if from.select.is_some() => joins::from(from, catalogue, outer)?,
        _ => (Vec::new(), String::new()),
    };
    let rows = Level::of(catalogue, &tables, outer);
    let is_grouped = group_by.is_some()
        || having.is_some()
        || columns
            .iter()
            .any(|column| matches!(column, ResultColumn::Expr(expr, _) if aggregates::is_in(expr)));
    // `where` and `group by` may name what is given, as far as it is no aggregate
    let plain = match is_grouped {
        true => {
            let plain = columns
                .iter()
                .filter(|column| !matches!(column, ResultColumn::Expr(expr, _) if aggregates::is_in(expr)));
            results(plain, catalogue, &rows)?
        }
        false => results(columns.iter(), catalogue, &rows)?,
    };
    let names: Vec<(String, Said)> =
        plain.iter().map(|given| (given.known.name.clone(), given.said.clone())).collect();
    let named = Level { given: &names, ..rows };
    let mut sql = String::new();
    if let Some(condition) = where_clause {
        sql.push_str(&format!(" where {}", judged(condition, Scope::within(&named))?));
    }
    let mut keys = Vec::new();
    for expr in group_by.unwrap_or_default() {
        keys.push(match expr.is_integer() {
            Some(n) => {
                let column = usize::try_from(n - 1).ok().and_then(|n| columns.get(n));
                let Some(ResultColumn::Expr(column, _)) = column else { return Err(no(expr)) };
                key(column, Scope::within(&rows))?
            }
            None => key(expr, Scope::within(&named))?,
        });
    }
    if !keys.is_empty() {
        sql.push_str(&format!(" group by {}", keys.join(", ")));
    }
    let level = Level { keys: is_grouped.then_some(keys.as_slice()), ..rows };
    let all = results(columns.iter(), catalogue, &level)?;
    let names: Vec<(String, Said)> =
        all.iter().map(|given| (given.known.name.clone(), given.said.clone())).collect();
    let named = Level { given: &names, ..level };
    if let Some(condition) = having {
        sql.push_str(&format!(" having {}", judged(condition, Scope::within(&named))?));
    }
    for (n, window) in window_clause.unwrap_or_default().iter().enumerate() {
        let comma = if n == 0 { " window" } else { "," };
        let body = aggregates::window(&window.window, Scope::within(&level))?;
        sql.push_str(&format!("{comma} {} as ({body})", quote(&unquoted(window.name.0))));
    }
    let is_distinct = matches!(distinctness, Some(Distinctness::Distinct));
    if is_distinct
        && let Some(part) = all.iter().find(|given| given.said.nocase || given.said.sort == Sort::Json)
    {
        return Err(format!("which rows are the same by `{}` is not certain", part.known.name));
    }
    let list: Vec<String> =
        all.iter().map(|given| format!("{} as {}", given.said.sql, quote(&given.known.target))).collect();
    let columns: Vec<Known> = all.iter().map(|given| given.known.clone()).collect();
    let read = if read.is_empty() { read } else { format!(" from {read}") };
    let word = if is_distinct { "select distinct" } else { "select" };
    let sql = format!("{word} {}{read}{sql}", list.join(", "));
    let is_one = is_grouped && keys.is_empty();
    if order.is_empty() {
        return Ok(Query { sql, columns, is_one });
    }
    if is_distinct {
        let order = order_of(order, &columns)?;
        return Ok(Query { sql: format!("select * from ({sql}) as q order by {order}"), columns, is_one });
    }
    let each = order.iter().map(|one| {
        let bare = match &one.expr {
            Expr::Collate(inner, _) => inner,
            other => other,
        };
        let by_name =
            |name: &str| names.iter().find(|(known, _)| known.eq_ignore_ascii_case(&unquoted(name)));
        let meant = match (bare.is_integer(), bare) {
            (Some(n), _) => {
                Some(usize::try_from(n - 1).ok().and_then(|n| names.get(n)).ok_or_else(|| no(bare))?)
            }
            (None, Expr::Id(id)) => by_name(id.0),
            (None, Expr::Name(name)) => by_name(name.0),
            _ => None,
        };
        match meant {
            Some((_, part)) => {
                let nocase = part.nocase
                    || matches!(&one.expr, Expr::Collate(_, name) if name.eq_ignore_ascii_case("nocase"));
                sorted(Said { nocase, ..part.clone() }, one)
            }
            None => sorted(said(&one.expr, Scope::within(&named))?, one),
        }
    });
    let order = each.collect::<Result<Vec<_>, _>>()?.join(", ");
    Ok(Query { sql: format!("{sql} order by {order}"), columns, is_one })
}

/// What is given, one column after the other.
fn results<'c, 'b: 'c>(
    columns: impl Iterator<Item = &'c ResultColumn<'b>>,
    catalogue: &Catalogue,
    level: &Level,
) -> Result<Vec<Given>, String> {
    let mut all = Vec::new();
    let whole = |placed: &Placed, all: &mut Vec<Given>| {
        for known in placed.shown() {
            let column = level.column(Some(&placed.alias), &known.name);
            let column = column.unwrap_or_else(|| Err(format!("`{}` is not carried", known.name)))?;
            let mut made = given(column, known.name.clone(), known.target.clone());
            (made.known.epoch, made.known.times) = (known.epoch, known.times);
            all.push(made);
        }
        Ok::<(), String>(())
    };
    for column in columns {
        match column {
            ResultColumn::Star => {
                for placed in level.tables.iter().filter(|placed| !placed.is_aside) {
                    whole(placed, &mut all)?;
                }
            }
            ResultColumn::TableStar(name) => {
                let name = unquoted(name.0).to_lowercase();
                let placed = level.tables.iter().find(|placed| placed.alias == name);
                whole(placed.ok_or_else(|| format!("`{name}` is not carried"))?, &mut all)?;
            }
            ResultColumn::Expr(expr, alias) => {
                let part = said(expr, Scope::within(level))?;
                let own = match expr {
                    Expr::Id(id) => Some(unquoted(id.0)),
                    Expr::Name(name) | Expr::Qualified(_, name) | Expr::DoublyQualified(_, _, name) => {
                        Some(unquoted(name.0))
                    }
                    _ => None,
                };
                let known = own.as_ref().and_then(|own| {
                    let all = level.tables.iter().flat_map(|placed| &placed.relation.columns);
                    all.into_iter().find(|known| known.name.eq_ignore_ascii_case(own))
                });
                let (name, target) = match (alias, known) {
                    (Some(As::As(name) | As::Elided(name)), _) => {
                        let name = unquoted(name.0);
                        let target = spelled(&name, catalogue.names);
                        (name, target)
                    }
                    (None, Some(known)) => (known.name.clone(), known.target.clone()),
                    (None, None) => {
                        let name = format!("column{}", all.len() + 1);
                        (name.clone(), name)
                    }
                };
                let held = known.map(|known| (known.epoch, known.times));
                let mut made = given(part, name, target);
                (made.known.epoch, made.known.times) = held.unwrap_or_default();
                all.push(made);
            }
        }
    }
    Ok(all)
}

fn values(query: &OneSelect, catalogue: &Catalogue, outer: Option<&Level>) -> Result<Query, String> {
    let OneSelect::Values(rows) = query else { return Err("it gives nothing".to_owned()) };
    let level = Level::of(catalogue, &[], outer);
    let mut parts = Vec::new();
    for row in rows {
        let row = row.iter().map(|expr| said(expr, Scope::within(&level))).collect::<Result<Vec<_>, _>>()?;
        parts.push(row);
    }
    let width = parts.first().map_or(0, Vec::len);
    let mut columns = Vec::new();
    for n in 0..width {
        let column = parts.iter().filter_map(|row| row.get(n).cloned()).collect();
        let (list, one) = alike(&"values", column)?;
        for (row, sql) in parts.iter_mut().zip(list) {
            if let Some(part) = row.get_mut(n) {
                part.sql = sql;
            }
        }
        let name = format!("column{}", n + 1);
        columns.push(given(one, name.clone(), name).known);
    }
    let rows: Vec<String> = parts
        .iter()
        .map(|row| format!("({})", row.iter().map(|part| part.sql.clone()).collect::<Vec<_>>().join(", ")))
        .collect();
    Ok(Query { sql: format!("values {}", rows.join(", ")), columns, is_one: rows.len() == 1 })
}

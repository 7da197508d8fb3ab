//! Queries of the source in the words of the target, with the columns that they give.

use super::columns::Known;
use super::expression::{Said, Scope, Sort, judged, no, said};
use super::grammar::unquoted;
use super::levels::{Catalogue, Level, Placed, Relation};
use super::sides::{alike, lowered};
use super::{aggregates, joins};
use crate::transfer::naming::{Taken, spelled};
use sqlite3_parser::ast::{
    As, CommonTableExpr, CompoundOperator, Distinctness, Expr, IndexedColumn, Limit, NullsOrder, OneSelect,
    ResultColumn, Select, SortOrder, SortedColumn, With,
};
use std::collections::BTreeSet;
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
    let mut columns = first.columns.clone();
    let mut sides = vec![(first, "")];
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
            use Sort::{Json, Mixed, Null, Number, Whole};
            column.sort = match (column.sort, right.sort) {
                (Json | Mixed, _) | (_, Json | Mixed) if word != "union all" => {
                    return Err(apart(word, column));
                }
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
            column.local |= right.local;
            column.affine &= right.affine;
            column.narrow |= right.narrow;
            column.document = column.document.take().filter(|own| right.document.as_ref() == Some(own));
        }
        sides.push((other, word));
    }
    let mut sql = String::new();
    for (side, word) in &sides {
        let side = typed(side, &columns)?;
        // one after the other: the server would do `intersect` first
        sql = if word.is_empty() { side } else { format!("({sql}) {word} ({side})") };
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

/// A query in which NULL is of the type that the column has elsewhere.
fn typed(query: &Query, columns: &[Known]) -> Result<String, String> {
    let is_typed = |(own, whole): (&Known, &Known)| own.sort != Sort::Null || whole.sort == Sort::Null;
    if query.columns.iter().zip(columns).all(is_typed) {
        return Ok(query.sql.clone());
    }
    let each = query.columns.iter().zip(columns).enumerate().map(|(n, (own, whole))| {
        let name = format!("c{}", n + 1);
        match own.sort {
            Sort::Null => null_of(whole.sort).map(|typ| format!("{name}::{typ} as {}", quote(&whole.target))),
            _ => Ok(format!("{name} as {}", quote(&whole.target))),
        }
    });
    cast(query, each.collect::<Result<Vec<_>, _>>()?)
}

/// A query with its columns in other words, in which they are named `c1`, `c2` and so on.
fn cast(query: &Query, each: Vec<String>) -> Result<String, String> {
    let names: Vec<String> = (1..=query.columns.len()).map(|n| format!("c{n}")).collect();
    Ok(format!("select {} from ({}) as side ({})", each.join(", "), query.sql, names.join(", ")))
}

/// The type of a NULL of some sort.
pub(super) fn null_of(sort: Sort) -> Result<&'static str, String> {
    Ok(match sort {
        Sort::Bool => "boolean",
        Sort::Whole => "bigint",
        Sort::Number => "double precision",
        Sort::Text | Sort::Null => "text",
        Sort::Bytes => "bytea",
        Sort::Moment => "timestamptz",
        Sort::Day => "date",
        Sort::Clock => "time",
        Sort::Uuid => "uuid",
        Sort::Json => "jsonb",
        Sort::Mixed => return Err("a NULL stands for values of several kinds".to_owned()),
    })
}

/// What a query begins with that goes on with itself: its columns in the widest types, as the server wants it.
fn widened(query: &Query) -> Result<String, String> {
    let each = query.columns.iter().enumerate().map(|(n, known)| {
        let (name, own) = (format!("c{}", n + 1), quote(&known.target));
        Ok(match known.sort {
            Sort::Null => return Err(format!("what `{}` begins with says nothing of its type", known.name)),
            Sort::Whole => format!("{name}::bigint as {own}"),
            Sort::Number => format!("{name}::double precision as {own}"),
            Sort::Text => format!("{name}::text as {own}"),
            _ => format!("{name} as {own}"),
        })
    });
    cast(query, each.collect::<Result<Vec<_>, String>>()?)
}

/// The queries that are named before.
fn with(with: &With, catalogue: &mut Catalogue, outer: Option<&Level>) -> Result<String, String> {
    let mut all = Vec::new();
    let mut is_recursive = false;
    // a table of the same name is hidden, even before the query is said
    for table in with.ctes {
        catalogue.relations.remove(&unquoted(table.tbl_name.0).to_lowercase());
    }
    for table in with.ctes {
        let name = unquoted(table.tbl_name.0);
        let named = |columns: Vec<Known>| Relation {
            sql: quote(&name),
            short: name.clone(),
            columns: renamed(columns, table.columns),
            is_query: true,
            ..Relation::default()
        };
        let made = match select(table.select, catalogue, outer) {
            Ok(made) => made,
            // perhaps it reads itself
            Err(why) => {
                let body = &table.select.body;
                let [next] = body.compounds.as_deref().unwrap_or_default() else { return Err(why) };
                let word = match next.operator {
                    CompoundOperator::Union => "union",
                    CompoundOperator::UnionAll => "union all",
                    _ => return Err(why),
                };
                if table.select.order_by.is_some()
                    || table.select.limit.is_some()
                    || table.select.with.is_some()
                {
                    return Err("a query that goes on with itself has an order or a limit".to_owned());
                }
                // what it begins with says what its columns are
                let first = one(&body.select, &[], catalogue, outer)?;
                let wide = |known: Known| Known { narrow: false, document: None, ..known };
                let columns: Vec<Known> = first.columns.iter().cloned().map(wide).collect();
                catalogue.relations.insert(name.to_lowercase(), named(columns.clone()));
                let rest = one(&next.select, &[], catalogue, outer)?;
                let fits = |(a, b): (&Known, &Known)| {
                    let is_number = |known: &Known| matches!(known.sort, Sort::Whole | Sort::Number);
                    let holds =
                        a.sort == b.sort || b.sort == Sort::Null || a.sort == Sort::Number && is_number(b);
                    holds && !(word == "union" && (a.nocase || a.sort == Sort::Mixed || a.sort == Sort::Json))
                };
                if columns.len() != rest.columns.len() || !columns.iter().zip(&rest.columns).all(fits) {
                    return Err(format!("the sides of `{name}` hold different things"));
                }
                is_recursive = true;
                let sql = format!("{} {word} {}", widened(&first)?, typed(&rest, &columns)?);
                Query { sql, columns, is_one: false }
            }
        };
        let relation = named(made.columns);
        let list: Vec<String> = relation.columns.iter().map(|known| quote(&known.target)).collect();
        all.push(format!("{} ({}) as {}({})", quote(&name), list.join(", "), kept(table), made.sql));
        catalogue.relations.insert(name.to_lowercase(), relation);
    }
    Ok(format!("with {}{} ", if is_recursive { "recursive " } else { "" }, all.join(", ")))
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
    match part.nocase || matches!(part.sort, Sort::Json | Sort::Mixed) {
        true => Err(no(expr)),
        false => Ok(part.sql),
    }
}

/// By what rows are sorted.
pub(super) fn sorted(part: Said, how: &SortedColumn) -> Result<String, String> {
    let part = if part.nocase && part.sort == Sort::Text { lowered(part) } else { part };
    let collation = match part.sort {
        Sort::Text => " collate \"C\"",
        Sort::Json | Sort::Mixed => return Err(no(&how.expr)),
        _ if part.made => return Err(no(&how.expr)),
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
            _ => None,
        };
        let part = known.ok_or_else(|| no(&one.expr))?.said(Some("q"));
        sorted(Said { nocase: part.nocase || nocase, ..part }, one)
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// A column of a result.
struct Given {
    known: Known,
    said: Said,
    /// It was given its name.
    is_named: bool,
}

fn given(part: Said, name: String, target: String) -> Given {
    let known = Known {
        nocase: part.nocase,
        real: part.real,
        local: part.local,
        times: part.sort == Sort::Text && !part.local && part.meaning(Sort::Moment).is_some(),
        affine: part.affine,
        narrow: part.narrow,
        days: part.day,
        made: part.made,
        document: part.document.clone(),
        ..Known::bare(name, target, part.sort)
    };
    Given { known, said: part, is_named: false }
}

/// What is given, by name: names that were given come first.
fn by_names(all: &[Given]) -> Vec<(String, Said)> {
    let (named, other): (Vec<&Given>, Vec<&Given>) = all.iter().partition(|given| given.is_named);
    named.into_iter().chain(other).map(|given| (given.known.name.clone(), given.said.clone())).collect()
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
    let names: Vec<(String, Said)> = by_names(&plain);
    let named = Level { given: &names, ..rows };
    let mut sql = String::new();
    if let Some(condition) = where_clause {
        sql.push_str(&format!(" where {}", judged(condition, Scope::within(&named))?));
    }
    let mut keys = Vec::new();
    for expr in group_by.unwrap_or_default() {
        let (expr, scope) = match expr.is_integer() {
            Some(n) => {
                let column = usize::try_from(n - 1).ok().and_then(|n| columns.get(n));
                let Some(ResultColumn::Expr(column, _)) = column else { return Err(no(expr)) };
                (column, Scope::within(&rows))
            }
            None => (expr, Scope::within(&named)),
        };
        let part = said(expr, scope)?;
        // what is the same for all rows would be taken for the number of a column
        if part.literal.is_some() || part.sort == Sort::Null {
            return Err(no(expr));
        }
        keys.push(key(expr, scope)?);
    }
    if !keys.is_empty() {
        sql.push_str(&format!(" group by {}", keys.join(", ")));
    }
    let level = Level { keys: is_grouped.then_some(keys.as_slice()), ..rows };
    let mut all = results(columns.iter(), catalogue, &level)?;
    let names: Vec<(String, Said)> = by_names(&all);
    let named = Level { given: &names, ..level };
    if let Some(condition) = having {
        sql.push_str(&format!(" having {}", judged(condition, Scope::within(&named))?));
    }
    for (n, window) in window_clause.unwrap_or_default().iter().enumerate() {
        let comma = if n == 0 { " window" } else { "," };
        let body = aggregates::window(&window.window, Scope::within(&level))?;
        sql.push_str(&format!("{comma} {} as ({body})", quote(&unquoted(window.name.0).to_lowercase())));
    }
    let is_distinct = matches!(distinctness, Some(Distinctness::Distinct));
    let is_vague = |given: &&Given| given.said.nocase || matches!(given.said.sort, Sort::Json | Sort::Mixed);
    if let Some(part) = all.iter().find(is_vague).filter(|_| is_distinct) {
        return Err(format!("which rows are the same by `{}` is not certain", part.known.name));
    }
    let (mut taken, mut seen) = (Taken::default(), BTreeSet::new());
    for given in &mut all {
        // the first of a name is meant, and SQLite calls the others so
        let own = given.known.name.to_lowercase();
        if !seen.insert(own.clone()) {
            let n = (1..).find(|n| seen.insert(format!("{own}:{n}"))).unwrap_or(1);
            given.known.name = format!("{}:{n}", given.known.name);
            given.known.target = format!("{}:{n}", given.known.target);
        }
        given.known.target = taken.name(&given.known.target).0;
    }
    let list: Vec<String> =
        all.iter().map(|given| format!("{} as {}", given.said.sql, quote(&given.known.target))).collect();
    let columns: Vec<Known> = all.iter().map(|given| given.known.clone()).collect();
    let read = if read.is_empty() { read } else { format!(" from {read}") };
    let word = if is_distinct { "select distinct" } else { "select" };
    let sql = format!("{word} {}{read}{sql}", list.join(", "));
    let is_one = is_grouped && keys.is_empty();
    let mut terms = Vec::new();
    for one in order {
        let (bare, collation) = match &one.expr {
            Expr::Collate(inner, name) => (*inner, Some(name.to_ascii_lowercase())),
            other => (other, None),
        };
        let by_name =
            |name: &str| names.iter().find(|(known, _)| known.eq_ignore_ascii_case(&unquoted(name)));
        let meant = match (bare.is_integer(), bare) {
            (Some(n), _) => {
                let given = usize::try_from(n - 1).ok().and_then(|n| all.get(n));
                Some(given.ok_or_else(|| no(bare))?.said.clone())
            }
            (None, Expr::Id(id)) => by_name(id.0).map(|(_, part)| part.clone()),
            (None, Expr::Name(name)) => by_name(name.0).map(|(_, part)| part.clone()),
            _ => None,
        };
        let part = match (meant, collation.as_deref()) {
            (Some(part), None) => part,
            (Some(part), Some("nocase")) => Said { nocase: true, ..part },
            (Some(part), Some("binary")) => Said { nocase: false, ..part },
            _ => said(&one.expr, Scope::within(&named))?,
        };
        // what is the same for all rows sorts nothing, and would be taken for the number of a column
        if part.literal.is_some() || part.sort == Sort::Null {
            continue;
        }
        let part = match is_distinct {
            false => part,
            true => {
                let given =
                    all.iter().find(|given| given.said.sql == part.sql).ok_or_else(|| no(&one.expr))?;
                Said { sql: format!("q.{}", quote(&given.known.target)), ..part }
            }
        };
        terms.push(sorted(part, one)?);
    }
    let order = terms.join(", ");
    let sql = match (terms.is_empty(), is_distinct) {
        (true, _) => sql,
        (false, false) => format!("{sql} order by {order}"),
        (false, true) => format!("select * from ({sql}) as q order by {order}"),
    };
    Ok(Query { sql, columns, is_one })
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
            made.known.epoch = known.epoch;
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
                    Expr::Id(id) => Some((None, unquoted(id.0))),
                    Expr::Name(name) => Some((None, unquoted(name.0))),
                    Expr::Qualified(table, name) | Expr::DoublyQualified(_, table, name) => {
                        Some((Some(unquoted(table.0)), unquoted(name.0)))
                    }
                    _ => None,
                };
                let known = match &own {
                    Some((table, name)) => level.meant(table.as_deref(), name)?.map(|(_, known)| known),
                    None => None,
                };
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
                let mut made = given(part, name, target);
                made.known.epoch = known.and_then(|known| known.epoch);
                made.is_named = alias.is_some();
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

//! What triggers do: their commands as lines of a function, and as statements that can be planned.

use super::columns::Known;
use super::expression::{Said, Scope, Sort, judged, no, said, string};
use super::grammar::{bare, unquoted};
use super::levels::{Catalogue, Level, Placed, Relation};
use super::queries::{null_of, select};
use super::sides::read_as;
use super::{aggregates, joins};
use sqlite3_parser::ast::{
    Expr, Id, Name, OneSelect, QualifiedName, ResolveType, ResultColumn, Select, Set, TriggerCmd, Upsert,
    UpsertDo,
};
use targets::db::quote;

/// A column of a table that is written.
pub(super) fn column<'r>(relation: &'r Relation, name: &str) -> Result<&'r Known, String> {
    let name = unquoted(name);
    let known = relation.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&name));
    match known {
        None => Err(format!("`{}` has no column `{name}`", relation.short)),
        Some(known) if known.gone => Err(format!("the column `{name}` is not carried")),
        Some(known) => Ok(known),
    }
}

/// The commands of a trigger, with the rows that fire it.
pub(super) struct Program<'a> {
    /// What can be read and written.
    pub(super) catalogue: &'a Catalogue,
    /// The rows that fire it.
    pub(super) row: Level<'a>,
    /// When it is fired.
    pub(super) time: &'static str,
}

/// A line of a function.
pub(super) enum Line {
    /// As it is.
    Do(String),
    /// On this condition the row is passed over.
    Leave(String),
}

impl Program<'_> {
    /// A command as lines of a function.
    pub(super) fn line(&self, command: &TriggerCmd) -> Result<Vec<Line>, String> {
        match command {
            TriggerCmd::Select(query) => self.raises(query)?.into_iter().map(|(condition, what)| {
                let raise = match what {
                    Raise::Error(message) => {
                        format!("raise exception using message = {message}, errcode = 'integrity_constraint_violation';")
                    }
                    Raise::Ignore if self.time == "after" => {
                        return Err("it ignores what is written already".to_owned());
                    }
                    Raise::Ignore => {
                        return Ok(Line::Leave(condition.unwrap_or_else(|| "true".to_owned())));
                    }
                };
                Ok(Line::Do(match condition {
                    Some(condition) => format!("if {condition} then {raise} end if;"),
                    None => raise,
                }))
            }).collect(),
            other => Ok(vec![Line::Do(format!("{};", self.written(other)?))]),
        }
    }

    /// The same as statements that can be planned.
    pub(super) fn probe(&self, command: &TriggerCmd) -> Result<Vec<String>, String> {
        match command {
            TriggerCmd::Select(query) => {
                let conditions = self.raises(query)?.into_iter().filter_map(|(condition, _)| condition);
                Ok(conditions.map(|condition| format!("select 1 where {condition}")).collect())
            }
            other => Ok(vec![self.written(other)?]),
        }
    }

    fn target<'c>(&'c self, name: &QualifiedName) -> Result<(&'c Relation, Placed), String> {
        let relation = self.catalogue.relation(name)?;
        let alias = name.alias.as_ref().map_or_else(|| unquoted(name.name.0), |alias| unquoted(alias.0));
        Ok((relation, Placed::new(&alias, quote(&relation.short), relation.clone())))
    }

    fn written(&self, command: &TriggerCmd) -> Result<String, String> {
        match command {
            TriggerCmd::Update { or_conflict, tbl_name, sets, from, where_clause } => {
                usual(or_conflict.as_ref())?;
                let (relation, placed) = self.target(tbl_name)?;
                let (mut tables, read) = match from {
                    Some(from) if from.select.is_some() => {
                        let (tables, read) = joins::from(from, self.catalogue, Some(&self.row))?;
                        (tables, format!(" from {read}"))
                    }
                    _ => (Vec::new(), String::new()),
                };
                tables.insert(0, placed);
                let level = Level::of(self.catalogue, &tables, Some(&self.row));
                let scope = Scope::within(&level);
                let sets = assigned(sets, relation, scope)?;
                let only = only(where_clause.as_ref(), scope)?;
                let (table, short) = (&relation.sql, quote(&relation.short));
                Ok(format!("update {table} as {short} set {sets}{read}{only}"))
            }
            TriggerCmd::Delete { tbl_name, where_clause } => {
                let (relation, placed) = self.target(tbl_name)?;
                let tables = [placed];
                let level = Level::of(self.catalogue, &tables, Some(&self.row));
                let only = only(where_clause.as_ref(), Scope::within(&level))?;
                Ok(format!("delete from {} as {}{only}", relation.sql, quote(&relation.short)))
            }
            TriggerCmd::Insert { or_conflict, tbl_name, col_names, select: query, upsert } => {
                let (relation, placed) = self.target(tbl_name)?;
                let columns: Vec<&Known> = match col_names {
                    Some(names) => {
                        names.iter().map(|name| column(relation, name.0)).collect::<Result<_, _>>()?
                    }
                    None => relation.columns.iter().filter(|known| !known.gone && !known.computed).collect(),
                };
                let is_ignored = matches!(or_conflict, Some(ResolveType::Ignore));
                let rows = self.rows(query, relation, (&columns, is_ignored))?;
                let conflict = match (or_conflict, upsert) {
                    (Some(ResolveType::Ignore), None) if relation.checked => {
                        return Err("it passes over rows that break a check".to_owned());
                    }
                    (Some(ResolveType::Ignore), None) => " on conflict do nothing".to_owned(),
                    (how, None) => usual(how.as_ref()).map(|()| String::new())?,
                    (None, Some(upsert)) => self.upsert(upsert, relation, placed)?,
                    _ => return Err("it says twice what happens to a row that is there".to_owned()),
                };
                let list: Vec<String> = columns.iter().map(|known| quote(&known.target)).collect();
                let (table, short) = (&relation.sql, quote(&relation.short));
                Ok(format!("insert into {table} as {short} ({}) {rows}{conflict}", list.join(", ")))
            }
            TriggerCmd::Select(_) => Err("it reads, and nothing comes of it".to_owned()),
        }
    }

    /// The rows of an insert, each value as its column takes it.
    fn rows(
        &self,
        query: &Select,
        relation: &Relation,
        (columns, is_ignored): (&[&Known], bool),
    ) -> Result<String, String> {
        // rows without a value that there must be are passed over
        let must: Vec<usize> = match is_ignored {
            true => {
                let place = |name: &String| columns.iter().position(|known| known.target == *name);
                if relation.required.iter().any(|name| place(name).is_none()) {
                    return Err(
                        "it passes over all rows, because they lack a value that there must be".to_owned()
                    );
                }
                relation.filled.iter().filter_map(place).collect()
            }
            false => Vec::new(),
        };
        let only = |list: &[String]| {
            let each: Vec<String> = must.iter().map(|n| format!("{} is not null", list[*n])).collect();
            if each.is_empty() { String::new() } else { format!(" where {}", each.join(" and ")) }
        };
        let other = || "it gives other columns than it writes".to_owned();
        let plain = query.with.is_none()
            && query.body.compounds.is_none()
            && query.limit.is_none()
            && query.order_by.is_none();
        if let (true, OneSelect::Values(rows)) = (plain, &query.body.select) {
            let mut all = Vec::new();
            for row in rows {
                if row.len() != columns.len() {
                    return Err(other());
                }
                let each = row.iter().zip(columns).map(|(expr, known)| {
                    let part = said(expr, Scope::within(&self.row))?;
                    // NULL for the rowid asks for the next one
                    let is_id = relation.rowid.as_ref().is_some_and(|rowid| *rowid == known.name);
                    if part.sort == Sort::Null && is_id {
                        Ok("default".to_owned())
                    } else {
                        fits(expr, part, known)
                    }
                });
                all.push(each.collect::<Result<Vec<_>, String>>()?);
            }
            if !must.is_empty() {
                let [row] = all.as_slice() else {
                    return Err("it passes over some of several rows".to_owned());
                };
                return match row.iter().any(|value| value == "default") {
                    true => Err("it passes over a row whose id is not said".to_owned()),
                    false => Ok(format!("select {}{}", row.join(", "), only(row))),
                };
            }
            let rows: Vec<String> = all.iter().map(|row| format!("({})", row.join(", "))).collect();
            return Ok(format!("values {}", rows.join(", ")));
        }
        let made = select(query, self.catalogue, Some(&self.row))?;
        if made.columns.len() != columns.len() {
            return Err(other());
        }
        let names: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
        let each = made.columns.iter().zip(&names).zip(columns).map(|((given, name), known)| {
            let part = Known { target: name.clone(), ..given.clone() }.said(Some("given"));
            match part.sort {
                Sort::Null if relation.rowid.as_ref().is_some_and(|rowid| *rowid == known.name) => {
                    Err("the id of the rows that it writes is not said".to_owned())
                }
                Sort::Null => null_of(known.sort).map(|typ| format!("{}::{typ}", part.sql)),
                _ => fits(&known.name, part, known),
            }
        });
        let each = each.collect::<Result<Vec<_>, String>>()?;
        let only = only(&each);
        Ok(format!("select {} from ({}) as given ({}){only}", each.join(", "), made.sql, names.join(", ")))
    }

    fn upsert(&self, upsert: &Upsert, relation: &Relation, placed: Placed) -> Result<String, String> {
        if upsert.next.is_some() {
            return Err("it says for several keys what happens to a row that is there".to_owned());
        }
        let target = match &upsert.index {
            None if matches!(upsert.do_clause, UpsertDo::Set { .. }) => {
                return Err("it does not say which key a row may break".to_owned());
            }
            None => String::new(),
            Some(index) if index.where_clause.is_none() => {
                let each = index.targets.iter().map(|target| match &target.expr {
                    Expr::Id(Id(name)) | Expr::Name(Name(name)) => match column(relation, name)? {
                        // that key is about texts without their case
                        known if known.nocase => Err(no(&target.expr)),
                        known => Ok(quote(&known.target)),
                    },
                    other => Err(no(other)),
                });
                format!(" ({})", each.collect::<Result<Vec<_>, _>>()?.join(", "))
            }
            Some(_) => return Err("it names a key that is not about all rows".to_owned()),
        };
        match &upsert.do_clause {
            UpsertDo::Nothing => Ok(format!(" on conflict{target} do nothing")),
            UpsertDo::Set { sets, where_clause } => {
                let given = Placed::aside("excluded", "excluded".to_owned(), relation.clone());
                let tables = [placed, given];
                let level = Level::of(self.catalogue, &tables, Some(&self.row));
                let scope = Scope::within(&level);
                let only = only(where_clause.as_ref(), scope)?;
                Ok(format!(" on conflict{target} do update set {}{only}", assigned(sets, relation, scope)?))
            }
        }
    }

    /// The errors that a query of a trigger raises, each with its condition.
    fn raises(&self, query: &Select) -> Result<Vec<(Option<String>, Raise)>, String> {
        let OneSelect::Select { columns, from, where_clause, group_by: None, having: None, .. } =
            &query.body.select
        else {
            return Err("it reads, and nothing comes of it".to_owned());
        };
        if query.with.is_some() || query.body.compounds.is_some() || query.limit.is_some() {
            return Err("it reads several queries, and nothing comes of them".to_owned());
        }
        let (tables, read) = match from {
            Some(from) if from.select.is_some() => joins::from(from, self.catalogue, Some(&self.row))?,
            _ => (Vec::new(), String::new()),
        };
        let level = Level::of(self.catalogue, &tables, Some(&self.row));
        let only = where_clause.map(|condition| judged(condition, Scope::within(&level))).transpose()?;
        // a condition on all rows together
        let is_counted =
            |column: &ResultColumn| matches!(column, ResultColumn::Expr(expr, _) if aggregates::is_in(expr));
        let counts = columns.iter().any(is_counted);
        let whole = Level { keys: counts.then_some(&[]), ..level };
        let scope = Scope::within(&whole);
        let within = |condition: Option<String>| -> Option<String> {
            let all: Vec<String> = only.iter().chain(&condition).cloned().collect();
            let joined = match all.as_slice() {
                [] => None,
                [one] => Some(one.clone()),
                many => Some(many.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and ")),
            };
            match read.is_empty() {
                true => joined,
                false if counts => {
                    let only = only.as_ref().map(|only| format!(" where {only}")).unwrap_or_default();
                    condition.map(|condition| format!("(select {condition} from {read}{only})"))
                }
                false => {
                    let only = joined.map(|joined| format!(" where {joined}")).unwrap_or_default();
                    Some(format!("exists (select 1 from {read}{only})"))
                }
            }
        };
        let mut all = Vec::new();
        for column in *columns {
            let ResultColumn::Expr(expr, _) = column else { continue };
            match bare(expr) {
                Expr::Raise(how, message) => all.push((within(None), raise(how, *message)?)),
                Expr::Case { base: None, when_then_pairs, else_expr } => {
                    let mut earlier: Vec<String> = Vec::new();
                    for (when, then) in *when_then_pairs {
                        let condition = judged(when, scope)?;
                        let this = earlier.iter().map(|one| format!("({one}) is not true"));
                        let this: Vec<String> = this.chain([format!("({condition})")]).collect();
                        match bare(then) {
                            Expr::Raise(how, message) => {
                                all.push((within(Some(this.join(" and "))), raise(how, *message)?));
                            }
                            other => idle(other)?,
                        }
                        earlier.push(condition);
                    }
                    match else_expr.map(bare) {
                        Some(Expr::Raise(how, message)) => {
                            let this = earlier.iter().map(|one| format!("({one}) is not true"));
                            let this: Vec<String> = this.collect();
                            all.push((within(Some(this.join(" and "))), raise(how, *message)?));
                        }
                        Some(other) => idle(other)?,
                        None => {}
                    }
                }
                other => idle(other)?,
            }
        }
        Ok(all)
    }
}

/// A value that nobody reads: a function of the application may do something all the same.
fn idle(expr: &Expr) -> Result<(), String> {
    if aggregates::acts(expr) { Err(no(expr)) } else { Ok(()) }
}

enum Raise {
    /// With this message, as a literal.
    Error(String),
    Ignore,
}

fn raise(how: &ResolveType, message: Option<&Expr>) -> Result<Raise, String> {
    match (how, message) {
        (ResolveType::Ignore, _) => Ok(Raise::Ignore),
        (ResolveType::Fail, _) => Err("it keeps what its statement wrote before".to_owned()),
        (_, Some(Expr::Literal(sqlite3_parser::ast::Literal::String(text)))) => {
            Ok(Raise::Error(string(&unquoted(text))))
        }
        (_, Some(Expr::Id(id))) if id.0.starts_with('"') => Ok(Raise::Error(string(&unquoted(id.0)))),
        (_, message) => Err(message.map_or_else(|| "an error without words".to_owned(), no)),
    }
}

fn usual(how: Option<&ResolveType>) -> Result<(), String> {
    match how {
        None | Some(ResolveType::Abort) => Ok(()),
        Some(_) => {
            Err("it says what happens to a row that breaks a rule in a way that PostgreSQL does not know"
                .to_owned())
        }
    }
}

fn only(condition: Option<&Expr>, scope: Scope) -> Result<String, String> {
    let condition = condition.map(|condition| judged(condition, scope)).transpose()?;
    Ok(condition.map(|condition| format!(" where {condition}")).unwrap_or_default())
}

fn assigned(sets: &[Set], relation: &Relation, scope: Scope) -> Result<String, String> {
    let each = sets.iter().map(|set| {
        let [name] = set.col_names.as_slice() else {
            return Err("it sets several columns at once".to_owned());
        };
        let known = column(relation, name.0)?;
        Ok(format!("{} = {}", quote(&known.target), fits(&set.expr, said(&set.expr, scope)?, known)?))
    });
    Ok(each.collect::<Result<Vec<_>, String>>()?.join(", "))
}

/// A value as a column takes it.
fn fits(expr: &dyn std::fmt::Display, part: Said, known: &Known) -> Result<String, String> {
    use Sort::{Bool, Json, Moment, Null, Number, Text, Whole};
    match (part.sort, known.sort) {
        // counted in SQLite, and a moment there
        (Whole, Moment) => match known.epoch {
            Some(1_000_000) => Ok(format!("to_timestamp({})", part.sql)),
            Some(unit) => Ok(format!("to_timestamp({}::double precision * {unit} / 1000000)", part.sql)),
            None => Err(no(expr)),
        },
        // the clock of the application, in a column of its times
        (Text, Moment) if known.local && part.local => {
            part.meaning(Moment).map(|read| read.sql).ok_or_else(|| no(expr))
        }
        (Text | Moment, Moment) if known.local || part.local => Err(no(expr)),
        (Moment, Moment) if known.epoch.is_some() != part.meaning(Whole).is_some() => Err(no(expr)),
        (a, b) if a == b || a == Null => Ok(part.sql),
        (Whole, Number) => Ok(part.sql),
        (Bool, Whole | Number) => Ok(format!("({})::int", part.sql)),
        (Whole, Bool) => match part.literal.as_deref() {
            Some("0") => Ok("false".to_owned()),
            Some("1") => Ok("true".to_owned()),
            _ => Err(no(expr)),
        },
        (Whole, Text) => Ok(format!("({})::text", part.sql)),
        (Text, Json) => {
            let written = part
                .literal
                .as_deref()
                .filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok());
            written.map(string).ok_or_else(|| no(expr))
        }
        (Text, sort) => read_as(&part, sort).map(|read| read.sql).ok_or_else(|| no(expr)),
        _ => Err(no(expr)),
    }
}

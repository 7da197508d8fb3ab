//! The triggers of the source as functions and triggers of the target.
//!
//! SQLite does not fire a trigger again by what it does itself, the server does: where that could happen, the function leaves at
//! once while it is at work already.

use super::expression::{Known, Said, Scope, Sort, judged, no, said, string};
use super::grammar::{self, unquoted};
use super::levels::{Catalogue, Level, Placed, Relation};
use super::queries::select;
use super::sides::read_as;
use super::{aggregates, joins};
use crate::transfer::design::{Design, Left, NewTrigger};
use crate::transfer::naming::{Taken, spelled};
use crate::transfer::options::Options;
use crate::transfer::script::body;
use crate::transfer::source::{Other, Source};
use sqlite3_parser::ast::{
    Expr, OneSelect, QualifiedName, ResolveType, ResultColumn, Select, Set, Stmt, TriggerCmd, TriggerEvent,
    TriggerTime, Upsert, UpsertDo,
};
use std::collections::BTreeSet;
use targets::db::{TableName, quote};

/// Translates all triggers of tables and views that arrive.
pub fn translate(source: &Source, design: &mut Design, catalogue: &Catalogue, options: &Options) {
    let triggers = source.others.iter().filter(|other| other.what == "trigger");
    let mut made = Vec::new();
    for trigger in triggers.filter(|trigger| !options.leaves(&trigger.name)) {
        let read = grammar::statement(&trigger.sql, |statement| Some(read(statement, catalogue)));
        match read.unwrap_or_else(|| Err("its statement cannot be read".to_owned())) {
            Ok(read) => made.push((trigger, read)),
            Err(why) => design.left.push(Left::new("trigger", &trigger.name, why, &trigger.sql)),
        }
    }
    // what is written in consequence of what: by triggers, and by references that change children
    let mut leads: Vec<(String, String)> = made
        .iter()
        .flat_map(|(_, read)| read.writes.iter().map(|table| (read.table.clone(), table.clone())))
        .collect();
    for table in &design.tables {
        let child = table.source.to_lowercase();
        leads.extend(table.references.iter().map(|one| (one.parent.to_lowercase(), child.clone())));
    }
    let mut taken = Taken::default();
    for (trigger, read) in made {
        let again = reaches(&read.writes, &read.table, &leads);
        design.triggers.push(built(trigger, &read, again, options, &mut taken));
    }
}

/// Whether writing into some tables may lead to a write into another.
fn reaches(from: &[String], to: &str, leads: &[(String, String)]) -> bool {
    let mut seen: BTreeSet<&str> = from.iter().map(String::as_str).collect();
    loop {
        let before = seen.len();
        for (one, other) in leads {
            if seen.contains(one.as_str()) {
                seen.insert(other);
            }
        }
        if seen.len() == before {
            return seen.contains(to);
        }
    }
}

/// What was read of a trigger.
struct Read {
    /// Its table, and those that it writes, by their names in the source in lower case.
    table: String,
    writes: Vec<String>,
    /// `before update of "a" on "t"`.
    event: String,
    /// What the function gives back.
    back: &'static str,
    /// The condition on which it acts.
    when: Option<String>,
    /// What it does.
    lines: Vec<String>,
    /// The same as statements that can be planned before there is a row.
    probes: Vec<String>,
}

fn built(trigger: &Other, read: &Read, again: bool, options: &Options, taken: &mut Taken) -> NewTrigger {
    let (name, reason) = taken.name(&spelled(&trigger.name, options.names));
    let function = TableName::within(options.into(), &name).quoted();
    let mut lines = Vec::new();
    let back = format!("return {};", read.back);
    if again {
        let flag = string(&format!(
            "sexton.trigger_{}",
            name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()
        ));
        lines.push(format!("if current_setting({flag}, true) = 'on' then {back} end if;"));
        lines.push(format!("perform set_config({flag}, 'on', true);"));
        lines.extend(when(read));
        lines.push(format!("perform set_config({flag}, 'off', true);"));
    } else {
        lines.extend(when(read));
    }
    lines.push(back);
    let text: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    NewTrigger {
        source: trigger.name.clone(),
        statements: vec![
            format!(
                "create function {function}() returns trigger language plpgsql as {}",
                body(&format!("\nbegin\n{text}end\n"))
            ),
            format!(
                "create trigger {} {} for each row execute function {function}()",
                quote(&name),
                read.event
            ),
        ],
        function,
        probes: read.probes.clone(),
        reason,
    }
}

fn when(read: &Read) -> Vec<String> {
    match &read.when {
        None => read.lines.clone(),
        Some(condition) => {
            let mut lines = vec![format!("if {condition} then")];
            lines.extend(read.lines.iter().map(|line| format!("    {line}")));
            lines.push("end if;".to_owned());
            lines
        }
    }
}

fn read(statement: &Stmt, catalogue: &Catalogue) -> Result<Read, String> {
    let Stmt::CreateTrigger { time, event, tbl_name, when_clause, commands, .. } = statement else {
        return Err("its statement cannot be read".to_owned());
    };
    let relation = catalogue.relation(tbl_name)?;
    let table = unquoted(tbl_name.name.0).to_lowercase();
    let (word, has_new, has_old) = match event {
        TriggerEvent::Insert => ("insert".to_owned(), true, false),
        TriggerEvent::Delete => ("delete".to_owned(), false, true),
        TriggerEvent::Update => ("update".to_owned(), true, true),
        TriggerEvent::UpdateOf(names) => {
            let list = names.iter().map(|name| column(relation, name.0).map(|known| quote(&known.target)));
            (format!("update of {}", list.collect::<Result<Vec<_>, _>>()?.join(", ")), true, true)
        }
    };
    let (time, back) = match time {
        Some(TriggerTime::After) => ("after", "null"),
        Some(TriggerTime::InsteadOf) => ("instead of", if has_new { "new" } else { "old" }),
        None | Some(TriggerTime::Before) => ("before", if has_new { "new" } else { "old" }),
    };
    if time == "instead of" && matches!(event, TriggerEvent::UpdateOf(_)) {
        return Err("instead of an update of some columns nothing can be done in PostgreSQL".to_owned());
    }
    let rows = |new: &str, old: &str| -> Vec<Placed> {
        let new = has_new.then(|| Placed::aside("new", new.to_owned(), relation.clone()));
        let old = has_old.then(|| Placed::aside("old", old.to_owned(), relation.clone()));
        new.into_iter().chain(old).collect()
    };
    let (real, none) = (rows("new", "old"), format!("(null::{})", relation.sql));
    let probed = rows(&none, &none);
    let real = Program { catalogue, row: Level::of(catalogue, &real, None), time };
    let probe = Program { catalogue, row: Level::of(catalogue, &probed, None), time };
    let when =
        when_clause.as_ref().map(|condition| judged(condition, Scope::within(&real.row))).transpose()?;
    let mut out = Read {
        event: format!("{time} {word} on {}", relation.sql),
        table: table.clone(),
        back,
        when,
        writes: Vec::new(),
        lines: Vec::new(),
        probes: Vec::new(),
    };
    if let Some(condition) = when_clause {
        out.probes.push(format!("select 1 where {}", judged(condition, Scope::within(&probe.row))?));
    }
    for command in *commands {
        out.lines.extend(real.line(command)?);
        out.probes.extend(probe.probe(command)?);
        out.writes.extend(written(command));
    }
    if time == "before" && !matches!(event, TriggerEvent::Insert) && out.writes.contains(&table) {
        return Err("it writes its own table before the row that fires it is written".to_owned());
    }
    Ok(out)
}

/// The table that a command writes.
fn written(command: &TriggerCmd) -> Option<String> {
    match command {
        TriggerCmd::Update { tbl_name, .. }
        | TriggerCmd::Insert { tbl_name, .. }
        | TriggerCmd::Delete { tbl_name, .. } => Some(unquoted(tbl_name.name.0).to_lowercase()),
        TriggerCmd::Select(_) => None,
    }
}

fn column<'r>(relation: &'r Relation, name: &str) -> Result<&'r Known, String> {
    let name = unquoted(name);
    let known = relation.columns.iter().find(|known| known.name.eq_ignore_ascii_case(&name));
    known.ok_or_else(|| format!("the column `{name}` is not carried"))
}

/// The commands of a trigger, with the rows that fire it.
struct Program<'a> {
    catalogue: &'a Catalogue,
    row: Level<'a>,
    time: &'static str,
}

impl Program<'_> {
    /// A command as lines of a function.
    fn line(&self, command: &TriggerCmd) -> Result<Vec<String>, String> {
        match command {
            TriggerCmd::Select(query) => self.raises(query)?.into_iter().map(|(condition, what)| {
                let raise = match what {
                    Raise::Error(message) => {
                        format!("raise exception using message = {message}, errcode = 'integrity_constraint_violation';")
                    }
                    Raise::Ignore if self.time == "after" => {
                        return Err("it ignores what is written already".to_owned());
                    }
                    Raise::Ignore => "return null;".to_owned(),
                };
                Ok(match condition {
                    Some(condition) => format!("if {condition} then {raise} end if;"),
                    None => raise,
                })
            }).collect(),
            other => Ok(vec![format!("{};", self.written(other)?)]),
        }
    }

    /// The same as statements that can be planned.
    fn probe(&self, command: &TriggerCmd) -> Result<Vec<String>, String> {
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
                    None => relation.columns.iter().collect(),
                };
                let rows = self.rows(query, relation, &columns)?;
                let conflict = match (or_conflict, upsert) {
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
    fn rows(&self, query: &Select, relation: &Relation, columns: &[&Known]) -> Result<String, String> {
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
                all.push(format!("({})", each.collect::<Result<Vec<_>, _>>()?.join(", ")));
            }
            return Ok(format!("values {}", all.join(", ")));
        }
        let made = select(query, self.catalogue, Some(&self.row))?;
        if made.columns.len() != columns.len() {
            return Err(other());
        }
        let names: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
        let each = made.columns.iter().zip(&names).zip(columns).map(|((given, name), known)| {
            let part = Known { target: name.clone(), ..given.clone() }.said(Some("given"));
            fits(&known.name, part, known)
        });
        let each = each.collect::<Result<Vec<_>, _>>()?;
        Ok(format!("select {} from ({}) as given ({})", each.join(", "), made.sql, names.join(", ")))
    }

    fn upsert(&self, upsert: &Upsert, relation: &Relation, placed: Placed) -> Result<String, String> {
        if upsert.next.is_some() {
            return Err("it says for several keys what happens to a row that is there".to_owned());
        }
        let target = match &upsert.index {
            None => String::new(),
            Some(index) if index.where_clause.is_none() => {
                let each = index.targets.iter().map(|target| match &target.expr {
                    Expr::Id(id) => column(relation, id.0).map(|known| quote(&known.target)),
                    Expr::Name(name) => column(relation, name.0).map(|known| quote(&known.target)),
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
        if query.with.is_some() || query.body.compounds.is_some() {
            return Err("it reads several queries, and nothing comes of them".to_owned());
        }
        let (tables, read) = match from {
            Some(from) if from.select.is_some() => joins::from(from, self.catalogue, Some(&self.row))?,
            _ => (Vec::new(), String::new()),
        };
        let level = Level::of(self.catalogue, &tables, Some(&self.row));
        let scope = Scope::within(&level);
        let only = where_clause.map(|condition| judged(condition, scope)).transpose()?;
        let within = |condition: Option<String>| -> Option<String> {
            let all: Vec<String> = only.iter().chain(&condition).cloned().collect();
            let joined = match all.as_slice() {
                [] => None,
                [one] => Some(one.clone()),
                many => Some(many.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" and ")),
            };
            match read.is_empty() {
                true => joined,
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
                        if let Expr::Raise(how, message) = bare(then) {
                            all.push((within(Some(this.join(" and "))), raise(how, *message)?));
                        }
                        earlier.push(condition);
                    }
                    if let Some(Expr::Raise(how, message)) = else_expr.map(bare) {
                        let this: Vec<String> =
                            earlier.iter().map(|one| format!("({one}) is not true")).collect();
                        all.push((within(Some(this.join(" and "))), raise(how, *message)?));
                    }
                }
                // a value that nobody reads
                other if !aggregates::raises(other) => {}
                other => return Err(no(other)),
            }
        }
        Ok(all)
    }
}

fn bare<'e, 'b>(expr: &'e Expr<'b>) -> &'e Expr<'b> {
    match expr {
        Expr::Parenthesized(inner) if inner.len() == 1 => bare(&inner[0]),
        other => other,
    }
}

enum Raise {
    /// With this message, as a literal.
    Error(String),
    Ignore,
}

fn raise(how: &ResolveType, message: Option<&Expr>) -> Result<Raise, String> {
    match (how, message) {
        (ResolveType::Ignore, _) => Ok(Raise::Ignore),
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
        (Text | Moment, Moment) if known.local => Err(no(expr)),
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

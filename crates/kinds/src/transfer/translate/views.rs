//! The views of the source as views of the target.

use super::columns::known;
use super::expression::Sort;
use super::grammar;
use super::levels::{Catalogue, Relation};
use super::queries::select;
use crate::transfer::design::{Design, Left, NewColumn, NewView, Profiles};
use crate::transfer::naming::{Taken, spelled};
use crate::transfer::options::Options;
use crate::transfer::profile::{Profile, Readings};
use crate::transfer::source::{Other, Source};
use sqlite3_parser::ast::Stmt;
use targets::db::{TableName, quote};

/// What can be read of the tables that arrive.
pub fn catalogue(source: &Source, design: &Design, profiles: &Profiles, options: &Options) -> Catalogue {
    let mut all = Catalogue { names: options.names, zone: options.zone.clone(), ..Catalogue::default() };
    for table in &design.tables {
        let Some(from) = source.tables.iter().find(|one| one.name() == table.source) else { continue };
        let mut columns = known(from, &table.columns);
        for known in &mut columns {
            let place = from.table.columns.iter().position(|column| column.name == known.name);
            let seen = place.and_then(|n| profiles.get(from.name())?.get(n));
            // what the mapping makes of values, and collations that the server does not have
            let own = options.column(from.name(), &known.name);
            let is_mapped = own.is_some_and(|own| own.jq.is_some() || !own.values.is_empty());
            let is_other = from.collation(&known.name).is_some_and(|collation| collation != "nocase");
            if is_mapped || is_other {
                known.sort = Sort::Mixed;
            }
            known.times = known.sort == Sort::Text && seen.is_some_and(is_of_times);
        }
        let relation = Relation {
            sql: table.name.quoted(),
            short: table.name.name.clone(),
            columns,
            key: table.key.clone(),
            rowid: from.rowid_column().map(|column| column.name.clone()),
            is_query: false,
            required: table
                .columns
                .iter()
                .filter(|column| is_required(column))
                .map(|column| column.name.clone())
                .collect(),
            filled: table
                .columns
                .iter()
                .filter(|column| column.not_null)
                .map(|column| column.name.clone())
                .collect(),
            checked: !table.checks.is_empty(),
        };
        all.relations.insert(table.source.to_lowercase(), relation);
    }
    all
}

/// Whether a row must bring a value for a column.
fn is_required(column: &NewColumn) -> bool {
    column.not_null && column.default.is_none() && !column.identity && column.generated.is_none()
}

/// Whether a column seems to hold times and nothing else; so, too, where it holds nothing yet.
fn is_of_times(seen: &Profile) -> bool {
    seen.values() == 0 || seen.guess(Readings::MOMENT).is_some()
}

/// Translates all views, those that others read first, and adds them to what can be read.
pub fn translate(
    source: &Source,
    design: &mut Design,
    catalogue: &mut Catalogue,
    options: &Options,
    taken: &mut Taken,
) {
    let views = source.others.iter().filter(|other| other.what == "view");
    let mut waiting: Vec<&Other> = views.filter(|view| !options.leaves(&view.name)).collect();
    loop {
        let before = waiting.len();
        let mut failed = Vec::new();
        waiting.retain(|view| match one(view, catalogue) {
            Ok(query) => {
                let (name, reason) = taken.name(&spelled(&view.name, options.names));
                let name = TableName::within(options.into(), &name);
                let list: Vec<String> = query.columns.iter().map(|known| quote(&known.target)).collect();
                let relation = Relation {
                    sql: name.quoted(),
                    short: name.name.clone(),
                    columns: query.columns,
                    is_query: true,
                    ..Relation::default()
                };
                catalogue.relations.insert(view.name.to_lowercase(), relation);
                design.views.push(NewView {
                    source: view.name.clone(),
                    sql: format!("create view {} ({}) as {}", name.quoted(), list.join(", "), query.sql),
                    name,
                    reason,
                });
                false
            }
            Err(why) => {
                failed.push(Left::new("view", &view.name, why, &view.sql));
                true
            }
        });
        if waiting.len() == before {
            design.left.extend(failed);
            return;
        }
    }
}

/// One view: its query, its columns by the names that the source gives them.
fn one(view: &Other, catalogue: &Catalogue) -> Result<super::queries::Query, String> {
    catalogue.renew();
    if view.columns.is_empty() {
        let why = view.broken.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!(
            "it is broken in the source, or needs its application: SQLite cannot read it{why}"
        ));
    }
    let read = grammar::statement(&view.sql, |statement| match statement {
        Stmt::CreateView { select: query, .. } => Some(select(query, catalogue, None)),
        _ => None,
    });
    let mut query = read.unwrap_or_else(|| Err("its statement cannot be read".to_owned()))?;
    // `*` gives fewer columns where the mapping drops some
    let mut names = view.columns.clone();
    if query.columns.len() < names.len() {
        let mut given = query.columns.iter().peekable();
        names.retain(|name| given.next_if(|known| known.name == *name).is_some());
    }
    if query.columns.len() != names.len() {
        return Err("its columns are others than SQLite says".to_owned());
    }
    for (known, name) in query.columns.iter_mut().zip(&names) {
        if known.name != *name {
            known.target = spelled(name, catalogue.names);
            known.name.clone_from(name);
        }
    }
    let mut names = Taken::default();
    for known in &mut query.columns {
        known.target = names.name(&known.target).0;
    }
    Ok(query)
}

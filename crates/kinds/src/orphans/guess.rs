//! References of a whole database: the declared ones, and columns that by name and type look like one. Pure: from the
//! schema alone, so that it can be wrong only in one way.

use super::link::{Link, is_alike};
use crate::sweep::Aside;
use targets::db::{Column, Dialect, Family, ForeignKey, Schema, Table, TableKind};

/// Columns of people, such as `created_by`, refer to the first of these tables that is there.
const PEOPLE: [&str; 6] = ["users", "user", "accounts", "account", "people", "members"];
/// Columns of a tree refer to their own table.
const ABOVE: [&str; 4] = ["parent_id", "parent", "parent_uuid", "parentid"];

/// Every reference, in the order of the tables' names; the declared ones of a table first.
pub fn references(schema: &Schema, dialect: &dyn Dialect) -> Vec<Link> {
    let mut all = Vec::new();
    for table in schema.tables.iter().filter(|table| has_own_rows(table)) {
        all.extend(table.references.iter().filter_map(|key| declared(table, key, schema)));
        for column in &table.columns {
            let mut declared = table.references.iter().chain(&table.lost_references);
            let known = declared.any(|key| key.columns.contains(&column.name));
            if let Some(link) = (!known).then(|| look(table, column, schema)).flatten() {
                all.push(link);
            }
        }
    }
    // A declared reference that cannot be looked at is told, see `broken`; a guess is none.
    all.retain(|link| {
        link.declared.is_some() || link.pairs.iter().all(|pair| link.compared(pair, dialect).is_ok())
    });
    all
}

/// Declared references to a table or a column that is not there, with the reason.
pub fn broken(schema: &Schema) -> Vec<(&Table, &ForeignKey, String)> {
    let tables = schema.tables.iter().filter(|table| has_own_rows(table));
    let keys = tables
        .flat_map(|table| table.references.iter().chain(&table.lost_references).map(move |key| (table, key)));
    keys.filter_map(|(table, key)| Some((table, key, why_broken(table, key, schema)?))).collect()
}

/// Why a declared reference leads nowhere.
pub fn why_broken(table: &Table, key: &ForeignKey, schema: &Schema) -> Option<String> {
    let Some(parent) = schema.table(&key.parent) else {
        return Some(format!("the table `{}` is not there", key.parent));
    };
    let missing = |table: &Table, columns: &[String]| {
        let column = columns.iter().find(|name| table.column(name).is_none())?;
        Some(format!("`{}` has no column `{column}`", table.name))
    };
    if key.columns.len() != key.parent_columns.len() {
        return Some(format!("`{}` has no key of {} columns", parent.name, key.columns.len()));
    }
    missing(table, &key.columns).or_else(|| missing(parent, &key.parent_columns))
}

/// Columns that name their table in a column beside them: `about_type` and `about_id`, in this order.
pub fn typed(table: &Table) -> Vec<(&Column, &Column)> {
    let typed = |id: &Column| {
        let stem = id.name.to_lowercase();
        let stem = stem.strip_suffix("_id")?.to_owned();
        table.columns.iter().find(|column| {
            column.name.to_lowercase() == format!("{stem}_type")
                && matches!(column.family, Family::Text | Family::Any)
        })
    };
    table.columns.iter().filter_map(|id| Some((typed(id)?, id))).collect()
}

/// The reference of a column to the table that a value of its type column names.
pub fn of_type(table: &Table, kind: &Column, id: &Column, value: &str, schema: &Schema) -> Option<Link> {
    // `App\Models\Lesson`, `app.lesson`, `Lesson`
    let last = value.rsplit(['\\', '.', ':', '/']).next().unwrap_or(value);
    let parent = named(&snake(last), table, schema)?;
    let mut link = to(table, id, parent)?;
    link.of_type = Some((kind.clone(), value.to_owned()));
    Some(link)
}

/// Whether it is a table with rows, no partition of one, and no quarantine.
pub fn has_own_rows(table: &Table) -> bool {
    matches!(table.kind, TableKind::Ordinary | TableKind::Partitioned | TableKind::WithoutRowid)
        && table.parents.is_empty()
        && !Aside::is_one(table)
}

fn declared(table: &Table, key: &ForeignKey, schema: &Schema) -> Option<Link> {
    if why_broken(table, key, schema).is_some() {
        return None;
    }
    let parent = schema.table(&key.parent)?;
    let pairs: Option<Vec<(Column, Column)>> = key
        .columns
        .iter()
        .zip(&key.parent_columns)
        .map(|(own, above)| Some((table.column(own)?.clone(), parent.column(above)?.clone())))
        .collect();
    Some(Link {
        table: table.clone(),
        pairs: pairs?,
        parent: parent.clone(),
        parent_where: None,
        of_type: None,
        json: None,
        declared: Some(key.clone()),
    })
}

/// What a column seems to refer to.
fn look(table: &Table, column: &Column, schema: &Schema) -> Option<Link> {
    let name = column.name.to_lowercase();
    if ABOVE.contains(&name.as_str()) {
        return to(table, column, table);
    }
    // It is told by the column beside it.
    if typed(table).iter().any(|(_, id)| id.name == column.name) {
        return None;
    }
    let snake = snake(&column.name);
    if let Some(parent) = snake.ends_with("_by").then(|| people(table, schema)).flatten() {
        return to(table, column, parent);
    }
    let stem = ["_id", "_uuid", "_key", "_code", "_no"].iter().find_map(|end| snake.strip_suffix(end))?;
    // `author_user_id` means a user, as long as there is no table of author users
    let parent = named(stem, table, schema)
        .or_else(|| stem.rsplit_once('_').and_then(|(_, last)| named(last, table, schema)))?;
    let link = to(table, column, parent)?;
    // a table's own key refers to nothing, unless it is another table's too
    (link.parent.name != table.name || table.key.as_ref().is_none_or(|key| key.columns != [name]))
        .then_some(link)
}

fn people<'a>(table: &Table, schema: &'a Schema) -> Option<&'a Table> {
    PEOPLE.iter().find_map(|name| beside(name, table, schema))
}

/// The table of this name in the same schema.
fn beside<'a>(name: &str, table: &Table, schema: &'a Schema) -> Option<&'a Table> {
    schema.tables.iter().find(|other| {
        other.name.schema == table.name.schema
            && has_own_rows(other)
            && other.name.name.eq_ignore_ascii_case(name)
    })
}

/// The table of things of this name: `user` → `users`, also behind a prefix that all tables share, such as `app_users`.
fn named<'a>(stem: &str, table: &Table, schema: &'a Schema) -> Option<&'a Table> {
    let mut names = vec![stem.to_owned(), format!("{stem}s"), format!("{stem}es")];
    names.extend(stem.strip_suffix('y').map(|stem| format!("{stem}ies")));
    let prefix = table.name.name.split_once('_').map(|(prefix, _)| prefix.to_lowercase());
    names.iter().find_map(|name| beside(name, table, schema)).or_else(|| {
        names.iter().find_map(|name| beside(&format!("{}_{name}", prefix.as_ref()?), table, schema))
    })
}

/// The reference, if the parent has a key of one column and of this type.
fn to(table: &Table, column: &Column, parent: &Table) -> Option<Link> {
    let key = super::link::key_of(parent, 1);
    let above = parent.column(key.first()?)?;
    let same_column = parent.name == table.name && above.name == column.name;
    (is_alike(column, above) && !same_column).then(|| Link {
        table: table.clone(),
        pairs: vec![(column.clone(), above.clone())],
        parent: parent.clone(),
        parent_where: None,
        of_type: None,
        json: None,
        declared: None,
    })
}

/// `authorUserId` as `author_user_id`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut lower_before = false;
    for letter in name.chars() {
        if letter.is_uppercase() && lower_before {
            out.push('_');
        }
        lower_before = letter.is_lowercase() || letter.is_ascii_digit();
        out.extend(letter.to_lowercase());
    }
    out
}

//! Where a row lies, and so what tells doomed rows apart while a batch runs: its rowid, or its key.

use targets::db::{Sql, Table, TableKind, UndoTable, quote};

/// What finds a row again within one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// The rowid, under this name; for an INTEGER PRIMARY KEY the name of its column.
    Rowid(&'a str),
    /// The key of a table without (reachable) rowid.
    Key(&'a [String]),
}

/// The place of the rows of a table; none for views and virtual tables.
pub(super) fn of(table: &Table) -> Option<Place<'_>> {
    match (table.kind, &table.rowid, &table.key) {
        (TableKind::Foreign | TableKind::View | TableKind::Partitioned, _, _) => None,
        (_, Some(rowid), _) => Some(Place::Rowid(rowid)),
        (_, None, key) => key.as_ref().map(|key| Place::Key(&key.columns)),
    }
}

/// The rowid when it is not a column, so that nothing but `sexton_at` remembers it.
pub(super) fn hidden_rowid(table: &Table) -> Option<&str> {
    table.rowid.as_deref().filter(|rowid| table.column(rowid).is_none())
}

impl Place<'_> {
    /// The columns that make it up, over `t`.
    pub(super) fn columns(&self) -> Sql {
        match self {
            Place::Rowid(rowid) => Sql::new("t.").name(rowid),
            Place::Key(columns) => Sql::default().names("t.", columns.iter().map(String::as_str)),
        }
    }

    /// The same as one value, for comparisons.
    pub(super) fn tuple(&self) -> Sql {
        match self {
            Place::Key(columns) if columns.len() > 1 => Sql::new("(").add(&self.columns()).text(")"),
            _ => self.columns(),
        }
    }

    /// What an undo table keeps of it in `sexton_at`.
    pub(super) fn at(&self) -> Sql {
        match self {
            Place::Rowid(_) => self.columns(),
            Place::Key(_) => Sql::new("null"),
        }
    }
}

/// Key columns that an undo table needs beside those it copies, with the names they have there: a scratch table may
/// copy fewer columns than the key has.
pub(super) fn extra_keys<'a>(table: &'a Table, undo: &UndoTable) -> Vec<(&'a str, String)> {
    match of(table) {
        Some(Place::Key(columns)) => columns
            .iter()
            .enumerate()
            .filter(|(_, column)| !undo.columns.contains(column))
            .map(|(n, column)| (column.as_str(), format!("sexton_key_{}", n + 1)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The columns of the undo table that hold the place, quoted.
pub(super) fn remembered(table: &Table, undo: &UndoTable) -> String {
    remembered_columns(table, undo).join(", ")
}

fn remembered_columns(table: &Table, undo: &UndoTable) -> Vec<String> {
    let extra = extra_keys(table, undo);
    match of(table) {
        Some(Place::Key(columns)) => {
            let name = |column: &String| match extra.iter().find(|(of, _)| of == column) {
                Some((_, name)) => quote(name),
                None => quote(column),
            };
            columns.iter().map(name).collect()
        }
        _ => vec![targets::db::AT.to_owned()],
    }
}

/// The row `t` is the one that lies where `s`, of the temporary table, says.
pub(super) fn same_as(table: &Table, scratch: &UndoTable) -> Sql {
    let own: Vec<&str> = match of(table) {
        Some(Place::Rowid(rowid)) => vec![rowid],
        Some(Place::Key(columns)) => columns.iter().map(String::as_str).collect(),
        None => return Sql::new("1 = 0"),
    };
    let pairs: Vec<Sql> = own
        .into_iter()
        .zip(remembered_columns(table, scratch))
        .map(|(own, remembered)| Sql::new("t.").name(own).text(&format!(" = s.{remembered}")))
        .collect();
    Sql::join(&pairs, " and ")
}

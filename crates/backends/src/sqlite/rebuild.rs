//! A table made anew with another definition: what `alter table` cannot do, in the order that SQLite's own documentation
//! gives, within the transaction of the caller.
//!
//! References are not enforced on our connections, so nothing is deleted along. Rows keep their hidden rowids, counters of
//! `autoincrement` their state. Whether references broke is for the caller to compare.

use super::session::Link;
use targets::db::{Error, Result, Row, Sql, TableName, Value, quote};

/// What the new table is called until the old one is gone.
const ASIDE: &str = "sexton_anew";

/// Makes the table anew; the statements that ran.
pub(super) fn rebuild(link: &Link, table: &TableName, create: &str) -> Result<Vec<String>> {
    let name = &table.name;
    let mut ran = Vec::new();
    let mut run = |text: String| -> Result<Vec<Row>> {
        let rows = rows(link, &Sql::raw(&text))?;
        ran.push(text);
        Ok(rows)
    };
    let kept = rows(
        link,
        &Sql::new("select type, name, sql from sqlite_schema where tbl_name = ")
            .bind(name.as_str())
            .text(" collate nocase and type in ('table', 'index', 'trigger') and sql is not null order by type, rowid"),
    )?;
    if !kept.iter().any(|row| text(row, 0) == "table") {
        return Err(Error::usage(format!("there is no table `{name}` to make anew"))
            .help("name the table as it is called now"));
    }
    let Some(create) = renamed(create, name) else {
        return Err(Error::usage(format!("what should be made of `{name}` is no `create table {name} (…)`"))
            .help("write the whole definition of the table as it should be, under its own name"));
    };
    let counter = match rows(link, &Sql::new("select 1 from sqlite_schema where name = 'sqlite_sequence'"))?
        .is_empty()
    {
        true => None,
        false => rows(link, &Sql::new("select seq from sqlite_sequence where name = ").bind(name.as_str()))?
            .first()
            .and_then(|row| row.first())
            .and_then(Value::as_int),
    };
    run(create)?;
    let (old, new) = (columns(link, name)?, columns(link, ASIDE)?);
    let same = |column: &&Column| old.iter().any(|known| known.name.eq_ignore_ascii_case(&column.name));
    let mut common: Vec<String> = new.iter().filter(same).map(|column| quote(&column.name)).collect();
    if has_hidden_rowid(link, name, &old)? && has_hidden_rowid(link, ASIDE, &new)? {
        common.insert(0, "rowid".to_owned());
    }
    if common.is_empty() {
        return Err(Error::usage(format!("the new `{name}` has no column of the old one"))
            .help("its rows would be lost: make another table and drop this one"));
    }
    let list = common.join(", ");
    run(format!("insert into {ASIDE} ({list}) select {list} from {}", quote(name)))?;
    run(format!("drop table {}", quote(name)))?;
    // else SQLite refuses to rename while a view or a trigger elsewhere names the table that is gone
    run("pragma legacy_alter_table = on".to_owned())?;
    let renamed = run(format!("alter table {ASIDE} rename to {}", quote(name)));
    run("pragma legacy_alter_table = off".to_owned())?;
    renamed?;
    for row in kept.iter().filter(|row| text(row, 0) != "table") {
        run(text(row, 2).to_owned()).map_err(|error| {
            Error { help: None, ..error }
                .while_doing(&format!("making {} `{}` again", text(row, 0), text(row, 1)))
                .help(format!(
                    "it does not fit the new `{name}`: drop it in a statement before, and make the one that fits after"
                ))
        })?;
    }
    if let Some(counter) = counter {
        run(format!(
            "update sqlite_sequence set seq = max(seq, {counter}) where name = '{}'",
            name.replace('\'', "''")
        ))?;
    }
    for view in rows(link, &Sql::new("select name from sqlite_schema where type = 'view' order by name"))? {
        let view = text(&view, 0);
        run(format!("explain select * from {}", quote(view))).map_err(|error| {
            Error { help: None, ..error }
                .while_doing(&format!("looking at view `{view}`"))
                .help("drop the view in a statement before, and make the one that fits after")
        })?;
    }
    Ok(ran)
}

fn text(row: &Row, n: usize) -> &str {
    row.get(n).and_then(Value::as_text).unwrap_or_default()
}

fn rows(link: &Link, sql: &Sql) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    link.run(sql, &mut |row| {
        all.push(row);
        Ok(())
    })?;
    Ok(all)
}

struct Column {
    name: String,
    integer_key: bool,
}

/// The columns that can be written.
fn columns(link: &Link, table: &str) -> Result<Vec<Column>> {
    let select = Sql::new("select name, type, pk, (select count(*) from pragma_table_xinfo(")
        .bind(table)
        .text(") where pk > 0) from pragma_table_xinfo(")
        .bind(table)
        .text(") where hidden = 0");
    Ok(rows(link, &select)?
        .iter()
        .map(|row| Column {
            name: text(row, 0).to_owned(),
            integer_key: text(row, 1).eq_ignore_ascii_case("integer")
                && row.get(2).and_then(Value::as_int) == Some(1)
                && row.get(3).and_then(Value::as_int) == Some(1),
        })
        .collect())
}

/// Whether rows have a number of their own that no column shows.
fn has_hidden_rowid(link: &Link, table: &str, columns: &[Column]) -> Result<bool> {
    let select = Sql::new("select wr from pragma_table_list where schema = 'main' and name = ").bind(table);
    let without = rows(link, &select)?.first().and_then(|row| row.first()).and_then(Value::as_int) == Some(1);
    let shown = columns.iter().any(|column| column.integer_key || column.name.eq_ignore_ascii_case("rowid"));
    Ok(!without && !shown)
}

/// `create table name …` with the other name; none when it is something else.
fn renamed(create: &str, name: &str) -> Option<String> {
    let mut rest = create.trim_start();
    for word in ["create", "table"] {
        rest = after_word(rest, word)?;
    }
    for word in ["if", "not", "exists"] {
        rest = after_word(rest, word).unwrap_or(rest);
    }
    if let Some((schema, after)) = identifier(rest)
        && let Some(after) = after.trim_start().strip_prefix('.')
    {
        rest = schema.eq_ignore_ascii_case("main").then_some(after)?;
    }
    let (found, rest) = identifier(rest.trim_start())?;
    found.eq_ignore_ascii_case(name).then(|| format!("create table {ASIDE} {}", rest.trim_start()))
}

fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}

fn identifier(text: &str) -> Option<(String, &str)> {
    let close = match text.chars().next()? {
        '"' => Some('"'),
        '`' => Some('`'),
        '[' => Some(']'),
        _ => None,
    };
    match close {
        Some(close) => {
            let end = text[1..].find(close)? + 1;
            Some((text[1..end].to_owned(), &text[end + 1..]))
        }
        None => {
            let end =
                text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
            (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn the_name_of_the_definition_is_replaced_and_nothing_else() {
        let made = |create: &str| renamed(create, "folders");
        assert_eq!(
            made("CREATE TABLE folders (id int references folders (id))").as_deref(),
            Some("create table sexton_anew (id int references folders (id))")
        );
        assert_eq!(
            made("create table if not exists main.\"folders\"(a)").as_deref(),
            Some("create table sexton_anew (a)")
        );
        assert_eq!(made("create table others (a)"), None);
        assert_eq!(made("create index folders on t (a)"), None);
    }
}

//! References that SQLite does not know as such: keys kept as text, or inside JSON; and how to make it keep one.

use targets::db::{Column, Family, ForeignKey, Sql, Table, quote};

/// The text read as a value of the column's type. Digits with or without a sign are a number, up to 18 of them.
pub(super) fn read_as(text: &Sql, column: &Column) -> Option<Sql> {
    match column.family {
        Family::Integer => Some(
            Sql::new("case when trim(")
                .add(text)
                .text(") glob '[-+0-9]*' and substr(trim(")
                .add(text)
                .text("), 2) not glob '*[^0-9]*' and trim(")
                .add(text)
                .text(") not in ('-', '+') and length(trim(")
                .add(text)
                .text(")) < 19 then cast(trim(")
                .add(text)
                .text(") as integer) end"),
        ),
        Family::Text => Some(Sql::new("cast(").add(text).text(" as text)")),
        Family::Any => Some(text.clone()),
        _ => None,
    }
}

/// `$."author"."ids"`, as a parameter.
fn way(path: &[String]) -> Sql {
    let names: Vec<String> = path.iter().map(|name| format!(".{}", quote(name))).collect();
    Sql::default().bind(format!("${}", names.concat()))
}

pub(super) fn json_items(column: &Column, path: &[String]) -> Sql {
    let own = Sql::new("t.").name(&column.name);
    // what is no JSON makes the functions fail
    Sql::new("json_each(case when json_valid(")
        .add(&own)
        .text(") then case when json_type(")
        .add(&own)
        .text(", ")
        .add(&way(path))
        .text(") in ('array', 'integer', 'text') then ")
        .add(&own)
        .text(" end end, ")
        .add(&way(path))
        .text(") as j")
}

pub(super) fn json_without(column: &Column, path: &[String], gone: &Sql) -> Sql {
    let own = Sql::new("t.").name(&column.name);
    let way = way(path);
    // `->` gives each item as the JSON it is; `json` keeps it from becoming a text
    Sql::new("case json_type(")
        .add(&own)
        .text(", ")
        .add(&way)
        .text(") when 'array' then json_set(")
        .add(&own)
        .text(", ")
        .add(&way)
        .text(", json((select json_group_array(json(k.item)) from (select ")
        .add(&own)
        .text(" -> j.fullkey as item from json_each(")
        .add(&own)
        .text(", ")
        .add(&way)
        .text(") as j where not coalesce((")
        .add(gone)
        .text("), 0) order by j.key) as k))) else json_set(")
        .add(&own)
        .text(", ")
        .add(&way)
        .text(", null) end")
}

pub(super) fn keep(table: &Table, key: &ForeignKey, declared: bool) -> Vec<String> {
    if declared {
        return vec!["-- on every connection of the application: pragma foreign_keys = on;".to_owned()];
    }
    let names =
        |columns: &[String]| columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", ");
    vec![format!(
        "-- make {} anew with: foreign key ({}) references {} ({})",
        table.name.quoted(),
        names(&key.columns),
        key.parent.quoted(),
        names(&key.parent_columns)
    )]
}

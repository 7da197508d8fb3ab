//! References that SQLite does not know as such: keys kept as text, or inside JSON; and how to make it keep one.

use targets::db::{Column, Family, ForeignKey, JsonPath, Sql, Table, quote};

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
fn way(names: &[&str]) -> Sql {
    let names: Vec<String> = names.iter().map(|name| format!(".{}", quote(name))).collect();
    Sql::default().bind(format!("${}", names.concat()))
}

pub(super) fn json_items(column: &Column, path: &JsonPath) -> Sql {
    let own = Sql::new("t.").name(&column.name);
    // what is no JSON makes the functions fail
    let mut value = Sql::new("case when json_valid(").add(&own).text(") then ").add(&own).text(" end");
    let each = |value: &Sql, names: &[&str], kinds: &str, alias: &str| {
        Sql::new("json_each(case when json_type(")
            .add(value)
            .text(", ")
            .add(&way(names))
            .text(&format!(") in ({kinds}) then "))
            .add(value)
            .text(" end, ")
            .add(&way(names))
            .text(&format!(") as {alias}"))
    };
    let mut lists = Vec::new();
    for (n, names) in path.lists().iter().enumerate() {
        lists.push(each(&value, names, "'array'", &format!("e{n}")));
        value = item(&format!("e{n}"));
    }
    lists.push(each(&value, &path.end(), "'array', 'integer', 'text'", "j"));
    Sql::join(&lists, ", ")
}

/// An item of a list as JSON: `value` has texts without their quotes.
fn item(alias: &str) -> Sql {
    Sql::new(&format!(
        "case {alias}.type when 'object' then {alias}.value when 'array' then {alias}.value end"
    ))
}

pub(super) fn json_without(column: &Column, path: &JsonPath, gone: &Sql) -> Sql {
    without(&Sql::new("t.").name(&column.name), &path.lists(), &path.end(), gone, 0)
}

/// `value` without what is gone, through the lists on the way from the outermost to the innermost.
fn without(value: &Sql, lists: &[Vec<&str>], end: &[&str], gone: &Sql, depth: usize) -> Sql {
    let way = way(lists.first().map_or(end, Vec::as_slice));
    let set = |new: &Sql| Sql::new("json_set(").add(value).text(", ").add(&way).text(", ").add(new).text(")");
    // `->` gives each item as the JSON it is; `json` keeps it from becoming a text
    let each = |kept: &Sql, alias: &str, only: &Sql| {
        Sql::new("json((select json_group_array(json(")
            .add(kept)
            .text(")) from (select ")
            .add(value)
            .text(&format!(" -> {alias}.fullkey as item from json_each("))
            .add(value)
            .text(", ")
            .add(&way)
            .text(&format!(") as {alias}"))
            .add(only)
            .text(&format!(" order by {alias}.key) as k{depth}))"))
    };
    let item = Sql::new(&format!("k{depth}.item"));
    let list = match lists {
        [_, inner @ ..] => {
            each(&without(&item, inner, end, gone, depth + 1), &format!("e{depth}"), &Sql::default())
        }
        [] => each(&item, "j", &Sql::new(" where not coalesce((").add(gone).text("), 0)")),
    };
    // the value that stands alone; beside it, in other items of a list, may stand one that is not gone
    let alone = || {
        Sql::new("case when (select (")
            .add(gone)
            .text(") from json_each(")
            .add(value)
            .text(", ")
            .add(&way)
            .text(") as j) then ")
            .add(&set(&Sql::new("null")))
            .text(" else ")
            .add(value)
            .text(" end")
    };
    let mut whole = Sql::new("case json_type(")
        .add(value)
        .text(", ")
        .add(&way)
        .text(") when 'array' then ")
        .add(&set(&list));
    if lists.is_empty() {
        for kind in ["integer", "text"] {
            whole = whole.text(&format!(" when '{kind}' then ")).add(&alone());
        }
    }
    whole.text(" else ").add(value).text(" end")
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

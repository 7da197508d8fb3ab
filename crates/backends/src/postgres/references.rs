//! References that PostgreSQL does not know as such: keys kept as text, or inside JSON; and how to make it keep one.

use targets::db::{Column, Error, Family, ForeignKey, JsonPath, Result, Sql, Table, quote};

/// The text read as a value of the column's type. Digits with or without a sign are a number, up to 18 of them.
pub(super) fn read_as(text: &Sql, column: &Column) -> Option<Sql> {
    let when =
        |pattern: &str| {
            Sql::new("case when ").add(text).text(&format!(" ~ '{pattern}' then cast(")).add(text).text(
                &format!(" as {}) end", if column.family == Family::Integer { "bigint" } else { "uuid" }),
            )
        };
    match column.family {
        Family::Integer => Some(when("^ *[-+]?[0-9]{1,18} *$")),
        Family::Uuid => Some(when("^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")),
        Family::Text => Some(Sql::new("cast(").add(text).text(" as text)")),
        _ => None,
    }
}

/// The column as JSON that can be looked into.
fn json(column: &Column) -> Result<Sql> {
    if column.family != Family::Json {
        return Err(Error::usage(format!(
            "`{}` is {}: what is no JSON could not be told apart",
            column.name, column.declared
        ))
        .help(format!(
            "make it JSON: alter table … alter column {0} type jsonb using {0}::jsonb",
            quote(&column.name)
        )));
    }
    Ok(Sql::new("cast(t.").name(&column.name).text(" as jsonb)"))
}

fn way(names: &[&str]) -> Sql {
    let names: Vec<Sql> = names.iter().map(|name| Sql::new("cast(").bind(*name).text(" as text)")).collect();
    Sql::new("cast(array[").add(&Sql::join(&names, ", ")).text("] as text[])")
}

/// What lies in a JSON value at the end of some names.
fn at(value: &Sql, names: &[&str]) -> Sql {
    Sql::new("(").add(value).text(" #> ").add(&way(names)).text(")")
}

pub(super) fn json_items(column: &Column, path: &JsonPath) -> Result<Sql> {
    let mut value = json(column)?;
    let mut lists = Vec::new();
    for (n, names) in path.lists().iter().enumerate() {
        let at = at(&value, names);
        lists.push(
            Sql::new("jsonb_array_elements(case jsonb_typeof(")
                .add(&at)
                .text(") when 'array' then ")
                .add(&at)
                .text(&format!(" end) as e{n}(item)")),
        );
        value = Sql::new(&format!("e{n}.item"));
    }
    let at = at(&value, &path.end());
    lists.push(
        Sql::new("jsonb_array_elements_text(case jsonb_typeof(")
            .add(&at)
            .text(") when 'array' then ")
            .add(&at)
            .text(" when 'string' then jsonb_build_array(")
            .add(&at)
            .text(") when 'number' then jsonb_build_array(")
            .add(&at)
            .text(") else '[]'::jsonb end) as j(value)"),
    );
    Ok(Sql::join(&lists, " cross join lateral "))
}

pub(super) fn json_without(column: &Column, path: &JsonPath, gone: &Sql) -> Result<Sql> {
    let whole = without(&json(column)?, &path.lists(), &path.end(), gone, 0);
    Ok(Sql::new("cast(").add(&whole).text(&format!(" as {})", column.declared)))
}

/// `value` without what is gone, through the lists on the way from the outermost to the innermost.
fn without(value: &Sql, lists: &[Vec<&str>], end: &[&str], gone: &Sql, depth: usize) -> Sql {
    let names = lists.first().map_or(end, Vec::as_slice);
    let at = at(value, names);
    let set = |new: &Sql| match names {
        [] => new.clone(),
        _ => Sql::new("jsonb_set(").add(value).text(", ").add(&way(names)).text(", ").add(new).text(")"),
    };
    let item = Sql::new(&format!("e{depth}.item"));
    let each = |kept: &Sql, only: &Sql| {
        Sql::new("(select coalesce(jsonb_agg(")
            .add(kept)
            .text(&format!(" order by e{depth}.n), '[]'::jsonb) from jsonb_array_elements("))
            .add(&at)
            .text(&format!(") with ordinality as e{depth}(item, n)"))
            .add(only)
            .text(")")
    };
    let list = match lists {
        [_, inner @ ..] => each(&without(&item, inner, end, gone, depth + 1), &Sql::default()),
        [] => {
            let only = Sql::new(" cross join lateral (select ")
                .add(&item)
                .text(" #>> '{}' as value) as j where (")
                .add(gone)
                .text(") is not true");
            each(&item, &only)
        }
    };
    // the value that stands alone; beside it, in other items of a list, may stand one that is not gone
    let alone = || {
        Sql::new("case when (select (")
            .add(gone)
            .text(") is true from (select ")
            .add(&at)
            .text(" #>> '{}' as value) as j) then ")
            .add(&set(&Sql::new("'null'::jsonb")))
            .text(" else ")
            .add(value)
            .text(" end")
    };
    let mut whole = Sql::new("case jsonb_typeof(").add(&at).text(") when 'array' then ").add(&set(&list));
    if lists.is_empty() {
        for kind in ["string", "number"] {
            whole = whole.text(&format!(" when '{kind}' then ")).add(&alone());
        }
    }
    whole.text(" else ").add(value).text(" end")
}

// The first statement needs its lock for a moment only, the second lets others read and write.
pub(super) fn keep(table: &Table, key: &ForeignKey, declared: bool) -> Vec<String> {
    let name = quote(&key.name);
    let names =
        |columns: &[String]| columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", ");
    let mut statements = Vec::new();
    if !declared {
        statements.push(format!(
            "alter table {} add constraint {name} foreign key ({}) references {} ({}) not valid;",
            table.name.quoted(),
            names(&key.columns),
            key.parent.quoted(),
            names(&key.parent_columns)
        ));
    }
    statements.push(format!("alter table {} validate constraint {name};", table.name.quoted()));
    statements
}

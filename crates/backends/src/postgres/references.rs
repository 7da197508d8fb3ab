//! References that PostgreSQL does not know as such: keys kept as text, or inside JSON; and how to make it keep one.

use targets::db::{Column, Error, Family, ForeignKey, Result, Sql, Table, quote};

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

/// The JSON at the end of the path.
fn at(column: &Column, path: &[String]) -> Result<Sql> {
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
    Ok(Sql::new("(cast(t.").name(&column.name).text(" as jsonb) #> ").add(&way(path)).text(")"))
}

fn way(path: &[String]) -> Sql {
    let names: Vec<Sql> =
        path.iter().map(|name| Sql::new("cast(").bind(name.as_str()).text(" as text)")).collect();
    Sql::new("cast(array[").add(&Sql::join(&names, ", ")).text("] as text[])")
}

pub(super) fn json_items(column: &Column, path: &[String]) -> Result<Sql> {
    let at = at(column, path)?;
    Ok(Sql::new("jsonb_array_elements_text(case jsonb_typeof(")
        .add(&at)
        .text(") when 'array' then ")
        .add(&at)
        .text(" when 'string' then jsonb_build_array(")
        .add(&at)
        .text(") when 'number' then jsonb_build_array(")
        .add(&at)
        .text(") else '[]'::jsonb end) as j(value)"))
}

pub(super) fn json_without(column: &Column, path: &[String], gone: &Sql) -> Result<Sql> {
    let at = at(column, path)?;
    let kept = Sql::new(
        "(select coalesce(jsonb_agg(e.item order by e.n), '[]'::jsonb) from jsonb_array_elements(",
    )
    .add(&at)
    .text(") with ordinality as e(item, n) cross join lateral (select e.item #>> '{}' as value) as j where (")
    .add(gone)
    .text(") is not true)");
    let set = |value: &Sql| match path {
        [] => value.clone(),
        _ => Sql::new("jsonb_set(cast(t.")
            .name(&column.name)
            .text(" as jsonb), ")
            .add(&way(path))
            .text(", ")
            .add(value)
            .text(")"),
    };
    Ok(Sql::new("cast(case jsonb_typeof(")
        .add(&at)
        .text(") when 'array' then ")
        .add(&set(&kept))
        .text(" else ")
        .add(&set(&Sql::new("'null'::jsonb")))
        .text(&format!(" end as {})", column.declared)))
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

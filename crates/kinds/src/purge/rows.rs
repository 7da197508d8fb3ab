//! Which rows a target means: age, condition, number, size, joined with "and".

use super::options::Target;
use crate::sweep::Newest;
use engine::{Error, Planning, Result};
use targets::db::{Age as AgeTest, Facts, Family, Sql, Table, Value};

/// Which rows, over the alias `t`.
pub struct Which {
    /// The condition.
    pub condition: Sql,
    /// Rows whose age cannot be read.
    pub unreadable: Option<Sql>,
    /// The part that a person wrote.
    pub raw: Option<String>,
    /// What stays of each group, with the rest of the rule.
    pub newest: Option<Newest>,
    /// What a person checks: the cut-off and the like.
    pub facts: Vec<(String, String)>,
}

/// Reads the target's rules. A rule without any limit is refused: it would empty the table.
pub fn which(target: &Target, table: &Table, facts: &mut dyn Facts, planning: &Planning) -> Result<Which> {
    let zone = engine::age::zone(target.zone.as_deref().unwrap_or("UTC"))?;
    let mut parts: Vec<Sql> = Vec::new();
    let mut shown = Vec::new();
    let mut unreadable = None;
    let mut age_test = None;

    if let Some(column) = &target.age_column {
        let column = table.expect_column(column)?;
        let age = target.older_than.clone().unwrap_or(engine::age::Age("1 second".to_owned()));
        let cutoff = age.cutoff(planning.now, &zone)?;
        let test = facts.dialect().age(column, target.epoch_unit, &cutoff)?;
        if target.older_than.is_some() {
            parts.push(test.older.clone());
            let moment = age.before(planning.now)?;
            shown.push((
                "cut-off".to_owned(),
                format!("{} before {} ({} ago)", column.name, said(moment), age.0),
            ));
        }
        unreadable = test.unreadable.clone();
        age_test = Some(test);
    } else if target.older_than.is_some() {
        return Err(Error::usage(format!(
            "`older_than` of `{}` needs the column that says how old a row is",
            target.table
        ))
        .help("say `age_column = \"created_at\"`"));
    }
    if let Some(column) = &target.expires {
        let column = table.expect_column(column)?;
        let test =
            facts.dialect().age(column, target.epoch_unit, &engine::age::cutoff(planning.now, &zone))?;
        shown.push(("expired".to_owned(), format!("{} before {}", column.name, said(planning.now))));
        parts.push(test.older.clone());
        unreadable = unreadable.or(test.unreadable.clone());
        age_test.get_or_insert(test);
    }
    for more in &target.and_older {
        let column = table.expect_column(&more.column)?;
        let Some(age) = &more.than else {
            return Err(Error::usage(format!("`and_older` on `{}` needs `than`", more.column)));
        };
        let test = facts.dialect().age(column, target.epoch_unit, &age.cutoff(planning.now, &zone)?)?;
        parts.push(test.older);
        shown.push(("and".to_owned(), format!("{} before {}", column.name, said(age.before(planning.now)?))));
    }
    if let Some(condition) = &target.condition {
        // A line end, so that a comment in the condition cannot swallow the bracket.
        parts.push(Sql::new("(").add(&Sql::raw(condition)).text("\n)"));
        shown.push(("where".to_owned(), condition.clone()));
    }
    let mut newest = None;
    let by = target.age_column.as_ref().or(target.expires.as_ref());
    let by = by.cloned().or_else(|| ordering_column(table)).unwrap_or_default();
    if let Some(keep) = target.keep_newest {
        if target.per.is_empty() {
            parts.push(beyond_newest(keep, target, table, age_test.as_ref(), facts)?);
        } else {
            newest = Some(newest_of_each(keep, target, table, age_test.as_ref())?);
        }
        shown.push(("keep".to_owned(), format!("the newest {keep} by {by}{}", per(target))));
    }
    if let Some(size) = &target.max_size {
        parts.push(beyond_size(bytes(size)?, target, table, age_test.as_ref(), facts)?);
        shown.push(("keep".to_owned(), format!("the newest rows by {by} up to {size}")));
    }
    if let Some(newest) = &mut newest {
        newest.rest = if parts.is_empty() { Sql::new("1 = 1") } else { Sql::join(&parts, " and ") };
        parts.push(newest.condition());
    }
    if parts.is_empty() {
        return Err(Error::usage(format!(
            "the rule for `{}` has no limit: every row would go",
            target.table
        ))
        .help("say `older_than`, `expires`, `where`, `keep_newest` or `max_size`"));
    }
    Ok(Which {
        condition: Sql::join(&parts, " and "),
        unreadable,
        raw: target.condition.clone(),
        newest,
        facts: shown,
    })
}

/// A moment to the second, for people.
fn said(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn per(target: &Target) -> String {
    if target.per.is_empty() { String::new() } else { format!(" for each {}", target.per.join(", ")) }
}

/// What "newest" means: the age, then the key; `prefix` is the alias.
fn order(target: &Target, table: &Table, age: Option<&AgeTest>) -> Result<(Option<Sql>, Vec<String>)> {
    let key = match (&table.key, &table.rowid) {
        (Some(key), _) => key.columns.clone(),
        (None, Some(rowid)) => vec![rowid.clone()],
        (None, None) => {
            return Err(Error::usage(format!(
                "`{}` has no key, so its newest rows cannot be told",
                target.table
            ))
            .help("give the table a primary key, or use `older_than`"));
        }
    };
    if age.is_none() && ordering_column(table).is_none() {
        return Err(Error::usage(format!(
            "which rows of `{}` are newest cannot be told by its key {}: it does not grow with every row",
            target.table,
            key.join(", ")
        ))
        .help("say which column does: `age_column = \"created_at\"`"));
    }
    Ok((age.map(|age| age.instant.clone()), key))
}

/// The column that the database itself lets grow from row to row, where the key is one. Text, UUIDs, and numbers that an
/// application gives are in no such order.
fn ordering_column(table: &Table) -> Option<String> {
    let key = match (&table.key, &table.rowid) {
        (Some(key), _) => match key.columns.as_slice() {
            [only] => only,
            _ => return None,
        },
        (None, rowid) => return rowid.clone(),
    };
    if table.rowid.as_ref() == Some(key) {
        return Some(key.clone());
    }
    let column = table.expect_column(key).ok().filter(|column| column.family == Family::Integer)?;
    let counted = column.identity || column.default.as_ref().is_some_and(|text| text.contains("nextval("));
    counted.then(|| key.clone())
}

fn values(age: &Option<Sql>, key: &[String]) -> Vec<Sql> {
    age.iter().cloned().chain(key.iter().map(|column| Sql::new("t.").name(column))).collect()
}

/// Rows beyond the newest `keep` in all.
fn beyond_newest(
    keep: u64,
    target: &Target,
    table: &Table,
    age: Option<&AgeTest>,
    facts: &mut dyn Facts,
) -> Result<Sql> {
    let (age, key) = order(target, table, age)?;
    let all = values(&age, &key);
    let descending: Vec<Sql> = all.iter().map(|value| value.clone().text(" desc")).collect();
    let mut select =
        Sql::new("select ").add(&Sql::join(&all, ", ")).text(" from ").table(&table.name).text(" as t");
    if let Some(age) = &age {
        select = select.text(" where ").add(age).text(" is not null");
    }
    let select = select
        .text(" order by ")
        .add(&Sql::join(&descending, ", "))
        .text(" limit 1 offset ")
        .bind(keep as i64);
    Ok(match facts.rows(&select)?.into_iter().next() {
        Some(boundary) => at_or_below(&all, boundary),
        None => Sql::new("1 = 0"),
    })
}

/// The newest `keep` rows of each group.
fn newest_of_each(keep: u64, target: &Target, table: &Table, age: Option<&AgeTest>) -> Result<Newest> {
    for column in &target.per {
        table.expect_column(column)?;
    }
    let (age, key) = order(target, table, age)?;
    let (table, per) = (table.clone(), target.per.clone());
    Ok(Newest { keep, table, per, age, key, rest: Sql::default(), at_least: 1 })
}

/// The oldest rows beyond a size: the sum of row sizes from the newest down.
fn beyond_size(
    most: u64,
    target: &Target,
    table: &Table,
    age: Option<&AgeTest>,
    facts: &mut dyn Facts,
) -> Result<Sql> {
    let (age, key) = order(target, table, age)?;
    let all = values(&age, &key);
    // Rows whose age cannot be read stay, so their size counts before any other; the databases disagree about where
    // NULL belongs.
    let staying = age.iter().map(|age| Sql::new("case when ").add(age).text(" is null then 0 else 1 end"));
    let descending: Vec<Sql> = staying.chain(all.iter().map(|value| value.clone().text(" desc"))).collect();
    let named: Vec<Sql> =
        all.iter().enumerate().map(|(n, value)| value.clone().text(&format!(" as v{n}"))).collect();
    let names: Vec<String> = (0..all.len()).map(|n| format!("s.v{n}")).collect();
    let bytes = facts.dialect().row_bytes(table);
    let sums = Sql::new("select ")
        .add(&Sql::join(&named, ", "))
        .text(&format!(", sum({bytes}) over (order by "))
        .add(&Sql::join(&descending, ", "))
        .text(") as sexton_sum from ")
        .table(&table.name)
        .text(" as t");
    let first_beyond = Sql::new(&format!("select {} from (", names.join(", ")))
        .add(&sums)
        .text(") as s where s.v0 is not null and s.sexton_sum > ")
        .bind(most as i64)
        .text(" order by s.sexton_sum limit 1");
    Ok(match facts.rows(&first_beyond)?.into_iter().next() {
        Some(boundary) => at_or_below(&all, boundary),
        None => Sql::new("1 = 0"),
    })
}

fn at_or_below(values: &[Sql], boundary: Vec<Value>) -> Sql {
    let bounds: Vec<Sql> = boundary.into_iter().map(|value| Sql::default().bind(value)).collect();
    Sql::new("(").add(&Sql::join(values, ", ")).text(") <= (").add(&Sql::join(&bounds, ", ")).text(")")
}

/// Reads `5 GB`.
pub fn bytes(text: &str) -> Result<u64> {
    let refuse = || Error::usage(format!("`{text}` is not a size")).help("write it like `500 MB` or `5 GB`");
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().map_err(|_| refuse())?;
    let unit = match text[split..].trim().to_ascii_uppercase().as_str() {
        "B" => 1.0,
        "KB" | "K" => 1024.0,
        "MB" | "M" => 1024.0 * 1024.0,
        "GB" | "G" => 1024.0 * 1024.0 * 1024.0,
        "TB" | "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(refuse()),
    };
    Ok((number * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(bytes("5 GB").unwrap(), 5 << 30);
        assert_eq!(bytes("1.5MB").unwrap(), 3 << 19);
        assert!(bytes("5").is_err());
        assert!(bytes("much").is_err());
    }
}

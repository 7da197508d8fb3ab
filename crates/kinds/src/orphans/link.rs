//! One reference, looked up in the schema: which columns mean which parent, and the condition that no parent is there.
//!
//! The condition is an anti-join: a NULL among the parent's keys cannot hide an orphan, and a NULL reference is none.

use super::options::{Reference, Target};
use engine::{Error, Result};
use targets::db::{Column, Dialect, Family, ForeignKey, JsonPath, Key, Schema, Sql, Table, TableKind, Value};

/// One reference of a table.
#[derive(Debug, Clone)]
pub struct Link {
    /// The table that refers.
    pub table: Table,
    /// The referring columns, each with the column it refers to.
    pub pairs: Vec<(Column, Column)>,
    /// The table referred to.
    pub parent: Table,
    /// What a parent must satisfy, over `p`.
    pub parent_where: Option<String>,
    /// The column that says which table is meant, and its value for this one.
    pub of_type: Option<(Column, String)>,
    /// The way to the references inside a JSON column.
    pub json: Option<JsonPath>,
    /// As the database declares it.
    pub declared: Option<ForeignKey>,
}

/// How the values of two columns are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// As they are.
    AsIs,
    /// The child's text is read as the parent's type.
    Read,
    /// The child's value is written as text.
    Written,
}

/// The references of a target: those it names, or the declared ones.
pub fn links(target: &Target, table: &Table, schema: &Schema, dialect: &dyn Dialect) -> Result<Vec<Link>> {
    let mut all = Vec::new();
    for reference in target.all_references() {
        match reference.columns.is_empty() {
            true => all.extend(declared(&reference, table, schema)?),
            false => all.push(named(&reference, table, schema)?),
        }
    }
    for link in &all {
        for pair in &link.pairs {
            link.compared(pair, dialect)?;
        }
    }
    Ok(all)
}

/// Every reference that a table declares to a table that is there.
pub fn declared_links(table: &Table, schema: &Schema) -> Result<Vec<Link>> {
    let mut all = Vec::new();
    for key in &table.references {
        if super::guess::why_broken(table, key, schema).is_some() {
            continue;
        }
        if let Some(parent) = schema.table(&key.parent) {
            let columns = key.columns.clone();
            all.push(link(
                &Reference::default(),
                table,
                columns,
                parent,
                key.parent_columns.clone(),
                Some(key.clone()),
            )?);
        }
    }
    Ok(all)
}

/// All declared references, or those to one parent.
fn declared(reference: &Reference, table: &Table, schema: &Schema) -> Result<Vec<Link>> {
    let parent = reference.parent.as_deref().map(|name| schema.find(name)).transpose()?;
    let meant: Vec<&ForeignKey> =
        table.references.iter().filter(|key| parent.is_none_or(|parent| key.parent == parent.name)).collect();
    if meant.is_empty() {
        let what = match parent {
            Some(parent) => format!("`{}` declares no reference to `{}`", table.name, parent.name),
            None => format!("`{}` declares no reference", table.name),
        };
        return Err(Error::usage(what).help("say which: `columns = [\"user_id\"]`, `parent = \"users\"`"));
    }
    meant
        .into_iter()
        .map(|key| {
            let parent = schema.table(&key.parent).ok_or_else(|| {
                Error::usage(format!("`{}`, to which `{}` refers, is not there", key.parent, table.name))
                    .help("its rows cannot be judged without it: name the tables that can, or restore it")
            })?;
            link(reference, table, key.columns.clone(), parent, key.parent_columns.clone(), Some(key.clone()))
        })
        .collect()
}

/// A reference of which the configuration names the columns.
fn named(reference: &Reference, table: &Table, schema: &Schema) -> Result<Link> {
    for column in &reference.columns {
        table.expect_column(column)?;
    }
    let parent = reference.parent.as_deref().map(|name| schema.find(name)).transpose()?;
    let plain = reference.json.is_none() && reference.type_column.is_none();
    let key = table.references.iter().find(|key| {
        plain && key.columns == reference.columns && parent.is_none_or(|parent| key.parent == parent.name)
    });
    let parent = match (parent, key) {
        (Some(parent), _) => parent,
        (None, Some(key)) => schema.find(&key.parent.to_string())?,
        (None, None) => {
            return Err(Error::usage(format!(
                "`{}` declares no reference with the columns {}",
                table.name,
                reference.columns.join(", ")
            ))
            .help("say to which table they refer: `parent = \"…\"`"));
        }
    };
    let parent_columns = match (&reference.parent_columns, key) {
        (columns, _) if !columns.is_empty() => columns.clone(),
        (_, Some(key)) => key.parent_columns.clone(),
        (_, None) => key_of(parent, reference.columns.len()),
    };
    let key = key.filter(|key| key.parent_columns == parent_columns);
    link(reference, table, reference.columns.clone(), parent, parent_columns, key.cloned())
}

/// The key by which a table is referred to: the primary key, which comes first among the unique ones. (SQLite lets its
/// columns be NULL, and then it tells no rows apart, but it is meant all the same.)
pub fn key_of(parent: &Table, columns: usize) -> Vec<String> {
    let fits = |key: &&Key| key.columns.len() == columns;
    let key = parent.uniques.first().filter(fits).or_else(|| parent.key.as_ref().filter(fits));
    key.map(|key| key.columns.clone()).unwrap_or_default()
}

fn link(
    reference: &Reference,
    table: &Table,
    columns: Vec<String>,
    parent: &Table,
    parent_columns: Vec<String>,
    declared: Option<ForeignKey>,
) -> Result<Link> {
    if columns.len() != parent_columns.len() {
        return Err(Error::usage(format!(
            "{} of `{}` cannot refer to {} of `{}`",
            said(&columns),
            table.name,
            said(&parent_columns),
            parent.name
        ))
        .help("say as many `parent_columns` as `columns`"));
    }
    let pairs = columns.iter().zip(&parent_columns);
    let pairs: Result<Vec<_>> = pairs
        .map(|(own, above)| Ok((table.expect_column(own)?.clone(), parent.expect_column(above)?.clone())))
        .collect();
    let of_type = match (&reference.type_column, &reference.type_value) {
        (Some(column), Some(value)) => Some((table.expect_column(column)?.clone(), value.clone())),
        _ => None,
    };
    Ok(Link {
        table: table.clone(),
        pairs: pairs?,
        parent: parent.clone(),
        parent_where: reference.parent_where.clone(),
        of_type,
        json: reference.json.as_deref().map(JsonPath::read).transpose()?,
        declared,
    })
}

fn said(columns: &[String]) -> String {
    if columns.is_empty() { "no column".to_owned() } else { format!("({})", columns.join(", ")) }
}

impl Link {
    /// How it is called in reports: `user_id`, or `data$.ids`.
    pub fn name(&self) -> String {
        let columns: Vec<&str> = self.columns().collect();
        match &self.json {
            Some(path) => format!("{}$.{path}", columns.join(", ")),
            None => columns.join(", "),
        }
    }

    /// The referring columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(own, _)| own.name.as_str())
    }

    /// The columns referred to.
    pub fn parent_columns(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(_, above)| above.name.as_str())
    }

    /// Whether the table refers to itself.
    pub fn is_self(&self) -> bool {
        self.table.name == self.parent.name
    }

    /// How a pair is compared: different types only where each value means exactly one of the other type.
    pub fn compared(&self, (own, above): &(Column, Column), dialect: &dyn Dialect) -> Result<Compared> {
        let readable = |column: &Column| dialect.read_as(&Sql::new("t.x"), column).is_some();
        let found = match self.json.is_some() {
            true => readable(above).then_some(Compared::Read),
            false if is_alike(own, above) => Some(Compared::AsIs),
            false if own.family == Family::Text && readable(above) => Some(Compared::Read),
            false if above.family == Family::Text && readable(own) => Some(Compared::Written),
            false => None,
        };
        found.ok_or_else(|| {
            Error::usage(format!(
                "`{}.{}` ({}) and `{}.{}` ({}) cannot be compared without guessing",
                self.table.name, own.name, own.declared, self.parent.name, above.name, above.declared
            ))
            .help("give both columns the same type first")
        })
    }

    /// The value of a referring column as the parent's column has it.
    fn value(&self, pair: &(Column, Column), dialect: &dyn Dialect) -> Result<Sql> {
        let plain = match self.json.is_some() {
            true => Sql::new("j.value"),
            false => Sql::new("t.").name(&pair.0.name),
        };
        Ok(match self.compared(pair, dialect)? {
            Compared::AsIs => plain,
            Compared::Read => dialect.read_as(&plain, &pair.1).unwrap_or(plain),
            Compared::Written => Sql::new("cast(").add(&plain).text(" as text)"),
        })
    }

    /// The rows that the reference is about, over `t`; empty when that is all.
    pub fn is_meant(&self, dialect: &dyn Dialect) -> Option<Sql> {
        let (column, value) = self.of_type.as_ref()?;
        Some(
            Sql::new("t.")
                .name(&column.name)
                .text(" = ")
                .add(&dialect.inward(column, Value::Text(value.clone()))),
        )
    }

    /// The condition, over `t`, that the row refers to a parent that is not there.
    pub fn is_broken(&self, dialect: &dyn Dialect) -> Result<Sql> {
        let mut parts: Vec<Sql> = self.is_meant(dialect).into_iter().collect();
        match &self.json {
            None => parts.push(self.finds_none(dialect)?),
            Some(path) => parts.push(
                Sql::new("exists (select 1 from ")
                    .add(&dialect.json_items(&self.pairs[0].0, path)?)
                    .text(" where ")
                    .add(&self.finds_none(dialect)?)
                    .text(")"),
            ),
        }
        Ok(Sql::join(&parts, " and "))
    }

    /// The condition that a value refers to no parent: over `t`, or over `j` inside JSON.
    pub fn finds_none(&self, dialect: &dyn Dialect) -> Result<Sql> {
        let mut present = Vec::new();
        let mut same = Vec::new();
        for pair in &self.pairs {
            let value = self.value(pair, dialect)?;
            let certain = pair.0.not_null && self.compared(pair, dialect)? == Compared::AsIs;
            if !certain {
                present.push(value.clone().text(" is not null and "));
            }
            same.push(Sql::new("p.").name(&pair.1.name).text(" = ").add(&value));
        }
        Ok(Sql::join(&present, "")
            .text("not exists (select 1 from ")
            .add(&self.parents(&Sql::join(&same, " and ")))
            .text(")"))
    }

    /// The same as a join of the parents, and the condition that none was found; none where a row could find several, and
    /// so be counted several times. What is joined has columns of names that no table has, so that a condition over `t`
    /// without the `t.` still means the table.
    pub fn joined(&self, n: usize, dialect: &dyn Dialect) -> Result<Option<(Sql, Sql)>> {
        let of_key = |key: &Key| key.columns.iter().all(|name| self.parent_columns().any(|own| own == name));
        let finds_one =
            self.parent.uniques.iter().any(of_key) || self.parent.key.as_ref().is_some_and(of_key);
        // A key of a table that others inherit from says nothing about their rows.
        let inherited = self.parent.kind == TableKind::Ordinary && !self.parent.children.is_empty();
        if self.json.is_some() || !finds_one || inherited {
            return Ok(None);
        }
        let mut columns = Vec::new();
        let mut same = Vec::new();
        let mut missing: Vec<Sql> = self.is_meant(dialect).into_iter().collect();
        for (k, pair) in self.pairs.iter().enumerate() {
            let value = self.value(pair, dialect)?;
            columns.push(Sql::new("p.").name(&pair.1.name).text(&format!(" as sexton_{n}_{k}")));
            same.push(Sql::new(&format!("a{n}.sexton_{n}_{k} = ")).add(&value));
            missing.push(value.text(" is not null"));
        }
        missing.push(Sql::new(&format!("a{n}.sexton_{n}_0 is null")));
        let join = Sql::new(" left join (select ")
            .add(&Sql::join(&columns, ", "))
            .text(" from ")
            .add(&self.parents(&Sql::default()))
            .text(&format!(") as a{n} on "))
            .add(&Sql::join(&same, " and "));
        Ok(Some((join, Sql::join(&missing, " and "))))
    }

    /// `parent as p where …`, the condition of the configuration included.
    pub fn parents(&self, condition: &Sql) -> Sql {
        let mut conditions: Vec<Sql> = Vec::new();
        if !condition.is_empty() {
            conditions.push(condition.clone());
        }
        if let Some(raw) = &self.parent_where {
            // A line end, so that a comment in the condition cannot swallow the bracket.
            conditions.push(Sql::new("(").add(&Sql::raw(raw)).text("\n)"));
        }
        let from = Sql::default().table(&self.parent.name).text(" as p");
        if conditions.is_empty() { from } else { from.text(" where ").add(&Sql::join(&conditions, " and ")) }
    }

    /// The condition, over `t`, that a reference is there but cannot be read as a key of the parent.
    pub fn is_unreadable(&self, dialect: &dyn Dialect) -> Result<Option<Sql>> {
        if self.json.is_some() {
            return Ok(None);
        }
        let mut wrong = Vec::new();
        for pair in &self.pairs {
            if self.compared(pair, dialect)? == Compared::Read {
                let value = self.value(pair, dialect)?;
                wrong.push(
                    Sql::new("t.").name(&pair.0.name).text(" is not null and ").add(&value).text(" is null"),
                );
            }
        }
        if wrong.is_empty() {
            return Ok(None);
        }
        let wrong = Sql::new("(").add(&Sql::join(&wrong, " or ")).text(")");
        Ok(Some(match self.is_meant(dialect) {
            Some(meant) => meant.text(" and ").add(&wrong),
            None => wrong,
        }))
    }

    /// Whether the database itself could keep the reference: then it names every parent, by a unique key of one type.
    pub fn could_be_declared(&self) -> bool {
        let columns: Vec<&str> = self.parent_columns().collect();
        let same = |key: &Key| key.columns.iter().map(String::as_str).eq(columns.iter().copied());
        self.parent_where.is_none()
            && self.of_type.is_none()
            && self.json.is_none()
            && self.pairs.iter().all(|(own, above)| is_alike(own, above))
            && (self.parent.uniques.iter().any(same) || self.parent.key.as_ref().is_some_and(same))
    }
}

/// Whether the database compares values of the two columns by itself, and rightly.
pub fn is_alike(a: &Column, b: &Column) -> bool {
    use Family::*;
    let number = |family| matches!(family, Integer | Real | Numeric);
    match (a.family, b.family) {
        (Any, _) | (_, Any) => true,
        (Other, Other) => a.declared == b.declared,
        (x, y) => x == y || (number(x) && number(y)),
    }
}

//! Which of several duplicates stays (W-081): rules as a person says them become an order.

use super::options::Options;
use super::task::{Node, Order, Reference};
use engine::{Error, Result};
use targets::db::{Cutoff, Dialect, EpochUnit, Sql, Table};

/// The order, and the joins it needs.
pub fn order(options: &Options, node: &Node, age: Option<&Sql>) -> Result<(Vec<Order>, Sql)> {
    let mut rules = options.survivor.clone();
    if rules.is_empty() {
        rules.push("most_dependants".to_owned());
        rules.extend(age.map(|_| "oldest".to_owned()));
    }
    let mut joins = Sql::default();
    let mut order = Vec::new();
    for said in rules {
        let (value, descending) = rule(&said, node, age, &mut joins)?;
        let counts = said.trim().starts_with("most");
        order.push(Order { said, value, descending, counts });
    }
    Ok((order, joins))
}

fn rule(said: &str, node: &Node, age: Option<&Sql>, joins: &mut Sql) -> Result<(Sql, bool)> {
    let unknown = || {
        Error::usage(format!("`{said}` does not say which row stays")).help(
            "the rules are most_dependants, most TABLE, oldest, newest, lowest_key, highest_key, highest COLUMN, lowest COLUMN, \
             COLUMN = VALUE",
        )
    };
    let column = |name: &str| node.table.expect_column(name).map(|column| Sql::new("t.").name(&column.name));
    let said = said.trim();
    if let Some((name, value)) = said.split_once('=') {
        let own = column(name.trim())?;
        let value = value.trim().trim_matches('\'');
        return Ok((
            Sql::new("case when cast(").add(&own).text(" as text) = ").bind(value).text(" then 1 else 0 end"),
            true,
        ));
    }
    let words: Vec<&str> = said.split_whitespace().collect();
    match (words.as_slice(), age) {
        (["most_dependants"], _) => Ok((dependants(node, |_| true, joins), true)),
        (["most", table], _) => {
            let meant = |reference: &Reference| {
                let name = &reference.node.table.name;
                name.to_string() == *table || name.name == *table
            };
            if !node.references.iter().any(meant) {
                return Err(Error::usage(format!("`{table}` does not refer to `{}`", node.table.name))
                    .help("name a table that does, or declare the reference under `references`"));
            }
            Ok((dependants(node, meant, joins), true))
        }
        (["oldest"], Some(age)) => Ok((age.clone(), false)),
        (["newest"], Some(age)) => Ok((age.clone(), true)),
        (["lowest_key"], _) => Ok((column(&node.values[0])?, false)),
        (["highest_key"], _) => Ok((column(&node.values[0])?, true)),
        (["highest", name], _) => Ok((column(name)?, true)),
        (["lowest", name], _) => Ok((column(name)?, false)),
        _ => Err(unknown()),
    }
}

/// How many rows refer to `t`. Where no index leads to them, the table that refers is read once and counted.
fn dependants(node: &Node, meant: impl Fn(&Reference) -> bool, joins: &mut Sql) -> Sql {
    let mut sum = vec![Sql::new("0")];
    for (n, reference) in node.references.iter().enumerate().filter(|(_, reference)| meant(reference)) {
        let table = &reference.node.table.name;
        let same: Vec<Sql> = reference
            .columns
            .iter()
            .zip(&reference.to)
            .map(|(column, to)| Sql::new("x.").name(column).text(" = t.").name(&node.values[*to]))
            .collect();
        if reference.indexed {
            sum.push(
                Sql::new("(select count(*) from ")
                    .table(table)
                    .text(" as x where ")
                    .add(&Sql::join(&same, " and "))
                    .text(")"),
            );
            continue;
        }
        let alias = format!("q{n}");
        if !joins.shown().contains(&format!(" as {alias} on ")) {
            *joins = joins.clone().add(&counted(node, reference, &alias));
        }
        sum.push(Sql::new(&format!("coalesce({alias}.many, 0)")));
    }
    Sql::join(&sum, " + ")
}

/// A join of the rows that refer through one reference, counted for each row of the node: never more than one line for a row.
fn counted(node: &Node, reference: &Reference, alias: &str) -> Sql {
    let table = &reference.node.table.name;
    let names = Sql::default().names("", reference.columns.iter().map(String::as_str));
    let groups = Sql::new("select ")
        .add(&names)
        .text(", count(*) as many from ")
        .table(table)
        .text(" group by ")
        .add(&names);
    let meets = |row: &str, to: &str| {
        let pairs = reference.columns.iter().zip(&reference.to);
        let same: Vec<Sql> = pairs
            .map(|(column, to_n)| {
                Sql::new(&format!("{row}.")).name(column).text(&format!(" = {to}.")).name(&node.values[*to_n])
            })
            .collect();
        Sql::join(&same, " and ")
    };
    if node.compares_alike(reference) {
        return Sql::new(" left join (")
            .add(&groups)
            .text(&format!(") as {alias} on "))
            .add(&meets(alias, "t"));
    }
    // `2`, `'2'` and `2.0` are three groups there and meet one row.
    let key = |prefix: &str| Sql::default().names(prefix, node.key().iter().map(String::as_str));
    let same: Vec<Sql> = node
        .key()
        .iter()
        .map(|column| Sql::new(&format!("{alias}.")).name(column).text(" = t.").name(column))
        .collect();
    Sql::new(" left join (select ")
        .add(&key("y."))
        .text(", sum(g.many) as many from (")
        .add(&groups)
        .text(") as g join ")
        .table(&node.table.name)
        .text(" as y on ")
        .add(&meets("g", "y"))
        .text(" group by ")
        .add(&key("y."))
        .text(&format!(") as {alias} on "))
        .add(&Sql::join(&same, " and "))
}

/// How old a row is, as something that sorts.
pub fn age(options: &Options, table: &Table, dialect: &dyn Dialect) -> Result<Option<Sql>> {
    let Some(name) = &options.age_column else { return Ok(None) };
    let column = table.expect_column(name)?;
    // Only the order is wanted: any moment will do.
    let cutoff = Cutoff { instant_us: 0, civil: "1970-01-01 00:00:00.000000".to_owned() };
    Ok(Some(dialect.age(column, EpochUnit::Auto, &cutoff)?.instant))
}

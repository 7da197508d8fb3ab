//! What a surviving row takes over from the others, column by column.

use super::options::FieldRule;
use super::task::{Field, Node, numbered};
use targets::db::{Dialect, Sql};

/// One row for each row that stays, with what the others bring for each field: `g0`, …, and how old that is: `b0`, ….
pub fn gathered(node: &Node, fields: &[Field], map: &str, aged: bool) -> Sql {
    let stays = numbered("m.n", node.key).join(", ");
    let mut inner = Sql::new(&format!(
        "select {stays}, row_number() over (partition by {stays} order by m.nth) as leads, first_value(m.s) over (partition by {stays} order by m.nth) as s"
    ));
    for (n, field) in fields.iter().enumerate() {
        let value = format!("m.f{n}");
        let given = format!("case when {value} is null then 1 else 0 end");
        let gathered = match field.rule {
            FieldRule::Sum => format!("sum({value}) over (partition by {stays})"),
            FieldRule::Min => format!("min({value}) over (partition by {stays})"),
            FieldRule::Max => format!("max({value}) over (partition by {stays})"),
            FieldRule::FirstNonEmpty => format!(
                "first_value({value}) over (partition by {stays} order by case when {value} is null or cast({value} as \
                 text) = '' then 1 else 0 end, m.nth)"
            ),
            FieldRule::Longest => format!(
                "first_value({value}) over (partition by {stays} order by {given}, length(cast({value} as text)) desc, m.nth)"
            ),
            FieldRule::Newest => format!(
                "first_value({value}) over (partition by {stays} order by {given}, case when m.a is null then 1 else 0 end, \
                 m.a desc, m.nth)"
            ),
        };
        inner = inner.text(&format!(", {gathered} as g{n}"));
        if field.rule == FieldRule::Newest && aged {
            let age = format!("max(case when {value} is not null then m.a end) over (partition by {stays})");
            inner = inner.text(&format!(", {age} as b{n}"));
        }
    }
    // The key comes from the table itself: a value that was computed has no type on SQLite, and an index on it is not used
    // to find the row it belongs to.
    let mut sql = Sql::new("select q.leads, q.s");
    for (n, column) in node.key().iter().enumerate() {
        sql = sql.text(", t.").name(column).text(&format!(" as n{n}"));
    }
    for (n, field) in fields.iter().enumerate() {
        sql = sql.text(&format!(", q.g{n}"));
        if field.rule == FieldRule::Newest && aged {
            sql = sql.text(&format!(", q.b{n}"));
        }
    }
    sql.text(" from (")
        .add(&inner)
        .text(&format!(" from {map} as m where m.deed = 2) as q join "))
        .table(&node.table.name)
        .text(" as t on ")
        .add(&node.is("t", "q", "n"))
        .text(" where q.leads = 1")
}

/// The new value of a field: the row that stays is `t`, what the others bring is `g`.
fn taken_over(field: &Field, n: usize, age: Option<&Sql>) -> Sql {
    let own = Sql::new("t.").name(&field.column);
    let brought = format!("g.g{n}");
    let one_of = |condition: Sql| {
        Sql::new("case when ")
            .add(&own)
            .text(" is null or ")
            .add(&condition)
            .text(&format!(" then coalesce({brought}, "))
            .add(&own)
            .text(") else ")
            .add(&own)
            .text(" end")
    };
    let text = Sql::new("cast(").add(&own).text(" as text)");
    match field.rule {
        FieldRule::Sum => Sql::new(&format!("case when {brought} is null then "))
            .add(&own)
            .text(" else coalesce(")
            .add(&own)
            .text(&format!(", 0) + {brought} end")),
        FieldRule::Min => one_of(Sql::new(&format!("{brought} < ")).add(&own)),
        FieldRule::Max => one_of(Sql::new(&format!("{brought} > ")).add(&own)),
        FieldRule::FirstNonEmpty => one_of(text.text(" = ''")),
        FieldRule::Longest => {
            one_of(Sql::new(&format!("length(cast({brought} as text)) > length(")).add(&text).text(")"))
        }
        FieldRule::Newest => match age {
            Some(age) => one_of(Sql::new(&format!("g.b{n} > ")).add(age)),
            None => one_of(Sql::new("1 = 0")),
        },
    }
}

/// `t` differs from what it becomes with what `g` brings.
pub fn differs(fields: &[Field], age: Option<&Sql>, dialect: &dyn Dialect) -> Sql {
    let each: Vec<Sql> = fields
        .iter()
        .enumerate()
        .map(|(n, field)| {
            let own = Sql::new("t.").name(&field.column);
            Sql::new("not (").add(&dialect.same(&taken_over(field, n, age), &own)).text(")")
        })
        .collect();
    Sql::new("(").add(&Sql::join(&each, " or ")).text(")")
}

/// The new values, over `t`; `brought` is the temporary table made from [`gathered`].
pub fn changes(node: &Node, fields: &[Field], age: Option<&Sql>, brought: &str) -> Vec<(String, Sql)> {
    fields
        .iter()
        .enumerate()
        .map(|(n, field)| {
            let value = Sql::new("(select ")
                .add(&taken_over(field, n, age))
                .text(&format!(" from {brought} as g where "))
                .add(&node.is("t", "g", "n"))
                .text(")");
            (field.column.clone(), value)
        })
        .collect()
}

//! References of tables that were there, which rows would break while they come. They are away as long as the copy goes on; when it
//! fails or is stopped they are put back for every new row, and a resumed run takes them away again.

use engine::{Result, Work};
use targets::db::{Facts, Sql, Value};

/// Where it is kept what is away.
pub const RELEASED: &str = "released";

/// What takes a reference away, what declares it again for new rows, and what looks at all rows then, if anything does.
pub type Released = [String; 3];

/// From what takes references away and puts them back, in the same order.
pub fn parts(release: &[String], restore: &[String]) -> Vec<Released> {
    let mut restore = restore.iter().peekable();
    let mut parts = Vec::new();
    for release in release {
        let Some(declare) = restore.next() else { break };
        let validate = restore.next_if(|sql| sql.contains(" validate constraint "));
        parts.push([release.clone(), declare.clone(), validate.cloned().unwrap_or_default()]);
    }
    parts
}

/// These references of the run are away now.
pub fn note(released: &[Released], work: &mut Work) -> Result<()> {
    if released.is_empty() {
        return Ok(());
    }
    let own = work.dialect().own(RELEASED);
    let create = Sql::new("create table if not exists ").table(&own).text(
        " (run text not null, release text not null, restore text not null, validate text not null, \
         is_back boolean not null)",
    );
    work.record(&create)?;
    let earlier = Sql::new("delete from ").table(&own).text(" where run = ").bind(work.point());
    work.record(&earlier)?;
    for [release, restore, validate] in released {
        let insert = Sql::new("insert into ")
            .table(&own)
            .text(" values (")
            .bind(work.point())
            .text(", ")
            .bind(release.as_str())
            .text(", ")
            .bind(restore.as_str())
            .text(", ")
            .bind(validate.as_str())
            .text(", false)");
        work.record(&insert)?;
    }
    Ok(())
}

/// Puts back what is away: how many references.
pub fn put_back(work: &mut Work) -> Result<usize> {
    let away = turn(false, work)?;
    for [_, restore, _] in &away {
        work.statement(restore)?;
    }
    Ok(away.len())
}

/// Takes away again what was put back.
pub fn take_again(work: &mut Work) -> Result<()> {
    for [release, ..] in turn(true, work)? {
        work.statement(&release)?;
    }
    Ok(())
}

/// What puts all references of a run back as they were, wherever they are now: first they are away, then they are there.
pub fn as_they_were(run: &str, facts: &mut dyn Facts) -> Result<(Vec<String>, Vec<String>)> {
    let own = facts.dialect().own(RELEASED);
    if facts.count(&facts.dialect().exists(&own))? == 0 {
        return Ok(Default::default());
    }
    let all = Sql::new("select release, restore, validate from ").table(&own).text(" where run = ").bind(run);
    let rows = facts.rows(&all)?;
    let of = |row: &[Value]| -> Vec<String> {
        let all = row.iter().filter_map(Value::as_text).filter(|sql| !sql.is_empty());
        all.map(str::to_owned).collect()
    };
    let (mut away, mut back) = (Vec::new(), Vec::new());
    for row in &rows {
        away.extend(of(&row[..1]));
        back.extend(of(&row[1..]));
    }
    Ok((away, back))
}

/// Those of the run that are back, or are not, and from now on are the other.
fn turn(are_back: bool, work: &mut Work) -> Result<Vec<Released>> {
    let own = work.dialect().own(RELEASED);
    if work.count(&work.dialect().exists(&own))? == 0 {
        return Ok(Vec::new());
    }
    let point = work.point().to_owned();
    let ours = |sql: Sql| {
        let is_back = if are_back { " and is_back" } else { " and not is_back" };
        sql.text(" where run = ").bind(point.as_str()).text(is_back)
    };
    let rows = work.rows(&ours(Sql::new("select release, restore, validate from ").table(&own)))?;
    if !rows.is_empty() {
        let turned = if are_back { " set is_back = false" } else { " set is_back = true" };
        work.record(&ours(Sql::new("update ").table(&own).text(turned)))?;
    }
    let text = |value: &Value| value.as_text().unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| [text(&row[0]), text(&row[1]), text(&row[2])]).collect())
}

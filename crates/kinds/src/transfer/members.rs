//! What the documents of the source hold where its own views, triggers, indexes and checks read them.

use super::design::Profiles;
use super::documents::{is_plain, odd};
use super::profile::Profile;
use super::source::{Source, SourceTable};
use super::translate::members::{Member, Path};
use engine::Result;
use targets::db::{Facts, Seen, Sql};

/// Whole numbers that a float holds, every one of them.
const EXACT: i64 = 1 << 53;

/// Asks what a design has met and did not know; whether there was anything.
pub fn ask(source: &Source, profiles: &Profiles, facts: &mut dyn Facts) -> Result<bool> {
    let mut any = false;
    for table in &source.tables {
        for (n, profile) in profiles.get(table.name()).into_iter().flatten().enumerate() {
            if let Some(ways) = profile.members.wanted() {
                any = true;
                let name = &table.table.columns[n].name;
                let found = of_column(table, name, profile, ways, facts).map_err(|error| {
                    error.while_doing(&format!("looking at the documents of `{}.{name}`", table.name()))
                })?;
                profile.members.answer(found);
            }
        }
    }
    Ok(any)
}

fn of_column(
    table: &SourceTable,
    column: &str,
    profile: &Profile,
    ways: Vec<Path>,
    facts: &mut dyn Facts,
) -> Result<Option<Vec<(Path, Member)>>> {
    let nothing = |ways: Vec<Path>| ways.into_iter().map(|way| (way, Member::Nothing)).collect();
    if profile.values() == 0 {
        return Ok(Some(nothing(ways)));
    }
    if profile.values() != profile.texts || profile.empty > 0 {
        return Ok(None);
    }
    let other = Sql::new("select count(*) from (select 1 from ")
        .table(&table.table.name)
        .text(" where ")
        .name(column)
        .text(" is not null and not json_valid(")
        .name(column)
        .text(") limit 1)");
    if facts.count(&other)? > 0 {
        return Ok(None);
    }
    let mut sql = Sql::new("select ").name(column);
    for way in &ways {
        let way = way.written();
        // numbers as they are written: a float of SQLite's does not tell what the server reads
        sql = sql.text(", json_type(").name(column).text(", ").bind(way.clone()).text("), ");
        sql = sql.name(column).text(" -> ").bind(way);
    }
    sql = sql.text(" from ").table(&table.table.name).text(" where ").name(column).text(" is not null");
    let mut all = true;
    let mut kinds = vec![Kinds::default(); ways.len()];
    facts.scan(&sql, &mut |row| {
        if let (true, Some((Seen::Text(text), members))) = (all, row.split_first()) {
            all = is_plain(text) && odd(text).is_none();
            for (kinds, member) in kinds.iter_mut().zip(members.chunks(2)) {
                if let [Seen::Text(kind), Seen::Text(written)] = member {
                    kinds.see(kind, written);
                }
            }
        }
        Ok(())
    })?;
    let found = ways.into_iter().zip(kinds.iter().map(Kinds::member)).collect();
    Ok(all.then_some(found))
}

/// Which kinds of members there are.
#[derive(Debug, Clone, Default)]
struct Kinds {
    text: bool,
    whole: bool,
    /// Whole numbers of which a float is not sure.
    large: bool,
    real: bool,
    truth: bool,
    other: bool,
}

impl Kinds {
    fn see(&mut self, kind: &str, written: &str) {
        match kind {
            "null" => {}
            "text" => self.text = true,
            "true" | "false" => self.truth = true,
            "integer" | "real" => match (written.parse::<i64>(), written.parse::<f64>()) {
                (Ok(number), _) => {
                    self.whole = true;
                    self.large |= !(-EXACT..=EXACT).contains(&number);
                }
                // neither infinite nor so small that the server says so
                (_, Ok(number)) if number == 0.0 || (1e-307..=f64::MAX).contains(&number.abs()) => {
                    self.real = true;
                    self.other |= number == 0.0 && is_small(written);
                }
                _ => self.other = true,
            },
            _ => self.other = true,
        }
    }

    fn member(&self) -> Member {
        let numbers = self.whole || self.real;
        match (self.text, numbers, self.truth) {
            _ if self.other => Member::Other,
            (false, false, false) => Member::Nothing,
            (true, false, false) => Member::Text,
            (false, false, true) => Member::Truth,
            (false, true, false) if !self.real => Member::Whole,
            (false, true, false) if !self.whole => Member::Real,
            (false, true, false) if !self.large => Member::Number,
            _ => Member::Other,
        }
    }
}

/// Whether a number that a float takes for zero is none.
fn is_small(written: &str) -> bool {
    let digits = written.split(['e', 'E']).next().unwrap_or_default();
    digits.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{Kinds, Member};

    #[test]
    fn numbers_are_of_the_kind_that_holds_all_of_them() {
        for (written, member) in [
            (&["1", "-7"] as &[_], Member::Whole),
            (&["9223372036854775807"], Member::Whole),
            (&["9223372036854775808"], Member::Real),
            (&["1.5", "1e3"], Member::Real),
            (&["1.5", "1"], Member::Number),
            (&["1.5", "9007199254740993"], Member::Other),
            (&["1e400"], Member::Other),
            (&["1e-400"], Member::Other),
            (&["0.0", "-0.0e5"], Member::Real),
            (&[], Member::Nothing),
        ] {
            let mut kinds = Kinds::default();
            written.iter().for_each(|number| kinds.see("real", number));
            assert_eq!(kinds.member(), member, "{written:?}");
        }
    }
}

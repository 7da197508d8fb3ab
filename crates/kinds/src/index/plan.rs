//! Which indexes go, and why others stay.

use super::options::Options;
use super::task::Task;
use crate::inspect;
use crate::inspection::{Advice, advise, backs, lasting, may_go, serves_alone};
use crate::upkeep;
use engine::words::of;
use engine::{Error, Finding, Level, Planned, Planning, Result, Step, Undo};
use targets::db::{Chore, Facts, IndexFacts, Schema};

/// An index goes as fast as its file can be forgotten.
const USUAL: f64 = 2e9;

/// What is known of the whole database.
struct Known<'a> {
    options: &'a Options,
    look: &'a inspect::Look,
    advice: &'a Advice<'a>,
    schema: &'a Schema,
}

pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let looking = inspect::Options { standbys: options.standbys.clone(), ..inspect::Options::default() };
    let look = looking.look(facts, planning)?;
    let mut planned = Planned { findings: look.findings.clone(), ..Planned::default() };
    let Some(indexes) = look.all.indexes.known() else {
        let why = look.all.missing().into_iter().find(|(part, ..)| *part == "indexes");
        let (_, why, help) = why.unwrap_or_default();
        return Err(Error::system(format!("the indexes cannot be looked at: {why}")).help(help));
    };
    let advice = advise(&look.all, &look.around.elsewhere);
    let schema = facts.schema()?;
    let known = Known { options, look: &look, advice: &advice, schema: &schema };
    let mut wanted: Vec<(&IndexFacts, String, bool)> = Vec::new();
    for name in &options.drop {
        wanted.push((named(name, indexes)?, "named".to_owned(), true));
    }
    known.candidates(planning, &mut wanted, &mut planned.findings)?;
    let mut steps: Vec<(u64, Step)> = Vec::new();
    let upkeep = facts.upkeep(None)?;
    for (n, (index, why, by_name)) in wanted.iter().enumerate() {
        if wanted[..n].iter().any(|(before, ..)| before.name == index.name) {
            continue;
        }
        let of_index = upkeep.indexes.iter().find(|one| one.name == index.name);
        let against = known.against(index, *by_name);
        if let Some(finding) = against.or_else(|| rights(index, of_index.is_none_or(|one| one.may))) {
            // Whoever forces it gets what was named.
            let stays = !(*by_name && finding.forcible);
            let finding = if *by_name { finding } else { Finding { level: Level::Note, ..finding } };
            planned.findings.push(finding);
            if stays {
                continue;
            }
        }
        steps.extend(known.step(index, why, facts)?.map(|step| (index.bytes.unwrap_or(0), step)));
    }
    let bytes = steps.iter().map(|(bytes, _)| bytes).sum();
    planned.expected_seconds = (!steps.is_empty()).then(|| upkeep::expected(bytes, USUAL, planning.earlier));
    planned.undo = Some(match steps.is_empty() {
        true => Undo::NotNeeded,
        false => Undo::Rows { until: planning.kept_until()?, bytes: None },
    });
    planned.outside = steps.iter().any(|(_, step)| Task::of(step).is_ok_and(|task| task.beside));
    planned.steps = steps.into_iter().map(|(_, step)| step).collect();
    Ok(planned)
}

impl Known<'_> {
    /// Those that are wanted for what they are, not by their names.
    fn candidates<'a>(
        &'a self,
        planning: &Planning,
        wanted: &mut Vec<(&'a IndexFacts, String, bool)>,
        findings: &mut Vec<Finding>,
    ) -> Result<()> {
        let Options { unused_for, redundant, invalid, at_least_mb, .. } = self.options;
        let large = |index: &IndexFacts| index.bytes.unwrap_or(0) >= at_least_mb << 20;
        if *invalid {
            let all = self.advice.invalid.iter().filter(|index| large(index));
            wanted.extend(all.map(|index| (*index, "it was left half built".to_owned(), false)));
        }
        if *redundant {
            for (index, other) in self.advice.duplicate.iter().filter(|(index, _)| large(index)) {
                wanted.push((index, format!("it is the same as `{}`", other.name), false));
            }
            for (index, other) in self.advice.redundant.iter().filter(|(index, _)| large(index)) {
                let why = format!("it is the beginning of `{}`, which finds the same rows", other.name);
                wanted.push((index, why, false));
            }
        }
        let Some(age) = unused_for else { return Ok(()) };
        let seconds = age.about_seconds()?;
        let Some(counted) = self.counted() else {
            findings.push(Finding::note(
                "not_counted",
                &self.look.all.server.database,
                "nobody counts here how often an index is used",
                "name the indexes that are to go, or say `redundant = true`",
            ));
            return Ok(());
        };
        if counted < seconds {
            findings.push(Finding::warning(
                "young_statistics",
                &self.look.all.server.database,
                format!(
                    "use is counted for {} only, and `unused_for` asks for {}: no index is judged by it",
                    lasting(counted),
                    age.0
                ),
                "run it again when the counters are old enough; nothing is reset by that",
            ));
            return Ok(());
        }
        if let Some(unseen) = self.unseen() {
            findings.push(Finding::warning(
                "standbys_unseen",
                &self.look.all.server.database,
                format!(
                    "the use of indexes on {} is not known: no index is judged by it",
                    of(unseen as u64, "standby", "standbys")
                ),
                "name them: `standbys = [\"…\"]` of the operation, or --standbys",
            ));
            return Ok(());
        }
        let since = planning.now.as_second() - seconds as i64;
        for index in self.look.all.indexes.known().into_iter().flatten().filter(|index| large(index)) {
            let never = self.uses(index) == Some(0);
            let long_ago = index.last_scan.is_some_and(|last| last < since) && self.elsewhere(index) == 0;
            let plain = may_go(index) && index.valid && !index.building;
            if plain && (never || long_ago) && serves_alone(&self.look.all, index).is_none() {
                wanted.push((index, format!("nothing has used it for {}", age.0), false));
            }
        }
        Ok(())
    }

    /// For how many seconds use is counted; none where nobody counts.
    fn counted(&self) -> Option<f64> {
        let any = self.look.all.indexes.known().into_iter().flatten().any(|index| index.scans.is_some());
        self.look.all.counters.known().and_then(|counters| counters.seconds).filter(|_| any)
    }

    /// How many standbys were not asked, if any.
    fn unseen(&self) -> Option<usize> {
        let replicas = self.look.all.replication.known().map_or(0, |replication| replication.replicas.len());
        Some(replicas.saturating_sub(self.look.around.asked)).filter(|unseen| *unseen > 0)
    }

    fn elsewhere(&self, index: &IndexFacts) -> u64 {
        self.look.around.elsewhere.get(&index.name).copied().unwrap_or(0)
    }

    fn uses(&self, index: &IndexFacts) -> Option<u64> {
        Some(index.scans? + self.elsewhere(index))
    }

    /// Why an index must not go; what may be forced is forcible.
    fn against(&self, index: &IndexFacts, by_name: bool) -> Option<Finding> {
        let all = &self.look.all;
        let name = &index.name;
        if index.primary || index.constraint.is_some() {
            let constraint = index.constraint.as_ref().unwrap_or(&name.name);
            return Some(Finding::forbid(
                "constraint",
                name,
                format!("it keeps the constraint `{constraint}` of `{}`", index.table),
                "a rule of the data goes by a migration, not as an index: `alter table … drop constraint …`",
            ));
        }
        if index.identity {
            return Some(Finding::forbid(
                "identity",
                name,
                format!(
                    "`{}` is clustered by it, or its rows are told apart by it in replication",
                    index.table
                ),
                "give the table another replica identity first: `alter table … replica identity …`",
            ));
        }
        if index.attached {
            return Some(Finding::forbid(
                "partitioned",
                name,
                "it is an index of a partitioned table, or a part of one, and cannot go beside others",
                "drop that of the whole table by a migration: `drop index …`",
            ));
        }
        if let Some(reference) = backs(all, index) {
            return Some(Finding::forbid(
                "referenced",
                name,
                format!("`{}` refers to what only it keeps unique", reference.table),
                "drop the foreign key first, or make another unique index",
            ));
        }
        if index.building {
            return Some(Finding::forbid(
                "building",
                name,
                "somebody builds it at this moment",
                "wait for that",
            ));
        }
        if index.definition.is_none() {
            return Some(Finding::forbid(
                "held",
                name,
                format!("somebody holds `{}`, so what makes the index cannot be read", index.table),
                "try again in a moment",
            ));
        }
        let covered = |(known, _): &(&IndexFacts, &IndexFacts)| known.name == *name;
        let superfluous = self.advice.duplicate.iter().chain(&self.advice.redundant).any(covered);
        if superfluous || !index.valid {
            return None;
        }
        if let Some(reference) = serves_alone(all, index) {
            return Some(Finding::refuse(
                "foreign_key",
                name,
                format!(
                    "it is the only index for the foreign key `{}` to `{}`: without it each delete there reads the whole of `{}`",
                    reference.name, reference.parent, index.table
                ),
                "keep it, or use `--force` if nothing is ever deleted there",
            ));
        }
        if index.unique {
            return Some(Finding::refuse(
                "unique",
                name,
                format!("it keeps rows of `{}` unique, which nothing does without it", index.table),
                "keep it, or use `--force` if that is no rule any more",
            ));
        }
        match self.uses(index).filter(|_| by_name) {
            Some(uses) if uses > 0 => {
                let counted = self
                    .counted()
                    .map_or_else(|| "since the counters began".to_owned(), |s| format!("in {}", lasting(s)));
                Some(Finding::refuse(
                    "in_use",
                    name,
                    format!("it was used {} {counted}", of(uses, "time", "times")),
                    "look which queries need it; `--force` drops it all the same, and an undo builds it again",
                ))
            }
            _ => None,
        }
    }

    fn step(&self, index: &IndexFacts, why: &str, facts: &mut dyn Facts) -> Result<Option<Step>> {
        let makes = facts.dialect().makes_index(&index.name);
        let definition = facts.value(&makes)?.as_text().map(str::to_owned);
        let Some((definition, table)) = definition.zip(self.schema.table(&index.table)) else {
            return Ok(None);
        };
        let chore = Chore::DropIndex { index: index.name.clone() };
        let outside = facts.dialect().spell(&chore).statement.filter(|_| self.options.concurrently);
        let task = Task {
            index: index.name.clone(),
            table: table.clone(),
            definition: definition.clone(),
            beside: outside.is_some(),
            why: why.to_owned(),
            bytes: index.bytes,
            uses: self.uses(index),
            chores: vec![chore],
        };
        let about = vec![
            ("why".to_owned(), why.to_owned()),
            ("table".to_owned(), index.table.to_string()),
            ("size".to_owned(), task.size()),
            ("uses".to_owned(), self.use_said(index)),
            ("made by".to_owned(), definition),
        ];
        let statement = outside.unwrap_or_else(|| format!("drop index {}", index.name.quoted()));
        task.step(statement, about).map(Some)
    }

    /// `never in 45 days, here and on 2 standbys`.
    fn use_said(&self, index: &IndexFacts) -> String {
        let Some(uses) = self.uses(index) else { return "nobody counts them here".to_owned() };
        let times = if uses == 0 { "never".to_owned() } else { of(uses, "time", "times") };
        let counted = self.counted().map_or_else(String::new, |seconds| format!(" in {}", lasting(seconds)));
        let asked = match self.look.around.asked as u64 {
            0 => String::new(),
            n => format!(", here and on {}", of(n, "standby", "standbys")),
        };
        let unseen = match self.unseen() {
            None => String::new(),
            Some(n) => format!("; not known on {}", of(n as u64, "standby", "standbys")),
        };
        format!("{times}{counted}{asked}{unseen}")
    }
}

fn rights(index: &IndexFacts, may: bool) -> Option<Finding> {
    (!may).then(|| {
        Finding::forbid(
            "permission",
            &index.name,
            "this user may not drop it",
            format!("run it as the owner of {}", index.table.quoted()),
        )
    })
}

/// The one index of this name.
fn named<'a>(name: &str, indexes: &'a [IndexFacts]) -> Result<&'a IndexFacts> {
    let is = |index: &&IndexFacts| {
        index.name.name == name || index.name.to_string() == name || index.name.quoted() == name
    };
    let found: Vec<&IndexFacts> = indexes.iter().filter(is).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let some: Vec<String> = indexes.iter().take(5).map(|index| index.name.to_string()).collect();
            Err(Error::usage(format!("there is no index `{name}`"))
                .help(format!("`sexton inspect` lists them; some there are: {}", some.join(", "))))
        }
        several => {
            let names: Vec<String> = several.iter().map(|index| index.name.quoted()).collect();
            Err(Error::usage(format!("`{name}` could be {}", names.join(" or "))).help("give the schema too"))
        }
    }
}

//! Which rows will arrive: every table on its way, with what its references and the demands of the target make of its rows, asked
//! beforehand. A row that is kept aside takes those with it that refer to it, so this is asked again until nothing changes.

use super::convert::Misfit;
use super::demands::{self, Ask, Asked};
use super::design::{Design, NewTable};
use super::existing::{self, Demands};
use super::expressed;
use super::look::{self, Checked, LOST, Looked};
use super::machines::Machines;
use super::options::Options;
use super::plan;
use super::references::Doubt;
use super::refusals;
use super::source::{Source, SourceTable};
use super::task::{ASIDE, Broken, Carry, Twice};
use super::twice;
use engine::words::count;
use engine::{Finding, Result, Tell};
use std::collections::{BTreeSet, HashSet};
use targets::db::{Facts, Row, Sql, Value};

/// What must be known to tell.
pub struct Asking<'a> {
    /// What was asked for.
    pub options: &'a Options,
    /// What there is.
    pub source: &'a Source,
    /// What was seen in it, where somebody has looked.
    pub looked: &'a Looked,
    /// The tables of the target.
    pub design: &'a Design,
    /// What they demand.
    pub demands: &'a Demands,
    /// Who runs programs.
    pub machines: &'a Machines,
    /// The tables are there.
    pub are_there: bool,
    /// Everything arrived before: only what changed rows then is asked.
    pub again: bool,
    /// Who is told how far it is.
    pub tell: &'a Tell<'a>,
}

impl<'a> Asking<'a> {
    /// The tables on their way, and what is told of their rows.
    pub fn all(
        &self,
        sessions: &mut [Box<dyn Facts>],
        target: &mut dyn Facts,
    ) -> Result<(Vec<Carry>, Vec<Finding>)> {
        let (mut carries, mut doubts, mut findings) = (Vec::new(), Vec::new(), Vec::new());
        let aside = self.kept_aside(target)?;
        for (table, from) in self.tables() {
            let mut carry = plan::carry(self.options, from, table);
            if aside.contains(from.name()) {
                // whatever is said now
                carry.keep_aside();
            }
            let references = match self.are_there {
                true => existing::references(table, self.design, target)?,
                false => table.references.clone(),
            };
            for reference in references.iter().filter(|_| !self.again || carry.expects(Misfit::Reference)) {
                let is_whole = self.looked.ids.are_whole(from.name(), reference);
                let place = (carries.len(), &carry);
                doubts.extend(Doubt::about(place, from, reference, (self.source, self.options), is_whole));
            }
            carries.push(carry);
        }
        let are_right = look::each(&doubts, sessions, |doubt, reader| doubt.ask(reader))?;
        for (doubt, is_right) in doubts.iter_mut().zip(are_right) {
            doubt.is_right = is_right;
        }
        let parents = match self.are_there {
            true => demands::of_parents(self.design, target)?,
            false => Vec::new(),
        };
        let reader = plan::first(sessions)?;
        let mut checked = Vec::new();
        for (n, (table, from)) in self.tables().enumerate() {
            carries[n].broken = broken(&doubts, n);
            let parents = parents.iter().filter(|(name, _)| *name == table.name.quoted());
            let parents: Vec<Asked> = parents.map(|(_, asked)| asked.clone()).collect();
            let checks = self.demands.checks.get(&table.name.quoted()).map(Vec::as_slice).unwrap_or_default();
            for asked in [(Misfit::Check, checks), (Misfit::Reference, parents.as_slice())] {
                if !self.again || carries[n].expects(asked.0) {
                    let (refused, told) = demands::ask(&self.ask(&carries[n]), asked, reader, target)?;
                    carries[n].refused.extend(refused);
                    findings.extend(told);
                }
            }
            let (twice, told) = self.twice(table, from, &carries[n], reader, target)?;
            carries[n].twice = twice;
            findings.extend(told);
            checked.push(match self.is_proven(from, &carries[n], &doubts) {
                true => Checked::default(),
                false => self.check(&carries[n], reader)?,
            });
        }
        self.lose_children(&mut carries, &mut checked, &mut doubts, &mut findings, reader)?;
        for (carry, checked) in carries.iter().zip(&checked) {
            findings.extend(refusals::of_values(carry, &checked.met, checked.aside));
        }
        Ok((carries, findings))
    }

    /// The tables of which rows were kept aside.
    fn kept_aside(&self, target: &mut dyn Facts) -> Result<HashSet<String>> {
        let own = target.dialect().own(ASIDE);
        if !self.again || target.count(&target.dialect().exists(&own))? == 0 {
            return Ok(HashSet::new());
        }
        let tables = Sql::new("select distinct source_table from ")
            .table(&own)
            .text(" where source = ")
            .bind(self.options.source.as_str());
        let name = |row: &Row| row.first().and_then(Value::as_text).map(str::to_owned);
        Ok(target.rows(&tables)?.iter().filter_map(name).collect())
    }

    fn tables(&self) -> impl Iterator<Item = (&'a NewTable, &'a SourceTable)> {
        let from = |table: &NewTable| self.source.tables.iter().find(|one| one.name() == table.source);
        self.design.tables.iter().filter_map(move |table| Some((table, from(table)?)))
    }

    fn ask<'c>(&'c self, carry: &'c Carry) -> Ask<'c> {
        Ask { carry, machines: self.machines, domains: &self.demands.domains }
    }

    fn check(&self, carry: &Carry, reader: &mut dyn Facts) -> Result<Checked> {
        let rows = self.looked.sizes.get(&carry.table).map_or(0, |size| size.rows);
        look::check(carry, self.machines, rows, reader, self.tell)
    }

    /// Keys of the target in which rows are equal that the source tells apart.
    fn twice(
        &self,
        table: &NewTable,
        from: &SourceTable,
        carry: &Carry,
        reader: &mut dyn Facts,
        target: &mut dyn Facts,
    ) -> Result<(Vec<Twice>, Vec<Finding>)> {
        let (mut all, mut findings) = (Vec::new(), Vec::new());
        if self.again && !carry.expects(Misfit::Duplicate) {
            return Ok((all, findings));
        }
        let there = match self.are_there {
            true => target.schema()?.table(&table.name).cloned(),
            false => None,
        };
        let keys = there.as_ref().map_or_else(|| twice::of_new(table), twice::of_existing);
        let seen = self.looked.profiles.get(from.name()).map(Vec::as_slice).unwrap_or_default();
        let rows = self.looked.sizes.get(from.name()).map_or(0, |size| size.rows);
        for (name, columns) in keys {
            let place = |name: &String| carry.columns.iter().position(|column| column.target == *name);
            // what the source does not give is the default of the target
            let Some(places) = columns.iter().map(place).collect::<Option<Vec<usize>>>() else { continue };
            if places.is_empty() || twice::are_kept_apart(from, carry, &places, seen) {
                continue;
            }
            let (twice, told) = twice::ask(carry, (&name, &places), rows, self.machines, reader)?;
            all.extend(twice);
            findings.extend(told);
        }
        if let Some(there) = there {
            let (twice, told) = expressed::ask(&self.ask(carry), &there, rows, reader, target)?;
            all.extend(twice);
            findings.extend(told);
        }
        Ok((all, findings))
    }

    /// Whether it is known without a look at its rows that all of them arrive as they are, or nobody needs to know.
    fn is_proven(&self, from: &SourceTable, carry: &Carry, doubts: &[Doubt]) -> bool {
        if self.again {
            return !carry.may_lose_rows() || !doubts.iter().any(|doubt| doubt.parent() == carry.table);
        }
        let seen = self.looked.profiles.get(from.name()).map(Vec::as_slice).unwrap_or_default();
        let is_whole = carry.broken.is_empty() && carry.refused.is_empty() && carry.twice.is_empty();
        !self.are_there && is_whole && plan::proven(self.options, from, carry, seen)
    }

    /// Rows that refer to those that are kept aside have lost their parents.
    fn lose_children(
        &self,
        carries: &mut [Carry],
        checked: &mut [Checked],
        doubts: &mut [Doubt],
        findings: &mut Vec<Finding>,
        reader: &mut dyn Facts,
    ) -> Result<()> {
        let mut lossy: BTreeSet<usize> = (0..carries.len()).filter(|n| checked[*n].aside > 0).collect();
        while let Some(parent) = lossy.pop_first() {
            let mut touched = BTreeSet::new();
            let children = doubts.iter_mut().filter(|doubt| doubt.parent() == carries[parent].table);
            for doubt in children {
                if checked[parent].aside > LOST as u64 {
                    let what = format!(
                        "more than {} rows of it are kept aside, and `{}` refers to it: so many are not followed one by one",
                        count(LOST as u64),
                        carries[doubt.carry].table
                    );
                    let help =
                        "clean them first, or say another policy for them: `null`, `truncate`, `default`";
                    findings.push(Finding::forbid("dirty_reference", &carries[parent].table, what, help));
                    break;
                }
                doubt.lose(&checked[parent].lost);
                doubt.is_right = doubt.ask(reader)?;
                if doubt.is_right {
                    touched.insert(doubt.carry);
                }
            }
            for n in touched {
                carries[n].broken = broken(doubts, n);
                let before = checked[n].aside;
                checked[n] = self.check(&carries[n], reader)?;
                if checked[n].aside != before {
                    lossy.insert(n);
                }
            }
        }
        Ok(())
    }
}

/// The references that rows of a table break.
fn broken(doubts: &[Doubt], carry: usize) -> Vec<Broken> {
    doubts.iter().filter(|doubt| doubt.carry == carry && doubt.is_right).map(Doubt::broken).collect()
}

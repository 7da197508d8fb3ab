//! One statement after the other: read, cost, judged in its place, and weighed by sizes.

use super::codes::{Level, meant, rule};
use super::comments::{self, Allowed};
use super::course::Course;
use super::effect::{Effect, effect};
use super::findings::{Finding, Judged, Linted, Risk, Seconds};
use super::impact::{Impact, Rates, blocked, impact};
use super::model::{Script, Statement};
use super::point::{Before, Point, Raised};
use super::probe::Probe;
use super::rewrite::safe;
use super::stated::{Does, RowDeed, Stated};
use super::surroundings::Surroundings;
use super::{Engine, read, rules};
use crate::migrate::directory::{Convention, REBUILD};
use crate::migrate::problem::Fault;
use std::ops::Range;
use targets::db::{Facts, Result};

/// A file to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// What messages call it.
    pub file: String,
    /// All of it, for carets and comments.
    pub text: String,
    /// The statements of it that are the way up.
    pub script: Script,
    /// By whose rules it is written, where that is known.
    pub convention: Option<Convention>,
}

/// How to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Whose SQL it is. A database that is looked at knows better.
    pub engine: Engine,
    /// For which version; none for the one of the database, or the usual one.
    pub version: Option<u32>,
    /// Rules that do not hold here.
    pub allowed: Vec<String>,
    /// What earlier migrations were expected to take here, and took: pairs of seconds.
    pub history: Vec<(f64, f64)>,
}

impl Terms {
    /// All rules, the usual version.
    pub fn new(engine: Engine) -> Self {
        Self { engine, version: None, allowed: Vec::new(), history: Vec::new() }
    }
}

/// Looks at every statement of these files, in their order. With a database at hand the files are those that are not in
/// yet.
pub fn lint(sources: &[Source], terms: &Terms, database: Option<(&str, &mut dyn Facts)>) -> Result<Linted> {
    let Some((label, facts)) = database else { return Ok(lint_around(sources, terms, None)) };
    let around = Surroundings::of(facts)?;
    let mut probe = Probe::new(facts, &around);
    Ok(Look::new(terms, Some(&around)).at(sources, Some(label), Some(&mut probe)))
}

/// The same with surroundings that are known already, and no rows to ask.
pub fn lint_around(sources: &[Source], terms: &Terms, around: Option<&Surroundings>) -> Linted {
    Look::new(terms, around).at(sources, None, None)
}

/// What a statement is found to do.
struct Read<'a> {
    statement: &'a Statement,
    transaction: bool,
    /// It is the first of what runs together.
    begins: bool,
    /// It keeps the others from being one transaction.
    splits: bool,
    parts: Result<Vec<Stated>, Vec<super::stated::Mistake>>,
}

struct Look<'a> {
    terms: &'a Terms,
    around: Option<&'a Surroundings>,
    rates: Rates,
    course: Course,
    ignored: usize,
}

impl<'a> Look<'a> {
    fn new(terms: &'a Terms, around: Option<&'a Surroundings>) -> Self {
        let engine = around.map_or(terms.engine, |around| around.engine);
        let version = terms.version.or(around.map(|around| around.version)).unwrap_or(engine.usual_version());
        Self {
            terms,
            around,
            rates: Rates::of(engine).learned(&terms.history),
            course: Course::new(engine, version, around),
            ignored: 0,
        }
    }

    fn at(mut self, sources: &[Source], label: Option<&str>, mut probe: Option<&mut Probe>) -> Linted {
        let mut statements = Vec::new();
        for source in sources {
            statements.extend(self.source(source, probe.as_deref_mut()));
            self.course.next_migration();
        }
        let count = |level: Level| {
            statements
                .iter()
                .flat_map(|judged: &Judged| &judged.findings)
                .filter(|found| found.level == level)
                .count()
        };
        let all: Option<Vec<Seconds>> = statements.iter().map(|judged| judged.seconds).collect();
        let sum = |of: fn(&Seconds) -> f64, all: &[Seconds]| all.iter().map(of).sum();
        Linted {
            engine: self.course.engine,
            version: shown_version(self.course.engine, self.course.version),
            database: label.map(str::to_owned),
            errors: count(Level::Error),
            warnings: count(Level::Warning),
            notes: count(Level::Note),
            ignored: self.ignored,
            risk: statements.iter().map(|judged| judged.risk).max().unwrap_or(Risk::Low),
            seconds: all.filter(|all| !all.is_empty()).map(|all| Seconds {
                low: sum(|one| one.low, &all),
                expected: sum(|one| one.expected, &all),
                high: sum(|one| one.high, &all),
            }),
            statements,
        }
    }

    fn source(&mut self, source: &Source, mut probe: Option<&mut Probe>) -> Vec<Judged> {
        let allowed = comments::of(&source.text);
        let mut used = vec![false; allowed.len()];
        let mut before = Before::default();
        let engine = self.course.engine;
        let others = source.script.statements.iter().any(|other| other.block.is_some());
        let read: Vec<Read> = source
            .script
            .parts()
            .into_iter()
            .flat_map(|part| {
                part.statements.iter().enumerate().map(move |(n, statement)| Read {
                    statement,
                    transaction: part.transaction && (part.statements.len() > 1 || source.script.transaction),
                    begins: n == 0,
                    splits: statement.outside.is_some() && others,
                    parts: read::read(engine, &statement.sql),
                })
            })
            .collect();
        let mut all = Vec::new();
        for (n, one) in read.iter().enumerate() {
            if one.begins {
                before.begin_transaction();
            }
            let later: Vec<Does> = read[n + 1..]
                .iter()
                .filter_map(|later| later.parts.as_ref().ok())
                .flatten()
                .map(|stated| stated.does.clone())
                .collect();
            let (mut judged, raised) = self.statement(source, one, &later, &mut before, probe.as_deref_mut());
            let mut raised: Vec<Raised> = raised;
            raised.retain(|found| {
                let comment = allowed.iter().enumerate().find(|(_, allowed)| {
                    allowed.allows(found.code) && comments::belongs(allowed, one.statement, &source.text)
                });
                if let Some((n, _)) = comment {
                    used[n] = true;
                    self.ignored += 1;
                }
                comment.is_none() && !self.terms.allowed.iter().any(|code| meant(code).contains(&found.code))
            });
            self.place(source, one, &raised, &mut judged);
            all.push(judged);
        }
        self.problems(source, &mut all);
        unused(&allowed, &used, source, &mut all);
        all
    }

    fn statement(
        &mut self,
        source: &Source,
        read: &Read,
        later: &[Does],
        before: &mut Before,
        mut probe: Option<&mut Probe>,
    ) -> (Judged, Vec<Raised>) {
        let sql = &read.statement.sql;
        let parts = match &read.parts {
            Ok(parts) => parts,
            Err(mistakes) => {
                let raised = mistakes.iter().take(3).map(|mistake| Raised {
                    code: "syntax",
                    at: mistake.at.clone(),
                    text: plainly(&mistake.what),
                    help: None,
                });
                let mut judged = blank(source, read.statement);
                judged.risk = Risk::High;
                judged.reason = "it cannot be read".to_owned();
                return (judged, raised.collect());
            }
        };
        let mut raised = Vec::new();
        let mut effects: Vec<Effect> = Vec::new();
        let start = self.course.clone();
        for (n, stated) in parts.iter().enumerate() {
            let effect = effect(&stated.does, &self.course);
            let point = Point {
                course: &self.course,
                stated,
                effect: &effect,
                sql,
                before,
                in_transaction: read.transaction,
                first: n == 0,
                splits: read.splits,
                later,
            };
            raised.extend(rules::judge(&point));
            if let Some(probe) = probe.as_deref_mut().filter(|_| !self.filled(stated, before)) {
                let offenders = probe.offenders(stated, &self.course);
                if !offenders.is_empty() {
                    raised.retain(|found| found.code != "rows-may-offend");
                }
                raised.extend(offenders);
            }
            self.course.apply(&stated.does);
            effects.push(effect);
        }
        for (stated, effect) in parts.iter().zip(&effects) {
            before.apply(stated, effect, &start);
        }
        for effect in &mut effects {
            effect.locks.retain(|(table, _)| !start.is_new(table));
            effect.work.retain(|(table, ..)| !start.is_new(table));
        }
        let hit = probe.and_then(|probe| probe.hit(parts));
        let impact = impact(&effects, self.around, &self.rates, hit);
        self.many(parts, hit, &start, &mut raised);
        let mut judged = blank(source, read.statement);
        self.weigh(&mut judged, &effects, impact);
        judged.findings = Vec::new();
        let rewrite = safe(sql, parts, &start).unwrap_or_default();
        if !rewrite.is_empty() {
            // Kept with each finding that it does away with, which are those about waiting.
            for found in &raised {
                if rule(found.code).is_some_and(|rule| rule.waits) {
                    judged.findings.push(Finding { rewrite: rewrite.clone(), ..empty(found.code) });
                    break;
                }
            }
        }
        (judged, raised)
    }

    /// Rows that an earlier statement puts right are not held against this one.
    fn filled(&self, stated: &Stated, before: &Before) -> bool {
        let about = super::point::altered(&stated.does).or(match &stated.does {
            Does::CreateIndex { table, .. } | Does::ValidateConstraint { table, .. } => Some(table),
            _ => None,
        });
        about.is_none_or(|table| before.filled.contains(table) || self.course.is_new(table))
    }

    fn many(&self, parts: &[Stated], hit: Option<u64>, start: &Course, raised: &mut Vec<Raised>) {
        let Some(hit) = hit.filter(|hit| *hit >= 10_000) else { return };
        for part in parts {
            if let Does::Rows { table, deed, .. } = &part.does
                && *deed != RowDeed::Insert
                && !start.is_new(table)
            {
                raised.push(Raised {
                    code: "many-rows",
                    at: part.at.clone(),
                    text: format!("about {} rows of `{table}` are held until the end", super::thousands(hit)),
                    help: Some("change them in batches, in a migration without a transaction".to_owned()),
                });
            }
        }
    }

    fn weigh(&self, judged: &mut Judged, effects: &[Effect], impact: Impact) {
        judged.lock = impact.lock.as_ref().map(|(_, lock)| *lock);
        judged.blocks = judged.lock.and_then(blocked);
        judged.table = impact.lock.as_ref().map(|(table, _)| table.to_string());
        judged.rows = impact.traffic.as_ref().and_then(|traffic| traffic.rows);
        judged.bytes = impact.traffic.as_ref().and_then(|traffic| traffic.bytes);
        judged.writes_per_second = impact.traffic.as_ref().and_then(|traffic| traffic.writes_per_second);
        judged.rewrites = effects.iter().any(Effect::rewrites);
        judged.scans = effects.iter().any(Effect::scans);
        judged.seconds = impact.seconds;
        judged.risk = impact.risk;
        judged.reason = impact.reason;
    }

    /// Findings in their places, as bad as they are here.
    fn place(&self, source: &Source, read: &Read, raised: &[Raised], judged: &mut Judged) {
        let rewrite = judged.findings.pop().map(|found| found.rewrite).unwrap_or_default();
        let offset = offset_of(&source.text, read.statement);
        for found in raised {
            let Some(rule) = rule(found.code) else { continue };
            let level = match (rule.waits, judged.seconds) {
                // Of what takes a moment only a note is left, of what takes very long nothing is left to weigh.
                (true, Some(seconds)) => {
                    let reads = judged.lock.is_some_and(super::effect::Lock::blocks_reads);
                    match seconds.expected {
                        wait if wait < 0.2 => Level::Note,
                        wait if wait >= if reads { 5.0 } else { 30.0 } => Level::Error,
                        _ => rule.level,
                    }
                }
                _ => self.softened(rule.code, rule.level, judged),
            };
            let whole = offset + found.at.start.min(read.statement.sql.len())
                ..offset + found.at.end.min(read.statement.sql.len());
            let span = fitting(&source.text, whole);
            judged.findings.push(Finding {
                level,
                text: found.text.clone(),
                help: found.help.clone(),
                rewrite: if rule.waits { rewrite.clone() } else { Vec::new() },
                ..located(found.code, &source.text, span)
            });
        }
        judged.findings.sort_by(|a, b| b.level.cmp(&a.level).then(a.span.start.cmp(&b.span.start)));
        judged.findings.dedup();
        raise_risk(judged);
    }

    /// A required column is no mistake where there are no rows.
    fn softened(&self, code: &str, level: Level, judged: &Judged) -> Level {
        let empty = judged.rows == Some(0) && self.around.is_some();
        if code == "required-column" && empty { Level::Warning } else { level }
    }

    /// What reading the file found wrong.
    fn problems(&self, source: &Source, all: &mut Vec<Judged>) {
        for problem in &source.script.problems {
            let line = problem.line.unwrap_or(1);
            let own = all.iter().position(|judged| {
                let last = judged.line + judged.statement.matches('\n').count() as u32;
                (judged.line..=last).contains(&line)
            });
            let code = match problem.fault {
                Fault::Transaction if own.is_some() => "outside-transaction",
                Fault::Transaction => "transaction-control",
                _ => "syntax",
            };
            let start = line_start(&source.text, line);
            let end = source.text[start..].find('\n').map_or(source.text.len(), |length| start + length);
            let found = Finding {
                level: Level::Error,
                text: problem.what.clone(),
                help: Some(problem.help.clone()),
                ..located(code, &source.text, start..end)
            };
            match own {
                Some(n) => {
                    if !all[n].findings.iter().any(|known| known.code == code) {
                        all[n].findings.insert(0, found);
                        raise_risk(&mut all[n]);
                    }
                }
                None => {
                    let statement = Statement { line, ..Statement::default() };
                    let mut judged = blank(source, &statement);
                    judged.findings.push(found);
                    raise_risk(&mut judged);
                    all.push(judged);
                }
            }
        }
    }
}

/// A grammar's names of words as people write them: `found int_kw` as ``found `int` ``.
fn plainly(what: &str) -> String {
    let word = |word: &str| match word.strip_suffix("_kw") {
        Some(keyword) => format!("`{keyword}`"),
        None => word.replace('_', " "),
    };
    what.to_lowercase().split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What certainly fails is dangerous, and what destroys is not harmless.
fn raise_risk(judged: &mut Judged) {
    const DESTROY: [&str; 5] = ["drop-table", "drop-column", "truncate", "all-rows", "drop-cascade"];
    if judged.findings.iter().any(|found| DESTROY.contains(&found.code)) && judged.risk < Risk::Medium {
        judged.risk = Risk::Medium;
        judged.reason = format!("what it removes is gone, and {}", judged.reason);
    }
    if let Some(worst) = judged.findings.iter().find(|found| found.level == Level::Error)
        && judged.risk < Risk::High
    {
        judged.risk = Risk::High;
        judged.reason = worst.text.clone();
    }
}

fn unused(allowed: &[Allowed], used: &[bool], source: &Source, all: &mut Vec<Judged>) {
    for (allowed, _) in allowed.iter().zip(used).filter(|(allowed, used)| allowed.ours && !**used) {
        let start = line_start(&source.text, allowed.line);
        let end = source.text[start..].find('\n').map_or(source.text.len(), |length| start + length);
        let unknown = allowed.codes.iter().find(|code| meant(code).is_empty());
        let text = match unknown {
            Some(code) => format!("there is no rule `{code}`"),
            None => "nothing here needs this".to_owned(),
        };
        let found = Finding {
            level: if unknown.is_some() { Level::Warning } else { Level::Note },
            text,
            help: Some("`sexton migrate lint --rules` lists all".to_owned()),
            ..located("unused-ignore", &source.text, start..end)
        };
        match all.iter_mut().find(|judged| judged.line >= allowed.line) {
            Some(judged) => judged.findings.push(found),
            None => {
                let mut judged = blank(source, &Statement { line: allowed.line, ..Statement::default() });
                judged.findings.push(found);
                all.push(judged);
            }
        }
    }
}

fn blank(source: &Source, statement: &Statement) -> Judged {
    Judged {
        file: source.file.clone(),
        line: statement.line,
        statement: statement.sql.clone(),
        lock: None,
        table: None,
        blocks: None,
        rows: None,
        bytes: None,
        writes_per_second: None,
        rewrites: false,
        scans: false,
        seconds: None,
        risk: Risk::Low,
        reason: "nobody waits".to_owned(),
        findings: Vec::new(),
    }
}

fn empty(code: &'static str) -> Finding {
    located(code, "", 0..0)
}

fn located(code: &'static str, text: &str, span: Range<usize>) -> Finding {
    let place = |at: usize| {
        let before = &text[..at];
        let line = 1 + before.matches('\n').count() as u32;
        let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count() as u32;
        (line, column)
    };
    let ((line, column), (end_line, end_column)) = (place(span.start), place(span.end));
    Finding {
        code,
        level: Level::Note,
        text: String::new(),
        help: None,
        line,
        column,
        end_line,
        end_column,
        rewrite: Vec::new(),
        span,
    }
}

fn line_start(text: &str, line: u32) -> usize {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    starts.take(line.max(1) as usize).last().unwrap_or(0).min(text.len())
}

fn offset_of(text: &str, statement: &Statement) -> usize {
    let start = line_start(text, statement.line);
    // Our mark before a table that is made anew was put there by the reader of the file.
    let marked = statement.sql.strip_prefix(REBUILD).and_then(|rest| rest.split_once('\n'));
    let written = marked.map_or(statement.sql.as_str(), |(_, create)| create);
    let at = text[start..].find(written).map_or(start, |at| start + at);
    at.saturating_sub(statement.sql.len() - written.len())
}

/// The span between letters of the text, at least one letter long where there is one.
fn fitting(text: &str, span: Range<usize>) -> Range<usize> {
    let near =
        |wanted: usize| (0..=wanted.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let start = near(span.start);
    let end = near(span.end.max(start));
    if end > start {
        return start..end;
    }
    match text[start..].chars().next() {
        Some(letter) if letter != '\n' => start..start + letter.len_utf8(),
        // Behind the last letter of a line: the letter before it.
        _ => {
            text[..start].chars().next_back().map_or(start..start, |letter| start - letter.len_utf8()..start)
        }
    }
}

fn shown_version(engine: Engine, version: u32) -> String {
    match engine {
        Engine::Postgres => (version / 10_000).to_string(),
        Engine::Sqlite => format!("{}.{}", version / 1_000_000, version / 1_000 % 1_000),
    }
}

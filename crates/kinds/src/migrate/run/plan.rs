//! From what there is and what is wanted to the steps: one for each migration, in order, with everything it needs.

use super::look::Scene;
use super::options::{Action, Options};
use super::own::Known;
use super::task::{Brief, Deed, Task};
use super::{clashes, estimate, status};
use crate::migrate::directory::{Convention, checksum};
use crate::migrate::graph::{self, Sequence, Target, find};
use crate::migrate::model::{Migration, Script, State};
use crate::migrate::problem::{Problem, Problems};
use engine::{Error, Finding, Planned, Result, Step};
use targets::db::Facts;

/// What the options would do.
pub fn plan(options: &Options, facts: &mut dyn Facts, can_back_up: bool) -> Result<Planned> {
    let scene = Scene::of(options, facts)?;
    let draft = Draft { options, scene: &scene };
    let mut planned = match options.action {
        Action::Status => look(options, &scene, facts)?,
        Action::Up | Action::Apply | Action::Resume => draft.up()?,
        Action::Down | Action::Revert => draft.down()?,
        Action::Redo => draft.redo()?,
        Action::Adopt => draft.adopt()?,
        Action::Baseline => draft.baseline()?,
    };
    let refused = planned.findings.iter().any(|finding| finding.level == engine::Level::Refuse);
    if planned.steps.is_empty() || refused {
        return Ok(planned);
    }
    if matches!(options.action, Action::Up | Action::Apply | Action::Resume) {
        planned.findings.extend(clashes::find(&planned.steps, facts)?);
    }
    planned.findings.extend(draft.about(&planned.steps, facts)?);
    let asks = |step: &Step| {
        let runs = ["apply", "revert"].contains(&step.action.as_str());
        runs && scene.directory.migrations.iter().any(|one| one.id == step.id && one.backup)
    };
    planned.needs_backup = planned.steps.iter().any(asks);
    // No undo rows are kept of a way back: what it drops is nowhere else (S2-035).
    if options.action == Action::Revert {
        planned.needs_backup |= can_back_up;
        if !can_back_up {
            planned.findings.push(Finding::warning(
                "no_backup",
                "schema",
                "backups are switched off: what the way back drops will be nowhere",
                "switch them on in `[backup]`",
            ));
        }
    }
    if !scene.own_there || draft.makes_history() {
        planned.steps.insert(0, draft.prepare());
    }
    Ok(planned)
}

/// The steps with the way back of each that has one, and the way there again.
pub fn both_ways(options: &Options, steps: &[Step], facts: &mut dyn Facts) -> Result<Vec<Step>> {
    let scene = Scene::of(options, facts)?;
    let draft = Draft { options, scene: &scene };
    let mut all = Vec::new();
    for step in steps {
        all.push(step.clone());
        let file = scene.directory.migrations.iter().find(|one| one.id == step.id);
        let Some(one) = file.filter(|_| step.action == Deed::Apply.name()) else { continue };
        let Some(mut back) = draft.taken_out(one) else { continue };
        // The second time it begins at its beginning, wherever the first one went on.
        let mut again = step.clone();
        again.task["done"] = 0.into();
        again.task["begun"] = false.into();
        for one in [&mut back, &mut again] {
            one.task["again"] = true.into();
        }
        all.extend([back, again]);
    }
    Ok(all)
}

/// Only what there is, with a warning when something is to be done (S0-030).
fn look(options: &Options, scene: &Scene, facts: &mut dyn Facts) -> Result<Planned> {
    let document = status::document(options, scene, &estimate::estimates(scene, facts)?);
    let mut findings = Vec::new();
    if document["migration_needed"] == true {
        let count = document["pending"].as_array().map_or(0, Vec::len);
        let database = scene.directory.path.display();
        let what = format!("{count} of the migrations in `{database}` are not in");
        findings.push(Finding::warning(
            "migration_needed",
            "schema",
            what,
            "bring them in: `sexton migrate up`",
        ));
    }
    Ok(Planned { result: Some(document), findings, ..Planned::default() })
}

/// Makes steps for what there is.
pub(super) struct Draft<'a> {
    pub options: &'a Options,
    pub scene: &'a Scene,
}

/// Steps of one sort.
type Steps = Vec<Step>;

impl Draft<'_> {
    fn up(&self) -> Result<Planned> {
        let migrations = &self.scene.directory.migrations;
        let mut planned = Planned::default();
        planned.findings.extend(refused(&self.scene.problems));
        let targets = match self.options.action {
            Action::Apply => self.options.ids.iter().cloned().map(Target::Only).collect(),
            _ => vec![self.target()],
        };
        planned.steps.extend(self.accepted());
        for target in &targets {
            match graph::pending(migrations, &self.scene.applied, target, &self.scene.policy) {
                Ok(Sequence { steps, warnings }) => {
                    planned.findings.extend(warnings.0.iter().map(warned));
                    planned.steps.extend(steps.into_iter().map(|one| self.apply(one)));
                }
                Err(problems) => planned.findings.extend(refused(&problems)),
            }
        }
        Ok(planned)
    }

    /// How far up.
    fn target(&self) -> Target {
        match (&self.options.to, &self.options.count, &self.options.target) {
            (Some(to), _, _) => Target::To(to.clone()),
            (None, Some(count), _) => Target::By(*count as usize),
            (None, None, Some(target)) => Target::To(target.clone()),
            (None, None, None) => Target::All,
        }
    }

    fn down(&self) -> Result<Planned> {
        let mut planned = Planned::default();
        let targets = match (self.options.action, self.options.to.as_deref()) {
            (Action::Revert, _) => self.options.ids.iter().cloned().map(Target::Only).collect(),
            (_, Some("0")) => vec![Target::All],
            (_, Some(to)) => vec![Target::To(to.to_owned())],
            (_, None) => vec![Target::By(self.options.count.unwrap_or(1) as usize)],
        };
        for target in &targets {
            // One that stopped in the middle is taken out by what of it is in.
            if let Target::Only(name) = target
                && let Ok(one) = find(&self.scene.directory.migrations, name)
                && let Some(known) =
                    self.scene.known(&one.id).filter(|known| known.applied.state == State::Interrupted)
            {
                planned.findings.push(half_way_back(one, known));
                planned.steps.extend(self.revert(one, known));
                continue;
            }
            match graph::back(
                &self.scene.directory.migrations,
                &self.scene.applied,
                target,
                &self.scene.policy,
            ) {
                Ok(Sequence { steps, warnings }) => {
                    planned.findings.extend(warnings.0.iter().map(warned));
                    planned.steps.extend(steps.into_iter().filter_map(|one| self.taken_out(one)));
                }
                Err(problems) => planned.findings.extend(refused(&problems)),
            }
        }
        Ok(planned)
    }

    fn redo(&self) -> Result<Planned> {
        let mut planned = self.down()?;
        let again: Vec<String> = planned.steps.iter().map(|step| step.id.clone()).collect();
        for id in again.iter().rev() {
            let one = find(&self.scene.directory.migrations, id).map_err(Problems::from)?;
            let mut step = self.step(one, Deed::Apply, one.up.clone());
            step.task["again"] = true.into();
            planned.steps.push(step);
        }
        Ok(planned)
    }

    fn baseline(&self) -> Result<Planned> {
        let migrations = &self.scene.directory.migrations;
        let to = Target::To(self.options.to.clone().unwrap_or_default());
        let mut planned = Planned::default();
        match graph::pending(migrations, &self.scene.applied, &to, &self.scene.policy) {
            Ok(Sequence { steps, warnings }) => {
                planned.findings.extend(warnings.0.iter().map(warned));
                planned
                    .steps
                    .extend(steps.into_iter().map(|one| self.step(one, Deed::Baseline, Script::default())));
            }
            Err(problems) => planned.findings.extend(refused(&problems)),
        }
        Ok(planned)
    }

    fn adopt(&self) -> Result<Planned> {
        let Some(history) = self.scene.history.as_ref().filter(|_| self.scene.history_there) else {
            return Err(Error::usage("there is no history of another tool to take over")
                .help("`sexton migrate status` shows what is in; `sexton migrate baseline --to ID` marks what is in without a history"));
        };
        let mut planned = Planned::default();
        for known in &self.scene.known {
            let file = self.scene.directory.migrations.iter().find(|one| one.id == known.applied.id);
            let Some(one) = file else {
                planned.findings.push(Finding::warning(
                    "missing",
                    &known.applied.id,
                    "it is in, but its file is gone: it is left out",
                    "bring the file back from version control",
                ));
                continue;
            };
            if known.applied.state.is_in() {
                let mut step = self.step(one, Deed::Adopt, Script::default());
                step.way = format!("from `{}`", history.table);
                if let Some(at) = known.applied.at {
                    step.task["at"] = at.to_string().into();
                }
                planned.steps.push(step);
            }
        }
        Ok(planned)
    }

    /// Files that have changed since they were applied, and are to be taken as they are.
    fn accepted(&self) -> Steps {
        if !self.options.accept_changed {
            return Vec::new();
        }
        let changed = |one: &&Migration| {
            let known = self.scene.known(&one.id);
            known.is_some_and(|known| known.applied.state.is_in() && graph::is_changed(one, &known.applied))
        };
        let migrations = self.scene.directory.migrations.iter();
        migrations
            .filter(|one| !one.repeatable)
            .filter(changed)
            .map(|one| self.step(one, Deed::Accept, Script::default()))
            .collect()
    }

    /// The way there, from where an earlier attempt stopped.
    pub fn apply(&self, one: &Migration) -> Step {
        let mut step = self.step(one, Deed::Apply, one.up.clone());
        let half = self.scene.known(&one.id).filter(|known| known.applied.state == State::Interrupted);
        if let Some(known) = half.filter(|known| known.action == "apply") {
            self.goes_on(&mut step, known);
        }
        step
    }

    fn goes_on(&self, step: &mut Step, known: &Known) {
        step.task["done"] = known.done.into();
        step.task["begun"] = known.begun.into();
        step.facts.push(("so far".to_owned(), so_far(known)));
    }

    fn taken_out(&self, one: &Migration) -> Option<Step> {
        let down = one.down.as_ref()?;
        Some(self.step(one, Deed::Revert, down.clone()))
    }

    /// The way back of one that stopped in the middle. Where it stopped on the way back, it goes on there.
    fn revert(&self, one: &Migration, known: &Known) -> Option<Step> {
        let mut step = self.taken_out(one)?;
        if known.action == "revert" {
            self.goes_on(&mut step, known);
        }
        Some(step)
    }

    /// A dump of a schema makes the table of its history itself.
    pub fn makes_history(&self) -> bool {
        let scene = self.scene;
        scene.history.is_some() && !scene.history_there && scene.directory.convention != Convention::Structure
    }

    pub fn prepare(&self) -> Step {
        let mut made = Vec::new();
        if !self.scene.own_there {
            made.push(self.scene.own.to_string());
        }
        if let Some(history) = self.scene.history.as_ref().filter(|_| self.makes_history()) {
            made.push(history.table.to_string());
        }
        let nothing = Migration { id: "history".to_owned(), ..Migration::default() };
        let step = self.step(&nothing, Deed::Prepare, Script::default());
        let facts = vec![("makes".to_owned(), made.join(", "))];
        Step { object: made.join(", "), facts, ..step }
    }

    fn step(&self, one: &Migration, deed: Deed, script: Script) -> Step {
        let checksum = match deed {
            Deed::Apply | Deed::Revert => checksum(&script.statements),
            _ => one.checksum.clone(),
        };
        let way = match (&script.statements.is_empty(), script.transaction) {
            (true, _) => String::new(),
            (false, true) => "one transaction, with its record".to_owned(),
            (false, false) => {
                let why = script.statements.iter().find_map(|statement| statement.outside.clone());
                format!("statement by statement: {}", why.unwrap_or_else(|| "its author says so".to_owned()))
            }
        };
        let mut facts = vec![("does".to_owned(), one.description.clone())];
        if let Some(seconds) = one.expected_seconds {
            facts.push(("expected".to_owned(), format!("{seconds} s")));
        }
        let task = Task {
            checksum,
            deed,
            brief: Brief::of(one),
            assert_before: if deed == Deed::Apply { one.assert_before.clone() } else { Vec::new() },
            assert_after: if deed == Deed::Apply { one.assert_after.clone() } else { Vec::new() },
            done: 0,
            begun: false,
            again: false,
            assume: self.options.assume,
            table: self.options.table.clone(),
            history: self.scene.history.clone().filter(|_| deed != Deed::Prepare || self.makes_history()),
            at: None,
            script,
        };
        Step {
            id: one.id.clone(),
            label: one.id.clone(),
            action: deed.name().to_owned(),
            object: one.up.file.display().to_string(),
            batches: 1,
            way,
            statements: task
                .script
                .statements
                .iter()
                .map(|statement| format!("{};", statement.sql))
                .collect(),
            facts,
            task: serde_json::to_value(&task).unwrap_or_default(),
            ..Step::default()
        }
    }

    /// What whoever allows it should know.
    fn about(&self, steps: &[Step], facts: &mut dyn Facts) -> Result<Vec<Finding>> {
        let mut all = Vec::new();
        let (from, to) = status::versions(self.scene, steps);
        let server = facts.server()?;
        all.push(Finding::note("versions", &server.database, format!("from {from} to {to}"), String::new()));
        let outside = |step: &Step| {
            Task::of(step).is_ok_and(|task| task.script.statements.iter().any(|one| one.outside.is_some()))
        };
        if server.pooled && steps.iter().any(outside) {
            all.push(Finding::refuse(
                "pooler",
                &server.database,
                "a transaction pooler stands in between: a statement outside of transactions could not be limited, and the \
                 right to maintain would end while it runs",
                "connect to the server itself for this migration: `--database postgres://…`",
            ));
        }
        Ok(all)
    }
}

/// How far one is that stopped in the middle.
pub fn so_far(known: &Known) -> String {
    let in_now = match known.done {
        0 => "no statement is in".to_owned(),
        1 => "statement 1 is in".to_owned(),
        done => format!("statements 1 to {done} are in"),
    };
    let next = known.done + 1;
    match (known.begun, known.done < known.statements) {
        (true, _) => format!("{in_now} of {}, and statement {next} was at work", known.statements),
        (false, true) => format!("{in_now} of {}, statement {next} is not", known.statements),
        (false, false) => format!("{in_now} of {}", known.statements),
    }
}

fn half_way_back(one: &Migration, known: &Known) -> Finding {
    let what = format!("it stopped in the middle: {}", so_far(known));
    let remedy = "the way back is run whole: each of its statements must bear that its object is not there";
    match one.down {
        Some(_) => Finding::warning("interrupted", &one.id, what, remedy),
        None => Finding::forbid(
            "one_way",
            &one.id,
            format!("{what}; and it has no way back"),
            "go on with it: `sexton migrate resume`",
        ),
    }
}

fn code(problem: &Problem) -> String {
    let code = serde_json::to_value(problem.fault).ok();
    code.and_then(|code| code.as_str().map(str::to_owned)).unwrap_or_default()
}

fn object(problem: &Problem) -> String {
    match (problem.ids.as_slice(), &problem.file) {
        ([one], _) => one.clone(),
        (_, Some(file)) => file.display().to_string(),
        _ => "migrations".to_owned(),
    }
}

fn warned(problem: &Problem) -> Finding {
    Finding::warning(&code(problem), object(problem), problem.to_string(), problem.help.clone())
}

/// Nothing of this is helped by force: what would run would not be what was meant.
pub fn refused(problems: &Problems) -> Vec<Finding> {
    let forbid = |problem: &Problem| {
        Finding::forbid(&code(problem), object(problem), problem.to_string(), problem.help.clone())
    };
    problems.0.iter().map(forbid).collect()
}

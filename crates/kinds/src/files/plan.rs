//! From a store and a database to steps, one for each class: the store is walked first, the references are read after.
//!
//! Nothing is written anywhere. What the steps list is what a run moves, if it is unchanged then.

use super::guards::guards;
use super::judge::{Found, Judged, judge};
use super::listing::Listing;
use super::marks::mark;
use super::options::{FOLDERS, Options};
use super::{references, result};
use engine::{Doomed, Error, Finding, Planned, Planning, Result, Step, undo};
use serde::{Deserialize, Serialize};
use targets::db::Facts;
use targets::files::Files;

/// One class, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What goes.
    pub doomed: Vec<Doomed>,
    /// The symbolic links of the store, through which rows may refer to files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
}

impl Task {
    /// From the plan.
    pub fn read(step: &Step) -> Result<Task> {
        serde_json::from_value(step.task.clone())
            .map_err(|error| Error::system("a stored plan cannot be read").because(error))
    }
}

/// The plan.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    options.check()?;
    let store = planning.stores.store(&options.store)?;
    let schema = facts.schema()?;
    let ids = references::ids(options, &schema)?;
    let sources = references::sources(options, &schema)?;
    let mut listing = Listing::of(store.as_ref(), options)?;
    let mut planned = Planned { undo: Some(kept(options, planning)?), ..Planned::default() };
    if !listing.exists {
        let missing = missing_base(options, store.as_ref());
        let nothing = nothing_found(options);
        planned.result = Some(result::planned(&Listing::default(), &nothing, &Default::default()));
        // Without a step, what stands in the way is told as the outcome.
        let classes = if missing.level == engine::Level::Warning { nothing.classes } else { Vec::new() };
        for found in classes {
            planned.steps.push(step(options, found, Vec::new(), &[], planning)?);
        }
        planned.findings.push(missing);
        return Ok(planned);
    }
    planned.findings.extend(check_marker(options, store.as_ref())?);
    let marks = mark(options, ids.as_ref(), &sources, store.as_ref(), &mut listing, facts)?;
    let restored = undo::restored_files(facts, &options.store)?;
    let judged = judge(options, &listing, &marks, &restored, planning)?;
    planned.findings.extend(guards(options, &listing, &marks, &judged, &planning.request.manners));
    planned.findings.extend(forgotten(&listing, facts)?);
    planned.result = Some(result::planned(&listing, &judged, &marks));
    let links: Vec<String> = listing.links.iter().cloned().collect();
    for found in judged.classes {
        let statements: Vec<String> =
            ids.iter().chain(&sources).map(|source| source.select(facts).shown()).collect();
        planned.steps.push(step(options, found, statements, &links, planning)?);
    }
    Ok(planned)
}

/// What can be put back.
fn kept(options: &Options, planning: &Planning) -> Result<engine::Undo> {
    if options.dry_run {
        return Ok(engine::Undo::NotNeeded);
    }
    let Some(age) = options.kept()? else { return Ok(engine::Undo::Nothing) };
    let until = planning.now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(age.span()?);
    let until = until.map_err(|_| Error::usage("removed files cannot be kept for so long"))?.timestamp();
    Ok(engine::Undo::Rows { until, bytes: None })
}

/// The classes, with nothing in them.
fn nothing_found(options: &Options) -> Judged {
    let mut names: Vec<String> = options.ids.iter().map(|_| FOLDERS.to_owned()).collect();
    names.extend(options.file_classes().into_iter().map(|class| class.class));
    let classes = names.into_iter().map(|class| Found { class, ..Found::default() }).collect();
    Judged { classes, ..Judged::default() }
}

/// W-125: a folder that is not there may be a disk that is not mounted.
fn missing_base(options: &Options, store: &dyn Files) -> Finding {
    let what = match options.base.as_str() {
        "" => format!("the store `{}` is not there", store.label()),
        base => format!("there is no folder `{base}` in `{}`", store.label()),
    };
    let remedy = "look whether the disk is mounted and the name is right";
    match options.must_exist || options.marker.is_some() {
        true => Finding::forbid("missing_base", &options.store, what, remedy),
        false => Finding::warning("missing_base", &options.store, what, remedy),
    }
}

fn check_marker(options: &Options, store: &dyn Files) -> Result<Option<Finding>> {
    let Some(marker) = &options.marker else { return Ok(None) };
    let name = if options.base.is_empty() { marker.clone() } else { format!("{}/{marker}", options.base) };
    if store.look(&name)?.is_some() {
        return Ok(None);
    }
    Ok(Some(Finding::forbid(
        "marker",
        &options.store,
        format!("the file `{name}` is not there, so this may be another store, or an unmounted disk"),
        "look what is there; a new store needs the file once",
    )))
}

/// Files that wait in the quarantine without an undo point: a run died between a move and its commit.
fn forgotten(listing: &Listing, facts: &mut dyn Facts) -> Result<Vec<Finding>> {
    if listing.waiting.is_empty() {
        return Ok(Vec::new());
    }
    let known = undo::points(facts)?;
    let unknown = listing.waiting.iter().filter(|point| !known.iter().any(|known| known.id == **point));
    Ok(unknown
        .map(|point| {
            Finding::warning(
                engine::LEFT_BEHIND,
                point,
                format!(
                    "files wait in `{}/{point}`, but this database has no undo point of that name",
                    engine::QUARANTINE
                ),
                format!(
                    "if run `{point}` died, `sexton resume {point}`, or let the next run put them back; else it may be that of \
                     another database"
                ),
            )
        })
        .collect())
}

fn step(
    options: &Options,
    found: Found,
    statements: Vec<String>,
    links: &[String],
    planning: &Planning,
) -> Result<Step> {
    let removes = options.kept()?.is_none();
    let action = match (options.dry_run, removes) {
        (true, _) => "report",
        (false, true) => "remove",
        (false, false) => "quarantine",
    };
    let matched = found.doomed.len() as u64;
    let mut facts = result::facts(&found.doomed);
    if found.young > 0 {
        facts.push((
            "young".to_owned(),
            format!("{} are younger than {} and stay", found.young, options.min_age.0),
        ));
    }
    let way = match action {
        "report" => "only looked at: `dry_run = true`".to_owned(),
        "remove" => {
            "moved into the quarantine, and removed for good at the end of the run: `quarantine = \"off\"`"
                .to_owned()
        }
        _ => format!("moved into `{}` of the store, kept for {}", engine::QUARANTINE, options.quarantine),
    };
    Ok(Step {
        id: found.class.clone(),
        label: found.class.clone(),
        action: action.to_owned(),
        object: options.store.clone(),
        matched,
        exact: true,
        total: None,
        total_exact: false,
        dependants: Vec::new(),
        unreadable: 0,
        exempt: found.exempt,
        batches: matched.div_ceil(planning.request.manners.batch_size.unwrap_or(super::BATCH)).max(1),
        way,
        statements,
        facts,
        task: serde_json::to_value(Task { doomed: found.doomed, links: links.to_vec() })
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
    })
}

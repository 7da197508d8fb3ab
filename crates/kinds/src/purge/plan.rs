//! From a target to a step: which rows, how many, who hangs on them, which way through the table. Read-only.

use super::earlier::Earlier;
use super::mark::marks;
use super::options::{Action, Bulk, Options, Policy, Target, Triggers, Undo};
use super::relations::{self, Child};
use super::rows::{Which, which};
use super::task::{Archive, Task, Walk};
use engine::{Error, Finding, Planned, Planning, Result, Step, undo::not_exempt};
use targets::db::{Facts, Schema, Sql, Table, TableKind, Value};

/// Below this share of the table an index is the better way to the rows.
const FEW_PERCENT: f64 = 5.0;
/// Fewer doomed rows than this are gone before anybody could think of a cheaper way.
const WORTH_A_WORD: u64 = 10_000;
/// Tables up to this many rows are counted whole.
const COUNTED_WHOLE: u64 = 200_000;
/// The least size of a batch that must look through the whole table first.
const RANKED: u64 = 20_000;
/// Above this share, copying what stays would be cheaper.
const MOST_PERCENT: f64 = 50.0;

/// The plan of all targets.
pub fn plan(options: &Options, facts: &mut dyn Facts, planning: &Planning) -> Result<Planned> {
    let targets = options.all_targets();
    if targets.is_empty() {
        return Err(Error::usage("a purge needs a table").help("say `table = \"…\"`, or `--table`"));
    }
    let schema = facts.schema()?;
    let mut planned = Planned::default();
    let mut earlier = Earlier::default();
    for target in &targets {
        let step =
            plan_target(options, target, &schema, facts, planning, &mut planned.findings, &mut earlier)?;
        if planned.steps.iter().any(|other| other.id == step.id) {
            return Err(Error::usage(format!("two targets have the id `{}`", step.id))
                .help("give one of them an `id`"));
        }
        planned.steps.push(step);
    }
    planned.undo = Some(undo(options, &targets, &planned.steps, planning)?);
    Ok(planned)
}

fn undo(options: &Options, targets: &[Target], steps: &[Step], planning: &Planning) -> Result<engine::Undo> {
    Ok(match options.undo {
        Undo::None => engine::Undo::Nothing,
        Undo::Archive => {
            let Some(store) = targets.iter().find_map(|target| target.archive.clone()) else {
                return Err(
                    Error::usage("`undo = \"archive\"` needs an archive").help("say `archive = \"STORE\"`")
                );
            };
            engine::Undo::Archive { store }
        }
        Undo::Rows => {
            let span = planning.keep_undo.span()?;
            let until = planning.now.to_zoned(jiff::tz::TimeZone::UTC).checked_add(span);
            let until = until.map_err(|_| Error::usage("undo rows cannot be kept for so long"))?.timestamp();
            let bytes = steps.iter().map(bytes_of).sum::<Option<u64>>();
            engine::Undo::Rows { until, bytes }
        }
    })
}

/// About how large the doomed rows of a step are.
fn bytes_of(step: &Step) -> Option<u64> {
    let task = Task::read(step).ok()?;
    let (bytes, rows) = (task.table.bytes?, step.total.or(task.table.rows_estimate)?.max(1));
    Some(bytes / rows * step.matched)
}

fn plan_target(
    options: &Options,
    target: &Target,
    schema: &Schema,
    facts: &mut dyn Facts,
    planning: &Planning,
    findings: &mut Vec<Finding>,
    earlier: &mut Earlier,
) -> Result<Step> {
    let mut target = target.clone();
    let table = schema.find(&target.table)?.clone();
    check_table(&table)?;
    let leaves: Vec<Table> = schema.leaves(&table).into_iter().cloned().collect();
    let rule = which(&target, &table, facts, planning)?;
    check_condition(&table, &rule, facts)?;
    let mut condition = rule.condition.clone();
    condition = earlier.narrow(&target, &table, condition, findings);
    let exempt = not_exempt(facts, std::iter::once(&table).chain(&leaves))?;
    let exempted = match &exempt {
        Some(exempt) => {
            count_rows(&table, &condition.clone().text(" and not (").add(exempt).text(")"), facts)?
        }
        None => 0,
    };
    let mut newest = rule.newest.clone();
    if let Some(newest) = &mut newest {
        newest.rest = earlier.narrow(&target, &table, newest.rest.clone(), &mut Vec::new());
        let manners = &planning.request.manners;
        newest.at_least = if manners.batch_size.or(manners.max_rows).is_some() { 1 } else { RANKED };
    }
    if let Some(exempt) = &exempt {
        condition = condition.text(" and ").add(exempt);
        newest = newest.map(|newest| newest.and(exempt));
    }

    let mark = marks(&target, &table, planning)?;
    earlier.note(&target, &table, &condition, &mark, facts.dialect());
    if options.undo == Undo::Archive && target.dependants == Policy::Cascade {
        target.dependants = Policy::Archive;
    }
    let children = match target.action {
        Action::Delete => relations::children(schema, &table, &target, &mut Vec::new(), findings)?,
        Action::Mark => Vec::new(),
    };
    let mut sizes = measure(&table, &condition, &rule, planning, facts)?;
    let doomed = match relations::tree(&table, &children, &|from| from.text("(").add(&condition).text(")")) {
        Some(tree) if sizes.matched > 0 => {
            sizes.matched = count_rows(&table, &tree, facts)?;
            doomed(&table, &tree)
        }
        _ => doomed(&table, &condition),
    };
    let dependants = match sizes.matched {
        0 => Vec::new(),
        _ => relations::count(&children, &table, (&doomed, sizes.matched), facts, 0)?,
    };
    let restricted: u64 =
        dependants.iter().filter(|hanging| hanging.policy == "restrict").map(|hanging| hanging.rows).sum();
    if restricted > 0 {
        findings.push(Finding::forbid(
            "dependants",
            &table.name,
            format!("{restricted} rows refer to doomed ones: {}", said(&dependants)),
            "say what happens to them: `dependants = \"cascade\"`, `\"set_null\"` or `\"archive\"`",
        ));
    }
    check_ages(&target, &table, &sizes, findings);
    check_triggers(&table, &leaves, &children, &target, findings);
    check_rest(options, &target, &table, &leaves, &children, findings);

    let (walk, way) = choose_walk(&leaves, &sizes, facts);
    let refill = refills(&target, &table, &leaves, &children)?;
    let way = if rule.newest.is_some() { "by a list of ranks, group by group".to_owned() } else { way };
    let way = match (refill, cheaper(&leaves, &target, &sizes)) {
        (true, _) => {
            "all at once: what stays is put aside, the table emptied and refilled; others wait".to_owned()
        }
        (false, Some(hint)) => format!("{way}; {hint}"),
        (false, None) => way,
    };
    let drop = whole_partitions(options, &target, &table, &leaves, &children, &condition, facts)?;
    let mut running = condition.clone();
    for child in children.iter().filter(|child| child.policy == Policy::Restrict) {
        running = running.text(" and ").add(&child.is_absent(&table));
        newest = newest.map(|newest| newest.and(&child.is_absent(&table)));
    }
    let exact = !earlier.takes_along(&table.name);
    earlier.note_children(&children);
    let task = Task {
        table: table.clone(),
        leaves,
        condition: running,
        rule: condition,
        walk,
        exact_batches: planning.request.manners.batch_size.is_some(),
        planned: sizes.matched,
        children,
        action: target.action,
        mark,
        archive: archive(&target, planning)?,
        drop,
        refill,
        newest,
    };
    let id = target.id.clone().unwrap_or_else(|| table.name.to_string());
    Ok(Step {
        label: target.label.clone().unwrap_or_else(|| id.clone()),
        id,
        action: match (target.action, &target.archive) {
            (Action::Delete, None) => "delete".to_owned(),
            (Action::Delete, Some(_)) => "archive_and_delete".to_owned(),
            (Action::Mark, _) => "archive".to_owned(),
        },
        object: table.name.to_string(),
        matched: sizes.matched,
        exact,
        total: sizes.total,
        total_exact: sizes.total_exact,
        dependants,
        unreadable: sizes.unreadable,
        exempt: exempted,
        batches: sizes.matched.div_ceil(planning.request.manners.batch_size.unwrap_or(10_000)).max(1),
        way,
        statements: statements(&task, facts),
        facts: rule.facts,
        task: serde_json::to_value(&task)
            .map_err(|error| Error::system("the plan cannot be written").because(error))?,
    })
}

fn check_table(table: &Table) -> Result<()> {
    match table.kind {
        TableKind::View => {
            Err(Error::usage(format!("`{}` is a view", table.name)).help("name the table behind it"))
        }
        TableKind::Foreign => Err(Error::usage(format!("`{}` is a foreign or virtual table", table.name))
            .help("its rows cannot be remembered: purge it where they really are")),
        TableKind::Ordinary | TableKind::Partitioned | TableKind::WithoutRowid => Ok(()),
    }
}

/// Lets the database read the condition before anything is counted, so that its complaint is about the condition.
fn check_condition(table: &Table, rule: &Which, facts: &mut dyn Facts) -> Result<()> {
    let Some(condition) = &rule.raw else { return Ok(()) };
    let start = || Sql::new("select 1 from ").table(&table.name).text(" as t where ");
    // On its own first: `a) or (b` is no condition, but inside brackets it would step out of them, past the age.
    let alone = start().add(&Sql::raw(condition)).text("\n");
    let enclosed = start().text("(").add(&Sql::raw(condition)).text("\n)");
    facts.access(&alone).and_then(|_| facts.access(&enclosed)).map(|_| ()).map_err(|error| {
        let help = error.help.clone();
        let error = error.while_doing(&format!("the condition `{condition}`"));
        match help {
            Some(_) => error,
            None => error.help("write it as SQL over the table, such as `status = 'done'`"),
        }
    })
}

fn doomed(table: &Table, condition: &Sql) -> Sql {
    Sql::new("select t.* from ").table(&table.name).text(" as t where ").add(condition)
}

fn count_rows(table: &Table, condition: &Sql, facts: &mut dyn Facts) -> Result<u64> {
    facts.count(&Sql::new("select count(*) from ").table(&table.name).text(" as t where ").add(condition))
}

/// How many rows, of how many.
struct Sizes {
    matched: u64,
    total: Option<u64>,
    total_exact: bool,
    unreadable: u64,
    index: Option<String>,
}

impl Sizes {
    fn share(&self) -> Option<f64> {
        self.total.filter(|total| *total > 0).map(|total| 100.0 * self.matched as f64 / total as f64)
    }
}

/// Counts in one walk through the table, or by the index when one finds the rows: then the table is not read, and its
/// size is only found out as far as the guard on the share needs it.
fn measure(
    table: &Table,
    condition: &Sql,
    rule: &Which,
    planning: &Planning,
    facts: &mut dyn Facts,
) -> Result<Sizes> {
    let access =
        facts.access(&Sql::new("select 1 from ").table(&table.name).text(" as t where ").add(condition))?;
    if let Some(index) = access.index {
        let matched = count_rows(table, condition, facts)?;
        // Far enough to tell both whether the share is refused and whether the rows are few.
        let share = planning.request.manners.max_percent.clamp(0.1, FEW_PERCENT);
        let enough = (matched as f64 * 100.0 / share).ceil() as u64 + 1;
        // Small tables are counted whole: it costs a moment, and people like exact figures.
        let enough = enough.max(COUNTED_WHOLE);
        let (total, total_exact) = match table.rows_estimate {
            // Statistics are good enough far away from the limit.
            Some(estimate) if estimate > enough.saturating_mul(2) => (estimate, false),
            _ => {
                let counted = facts.count(
                    &Sql::new("select count(*) from (select 1 as one from ")
                        .table(&table.name)
                        .text(" limit ")
                        .bind(enough as i64)
                        .text(") as sample"),
                )?;
                (counted, counted < enough)
            }
        };
        let unreadable = match &rule.unreadable {
            Some(unreadable) if total_exact || total < 1_000_000 => count_rows(table, unreadable, facts)?,
            _ => 0,
        };
        return Ok(Sizes { matched, total: Some(total), total_exact, unreadable, index: Some(index) });
    }
    let when = |condition: &Sql| Sql::new(", count(case when ").add(condition).text(" then 1 end)");
    let nothing = Sql::new("1 = 0");
    let select = Sql::new("select count(*)")
        .add(&when(condition))
        .add(&when(rule.unreadable.as_ref().unwrap_or(&nothing)))
        .text(" from ")
        .table(&table.name)
        .text(" as t");
    let row = facts.rows(&select)?.into_iter().next().unwrap_or_default();
    let number = |n: usize| row.get(n).and_then(Value::as_int).unwrap_or(0).max(0) as u64;
    Ok(Sizes {
        matched: number(1),
        total: Some(number(0)),
        total_exact: true,
        unreadable: number(2),
        index: None,
    })
}

fn choose_walk(leaves: &[Table], sizes: &Sizes, facts: &mut dyn Facts) -> (Walk, String) {
    let walks = leaves.iter().all(|leaf| facts.dialect().walks(leaf));
    let share = sizes.share().unwrap_or(100.0);
    match &sizes.index {
        Some(index) if share <= FEW_PERCENT => {
            (Walk::Few, format!("by index `{index}`: only {share:.1} % of the rows are wanted"))
        }
        _ if walks => (
            Walk::Physical,
            format!("in physical order: {share:.1} % of the rows are wanted, so each page is read once"),
        ),
        Some(index) => {
            (Walk::Few, format!("by index `{index}`: this table cannot be walked in physical order"))
        }
        None => (Walk::Few, "by repeated search: this table cannot be walked in physical order".to_owned()),
    }
}

/// What would be cheaper when most of the table goes.
fn cheaper(leaves: &[Table], target: &Target, sizes: &Sizes) -> Option<String> {
    let most = sizes.share().is_some_and(|share| share > MOST_PERCENT);
    if !most || target.bulk != Bulk::Batches {
        return None;
    }
    if leaves.len() == 1 && sizes.matched < WORTH_A_WORD {
        return None;
    }
    Some(if leaves.len() > 1 {
        "most of the table goes: `bulk = \"drop_partitions\"` would drop whole partitions at once".to_owned()
    } else {
        "most of the table goes: `bulk = \"refill\"` would copy what stays and empty the table, which is cheaper \
         if others can wait"
            .to_owned()
    })
}

/// Whether what stays is put aside and the table emptied.
fn refills(target: &Target, table: &Table, leaves: &[Table], children: &[Child]) -> Result<bool> {
    if target.bulk != Bulk::Refill {
        return Ok(false);
    }
    let refuse = |what: &str, help: &str| Err(Error::usage(format!("`bulk = \"refill\"` {what}")).help(help));
    if target.action == Action::Mark || target.archive.is_some() {
        return refuse("only deletes", "leave `bulk` at `batches` to mark or archive rows");
    }
    if leaves.len() != 1 || !table.children.is_empty() || !table.parents.is_empty() {
        return refuse("needs a table of its own", "use `bulk = \"drop_partitions\"` for partitioned tables");
    }
    if !children.is_empty() {
        return refuse(
            &format!("empties the table, but `{}` refers to it", children[0].table.name),
            "leave `bulk` at `batches` for tables that others refer to",
        );
    }
    if let Some(trigger) = table.triggers.iter().find(|trigger| trigger.enabled) {
        return refuse(
            &format!("would fire trigger `{}` for every row that stays", trigger.name),
            "leave `bulk` at `batches`, or disable the trigger meanwhile",
        );
    }
    Ok(true)
}

/// Partitions that hold only doomed rows, where dropping them was asked for.
fn whole_partitions(
    options: &Options,
    target: &Target,
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    condition: &Sql,
    facts: &mut dyn Facts,
) -> Result<Vec<usize>> {
    if target.bulk != Bulk::DropPartitions {
        return Ok(Vec::new());
    }
    if options.undo != Undo::None || target.archive.is_some() || table.kind != TableKind::Partitioned {
        return Err(Error::usage(
            "`bulk = \"drop_partitions\"` needs a partitioned table, `undo = \"none\"` and no archive",
        )
        .help("a dropped partition cannot be put back: say so with `undo = \"none\"`"));
    }
    if target.action == Action::Mark || children.iter().any(|child| child.policy != Policy::Restrict) {
        return Err(Error::usage(
            "`bulk = \"drop_partitions\"` only deletes, and nothing beside the partitions",
        )
        .help("leave `dependants` at `restrict`, or `bulk` at `batches`"));
    }
    let mut whole = Vec::new();
    for (n, leaf) in leaves.iter().enumerate() {
        let staying = Sql::new("select count(*) from (select 1 as one from ")
            .table(&leaf.name)
            .text(" as t where (")
            .add(condition)
            .text(") is not true limit 1) as sample");
        let any = Sql::new("select count(*) from (select 1 as one from ")
            .table(&leaf.name)
            .text(" limit 1) as sample");
        if facts.count(&staying)? == 0 && facts.count(&any)? == 1 {
            whole.push(n);
        }
    }
    Ok(whole)
}

/// A column of which most values are no time is the wrong one, or counts in another unit: nothing would ever go.
fn check_ages(target: &Target, table: &Table, sizes: &Sizes, findings: &mut Vec<Finding>) {
    let Some(column) = target.age_column.as_ref().or(target.expires.as_ref()) else { return };
    if sizes.unreadable == 0 || sizes.unreadable.saturating_mul(2) < sizes.total.unwrap_or(0) {
        return;
    }
    findings.push(Finding::warning(
        "unreadable_ages",
        &table.name,
        format!("{} rows stay because `{column}` holds no time that can be read", sizes.unreadable),
        "name another column, or say how to read this one: `epoch_unit`, `zone`",
    ));
}

fn check_triggers(
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    target: &Target,
    findings: &mut Vec<Finding>,
) {
    let mut tables: Vec<(&Table, bool)> =
        leaves.iter().map(|leaf| (leaf, target.action == Action::Mark)).collect();
    if !leaves.iter().any(|leaf| leaf.name == table.name) {
        tables.push((table, target.action == Action::Mark));
    }
    let mut below: Vec<&Child> = children.iter().collect();
    while let Some(child) = below.pop() {
        below.extend(&child.children);
        match child.policy {
            Policy::Restrict => {}
            Policy::SetNull => tables.extend(child.leaves.iter().map(|leaf| (leaf, true))),
            Policy::Cascade | Policy::Archive => tables.extend(child.leaves.iter().map(|leaf| (leaf, false))),
        }
    }
    for (table, updates) in tables {
        for trigger in table.triggers.iter().filter(|trigger| trigger.enabled) {
            let fires = if updates { trigger.on_update } else { trigger.on_delete };
            if !fires {
                continue;
            }
            let what =
                format!("trigger `{}` fires on every row; what it does is not remembered", trigger.name);
            let remedy = "look at the trigger; allow it with `triggers = \"fire\"`";
            findings.push(match target.triggers {
                Triggers::Refuse => Finding::refuse("trigger", &table.name, what, remedy),
                Triggers::Fire => {
                    Finding::warning("trigger", &table.name, what, "what it does cannot be undone")
                }
            });
        }
    }
}

fn check_rest(
    options: &Options,
    target: &Target,
    table: &Table,
    leaves: &[Table],
    children: &[Child],
    findings: &mut Vec<Finding>,
) {
    let updates = target.action == Action::Mark && options.undo == Undo::Rows;
    if updates && leaves.iter().any(|leaf| leaf.key.is_none()) {
        findings.push(Finding::forbid(
            "no_key",
            &table.name,
            "its rows cannot be told apart, so a change of them could not be undone",
            "give the table a primary key, or say `undo = \"none\"`",
        ));
    }
    let archives = children.iter().any(|child| child.policy == Policy::Archive);
    if archives && target.archive.is_none() {
        findings.push(Finding::forbid(
            "no_archive",
            &table.name,
            "dependants are to be archived, but no archive is named",
            "say `archive = \"STORE\"`, or use `cascade`",
        ));
    }
    if options.undo == Undo::Archive && children.iter().any(|child| child.policy == Policy::SetNull) {
        findings.push(Finding::forbid(
            "set_null",
            &table.name,
            "references set to NULL cannot be restored from an archive",
            "use `undo = \"rows\"`",
        ));
    }
}

fn archive(target: &Target, planning: &Planning) -> Result<Option<Archive>> {
    let Some(store) = &target.archive else { return Ok(None) };
    planning.stores.store(store)?;
    Ok(Some(Archive {
        store: store.clone(),
        format: target.archive_format,
        operation: planning.request.name.clone(),
        database: planning.request.database.clone(),
    }))
}

/// The statements of a batch in the middle, for people to read.
fn statements(task: &Task, facts: &dyn Facts) -> Vec<String> {
    let dropped = task.drop.iter().flat_map(|n| facts.dialect().drop_partition(&task.leaves[*n]));
    let mut all: Vec<String> = dropped.map(|statement| statement.shown()).collect();
    let rest = task.leaves.iter().enumerate().find(|(n, _)| !task.drop.contains(n));
    let Some((_, leaf)) = rest else { return all };
    let take = targets::db::Take {
        table: leaf,
        condition: task.condition.clone(),
        window: None,
        limit: (task.walk == Walk::Few).then_some(1000),
        skip_locked: false,
        into: None,
        values: Vec::new(),
        batch: 1,
    };
    match task.action {
        Action::Delete => all.extend(facts.dialect().take(&take).iter().map(Sql::shown)),
        Action::Mark => {
            let set: Vec<String> =
                task.mark.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            all.push(format!(
                "update {} as t set {} where {}",
                leaf.name.quoted(),
                set.join(", "),
                task.condition.shown()
            ));
        }
    }
    all
}

fn said(dependants: &[engine::Dependants]) -> String {
    let each: Vec<String> = dependants
        .iter()
        .filter(|hanging| hanging.rows > 0)
        .map(|hanging| format!("{} in `{}` ({})", hanging.rows, hanging.table, hanging.columns.join(", ")))
        .collect();
    each.join(", ")
}

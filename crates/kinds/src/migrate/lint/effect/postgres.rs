//! Which locks PostgreSQL takes and what it does while it holds them.

use super::super::course::Course;
use super::super::stated::{
    Demand, Does, Minor, NewColumn, NewConstraint, NewTable, RowDeed, Steady, Thing, Value,
};
use super::types;
use super::{Effect, Lock, Sure, Work};
use targets::db::TableName;

/// What a part of a statement costs.
pub fn effect(does: &Does, course: &Course) -> Effect {
    use Lock::*;
    match does {
        Does::CreateTable { new, .. } => create_table(new),
        Does::AddColumn { table, column, .. } => add_column(table, column, course),
        Does::DropColumn { table, .. }
        | Does::RenameColumn { table, .. }
        | Does::RenameTable { table, .. }
        | Does::RenameConstraint { table }
        | Does::SetSchema { table, .. }
        | Does::DropNotNull { table, .. }
        | Does::SetDefault { table, .. }
        | Does::DropDefault { table, .. }
        | Does::AddIdentity { table, .. } => Effect::lock(table, AccessExclusive),
        Does::AlterType { table, column, to, using } => {
            let own = format!("{column}::");
            // What the database would write there itself changes nothing.
            let using = using.as_ref().is_some_and(|using| !using.to_lowercase().starts_with(&own));
            let effect = Effect::lock(table, AccessExclusive);
            match types::change(course.declared(table, column).as_deref(), to, using) {
                Some((work, sure)) => effect.work(table, work, sure),
                None => effect,
            }
        }
        Does::SetNotNull { table, column } => {
            let effect = Effect::lock(table, AccessExclusive);
            let proven = course.version >= 120_000 && course.proves_not_null(table, column);
            if proven || course.is_not_null(table, column) {
                effect
            } else {
                effect.certainly(table, Work::Scan)
            }
        }
        Does::SetExpression { table, .. } => {
            Effect::lock(table, AccessExclusive).certainly(table, Work::Rewrite)
        }
        Does::AddConstraint { table, constraint } => add_constraint(table, constraint, course),
        Does::ValidateConstraint { table, name } => {
            let effect = Effect::lock(table, ShareUpdateExclusive);
            match course.parent_of(table, name) {
                Some(parent) => effect.also(&parent, RowShare).certainly(table, Work::Match),
                None => effect.certainly(table, Work::Scan),
            }
        }
        Does::DropConstraint { table, name, .. } => {
            let effect = Effect::lock(table, AccessExclusive);
            match course.parent_of(table, name) {
                Some(parent) => effect.also(&parent, AccessExclusive),
                None => effect,
            }
        }
        Does::MoveTable { table, .. } => Effect::lock(table, AccessExclusive).certainly(table, Work::Rewrite),
        Does::Trigger { table, .. } => Effect::lock(table, ShareRowExclusive),
        Does::Alter { table, minor } => Effect::lock(table, of_minor(*minor)),
        Does::Inherit { table, parent, leaves } => {
            let weak = if *leaves { AccessShare } else { ShareUpdateExclusive };
            Effect::lock(table, AccessExclusive).also(parent, weak)
        }
        Does::AttachPartition { table, partition, .. } => {
            let effect = Effect::lock(table, ShareUpdateExclusive).also(partition, AccessExclusive);
            if course.has_check(partition) { effect } else { effect.certainly(partition, Work::Scan) }
        }
        Does::DetachPartition { table, partition, concurrently: true } => {
            Effect::lock(table, ShareUpdateExclusive)
                .also(partition, AccessExclusive)
                .outside("alter table … detach partition concurrently")
        }
        Does::DetachPartition { table, partition, .. } => {
            Effect::lock(table, AccessExclusive).also(partition, AccessExclusive)
        }
        Does::CreateIndex { table, index } => {
            let lock = if index.concurrently { ShareUpdateExclusive } else { Share };
            let effect = Effect::lock(table, lock);
            // On the parent alone nothing is built: its partitions come later.
            let effect = if index.only { effect } else { effect.certainly(table, Work::Build) };
            if index.concurrently { effect.outside("create index concurrently") } else { effect }
        }
        Does::DropIndex { names, concurrently, .. } => {
            let lock = if *concurrently { ShareUpdateExclusive } else { AccessExclusive };
            let tables = names.iter().filter_map(|name| course.table_of_index(name));
            let locks = tables.map(|table| (table, lock)).collect();
            let outside = concurrently.then_some("drop index concurrently");
            Effect { locks, work: Vec::new(), outside }
        }
        Does::Reindex { target, name, concurrently } => reindex(target, name.as_ref(), *concurrently, course),
        Does::DropTable { tables, .. } => {
            let mut effect = every(tables, AccessExclusive);
            // Their triggers for the reference go with it.
            for parent in tables.iter().flat_map(|table| course.parents(table)) {
                effect = effect.also(&parent, AccessExclusive);
            }
            effect
        }
        Does::Truncate { tables, cascade } => {
            let mut all = tables.clone();
            let mut next = 0;
            while let Some(table) = all.get(next).filter(|_| *cascade) {
                let more = course.referring(table);
                next += 1;
                let known = all.clone();
                all.extend(more.into_iter().filter(|child| !known.contains(child)));
            }
            every(&all, AccessExclusive)
        }
        Does::DropThing { thing: Thing::MaterializedView | Thing::View, names, .. } => {
            every(names, AccessExclusive)
        }
        Does::DropThing { table: Some(table), .. } => Effect::lock(table, AccessExclusive),
        Does::DropThing { thing: Thing::Database, .. } => Effect::default().outside("drop database"),
        Does::CreateView { name, replaces: true } if course.is_there(name) => {
            Effect::lock(name, AccessExclusive)
        }
        Does::Refresh { view, concurrently: true, .. } => {
            Effect::lock(view, Exclusive).certainly(view, Work::Rows)
        }
        Does::Refresh { view, with_data, .. } => {
            let effect = Effect::lock(view, AccessExclusive);
            if *with_data { effect.certainly(view, Work::Rewrite) } else { effect }
        }
        Does::AddEnumValue { .. } if course.version < 120_000 => {
            Effect::default().outside("alter type … add value")
        }
        Does::CreateTrigger { table, .. } => Effect::lock(table, ShareRowExclusive),
        Does::CreateOn { table, .. } => Effect::lock(table, AccessExclusive),
        Does::CreateStatistics { table } | Does::Comment { table: Some(table) } => {
            Effect::lock(table, ShareUpdateExclusive)
        }
        Does::DomainConstraint { domain } => {
            let users = course.using_type(domain);
            let mut effect = every(&users, Share);
            for user in &users {
                effect = effect.certainly(user, Work::Scan);
            }
            effect
        }
        Does::Vacuum { table, full } => {
            let (lock, work) =
                if *full { (AccessExclusive, Work::Rewrite) } else { (ShareUpdateExclusive, Work::Scan) };
            let effect = match table {
                Some(table) => Effect::lock(table, lock).certainly(table, work),
                None => Effect::default(),
            };
            effect.outside(if *full { "vacuum full" } else { "vacuum" })
        }
        Does::Cluster { table: Some(table) } => {
            Effect::lock(table, AccessExclusive).certainly(table, Work::Rewrite)
        }
        Does::Cluster { table: None } => Effect::default().outside("cluster of all tables"),
        Does::Analyze { table: Some(table) } => Effect::lock(table, ShareUpdateExclusive),
        Does::Rows { table, deed, .. } => {
            let effect = Effect::lock(table, RowExclusive);
            if *deed == RowDeed::Insert { effect } else { effect.work(table, Work::Rows, Sure::Perhaps) }
        }
        Does::Lock { tables, mode } => every(tables, named(mode)),
        Does::Outside(what) => Effect::default().outside(what),
        _ => Effect::default(),
    }
}

fn every(tables: &[TableName], lock: Lock) -> Effect {
    Effect { locks: tables.iter().map(|table| (table.clone(), lock)).collect(), ..Effect::default() }
}

fn create_table(new: &NewTable) -> Effect {
    let inline = new.columns.iter().flat_map(|column| &column.constraints);
    let mut effect = Effect::default();
    if let Some(parent) = &new.partition_of {
        effect = effect.also(parent, Lock::AccessExclusive);
    }
    for parent in &new.inherits {
        effect = effect.also(parent, Lock::ShareUpdateExclusive);
    }
    for constraint in inline.chain(&new.constraints) {
        if let Demand::ForeignKey { parent, .. } = &constraint.demands {
            effect = effect.also(parent, Lock::ShareRowExclusive);
        }
    }
    effect
}

fn add_column(table: &TableName, column: &NewColumn, course: &Course) -> Effect {
    let mut effect = Effect::lock(table, Lock::AccessExclusive);
    if column.generated == Some(true) || column.identity {
        effect = effect.certainly(table, Work::Rewrite);
    } else if let Some(sure) = column.default.as_ref().and_then(|default| fills(default, course.version)) {
        effect = effect.work(table, Work::Rewrite, sure);
    }
    for constraint in &column.constraints {
        let added = add_constraint(table, constraint, course);
        for (parent, lock) in added.locks.into_iter().skip(1) {
            effect = effect.also(&parent, lock);
        }
        let empty = column.default.is_none() && matches!(constraint.demands, Demand::ForeignKey { .. });
        // A new column without a value refers to nothing, and PostgreSQL knows it.
        if !empty {
            effect.work.extend(added.work);
        }
    }
    if column.not_null && column.default.is_none() && !column.identity && column.generated.is_none() {
        effect = effect.certainly(table, Work::Scan);
    }
    effect
}

/// Whether a default must be written into every row.
fn fills(default: &Value, version: u32) -> Option<Sure> {
    match default.steady {
        Steady::Null => None,
        Steady::Constant => (version < 110_000).then_some(Sure::Certain),
        Steady::Volatile => Some(Sure::Certain),
        Steady::Unknown => Some(Sure::Perhaps),
    }
}

fn add_constraint(table: &TableName, constraint: &NewConstraint, course: &Course) -> Effect {
    let looks = !constraint.not_valid && !constraint.not_enforced;
    let scan = |effect: Effect| if looks { effect.certainly(table, Work::Scan) } else { effect };
    let locked = Effect::lock(table, Lock::AccessExclusive);
    match &constraint.demands {
        Demand::Check(_) | Demand::NotNull(_) => scan(locked),
        Demand::ForeignKey { parent, .. } => {
            let locked = Effect::lock(table, Lock::ShareRowExclusive).also(parent, Lock::ShareRowExclusive);
            if looks { locked.certainly(table, Work::Match) } else { locked }
        }
        Demand::Unique { index: Some(_), .. } => locked,
        Demand::Primary { index: Some(index), .. } => {
            let columns = course.columns_of_index(&TableName::bare(index));
            // The columns of a key become NOT NULL, which is looked at row by row where nothing proves it.
            let known = columns.is_some_and(|columns| {
                columns.iter().all(|column| course.is_or_proves_not_null(table, column))
            });
            if known { locked } else { locked.work(table, Work::Scan, Sure::Perhaps) }
        }
        Demand::Unique { .. } | Demand::Primary { .. } | Demand::Exclude => {
            locked.certainly(table, Work::Build)
        }
    }
}

fn of_minor(minor: Minor) -> Lock {
    match minor {
        Minor::SetStatistics | Minor::SetColumnOptions | Minor::ClusterOn | Minor::SetGentleOptions => {
            Lock::ShareUpdateExclusive
        }
        Minor::AlterConstraint
        | Minor::SetStorage
        | Minor::SetCompression
        | Minor::DropIdentity
        | Minor::SetIdentity
        | Minor::DropExpression
        | Minor::Rule
        | Minor::RowSecurity
        | Minor::Owner
        | Minor::SetOptions
        | Minor::ReplicaIdentity
        | Minor::OfType => Lock::AccessExclusive,
    }
}

fn reindex(target: &str, name: Option<&TableName>, concurrently: bool, course: &Course) -> Effect {
    let table = match (target, name) {
        ("table", Some(table)) => Some(table.clone()),
        ("index", Some(index)) => course.table_of_index(index),
        _ => None,
    };
    let lock = if concurrently { Lock::ShareUpdateExclusive } else { Lock::Share };
    let effect = match &table {
        Some(table) => Effect::lock(table, lock).certainly(table, Work::Build),
        None => Effect::default(),
    };
    match (concurrently, target) {
        (true, _) => effect.outside("reindex concurrently"),
        (false, "schema" | "database" | "system") => effect.outside("reindex of many tables"),
        _ => effect,
    }
}

fn named(mode: &str) -> Lock {
    match mode {
        "access share" => Lock::AccessShare,
        "row share" => Lock::RowShare,
        "row exclusive" => Lock::RowExclusive,
        "share update exclusive" => Lock::ShareUpdateExclusive,
        "share" => Lock::Share,
        "share row exclusive" => Lock::ShareRowExclusive,
        "exclusive" => Lock::Exclusive,
        _ => Lock::AccessExclusive,
    }
}

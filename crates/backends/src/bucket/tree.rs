//! Walking, moving and removing in a bucket, which has no folders: they are read from the names.
//!
//! A move is a copy and a removal, so it changes the time of a file and is not done in one step; it can be repeated
//! until it is done, and nothing is overwritten. What the service cannot copy in one request (5 GB) cannot be moved.

use super::Shared;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use targets::db::Result;
use targets::files::{About, Each, Moved, Sort, check_name};

/// See `Files::walk`.
pub fn walk(shared: &Shared, folder: &str, each: &mut Each) -> Result<bool> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut known = String::new();
    let mut passed: Option<String> = None;
    let any = pages(shared, &prefix, &mut |name, meta| {
        if passed.as_deref().is_some_and(|passed| name.starts_with(passed)) {
            return Ok(());
        }
        // Folders that the name before did not lie in.
        for (at, _) in name.match_indices('/').filter(|(at, _)| *at >= prefix.len()) {
            let here = &name[..=at];
            if known.starts_with(here) {
                continue;
            }
            if !each(&name[..at], Ok(About { sort: Sort::Folder, bytes: 0, modified_us: 0, shared: None }))? {
                passed = Some(here.to_owned());
                return Ok(());
            }
        }
        name.clone_into(&mut known);
        each(name, Ok(about(name, meta))).map(drop)
    })?;
    Ok(any || folder.is_empty())
}

/// Every object below a prefix, in the order of names; whether there was any.
fn pages(shared: &Shared, prefix: &str, each: &mut dyn FnMut(&str, &ObjectMeta) -> Result<()>) -> Result<bool> {
    let full = format!("{}{prefix}", shared.prefix);
    let mut page_token = None;
    let mut any = false;
    loop {
        let options = PaginatedListOptions { page_token, ..Default::default() };
        let page = shared.store.list_paginated(Some(full.as_str()).filter(|full| !full.is_empty()), options);
        let page = shared.runtime.block_on(page).map_err(|error| shared.failed("list", prefix, error))?;
        for object in &page.result.objects {
            if let Some(name) = object.location.as_ref().strip_prefix(&shared.prefix) {
                any = true;
                each(name, object)?;
            }
        }
        page_token = page.page_token;
        if page_token.is_none() {
            return Ok(any);
        }
    }
}

fn about(name: &str, meta: &ObjectMeta) -> About {
    let sort = if check_name(name).is_ok() { Sort::File } else { Sort::Other };
    About { sort, bytes: meta.size, modified_us: meta.last_modified.timestamp_micros(), shared: None }
}

/// See `Files::look`.
pub fn look(shared: &Shared, name: &str) -> Result<Option<About>> {
    if let Some(meta) = shared.head("look at", name, &shared.path(name)?)? {
        return Ok(Some(about(name, &meta)));
    }
    let any = !below(shared, name, 1)?.is_empty();
    Ok(any.then_some(About { sort: Sort::Folder, bytes: 0, modified_us: 0, shared: None }))
}

/// The names below a folder, at most about `most`.
fn below(shared: &Shared, folder: &str, most: usize) -> Result<Vec<(String, ObjectMeta)>> {
    let full = format!("{}{folder}/", shared.prefix);
    let options = PaginatedListOptions { max_keys: Some(most.min(1_000)), ..Default::default() };
    let page = shared.runtime.block_on(shared.store.list_paginated(Some(&full), options));
    let page = page.map_err(|error| shared.failed("list", folder, error))?;
    let names = page.result.objects.into_iter().filter_map(|object| {
        let name = object.location.as_ref().strip_prefix(&shared.prefix)?.to_owned();
        Some((name, object))
    });
    Ok(names.collect())
}

/// See `Files::move_to`.
pub fn move_to(shared: &Shared, from: &str, to: &str) -> Result<Moved> {
    let (old, new) = (shared.path(from)?, shared.path(to)?);
    if let Some(meta) = shared.head("move", from, &old)? {
        return move_one(shared, from, &old, &meta, &new);
    }
    let mut files = Vec::new();
    pages(shared, &format!("{from}/"), &mut |name, meta| {
        files.push((name.to_owned(), meta.clone()));
        Ok(())
    })?;
    let mut outcome = if files.is_empty() { Moved::Missing } else { Moved::Done };
    for (name, meta) in &files {
        let target = shared.path(&format!("{to}{}", &name[from.len()..]))?;
        if move_one(shared, name, &meta.location, meta, &target)? == Moved::Taken {
            outcome = Moved::Taken;
        }
    }
    Ok(outcome)
}

fn move_one(shared: &Shared, name: &str, old: &Path, meta: &ObjectMeta, new: &Path) -> Result<Moved> {
    match shared.head("move", name, new)? {
        None => {
            let copied = shared.runtime.block_on(shared.store.copy(old, new));
            copied.map_err(|error| shared.failed("move", name, error))?;
        }
        // An interrupted move that had come as far as this.
        Some(there) if there.size == meta.size && there.e_tag.is_some() && there.e_tag == meta.e_tag => {}
        Some(_) => return Ok(Moved::Taken),
    }
    let removed = shared.runtime.block_on(shared.store.delete(old));
    removed.map(|()| Moved::Done).map_err(|error| shared.failed("move", name, error))
}

/// See `Files::remove_tree`.
pub fn remove_tree(shared: &Shared, name: &str) -> Result<bool> {
    let mut files = Vec::new();
    pages(shared, &format!("{name}/"), &mut |_, meta| {
        files.push(meta.location.clone());
        Ok(())
    })?;
    for file in &files {
        let removed = shared.runtime.block_on(shared.store.delete(file));
        removed.map_err(|error| shared.failed("remove", file.as_ref(), error))?;
    }
    Ok(!files.is_empty())
}

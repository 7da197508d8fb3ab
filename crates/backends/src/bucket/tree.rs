//! Walking, moving and removing in a bucket, which has no folders: they are read from the names.
//!
//! A move is a copy and a removal, so it changes the time of a file and is not done in one step; it can be repeated
//! until it is done, and nothing is overwritten. What the service does not copy in one request (5 GB) is copied in parts.

use super::transfer::Download;
use super::{Shared, large};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use std::io::Read as _;
use std::sync::Arc;
use targets::db::Result;
use targets::files::{About, Each, Moved, Sort, check_name, failed};

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
fn pages(
    shared: &Shared,
    prefix: &str,
    each: &mut dyn FnMut(&str, &ObjectMeta) -> Result<()>,
) -> Result<bool> {
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
    // A listing knows milliseconds, a question about one object only seconds.
    let modified_us = meta.last_modified.timestamp() * 1_000_000;
    About { sort, bytes: meta.size, modified_us, shared: None }
}

/// See `Files::look`.
pub fn look(shared: &Shared, name: &str) -> Result<Option<About>> {
    let path = shared.path(name)?;
    if let Some(meta) = file(shared, name, &path)? {
        return Ok(Some(about(name, &meta)));
    }
    let any = first(shared, name, &format!("{path}/"))?.is_some();
    Ok(any.then_some(About { sort: Sort::Folder, bytes: 0, modified_us: 0, shared: None }))
}

/// The object at a path. Not asked for by itself: some services fail when the name is only the beginning of others.
fn file(shared: &Shared, name: &str, path: &Path) -> Result<Option<ObjectMeta>> {
    // In the order of names it comes before all that begin with it.
    Ok(first(shared, name, path.as_ref())?.filter(|meta| meta.location == *path))
}

/// The first object whose path begins so.
fn first(shared: &Shared, name: &str, prefix: &str) -> Result<Option<ObjectMeta>> {
    let options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
    let page = shared.runtime.block_on(shared.store.list_paginated(Some(prefix), options));
    let page = page.map_err(|error| shared.failed("look at", name, error))?;
    Ok(page.result.objects.into_iter().next())
}

/// See `Files::move_to`.
pub fn move_to(shared: &Arc<Shared>, from: &str, to: &str) -> Result<Moved> {
    let (old, new) = (shared.path(from)?, shared.path(to)?);
    if let Some(meta) = file(shared, from, &old)? {
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

fn move_one(shared: &Arc<Shared>, name: &str, old: &Path, meta: &ObjectMeta, new: &Path) -> Result<Moved> {
    match file(shared, name, new)? {
        None => {
            let copied = match meta.size > shared.largest_copy {
                true => shared.runtime.block_on(large::copy(shared, meta, new)),
                false => shared.runtime.block_on(shared.store.copy(old, new)),
            };
            copied.map_err(|error| shared.failed("move", name, error))?;
        }
        // An interrupted move that had come as far as this.
        Some(there) if is_copy(shared, name, meta, &there)? => {}
        Some(_) => return Ok(Moved::Taken),
    }
    let removed = shared.runtime.block_on(shared.store.delete(old));
    removed.map(|()| Moved::Done).map_err(|error| shared.failed("move", name, error))
}

/// Whether two objects hold the same. Their tags say so, or else their bytes: large objects copied in parts, and some
/// services, have tags that tell nothing.
fn is_copy(shared: &Arc<Shared>, name: &str, one: &ObjectMeta, other: &ObjectMeta) -> Result<bool> {
    if one.size != other.size {
        return Ok(false);
    }
    // Listings of some services leave the tags out.
    let whole = |meta: &ObjectMeta| shared.head("compare", name, &meta.location);
    let (Some(one), Some(other)) = (whole(one)?, whole(other)?) else { return Ok(false) };
    if one.e_tag.is_some() && one.e_tag == other.e_tag {
        return Ok(true);
    }
    let doing = || format!("cannot compare `{name}` in `{}`", shared.label);
    let open = |meta: &ObjectMeta| Download::new(Arc::clone(shared), name, meta.clone());
    let (mut one, mut other) = (open(&one), open(&other));
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let read = one.read(&mut left).map_err(|error| failed(&doing(), error))?;
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..read]).map_err(|error| failed(&doing(), error))?;
        if left[..read] != right[..read] {
            return Ok(false);
        }
    }
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

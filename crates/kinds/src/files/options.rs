//! What the kind `files` can be told. The doc comments are the help texts of flags, config keys and the API.

use super::glob::Glob;
use engine::age::Age;
use engine::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The class of whole folders whose id is gone.
pub const FOLDERS: &str = "orphaned_directories";
/// The class of files when none is named.
pub const FILES: &str = "orphaned_files";
/// The class of left-over temporary files.
pub const TEMPORARY: &str = "temporary_files";

/// A store of files, and what in the database refers to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The file store to look at.
    #[schemars(extend("format" = "store"))]
    pub store: String,
    /// A folder of the store: only what is below it is looked at. Default: the whole store.
    pub base: String,
    /// With a folder for each row: the column with the ids that the folders are named after, as `table.column`. A folder
    /// whose id is gone is an orphan as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<String>,
    /// What the name of such a folder looks like, such as `planner-*`. Other folders are told as unknown and stay.
    pub id_pattern: String,
    /// Names or paths, with wildcards, that are not looked at: `.git`, `lost+found`, `backups/**`.
    pub ignore: Vec<String>,
    /// Files that belong there without any row, with wildcards, such as `execution_plan_model.json`. With `ids` the path
    /// begins in the folder of an id.
    pub keep: Vec<String>,
    /// Which files are judged, and under which name: `{ class = "orphaned_images", glob = "images/*.b64" }`. The first
    /// that fits counts; with `ids` the path begins in the folder of an id. Default without `ids`: all files, as
    /// `orphaned_files`.
    pub classes: Vec<FileClass>,
    /// The columns that refer to files. All of them: a file that only an unnamed column refers to would be an orphan.
    pub references: Vec<Reference>,
    /// What stands before the names of files where rows speak of them, such as `https://cdn.example.org/files` or the folder
    /// as the application sees it. The store's own place is known.
    pub prefixes: Vec<String>,
    /// Left-over temporary files: they need no row, only an age: `{ glob = "tmp/**", older_than = "1 day" }`. Files that
    /// a row refers to stay all the same.
    pub temporary: Vec<Temporary>,
    /// Younger files are left alone: their row may not be committed yet.
    pub min_age: Age,
    /// A missing folder is an error, not a warning: it may be a disk that is not mounted.
    pub must_exist: bool,
    /// A file that must be there, such as `.this-is-the-store`: without it nothing is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<String>,
    /// How long removed files wait in the quarantine, a folder of the same store, from which `sexton undo` brings them
    /// back: `7 days`. With `off` they are removed at the end of the run, for good.
    pub quarantine: String,
    /// At most this many files and folders in one run; the rest waits for the next.
    #[schemars(range(min = 1))]
    pub max_files: u64,
    /// Only look and report, also in a run. `--set dry_run=false` acts.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: String::new(),
            base: String::new(),
            ids: None,
            id_pattern: "*".to_owned(),
            ignore: Vec::new(),
            keep: Vec::new(),
            classes: Vec::new(),
            references: Vec::new(),
            prefixes: Vec::new(),
            temporary: Vec::new(),
            min_age: Age("60 minutes".to_owned()),
            must_exist: false,
            marker: None,
            quarantine: "7 days".to_owned(),
            max_files: 100_000,
            dry_run: false,
        }
    }
}

/// Files that are judged alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileClass {
    /// Its name in reports.
    pub class: String,
    /// Which files: `*` and `?` within a name, `**` across folders, `{a,b}` for either.
    pub glob: String,
}

/// A column that refers to files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// In which form: `auto` (JSON and arrays at any depth, else one path), `path`, `json`, `text` (paths inside a text),
    /// `name` (the last part of the path) or `hash` (files are named after a checksum, whatever their folders and ending).
    pub form: Form,
    /// A column with the folder that relative paths begin in, beside the base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// A condition in SQL, over the alias `t`: only these rows refer. Only from the configuration or the command line, never from the API.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// The form of references.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// JSON and arrays by their look, else one path.
    #[default]
    Auto,
    /// One path.
    Path,
    /// JSON: every text in it, at any depth, is a path.
    Json,
    /// Paths inside a text.
    Text,
    /// The last part of the path.
    Name,
    /// A checksum that the file is named after.
    Hash,
}

/// Left-over temporary files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Temporary {
    /// Which files; the path begins in the base.
    pub glob: String,
    /// Strictly older than this.
    pub older_than: Age,
}

impl Options {
    /// Reads options. An unknown one is refused: a mistyped limit must not be taken for none.
    pub fn read(options: &serde_json::Value) -> Result<Options> {
        serde_json::from_value(options.clone()).map_err(|error| {
            Error::usage(format!("the options of `files` cannot be read: {error}"))
                .help("`sexton help files` shows the options and what they take")
        })
    }

    /// Refuses what is wrong whatever store and database are like, so that `sexton config check` finds it.
    pub fn check(&self) -> Result<()> {
        if self.store.is_empty() {
            return Err(Error::usage("`files` needs a store").help("say `store = \"…\"`, or `--store`"));
        }
        for name in
            [Some(&self.base).filter(|base| !base.is_empty()), self.marker.as_ref()].into_iter().flatten()
        {
            targets::files::check_name(name)?;
        }
        if self.ids.is_none() && self.references.is_empty() && self.temporary.is_empty() {
            return Err(Error::usage("nothing says which files are needed: all would go")
                .help("say `references = [{ table = \"…\", column = \"…\" }]`, `ids` or `temporary`"));
        }
        if let Some(ids) = self.ids.as_ref().filter(|ids| !ids.contains('.')) {
            return Err(
                Error::usage(format!("`ids = \"{ids}\"` names no column")).help("write it as `table.column`")
            );
        }
        if !self.classes.is_empty() && self.references.is_empty() {
            return Err(Error::usage("classes of files need columns that refer to them")
                .help("say `references = [{ table = \"…\", column = \"…\" }]`"));
        }
        let mut names: Vec<&str> = vec![FOLDERS, TEMPORARY];
        for class in &self.classes {
            if names.contains(&class.class.as_str()) {
                return Err(Error::usage(format!("two classes have the name `{}`", class.class))
                    .help("give one of them another name"));
            }
            names.push(&class.class);
        }
        for reference in &self.references {
            if reference.table.is_empty() || reference.column.is_empty() {
                return Err(Error::usage("a reference needs a table and a column")
                    .help("say `references = [{ table = \"…\", column = \"…\" }]`"));
            }
        }
        self.min_age.span()?;
        self.temporary.iter().try_for_each(|rule| rule.older_than.span().map(drop))?;
        self.kept().map(drop)
    }

    /// How long removed files wait; none when they are removed at the end of the run.
    pub fn kept(&self) -> Result<Option<Age>> {
        if self.quarantine == "off" {
            return Ok(None);
        }
        let age = Age(self.quarantine.clone());
        age.span().map_err(|error| error.while_doing("`quarantine`"))?;
        Ok(Some(age))
    }

    /// The classes of single files, in order.
    pub fn file_classes(&self) -> Vec<FileClass> {
        if self.classes.is_empty() && self.ids.is_none() && !self.references.is_empty() {
            return vec![FileClass { class: FILES.to_owned(), glob: "**".to_owned() }];
        }
        self.classes.clone()
    }

    /// Whether a path below the base is left out altogether.
    pub fn ignored(&self) -> impl Fn(&str) -> bool + use<> {
        let globs: Vec<(bool, Glob)> =
            self.ignore.iter().map(|text| (text.contains('/'), Glob::new(text))).collect();
        move |path: &str| {
            let last = path.rsplit('/').next().unwrap_or(path);
            globs.iter().any(|(whole, glob)| glob.fits(if *whole { path } else { last }))
        }
    }
}

//! What a failed request means: who must do what about it.
//!
//! The library keeps the status of an answer to itself except in its text, so the text is read here and nowhere else.

use super::Shared;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as StdError;
use targets::db::Error;

impl Shared {
    /// The error of a request that was to `verb` the file `name`.
    pub(super) fn failed(&self, verb: &str, name: &str, error: object_store::Error) -> Error {
        let bucket = &self.bucket;
        let what = match name {
            "" => format!("cannot {verb} `{}`", self.label),
            _ => format!("cannot {verb} `{name}` in `{}`", self.label),
        };
        let chain = chain(&error);
        let text: String = chain.iter().map(|error| format!("{error}: ")).collect();
        let status = text.split("status code: ").nth(1).and_then(|rest| rest.get(..3)).unwrap_or_default();
        let unanswered = chain.iter().any(|error| {
            error
                .downcast_ref::<HttpError>()
                .is_some_and(|http| !matches!(http.kind(), HttpErrorKind::Unknown))
        });
        let made = match status {
            _ if text.contains("NoSuchBucket") => Error::system(what)
                .help(format!("bucket `{bucket}` does not exist: create it, or correct the name")),
            "401" | "403" => Error::system(what).help(format!(
                "check key, secret and region, and that the key may list, get, put and delete in `{bucket}`"
            )),
            "429" | "500" | "502" | "503" | "504" => Error::transient(what)
                .help(format!("the service of bucket `{bucket}` is overloaded; try again later")),
            _ if unanswered => Error::transient(what).help(format!(
                "check that the service of bucket `{bucket}` is up and can be reached from here"
            )),
            _ => Error::system(what),
        };
        made.because(error)
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut chain = vec![error];
    let mut last = error;
    while let Some(source) = last.source() {
        chain.push(source);
        last = source;
    }
    chain
}

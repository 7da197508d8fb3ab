//! How plans and reports speak of files and folders instead of rows.

use super::numbers::{of, rows};
use engine::OperationReport;

/// Whether a step with this action is about files.
pub fn is_about_files(action: &str) -> bool {
    ["quarantine", "remove", "report", "restore_files"].contains(&action)
}

/// Its configuration says that it only reports.
pub fn only_reports(operation: &OperationReport) -> bool {
    operation.rows_matched > 0 && operation.targets.iter().all(|target| target.action == "report")
}

/// Whether it is about files.
pub fn acts_on_files(operation: &OperationReport) -> bool {
    operation.targets.iter().any(|target| is_about_files(&target.action))
}

/// So many rows, or files.
pub fn things(operation: &OperationReport, number: u64) -> String {
    let indexes = |target: &engine::TargetReport| {
        [engine::undo::RESTORE_INDEX, "drop_index"].contains(&target.action.as_str())
    };
    if !operation.targets.is_empty() && operation.targets.iter().all(indexes) {
        return of(number, "index", "indexes");
    }
    if acts_on_files(operation) { folders_and_files(number, operation.result.as_ref()) } else { rows(number) }
}

/// So many folders and files, where the result tells them apart (S0-058).
pub fn folders_and_files(number: u64, result: Option<&serde_json::Value>) -> String {
    let listed = |list: &str| Some(result?.pointer(list)?.as_array()?.len() as u64);
    let folders = listed("/cleanup/removed_directories").unwrap_or(0);
    let files = listed("/cleanup/removed_files").unwrap_or(0);
    if number == 0 || folders + files != number {
        return of(number, "file or folder", "files and folders");
    }
    match (folders, files) {
        (folders, 0) => of(folders, "folder", "folders"),
        (0, files) => of(files, "file", "files"),
        _ => format!("{} and {}", of(folders, "folder", "folders"), of(files, "file", "files")),
    }
}

/// What removed files took (S0-058).
pub fn freed(operation: &OperationReport) -> Option<u64> {
    operation.result.as_ref()?.pointer("/cleanup/total_space_freed")?.as_u64()
}

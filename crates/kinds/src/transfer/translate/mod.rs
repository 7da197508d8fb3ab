//! SQLite's language in PostgreSQL's words: expressions, defaults, and the queries of views and triggers.
//!
//! Only where both mean the same; else the reason why not. Everything here is decided from texts and what is known of the columns:
//! nothing is asked.

mod aggregates;
pub mod columns;
pub mod defaults;
pub mod expression;
mod functions;
pub mod grammar;
mod joins;
mod levels;
pub mod members;
mod moments;
mod patterns;
mod programs;
mod queries;
pub mod sides;
pub mod triggers;
pub mod views;

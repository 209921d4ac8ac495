//! The doctor from outside: texts in, findings, edits and reports out.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod examples;
mod fix;
mod incident;
mod pages;
mod random;
mod readers;
mod reports;

//! `outlast link`, and the links that `outlast up` prints.

use std::process::ExitCode;

use outlast_access::Access;

use crate::cli::LinkArgs;
use crate::data;
use crate::failure::Failure;

/// Prints a fresh one-time link.
pub(crate) fn run(args: &LinkArgs) -> Result<ExitCode, Failure> {
    let access = data::open(args.data.as_ref())?;
    println!("{}", login(&access, args.url.trim_end_matches('/')));
    Ok(ExitCode::SUCCESS)
}

/// A one-time link to the desktop at `url`, which has no slash at its end.
pub(crate) fn login(access: &Access, url: &str) -> String {
    format!("{url}/login?ticket={}", access.issue_ticket().expose())
}

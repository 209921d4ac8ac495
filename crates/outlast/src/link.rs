//! `outlast link`, and the links that `outlast up` prints.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use outlast_access::Access;

use crate::cli::LinkArgs;
use crate::data;
use crate::failure::Failure;

/// Prints a fresh one-time link.
pub(crate) fn run(args: &LinkArgs) -> Result<ExitCode, Failure> {
    let access = data::open(args.data.as_ref())?;
    let link = login(&access, args.url.trim_end_matches('/'));
    writeln!(io::stdout(), "{link}").context("cannot print the link").map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

/// A one-time link to the desktop at `url`, which has no slash at its end.
pub(crate) fn login(access: &Access, url: &str) -> String {
    format!("{url}/login?ticket={}", access.issue_ticket().expose())
}

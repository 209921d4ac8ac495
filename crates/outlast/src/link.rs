//! `outlast link`, and the links that `outlast up` prints.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::anyhow;
use outlast_access::Access;

use crate::check::read_or_not;
use crate::cli::LinkArgs;
use crate::data;
use crate::failure::Failure;

/// Prints a fresh one-time link.
pub(crate) fn run(args: &LinkArgs) -> Result<ExitCode, Failure> {
    let folder = data::folder(args.data.as_ref())?;
    // Keys made here would fit no desktop, and the link would let nobody in.
    if !Access::is_kept_in(&folder) {
        let error = anyhow!("nothing was started with the data folder {}", folder.display());
        return Err(Failure::config(error).hint(
            "start `outlast up`, or name its data folder by --data: it prints the whole command",
        ));
    }
    let access = data::open(args.data.as_ref())?;
    let link = login(&access, args.url.trim_end_matches('/'));
    read_or_not(writeln!(io::stdout(), "{link}")).map_err(Failure::failed)?;
    Ok(ExitCode::SUCCESS)
}

/// A one-time link to the desktop at `url`, which has no slash at its end.
pub(crate) fn login(access: &Access, url: &str) -> String {
    format!("{url}/login?ticket={}", access.issue_ticket().expose())
}

//! A log as the load of a what-if.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, anyhow};
use outlast_doctor::logs::Reader;
use outlast_doctor::whatif::{Base, Records};

use super::{Source, WhatIfArgs, retry};
use crate::failure::Failure;

/// Reads the exchanges of the service.
pub(super) fn source(file: &Path, args: &WhatIfArgs, base: &Base) -> Result<Source, Failure> {
    let is_input = file == Path::new("-");
    let name = if is_input { "standard input".to_owned() } else { file.display().to_string() };
    let what = || format!("cannot read {name}");
    let mut input: Box<dyn Read> = match is_input {
        true => Box::new(io::stdin().lock()),
        false => Box::new(File::open(file).with_context(what).map_err(|error| {
            Failure::config(error).hint("--records names a log of `outlast up`")
        })?),
    };
    let mut records = Records::new(&base.service, &base.plan.reserve.paths);
    let mut reader = Reader::new(0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = input.read(&mut buffer).with_context(what).map_err(Failure::config)?;
        if read == 0 {
            break;
        }
        reader.feed(&buffer[..read], &mut |event| records.take(&event));
    }
    let read = reader.finish(&mut |event| records.take(&event));
    read.map_err(|error| {
        Failure::config(anyhow!("{name}: {error}")).hint("--records takes a log of `outlast up`")
    })?;
    let recorded = records.finish(retry(args), args.patience).map_err(|error| {
        let hint = error.hint();
        Failure::config(anyhow!("{name}: {error}")).hint(hint)
    })?;
    let told = format!("{name}: {}.", recorded.told());
    Ok(Source { draw: Box::new(move |seed| recorded.draw(seed)), told })
}

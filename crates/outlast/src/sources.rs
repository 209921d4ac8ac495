//! The configuration's files, environment and flags, read but not judged.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context;
use outlast_config::{Flags, SourceText};

use outlast_runtime::guard;

use crate::cli::{AgentArgs, PlanArgs};
use crate::failure::Failure;

/// A configuration longer than this is not one.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// What was read; `outlast_config::Sources` borrows from it.
pub(crate) struct Read {
    pub(crate) fly: Option<SourceText>,
    pub(crate) outlast: Option<SourceText>,
    pub(crate) env: BTreeMap<String, String>,
}

impl Read {
    /// Reads `fly.toml` as told or from the current directory, and `outlast.toml` beside it.
    pub(crate) fn all(config: Option<&PathBuf>) -> Result<Self, Failure> {
        let fly = match config {
            Some(path) => Some(read_existing(path)?),
            None => read(Path::new("fly.toml"))?,
        };
        let folder = config.and_then(|path| path.parent()).unwrap_or(Path::new(""));
        Ok(Self { fly, ..Self::without_fly(folder)? })
    }

    /// Reads `outlast.toml` of `folder` alone.
    pub(crate) fn without_fly(folder: &Path) -> Result<Self, Failure> {
        let outlast = read(&folder.join("outlast.toml"))?;
        Ok(Self { fly: None, outlast, env: variables()? })
    }

    /// The texts of the files that were there.
    pub(crate) fn texts(&self) -> Vec<&SourceText> {
        [self.fly.as_ref(), self.outlast.as_ref()].into_iter().flatten().collect()
    }

    pub(crate) fn with(&self, flags: Flags) -> outlast_config::Sources<'_> {
        outlast_config::Sources {
            fly: self.fly.clone(),
            outlast: self.outlast.clone(),
            env: &self.env,
            flags,
        }
    }
}

impl From<&PlanArgs> for Flags {
    fn from(args: &PlanArgs) -> Self {
        Self {
            listen: args.listen,
            to: args.to.clone(),
            accounting: args.accounting,
            hard_limit: args.hard_limit,
            soft_limit: args.soft_limit,
            machines: args.machines,
            ports: args.ports.clone(),
            command: args.app.clone(),
            drain_grace: args.drain_grace,
            queue_timeout: args.queue_timeout,
            linger: args.linger,
            ..Self::from(&args.agent)
        }
    }
}

impl From<&AgentArgs> for Flags {
    fn from(args: &AgentArgs) -> Self {
        Self { agent_kind: args.agent_kind, pace: args.pace, ..Self::default() }
    }
}

/// A file that must be there.
pub(crate) fn read_existing(path: &Path) -> Result<SourceText, Failure> {
    let missing = || Failure::config(anyhow::anyhow!("there is no {}", path.display()));
    read(path)?.ok_or_else(|| missing().hint("--config names a fly.toml"))
}

/// A file that may be absent.
pub(crate) fn read(path: &Path) -> Result<Option<SourceText>, Failure> {
    let what = || format!("cannot read {}", path.display());
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::config(anyhow::Error::from(error).context(what()))),
    };
    if length > CONFIG_BYTES_MAX {
        let error =
            anyhow::anyhow!("{} has {length} bytes; it is not a configuration", path.display());
        return Err(Failure::config(error));
    }
    // What is no regular file has no length to be told by.
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.with_context(what).map_err(Failure::config)?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        let error = anyhow::anyhow!("{} does not end; it is not a configuration", path.display());
        return Err(Failure::config(error));
    }
    let text = String::from_utf8(bytes)
        .with_context(what)
        .map_err(|error| Failure::config(error).hint("save the file as UTF-8"))?;
    Ok(Some(SourceText::new(&path.display().to_string(), text)))
}

/// The environment. What is no text and could be ours is an error and not absent.
fn variables() -> Result<BTreeMap<String, String>, Failure> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        // A machine's guard marks its tree by a variable that is nobody's setting.
        let is_ours = |name: &&str| name.starts_with("OUTLAST_") && *name != guard::MARK;
        let Some(name) = name.to_str().filter(is_ours) else { continue };
        let value = value.into_string().map_err(|_| {
            Failure::config(anyhow::anyhow!("the environment variable {name} is not UTF-8"))
        })?;
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

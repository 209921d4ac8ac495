//! What can be said to `outlast drill`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use outlast_drill::Threshold;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct DrillArgs {
    #[command(subcommand)]
    pub(super) command: Option<DrillCommand>,
    #[command(flatten)]
    pub(super) run: Option<RunArgs>,
}

#[derive(Debug, Subcommand)]
pub(super) enum DrillCommand {
    /// A server that sends what it is told to, in lines that prove themselves
    Origin(OriginArgs),
    /// Puts two results beside each other: before and after
    Compare(CompareArgs),
    /// Lists the plans that come with the drill, or prints one
    Presets(PresetsArgs),
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A preset (see `outlast drill presets`), or a load plan in TOML
    #[arg(value_name = "PRESET|FILE")]
    pub(super) plan: String,
    /// Where the load goes, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub(super) url: String,
    /// A field of every request, such as "Authorization: Bearer …". Repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(super) headers: Vec<(String, String)>,
    /// Sent by POST instead of a chat's own body; {id} in it becomes the stream's id
    #[arg(long, value_name = "TEXT")]
    pub(super) body: Option<String>,
    /// Gives the same streams again
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Runs so many times faster than the plan is written
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = scale)]
    pub(super) time_scale: f64,
    /// The gateway's admin listener: its pool is watched, and must be empty in the end
    #[arg(long, value_name = "URL")]
    pub(super) admin: Option<String>,
    /// A further threshold, such as "p99_first_byte < 2s". Repeatable
    #[arg(long, value_name = "THRESHOLD", value_parser = threshold)]
    pub(super) hold: Vec<Threshold>,
    /// Threads that drive streams [default: as the plan needs]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroUsize>,
    /// Writes the result as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Writes the result as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Writes first bytes, gaps and durations over time as an HdrHistogram log
    #[arg(long, value_name = "FILE")]
    pub(super) hdr: Option<PathBuf>,
    /// Where the output of COMMAND goes
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(super) server_log: Option<PathBuf>,
    /// A folder that COMMAND finds empty, on a small disk of its own that a plan can fill; needs root
    #[arg(long, value_name = "DIR", requires = "server")]
    pub(super) server_disk: Option<PathBuf>,
    /// Allows load to a host that is not this machine
    #[arg(long, value_name = "HOST")]
    pub(super) i_own_this_target: Option<String>,
    /// A server to start first, to which the plan's misfortunes happen
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) server: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(super) struct OriginArgs {
    /// The address to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090")]
    pub(super) listen: SocketAddr,
}

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The JSON of the first drill
    #[arg(value_name = "BEFORE")]
    pub(super) before: PathBuf,
    /// The JSON of the second drill
    #[arg(value_name = "AFTER")]
    pub(super) after: PathBuf,
    /// Writes both as one page
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PresetsArgs {
    /// The one to print
    #[arg(value_name = "PRESET")]
    pub(super) name: Option<String>,
}

/// Control characters would make two fields of one.
fn header(text: &str) -> Result<(String, String), String> {
    let wrong = || "a name and a value are needed, such as \"Accept: text/plain\"".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if name.is_empty() || !name.chars().all(is_name) || value.contains(char::is_control) {
        return Err(wrong());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().ok().filter(|scale| (0.1..=5_000.0).contains(scale));
    scale.ok_or_else(|| "a number from 0.1 to 5000 is needed, such as 60".to_owned())
}

fn threshold(text: &str) -> Result<Threshold, String> {
    text.parse::<Threshold>().map_err(|error| format!("{error}; {}", error.hint()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_a_name_and_a_value() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("Accept: a:b"), pair("Accept", "a:b"));
        assert_eq!(header("X:"), pair("X", ""));
        for wrong in ["", "Accept", ": x", "A b: c", "A: b\r\nC: d"] {
            assert!(header(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn scales_are_sensible_numbers() {
        assert_eq!(scale("60"), Ok(60.0));
        for wrong in ["0", "-1", "x", "inf", "NaN", "5001"] {
            assert!(scale(wrong).is_err(), "{wrong}");
        }
    }
}

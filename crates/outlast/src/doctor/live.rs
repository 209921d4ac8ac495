//! `outlast doctor --live`: asks the admin listener of a running gateway, twice, and tells what it shows.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, anyhow};
use clap::Args;
use outlast_access::Access;
use outlast_doctor::live::{Answers, Live, NotOutlast, Snapshot, Telling, argue};
use outlast_doctor::{live_pages, report};
use outlast_drill::{Target, fetch};
use outlast_runtime::clock;

use super::args::{DoctorArgs, Format};
use super::{code, draw_live, is_coloured, print};
use crate::cli::duration;
use crate::data;
use crate::failure::Failure;

/// Where `outlast up` has its admin listener unless it is told otherwise.
const ADMIN: &str = "127.0.0.1:8079";
/// The variable by which it is told otherwise.
const ADMIN_VARIABLE: &str = "OUTLAST_ADMIN";
const PATHS: [&str; 3] = ["/api/pool", "/api/exchanges", "/metrics"];
/// Nobody wants to wait longer, and rates of an hour ago are no rates of now.
const WATCH_MAX: Duration = Duration::from_secs(3_600);

/// Which gateway is asked, and how.
#[derive(Debug, Args)]
pub(crate) struct LiveArgs {
    /// Argues about a running gateway by its admin listener [default: $OUTLAST_ADMIN, else http://127.0.0.1:8079]
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "")]
    #[arg(conflicts_with_all = ["fix", "what_if"])]
    live: Option<String>,
    /// With --live: how long to watch, for rates; 0s looks once
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "3s")]
    watch: Duration,
    /// With --live: the data folder of the gateway, for its token [default: outlast in the XDG data folder]
    #[arg(long, env = "OUTLAST_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// With --live: a file with the token of a gateway whose data folder is not here
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

impl LiveArgs {
    /// Whether a gateway is to be asked.
    pub(crate) fn is_asked(&self) -> bool {
        self.live.is_some()
    }

    /// Where it is.
    fn url(&self) -> String {
        let told = self.live.clone().filter(|url| !url.is_empty());
        let variable = || std::env::var(ADMIN_VARIABLE).ok().filter(|address| !address.is_empty());
        let address = told.or_else(variable).unwrap_or_else(|| ADMIN.to_owned());
        match address.parse::<SocketAddr>() {
            Ok(address) => format!("http://{address}"),
            Err(_) => address,
        }
    }
}

/// Asks, argues and tells. Exit code 1: there is a finding at or above `--fail-on`.
pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let seen = look(&args.live, args.show_private)?;
    let (live, name) = (&seen.live, &*seen.url);
    let fail_on = args.fail_on.severity();
    let text = match args.format {
        Format::Human => draw_live::draw(live, name, is_coloured()),
        Format::Json => report::json_live(live),
        Format::Sarif => report::sarif_of(&live.findings, live_pages(), name),
        Format::Github => report::github_of(&live.findings, None),
        Format::Junit => report::junit_of(&live.findings, live_pages(), name, fail_on),
    };
    print(&text)?;
    Ok(code(args.fail_on, &live.findings))
}

/// A gateway that was looked at.
pub(super) struct Seen {
    pub(super) url: String,
    pub(super) live: Live,
}

/// Asks a running gateway and argues about it.
pub(super) fn look(args: &LiveArgs, show_private: bool) -> Result<Seen, Failure> {
    let url = args.url();
    let target = Target::to_ask(&url).map_err(|error| {
        let hint = format!("name the admin listener, such as http://{ADMIN}; TLS is not spoken");
        Failure::config(error).hint(hint)
    })?;
    if args.watch > WATCH_MAX {
        let error = anyhow!("--watch is at most an hour");
        return Err(Failure::config(error).hint("leave it out for 3s"));
    }
    let fields = token(args, &target)?;
    let builder = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = builder.context("cannot start an event queue").map_err(Failure::config)?;
    let live = runtime.block_on(async {
        let first = ask(&target, &fields).await?;
        let telling = Telling { show_private, version: env!("CARGO_PKG_VERSION") };
        if args.watch.is_zero() {
            return Ok(argue(None, &first, telling));
        }
        // Rates are of the time between two looks.
        clock::sleep(args.watch).await;
        let last = ask(&target, &fields).await?;
        Ok(argue(Some(&first), &last, telling))
    })?;
    Ok(Seen { url, live })
}

/// The header that lets us in. A token of this host is for gateways on this host: it is shown to no other.
fn token(args: &LiveArgs, target: &Target) -> Result<Vec<(String, String)>, Failure> {
    let path = match &args.token {
        Some(path) => path.clone(),
        None if !target.address.ip().is_loopback() => return Ok(Vec::new()),
        None => {
            let folder = data::folder(args.data.as_ref())?;
            if !Access::is_kept_in(&folder) {
                return Ok(Vec::new());
            }
            data::open(Some(&folder))?.token_path()
        }
    };
    let read = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()));
    let token = read.map_err(|error| {
        Failure::config(error).hint(
            "--token names a file with the gateway's token, as is access/token of its data folder",
        )
    })?;
    let token = token.trim();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        let error = anyhow!("{} holds no token", path.display());
        return Err(Failure::config(error).hint("a token is olt_ and 64 hex digits"));
    }
    Ok(vec![("Authorization".to_owned(), format!("Bearer {token}"))])
}

/// One moment. The three answers are asked for one after the other, milliseconds apart.
async fn ask(target: &Target, fields: &[(String, String)]) -> Result<Snapshot, Failure> {
    let mut answers = Vec::with_capacity(PATHS.len());
    for path in PATHS {
        let answer = fetch(target, path, fields).await;
        let (status, body) = answer.map_err(|error| unreachable(target, error))?;
        if status != 200 {
            return Err(refused(target, path, status));
        }
        answers.push(body);
    }
    let answers = Answers { pool: &answers[0], exchanges: &answers[1], metrics: &answers[2] };
    Snapshot::read(&answers).map_err(|error| not_outlast(target, error))
}

fn unreachable(target: &Target, error: io::Error) -> Failure {
    let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
    let what = format!("the admin listener at {} does not answer", target.url);
    let failure = Failure::config(anyhow::Error::from(error).context(what));
    failure.hint(if is_refused {
        "start `outlast up`, or name the address of its --admin: outlast doctor --live \
            http://HOST:PORT"
    } else {
        "is it the admin listener of `outlast up`? Does the host run, and the way to it?"
    })
}

fn refused(target: &Target, path: &str, status: u16) -> Failure {
    let error = anyhow!("{}{path} answers {status}", target.url);
    Failure::config(error).hint(match status {
        401 => {
            "it asks who we are: run this as the user who started the gateway, name its data \
                folder by --data, or a file with \
             its token by --token"
        }
        403 => {
            "it does not know itself by that name: ask 127.0.0.1, or start it with \
            --allow-host NAME"
        }
        503 => "it is not ready yet, or stops: try again",
        _ => OTHER_PORT,
    })
}

const OTHER_PORT: &str = "that is another server: the admin listener of `outlast up` is at its \
    --admin, 127.0.0.1:8079 unless told otherwise";

fn not_outlast(target: &Target, error: NotOutlast) -> Failure {
    let what = format!("{} is no admin listener that this version understands", target.url);
    Failure::config(anyhow::Error::from(error).context(what)).hint(OTHER_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_this_host_is_shown_to_no_other() {
        let folder = tempfile::tempdir().unwrap();
        Access::open(folder.path()).unwrap();
        let args = |token: Option<PathBuf>| LiveArgs {
            live: None,
            watch: Duration::ZERO,
            data: Some(folder.path().to_owned()),
            token,
        };
        let shown = |url: &str, token| {
            super::token(&args(token), &Target::to_ask(url).unwrap()).unwrap().len()
        };
        let told = folder.path().join("access/token");
        assert_eq!(shown("http://127.0.0.1:8079", None), 1);
        assert_eq!(shown("http://[::1]:8079", None), 1);
        assert_eq!(shown("http://192.0.2.1:8079", None), 0);
        assert_eq!(shown("http://192.0.2.1:8079", Some(told)), 1);
    }
}

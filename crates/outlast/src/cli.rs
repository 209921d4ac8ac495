//! What can be said on the command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use outlast_config::{
    Accounting, AgentKind, Linger, ParseSettingError, parse_address, parse_duration,
};

use crate::doctor::{DoctorArgs, ExplainArgs};
use crate::drill::DrillArgs;

/// Streams that outlast their connections: a gateway for long HTTP streams, and a desktop behind it.
#[derive(Debug, Parser)]
#[command(name = "outlast", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts the app of fly.toml as local machines and serves them through the gateway
    Up(UpArgs),
    /// Serves the desktop: chat and page. It is what a machine of ours runs
    Serve(ServeArgs),
    /// Checks fly.toml and outlast.toml
    Check(CheckArgs),
    /// Reviews fly.toml: what is wrong, what it costs, how sure that is, and what to do
    Doctor(DoctorArgs),
    /// Prints the page of a rule of the doctor, or the list of them
    Explain(ExplainArgs),
    /// Prints a fresh one-time link to the desktop
    Link(LinkArgs),
    /// Holds many long streams, breaks things, checks every byte, and says whether the deployment holds
    Drill(DrillArgs),
}

/// What decides the plan. Each flag overrides its variable, the files and the default.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The fly.toml to read; outlast.toml is looked for beside it [default: ./fly.toml, if it exists]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the first HTTP service listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,
    /// A machine that already runs; nothing is started then. Repeatable
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(crate) to: Vec<SocketAddr>,
    /// What the first HTTP service counts: connections or requests
    #[arg(long = "type", value_name = "TYPE", value_parser = setting::<Accounting>)]
    pub(crate) accounting: Option<Accounting>,
    /// Its hard limit per machine; 0: none
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    pub(crate) hard_limit: Option<u32>,
    /// Its soft limit per machine; 0: none
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    pub(crate) soft_limit: Option<u32>,
    /// Machines per process group
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub(crate) machines: Option<NonZeroU32>,
    /// Moves a service by its public port. Repeatable
    #[arg(long = "port", value_name = "PUBLIC=LOCAL", value_parser = port_pair)]
    pub(crate) ports: Vec<(u16, u16)>,
    /// How long a drain waits for exchanges in progress, such as 30s
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) drain_grace: Option<Duration>,
    /// How long an exchange waits for a place; 0s refuses at once
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) queue_timeout: Option<Duration>,
    /// Whether an unused upstream connection keeps its place: hold or evict
    #[arg(long, value_name = "WHAT", value_parser = setting::<Linger>)]
    pub(crate) linger: Option<Linger>,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    /// The app to run instead of the desktop
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) app: Vec<String>,
}

/// What decides about the agent.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Which agent answers: auto or scout
    #[arg(long, value_name = "KIND", value_parser = setting::<AgentKind>)]
    pub(crate) agent_kind: Option<AgentKind>,
    /// Scout stretches a run to about this long
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) pace: Option<Duration>,
}

/// Where things are kept and who may see them.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    /// The data folder [default: outlast in the XDG data folder]
    #[arg(long, env = "OUTLAST_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Lets everybody in; on loopback addresses only
    #[arg(long, env = "OUTLAST_NO_AUTH", value_parser = BoolishValueParser::new())]
    pub(crate) no_auth: bool,
    /// A further name by which we are reached. Repeatable
    #[arg(long, env = "OUTLAST_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    pub(crate) allow_host: Vec<String>,
}

/// What is logged, on standard error.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What is logged, such as info, debug or outlast::access=off,info
    #[arg(long, env = "OUTLAST_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
    /// For people or for programs
    #[arg(long, env = "OUTLAST_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub(crate) log_format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// `human` on a terminal, else `json`
    Auto,
    /// One readable line each
    Human,
    /// One JSON object each
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Where the admin listener is
    #[arg(
        long, env = "OUTLAST_ADMIN", value_name = "ADDR:PORT", default_value = "127.0.0.1:8079",
        value_parser = address
    )]
    pub(crate) admin: SocketAddr,
    /// Threads that serve [default: one per core]
    #[arg(long, env = "OUTLAST_THREADS", value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The port to listen on
    #[arg(long, env = "PORT", value_name = "PORT", default_value_t = 8081)]
    pub(crate) port: u16,
    /// The address to listen on
    #[arg(long, env = "OUTLAST_BIND", value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) bind: std::net::IpAddr,
    /// The directory that the agent works in [default: the current one]
    #[arg(long, env = "OUTLAST_WORKSPACE", value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,
    /// Prints every value and where it comes from
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    /// The data folder [default: outlast in the XDG data folder]
    #[arg(long, env = "OUTLAST_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where the desktop is reached
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, value_parser = http_url)]
    pub(crate) url: String,
}

/// Where the desktop is reached unless it is told to listen elsewhere.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8080";

fn http_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("it begins with http:// or https://, such as http://127.0.0.1:8080".to_owned()),
    }
}

/// A setting that files know too, refused with the same words.
pub(crate) fn setting<T: FromStr<Err = ParseSettingError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(with_hint)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text).map_err(with_hint)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(crate) fn with_hint(error: ParseSettingError) -> String {
    format!("{error}; {}", error.hint())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .map_err(|error| format!("{error}; write numbers with units, such as 30s, 250ms or 1m30s"))
}

fn limit(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "write a whole number, such as 25; 0 stands for none".to_owned())
}

pub(crate) fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    text.parse().map_err(|_| "write a whole number from 1, such as 2".to_owned())
}

/// A name is resolved once, here. Of several addresses an IPv4 one is taken: that is where most programs listen.
fn host_and_port(text: &str) -> Result<SocketAddr, String> {
    let addresses = text.to_socket_addrs().map_err(|error| {
        format!("{error}; a host and a port are needed, such as localhost:3000 or 127.0.0.1:3000")
    })?;
    let addresses: Vec<_> = addresses.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| "the name has no address".to_owned())
}

fn port_pair(text: &str) -> Result<(u16, u16), String> {
    let pair = text.split_once('=').and_then(|(public, local)| {
        Some((public.parse::<u16>().ok()?, local.parse::<u16>().ok()?))
    });
    pair.ok_or_else(|| "two ports are needed, such as 3001=13001".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ports_come_in_pairs() {
        assert_eq!(port_pair("3001=13001"), Ok((3001, 13001)));
        for text in ["3001", "3001=", "=1", "a=b", "1=70000"] {
            assert!(port_pair(text).is_err(), "{text}");
        }
    }

    #[test]
    fn machines_are_named_by_host_and_port() {
        for text in ["127.0.0.1:3000", "localhost:3000"] {
            assert_eq!(host_and_port(text), Ok(SocketAddr::from(([127, 0, 0, 1], 3000))), "{text}");
        }
        for text in ["localhost", "127.0.0.1:70000", ":3000", ""] {
            assert!(host_and_port(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_is_for_a_place_on_the_web() {
        for text in ["http://127.0.0.1:8080", "https://a.example/"] {
            assert_eq!(http_url(text).as_deref(), Ok(text));
        }
        for text in ["", "127.0.0.1:8080", "http://", "ftp://a"] {
            assert!(http_url(text).unwrap_err().contains("http://127.0.0.1:8080"), "{text}");
        }
    }

    #[test]
    fn what_is_written_wrongly_is_told_with_an_example() {
        for (flag, text, hint) in [
            ("--listen", "8080", "127.0.0.1:8080 for this host alone, or 0.0.0.0:8080"),
            ("--listen", ":8080", "127.0.0.1:8080 for this host alone, or 0.0.0.0:8080"),
            ("--listen", "a.example:8080", "such as 127.0.0.1:8080"),
            ("--admin", "9", "127.0.0.1:9"),
            ("--type", "websockets", "`connections` and `requests`"),
            ("--linger", "x", "`hold` and `evict`"),
            ("--agent-kind", "x", "`auto` and `scout`"),
            ("--queue-timeout", "5", "30s"),
            ("--pace", "x", "30s"),
            ("--hard-limit", "-1", "such as 25"),
            ("--soft-limit", "many", "such as 25"),
            ("--machines", "0", "such as 2"),
        ] {
            let error = Cli::try_parse_from(["outlast", "up", flag, text]).unwrap_err().to_string();
            assert!(error.contains(hint), "{flag} {text}: {error}");
        }
    }

    #[test]
    fn localhost_is_this_host() {
        let line = ["outlast", "up", "--listen", "localhost:80", "--admin", "localhost:81"];
        let Command::Up(args) = Cli::parse_from(line).command else { panic!("it is `up`") };
        assert_eq!(args.plan.listen, Some(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert_eq!(args.admin, SocketAddr::from(([127, 0, 0, 1], 81)));
    }

    #[test]
    fn every_flag_of_the_configuration_exists() {
        let mut command = Cli::command();
        let up = command.find_subcommand_mut("up").expect("it is there");
        let known: Vec<_> =
            up.get_arguments().filter_map(|arg| arg.get_long()).map(ToOwned::to_owned).collect();
        let wanted = outlast_config::reference().iter().filter_map(|key| key.flag);
        let further = outlast_config::variables().iter().filter_map(|variable| variable.flag);
        for flag in wanted.chain(further).filter(|flag| *flag != "--") {
            assert!(known.iter().any(|long| format!("--{long}") == flag), "{flag} is missing");
        }
    }
}

//! The settings that have a key in `outlast.toml`, layer by layer.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::routes::Layers;
use super::{Checker, Picked};
use crate::byte_size::ByteSize;
use crate::diagnostic::Diagnostic;
use crate::duration::format_duration;
use crate::health::{Eject, Retry};
use crate::keys;
use crate::outlast;
use crate::pattern::PathPattern;
use crate::plan::{Agent, Linger, Listen, Queue, Reserve, Streams, Upstream};
use crate::proxies::HeaderName;
use crate::setting::{CommandLine, Setting};
use crate::source::{Located, Origin};
use crate::variables;

/// What the gateway keeps of a client that sends ahead.
const REQUEST_BUFFER_MAX: ByteSize = ByteSize(64 * 1024);

/// Less than one read of the gateway stops streams for no gain; and more is what the kernel keeps by itself anywhere.
const BUFFER_MAX: RangeInclusive<ByteSize> = ByteSize(16 * 1024)..=ByteSize(64 * 1024 * 1024);

/// An append is kept in memory as a whole until it is written.
const APPEND_MAX: RangeInclusive<ByteSize> = ByteSize(1024)..=ByteSize(64 * 1024 * 1024);

/// One segment of the store, to what fits on any disk.
const STREAMS_BYTES: RangeInclusive<ByteSize> = ByteSize(64 << 20)..=ByteSize(1 << 50);

/// What `outlast.toml` and its overrides come to.
pub(super) struct Settings {
    pub(super) listen: Listen,
    pub(super) upstream: Upstream,
    pub(super) buffer_max: usize,
    pub(super) queue: Queue,
    pub(super) reserve: Reserve,
    pub(super) eject: Eject,
    pub(super) retry: Retry,
    pub(super) layers: Layers,
    pub(super) drain_grace: Duration,
    pub(super) agent: Agent,
    pub(super) streams: Streams,
    /// The command after `--`, else `machine.command`.
    pub(super) command: Option<Picked<Vec<String>>>,
}

impl Checker<'_> {
    pub(super) fn settings(&mut self, written: &outlast::Written) -> Settings {
        let flags = self.sources.flags.clone();
        let written = written.clone();
        let linger = if self.sources.fly.is_some() { Linger::Hold } else { Linger::Evict };
        let listen = self.listen(&written);
        let layers = self.layers(&written);
        let (eject, retry) = (self.eject(&written), self.retry(&written));
        let streams = self.streams(&written);
        let depth_max = self.pick("queue.depth_max", None, written.queue_depth_max);
        let queue = Queue {
            depth_max: count(depth_max.value),
            timeout: self.pick("queue.timeout", flags.queue_timeout, written.queue_timeout).value,
            client_header: self.queue_client_header(&listen, written.queue_client_header),
        };
        let reserve = Reserve {
            slots: self.pick("reserve.slots", None, written.reserve_slots).value,
            paths: self
                .pick::<Vec<PathPattern>>("reserve.paths", None, written.reserve_paths)
                .value,
        };
        let linger =
            self.pick_or("upstream.linger", flags.linger, written.upstream_linger, || linger);
        let upstream = Upstream {
            linger: linger.value,
            idle_timeout: self
                .pick("upstream.idle_timeout", None, written.upstream_idle_timeout)
                .value,
            request_buffer: self.request_buffer(written.upstream_request_buffer),
        };
        let buffer_max = self.buffer_max(written.exchange_buffer_max);
        let drain_grace = self.pick("drain.grace", flags.drain_grace, written.drain_grace).value;
        let agent = Agent {
            kind: self.pick("agent.kind", flags.agent_kind, written.agent_kind).value,
            pace: self.pick("agent.pace", flags.pace, written.agent_pace).value,
            runs_max: self.runs_max(written.agent_runs_max),
        };
        let command = self.command(flags.command, written.machine_command);
        Settings {
            listen,
            upstream,
            buffer_max,
            queue,
            reserve,
            eject,
            retry,
            layers,
            drain_grace,
            agent,
            streams,
            command,
        }
    }

    fn eject(&mut self, written: &outlast::Written) -> Eject {
        let time = self.pick_positive("eject.time", written.eject_time.clone());
        let time_max = self.pick("eject.time_max", None, written.eject_time_max.clone());
        if time_max.value < time.value {
            let error = Diagnostic::error(format!(
                "`eject.time_max` ({}) is below `eject.time` ({})",
                format_duration(time_max.value),
                format_duration(time.value)
            ));
            let hint = "the first time is `time`, and each further one is longer";
            self.say(error.at(time_max.origin).hint(hint));
        }
        Eject {
            failures: self.pick("eject.failures", None, written.eject_failures.clone()).value,
            time: time.value,
            time_max: time_max.value,
            share_max: self.percent("eject.share_max", written.eject_share_max.clone()),
        }
    }

    fn retry(&mut self, written: &outlast::Written) -> Retry {
        Retry {
            percent: self.percent("retry.percent", written.retry_percent.clone()),
            min: self.pick("retry.min", None, written.retry_min.clone()).value,
        }
    }

    fn percent(&mut self, key: &'static str, written: Option<Located<u32>>) -> u32 {
        let picked = self.pick(key, None, written);
        if picked.value > 100 {
            let message = format!("`{key}` is {}, and it is a share in percent", picked.value);
            let error = Diagnostic::error(message).at(picked.origin);
            self.say(error.hint("write a number from 0 to 100"));
        }
        picked.value
    }

    fn layers(&mut self, written: &outlast::Written) -> Layers {
        let clocks = written.clocks.clone();
        Layers {
            connect: self.pick_positive("clocks.connect", clocks.connect).value,
            head: self.pick_positive("clocks.head", clocks.head),
            keep_alive: self.pick("clocks.keep_alive", None, clocks.keep_alive).value,
            response_head: self.pick_clock("clocks.response_head", clocks.response_head).value,
            chunk_gap: self.pick_clock("clocks.chunk_gap", clocks.chunk_gap),
            lifetime: self.pick_clock("clocks.lifetime", clocks.lifetime).value,
            write_stall: self.pick_clock("clocks.write_stall", clocks.write_stall).value,
            routes: written.routes.clone(),
        }
    }

    /// The value of the highest layer that has one. All layers that are text are read.
    fn pick<T: Setting>(
        &mut self,
        key: &'static str,
        flag: Option<T>,
        written: Option<Located<T>>,
    ) -> Picked<T> {
        self.pick_or(key, flag, written, || {
            let literal = DeValue::parse(keys::entry(key).default).expect("defaults are TOML");
            T::from_toml(literal.get_ref()).expect("defaults have their key's type")
        })
    }

    fn pick_or<T: Setting>(
        &mut self,
        key: &'static str,
        flag: Option<T>,
        written: Option<Located<T>>,
        default: impl FnOnce() -> T,
    ) -> Picked<T> {
        let entry = keys::entry(key);
        let variable = entry.env.and_then(|env| self.variable(env));
        let flag =
            flag.map(|value| Picked { value, origin: Origin::Flag(entry.flag.unwrap_or(key)) });
        let written = written
            .map(|written| Picked { origin: self.outlast_at(&written.span), value: written.value });
        let picked = flag.or(variable).or(written);
        let picked = picked.unwrap_or_else(|| Picked { value: default(), origin: Origin::Default });
        self.value(key, picked.value.show(), picked.origin.clone());
        picked
    }

    /// A setting that only a flag or a variable has.
    pub(super) fn pick_flag<T: Setting>(
        &mut self,
        env: &'static str,
        flag: Option<T>,
    ) -> Option<Picked<T>> {
        let variable = self.variable(env);
        let name = variables::variable(env).flag.unwrap_or(env);
        flag.map(|value| Picked { value, origin: Origin::Flag(name) }).or(variable)
    }

    fn variable<T: Setting>(&mut self, env: &'static str) -> Option<Picked<T>> {
        let text = self.sources.env.get(env).filter(|text| !text.is_empty())?;
        let origin = Origin::Variable(env.to_owned());
        match T::from_text(text) {
            Ok(value) => Some(Picked { value, origin }),
            Err(error) => {
                let hint = error.hint();
                self.say(Diagnostic::error(format!("`{env}`: {error}")).at(origin).hint(hint));
                None
            }
        }
    }

    pub(super) fn outlast_at(&self, span: &std::ops::Range<usize>) -> Origin {
        let source = self.sources.outlast.as_ref();
        source.map_or(Origin::Default, |source| Origin::File(source.place(span.clone())))
    }

    fn pick_positive(
        &mut self,
        key: &'static str,
        written: Option<Located<Duration>>,
    ) -> Picked<Duration> {
        let picked = self.pick(key, None, written);
        if picked.value.is_zero() {
            let error =
                Diagnostic::error(format!("`{key}` is zero, and nothing happens in no time"));
            let default = keys::entry(key).default;
            self.say(error.at(picked.origin.clone()).hint(format!("the default is {default}")));
        }
        picked
    }

    /// A clock of exchanges, which zero turns off.
    fn pick_clock(
        &mut self,
        key: &'static str,
        written: Option<Located<Duration>>,
    ) -> Picked<Duration> {
        let picked = self.pick(key, None, written);
        self.check_clock(key, picked.value, picked.origin.clone());
        picked
    }

    fn streams(&mut self, written: &outlast::Written) -> Streams {
        let append_max = self.pick("streams.append_max", None, written.streams_append_max.clone());
        self.check_size("streams.append_max", &append_max, APPEND_MAX);
        let bytes_max = self.pick("streams.bytes_max", None, written.streams_bytes_max.clone());
        self.check_size("streams.bytes_max", &bytes_max, STREAMS_BYTES);
        let age_max = self.pick("streams.age_max", None, written.streams_age_max.clone()).value;
        let readers_max =
            self.pick("streams.readers_max", None, written.streams_readers_max.clone());
        if readers_max.value == 0 {
            let error =
                Diagnostic::error("`streams.readers_max` is 0, so that nobody could follow");
            self.say(error.at(readers_max.origin).hint("write 1 or more"));
        }
        let [poll_timeout, events_lifetime] = [
            ("streams.poll_timeout", &written.streams_poll_timeout),
            ("streams.events_lifetime", &written.streams_events_lifetime),
        ]
        .map(|(key, written)| self.pick_positive(key, written.clone()).value);
        Streams {
            append_max: usize::try_from(append_max.value.0).unwrap_or(usize::MAX),
            bytes_max: bytes_max.value.0,
            age_max: (!age_max.is_zero()).then_some(age_max),
            readers_max: count(readers_max.value),
            poll_timeout,
            events_lifetime,
        }
    }

    fn check_size(
        &mut self,
        key: &'static str,
        picked: &Picked<ByteSize>,
        allowed: RangeInclusive<ByteSize>,
    ) {
        if allowed.contains(&picked.value) {
            return;
        }
        let error = Diagnostic::error(format!(
            "`{key}` is {}, and may be from {} to {}",
            picked.value.show(),
            allowed.start().show(),
            allowed.end().show()
        ));
        let default = keys::entry(key).default;
        self.say(error.at(picked.origin.clone()).hint(format!("the default is {default}")));
    }

    fn buffer_max(&mut self, written: Option<Located<ByteSize>>) -> usize {
        let picked = self.pick("exchange.buffer_max", None, written);
        self.check_size("exchange.buffer_max", &picked, BUFFER_MAX);
        usize::try_from(picked.value.0).unwrap_or(usize::MAX)
    }

    fn request_buffer(&mut self, written: Option<Located<ByteSize>>) -> usize {
        let picked = self.pick("upstream.request_buffer", None, written);
        if picked.value > REQUEST_BUFFER_MAX {
            let error = Diagnostic::error(format!(
                "`upstream.request_buffer` is {}, and at most {} are kept",
                picked.value.show(),
                REQUEST_BUFFER_MAX.show()
            ));
            self.say(error.at(picked.origin).hint("write \"64KiB\" or less"));
        }
        usize::try_from(picked.value.0).unwrap_or(usize::MAX)
    }

    fn listen(&mut self, written: &outlast::Written) -> Listen {
        let all = written.listen_connections_max.clone();
        let of_one = written.listen_connections_per_client_max.clone();
        let trusted = written.listen_trusted_proxies.clone();
        let header = written.listen_client_header.clone();
        let of_one_key = "listen.connections_per_client_max";
        Listen {
            connections_max: NonZeroU32::new(self.pick("listen.connections_max", None, all).value),
            connections_per_client_max: NonZeroU32::new(self.pick(of_one_key, None, of_one).value),
            trusted_proxies: self.pick("listen.trusted_proxies", None, trusted).value,
            client_header: self.pick("listen.client_header", None, header).value,
        }
    }

    fn queue_client_header(
        &mut self,
        listen: &Listen,
        written: Option<Located<Option<HeaderName>>>,
    ) -> Option<HeaderName> {
        let picked = self.pick("queue.client_header", None, written);
        if picked.value.is_some() && listen.trusted_proxies.is_empty() {
            let warning = Diagnostic::warning(
                "`queue.client_header` is never read, because `listen.trusted_proxies` names nobody",
            );
            self.say(warning.at(picked.origin).hint(
                "anybody could claim to be somebody else; name the proxy that sets the header",
            ));
        }
        picked.value
    }

    fn runs_max(&mut self, written: Option<Located<u32>>) -> usize {
        let picked = self.pick("agent.runs_max", None, written);
        if picked.value == 0 {
            let error = Diagnostic::error("`agent.runs_max` is 0, so that no run could ever start");
            self.say(error.at(picked.origin).hint("write 1 or more"));
        }
        count(picked.value)
    }

    fn command(
        &mut self,
        flag: Vec<String>,
        written: Option<Located<Vec<String>>>,
    ) -> Option<Picked<Vec<String>>> {
        if flag.first().is_some_and(String::is_empty) {
            let error = Diagnostic::error("the command after `--` has no name");
            self.say(error.at(Origin::Flag("--")).hint("write the program first: -- npm start"));
        }
        let flag =
            CommandLine::new(flag).map(|line| Picked { value: line.0, origin: Origin::Flag("--") });
        flag.or_else(|| {
            let written = written?;
            Some(Picked { origin: self.outlast_at(&written.span), value: written.value })
        })
    }
}

fn count(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

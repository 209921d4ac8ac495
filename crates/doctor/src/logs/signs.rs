//! Words in any line that matter: what an app says of its connections, and a second record on the same line.
//!
//! One pass looks for all of them at once.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::event::{AppSign, Kind, Origin};
use super::platform::{self, Meaning};
use super::scan::leading;

/// What a word stands for.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// The line bears on connections.
    App(AppSign),
    /// The same, and surer than what else a line says.
    Sure(AppSign),
    /// A line about a request could have it.
    Served,
    /// Fly's init, or the kernel.
    Init,
    /// A status follows.
    Status,
    /// A time ends here, and a provider follows.
    Head,
    /// Another record may begin here.
    Begin,
}

/// Without the first letter where it may be a capital one. Of two that begin at the same place the first counts.
const WORDS: [(&str, Word); 37] = [
    ("ECONNRESET", Word::App(AppSign::Reset)),
    ("onnection reset", Word::App(AppSign::Reset)),
    ("onnectionReset", Word::App(AppSign::Reset)),
    ("EPIPE", Word::App(AppSign::BrokenPipe)),
    ("roken pipe", Word::App(AppSign::BrokenPipe)),
    ("rokenPipe", Word::App(AppSign::BrokenPipe)),
    ("ECONNREFUSED", Word::App(AppSign::Refused)),
    ("onnection refused", Word::App(AppSign::Refused)),
    ("onnectionRefused", Word::App(AppSign::Refused)),
    ("ETIMEDOUT", Word::App(AppSign::TimedOut)),
    ("imed out", Word::App(AppSign::TimedOut)),
    ("EMFILE", Word::App(AppSign::DescriptorsGone)),
    ("oo many open files", Word::App(AppSign::DescriptorsGone)),
    ("bortError", Word::App(AppSign::ClientAborted)),
    ("borted", Word::App(AppSign::ClientAborted)),
    ("lient disconnected", Word::App(AppSign::ClientAborted)),
    ("eep-alive", Word::App(AppSign::KeepAlive)),
    ("eep-Alive", Word::App(AppSign::KeepAlive)),
    ("eepAlive", Word::App(AppSign::KeepAlive)),
    ("eepalive", Word::App(AppSign::KeepAlive)),
    ("istening on", Word::App(AppSign::Listening)),
    ("istening at", Word::App(AppSign::Listening)),
    ("tarted server on", Word::App(AppSign::Listening)),
    ("reboot: Restarting system", Word::App(AppSign::Restarting)),
    ("Sending signal ", Word::Init),
    ("Main child exited", Word::Init),
    ("OOM killed", Word::Init),
    ("Out of memory: Kill", Word::Init),
    ("heap out of memory", Word::Init),
    (" HTTP/1.1\" ", Word::Status),
    (" HTTP/1.0\" ", Word::Status),
    (" HTTP/2.0\" ", Word::Status),
    ("Z proxy[", Word::Head),
    ("Z app[", Word::Head),
    ("Z runner[", Word::Head),
    ("Z health[", Word::Head),
    ("error.message=\"", Word::Begin),
];

/// Those that only an app says. Beyond 64 words one pass is slower than two, and only lines of apps need both.
const WORDS_OF_APPS: [(&str, Word); 39] = [
    ("no pong", Word::Sure(AppSign::PeerLost)),
    ("No pong", Word::Sure(AppSign::PeerLost)),
    ("ping timeout", Word::Sure(AppSign::PeerLost)),
    ("Ping timeout", Word::Sure(AppSign::PeerLost)),
    ("pong timeout", Word::Sure(AppSign::PeerLost)),
    ("Pong timeout", Word::Sure(AppSign::PeerLost)),
    ("eartbeat timeout", Word::Sure(AppSign::PeerLost)),
    ("issed heartbeat", Word::Sure(AppSign::PeerLost)),
    ("losing zombie", Word::Sure(AppSign::PeerLost)),
    ("ombie connection closed", Word::Sure(AppSign::PeerLost)),
    ("erminating dead connection", Word::Sure(AppSign::PeerLost)),
    ("closed prematurely", Word::Sure(AppSign::ClientAborted)),
    ("remature close", Word::Sure(AppSign::ClientAborted)),
    ("ontext canceled", Word::Sure(AppSign::ClientAborted)),
    ("closed by peer", Word::Sure(AppSign::ClientAborted)),
    ("- - ms - -", Word::Sure(AppSign::ClientAborted)),
    ("lient closed request", Word::Sure(AppSign::ClientAborted)),
    ("GET ", Word::Served),
    ("POST ", Word::Served),
    ("PUT ", Word::Served),
    ("PATCH ", Word::Served),
    ("DELETE ", Word::Served),
    ("HEAD ", Word::Served),
    ("OPTIONS ", Word::Served),
    (" rt=", Word::Served),
    ("request_time=", Word::Served),
    ("duration=", Word::Served),
    ("elapsed=", Word::Served),
    ("took", Word::Served),
    ("Sent ", Word::Served),
    ("Chunked ", Word::Served),
    ("ompleted", Word::Served),
    ("done", Word::Served),
    ("inished", Word::Served),
    ("disconnected", Word::Served),
    ("closed", Word::Served),
    ("ended", Word::Served),
    ("\"status\":", Word::Served),
    ("\"statusCode\":", Word::Served),
];

/// The longest time that a record may begin with: a date, a time, nine digits of a fraction, `Z`.
const TIME_BYTES_MAX: usize = 30;
/// `2026-05-31T03:04:38Z`.
const TIME_BYTES_MIN: usize = 20;

/// What a message has in it.
#[derive(Debug, Default)]
pub(super) struct Signs<'a> {
    /// Where another record may begin, the first place.
    pub(super) begins: Option<usize>,
    /// What the words before it mean.
    pub(super) meaning: Option<Meaning<'a>>,
    /// Whether that is surer than what else the line may say.
    pub(super) is_sure: bool,
    /// Whether it may be a line about a request.
    pub(super) may_be_served: bool,
}

/// Finds the words.
pub(super) struct Finder {
    all: AhoCorasick,
    of_apps: AhoCorasick,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self {
            all: build(&WORDS.map(|(word, _)| word)),
            of_apps: build(&WORDS_OF_APPS.map(|(word, _)| word)),
        }
    }

    /// Looks through what an app says for what only apps say.
    pub(super) fn look_at_app<'a>(&self, message: &'a [u8], mut signs: Signs<'a>) -> Signs<'a> {
        // `client disconnected after 5s`.
        signs.may_be_served =
            matches!(signs.meaning, Some(Meaning { kind: Kind::App(AppSign::ClientAborted), .. }));
        for found in self.of_apps.find_iter(message) {
            match WORDS_OF_APPS[found.pattern().as_usize()].1 {
                Word::Sure(sign) if !signs.is_sure || sign == AppSign::PeerLost => {
                    signs.meaning = Some(app(sign));
                    signs.is_sure = true;
                }
                Word::Served => signs.may_be_served = true,
                _ => {}
            }
        }
        signs
    }

    /// Looks through a message from `from` on.
    pub(super) fn look<'a>(&self, message: &'a [u8], from: usize) -> Signs<'a> {
        let mut signs = Signs::default();
        for found in self.all.find_iter(&message[from..]) {
            let (at, end) = (from + found.start(), from + found.end());
            let (word, meaning) = (WORDS[found.pattern().as_usize()].1, &mut signs.meaning);
            match word {
                Word::App(sign) => *meaning = meaning.take().or_else(|| Some(app(sign))),
                Word::Sure(_) | Word::Served => {}
                Word::Init => *meaning = platform::init(&message[at..]).or_else(|| meaning.take()),
                Word::Status => *meaning = meaning.take().or_else(|| answered(&message[end..])),
                Word::Begin => signs.begins = Some(at),
                Word::Head => signs.begins = time_before(&message[..at + 1], from),
            }
            if signs.begins.is_some() {
                break;
            }
        }
        signs
    }
}

fn build(words: &[&str]) -> AhoCorasick {
    // Built in a fraction of the time of the default, which a short log is not worth, and as fast on long ones: what
    // finds candidates is the same.
    let kind = Some(AhoCorasickKind::ContiguousNFA);
    let mut builder = AhoCorasick::builder();
    let built = builder.match_kind(MatchKind::LeftmostFirst).kind(kind).build(words);
    built.expect("a few short words")
}

fn app(sign: AppSign) -> Meaning<'static> {
    Meaning { kind: Kind::App(sign), origin: Origin::App, machine: b"" }
}

/// What a status says that stands in a line of an access log.
fn answered(text: &[u8]) -> Option<Meaning<'static>> {
    match leading(text)? {
        status @ 500..=599 => Some(app(AppSign::ServerError { status })),
        499 => Some(app(AppSign::ClientAborted)),
        _ => None,
    }
}

/// Where the time begins that ends at the end of `text`.
fn time_before(text: &[u8], from: usize) -> Option<usize> {
    let least = text.len().saturating_sub(TIME_BYTES_MAX).max(from);
    let most = text.len().checked_sub(TIME_BYTES_MIN)?;
    let is_time = |at: &usize| {
        let time = &text[*at..];
        time[4] == b'-' && time[7] == b'-' && time[10] == b'T' && time[13] == b':'
    };
    (least..=most).find(is_time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_lost_and_who_left_is_told_by_apps() {
        let finder = Finder::new();
        let sure = |text: &'static str| {
            let signs = finder.look(text.as_bytes(), 0);
            let signs = finder.look_at_app(text.as_bytes(), signs);
            signs.meaning.filter(|_| signs.is_sure).map(|meaning| meaning.kind)
        };
        for text in [
            "[Terminal] No pong from 3f, closing zombie",
            "socket.io: 3f disconnect: ping timeout",
            "aborted: keepalive ping timeout, closed by peer",
        ] {
            assert_eq!(sure(text), Some(Kind::App(AppSign::PeerLost)), "{text}");
        }
        for text in ["stream ended early err=\"context canceled\"", "GET /api/chat - - ms - -"] {
            assert_eq!(sure(text), Some(Kind::App(AppSign::ClientAborted)), "{text}");
        }
        for text in ["hint: zombie connections should close after each stream now", "ping pong"] {
            assert_eq!(sure(text), None, "{text}");
        }
    }

    /// Every line about a request has a word by which it is found.
    #[test]
    fn lines_about_requests_are_looked_at() {
        let finder = Finder::new();
        for text in [
            "[GIN] 2025/10/02 - 11:00:00 | 200 |      12.5ms |    203.0.113.9 | GET     \"/\"",
            "203.0.113.9 - - [x] \"GET / HTTP/1.1\" 499 0 \"-\" \"curl/8\" rt=10.112 urt=10.112",
            "--> POST /api/chat 200 1s",
            "request_id=3f [info] Sent 200 in 12ms",
            "Completed 200 OK in 8ms (Views: 1.0ms)",
            "chat: run 3f finished in 312.4s",
            "[chat] run 3f0a12 done after 312.4s",
            "[ws] client disconnected code=1001 after 280s",
            "{\"res\":{\"statusCode\":200},\"responseTime\":3100.5}",
            "{\"duration\":0.25,\"size\":640,\"status\":200}",
            "x took 5ms",
            "elapsed=5ms",
        ] {
            let signs = finder.look(text.as_bytes(), 0);
            assert!(finder.look_at_app(text.as_bytes(), signs).may_be_served, "{text}");
        }
    }
}

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
    /// Fly's init, or the kernel.
    Init,
    /// A status follows.
    Status,
    /// A time ends here, and a provider follows.
    Head,
    /// Another record may begin here.
    Begin,
}

/// Without the first letter where it may be a capital one.
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
}

/// Finds the words.
pub(super) struct Finder(AhoCorasick);

impl Finder {
    pub(super) fn new() -> Self {
        let words = WORDS.map(|(word, _)| word);
        // Built in a fraction of the time of the default, which a short log is not worth, and as fast on long ones: what
        // finds candidates is the same.
        let kind = Some(AhoCorasickKind::ContiguousNFA);
        let mut finder = AhoCorasick::builder();
        let finder = finder.match_kind(MatchKind::LeftmostFirst).kind(kind).build(words);
        Self(finder.expect("a few short words"))
    }

    /// Looks through a message from `from` on.
    pub(super) fn look<'a>(&self, message: &'a [u8], from: usize) -> Signs<'a> {
        let mut signs = Signs::default();
        for found in self.0.find_iter(&message[from..]) {
            let (at, end) = (from + found.start(), from + found.end());
            let (word, meaning) = (WORDS[found.pattern().as_usize()].1, &mut signs.meaning);
            match word {
                Word::App(sign) => *meaning = meaning.take().or_else(|| Some(app(sign))),
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

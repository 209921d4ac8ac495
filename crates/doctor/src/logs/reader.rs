//! One file, or one stream, from its bytes to its events.

use memchr::memchr2;

use super::collect::{Collected, Collector};
use super::event::{Event, Kind, Level, Origin, Position};
use super::input::Input;
use super::json::{self, NotJson};
use super::lines::{ESCAPE, Line, Lines, clean};
use super::name::Name;
use super::object::{self, Object};
use super::outlast::{self, Fields, Key};
use super::platform::{self, Meaning};
use super::record::{Form, Record};
use super::served;
use super::signs::Finder;
use super::stamp::Clock;
use super::summary::Summary;
use super::text::{self, ERROR_FIRST, Timed};
use super::unreadable::Unreadable;
use super::when::When;

/// Takes events as they are found, in the order of the lines.
pub type Sink<'s> = dyn FnMut(Event) + 's;

/// Reads a log as it comes: in pieces of any size, with lines of any length. It holds at most one line and one object of
/// JSON, each of [`LINE_BYTES_MAX`](super::LINE_BYTES_MAX), and a [`Summary`].
pub struct Reader {
    input: Input,
    lines: Lines,
    state: State,
}

impl Reader {
    /// Begins with the `file`-th of several, counted from 0.
    #[must_use]
    pub fn new(file: u16) -> Self {
        let state = State {
            position: Position { file, line: 0 },
            clock: Clock::default(),
            finder: Finder::new(),
            collector: Collector::default(),
            stamp: None,
            piece_is_text: true,
            line_is_text: true,
            cleaned: Vec::new(),
            unescaped: Vec::new(),
            summary: Summary::default(),
        };
        Self { input: Input::new(), lines: Lines::default(), state }
    }

    /// Reads what has come: whole lines become events, the rest waits for its end.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut Sink<'_>) {
        let Self { input, lines, state } = self;
        let fed = input.feed(bytes, |piece| {
            state.begin(piece);
            lines.feed(piece, |line| state.line(line, sink));
        });
        if let Err(broken) = fed {
            state.summary.broken = Some((state.summary.lines, broken.reason));
        }
    }

    /// What was read so far. Its last minute is not in [`Summary::activity`] yet.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.state.summary
    }

    /// There is no more: the last line is read, whether or not it has an end.
    ///
    /// # Errors
    /// When nothing was found that can be read as a log.
    pub fn finish(mut self, sink: &mut Sink<'_>) -> Result<Summary, Unreadable> {
        let Self { input, lines, state } = &mut self;
        let ended = input.end(|piece| {
            state.begin(piece);
            lines.feed(piece, |line| state.line(line, sink));
        });
        if let Err(broken) = ended {
            state.summary.broken = Some((state.summary.lines, broken.reason));
        }
        state.summary.last_is_cut = lines.is_within() || state.collector.is_collecting();
        lines.end(|line| state.line(line, sink));
        if let Some(left) = state.collector.take() {
            state.replay(&left, sink);
        }
        state.summary.packing = input.packing();
        state.summary.settle();
        Unreadable::check(self.state.summary)
    }
}

/// What became of a piece of a line.
enum Step {
    /// It is read to its end.
    Done,
    /// A record ends here, and another may begin.
    More(usize),
    /// It is nothing that is known.
    Unknown,
}

struct State {
    position: Position,
    clock: Clock,
    finder: Finder,
    collector: Collector,
    /// The time of the next line, which is a message: Grafana.
    stamp: Option<When>,
    /// Whether this piece of the file is UTF-8, and all pieces that the line is made of.
    piece_is_text: bool,
    line_is_text: bool,
    cleaned: Vec<u8>,
    unescaped: Vec<u8>,
    summary: Summary,
}

impl State {
    /// A piece of the file has come.
    fn begin(&mut self, piece: &[u8]) {
        self.summary.bytes += piece.len() as u64;
        // A character that two pieces share makes both doubtful, and their lines are looked at one by one.
        self.piece_is_text = std::str::from_utf8(piece).is_ok();
        self.line_is_text &= self.piece_is_text;
    }

    fn line(&mut self, line: Line<'_>, sink: &mut Sink<'_>) {
        self.summary.lines += 1;
        self.position.line = self.summary.lines;
        if line.skipped > 0 {
            self.summary.long.at(self.position);
        }
        let text = line.text.strip_suffix(b"\r").unwrap_or(line.text);
        if !self.line_is_text && std::str::from_utf8(text).is_err() {
            self.summary.not_utf8.at(self.position);
        }
        self.line_is_text = self.piece_is_text;
        if memchr2(ESCAPE, 0, text).is_none() {
            return self.collect(text, sink);
        }
        if memchr::memchr(0, text).is_some() {
            self.summary.nul.at(self.position);
        }
        let mut cleaned = std::mem::take(&mut self.cleaned);
        clean(text, &mut cleaned);
        self.collect(&cleaned, sink);
        self.cleaned = cleaned;
    }

    /// Reads a line, or adds it to an object that has begun.
    fn collect(&mut self, text: &[u8], sink: &mut Sink<'_>) {
        match self.collector.add(text) {
            Collected::NotCollecting => self.read(text, true, sink),
            Collected::More => {}
            Collected::Whole(object) => {
                if !self.objects(&object.text, object.line, sink) {
                    self.replay(&object, sink);
                }
            }
            Collected::GivenUp(left) => {
                self.replay(&left, sink);
                self.position.line = self.summary.lines;
                self.read(text, true, sink);
            }
        }
    }

    /// Reads lines that looked like an object one by one.
    fn replay(&mut self, left: &super::collect::Lines, sink: &mut Sink<'_>) {
        for (line, text) in (left.line..).zip(left.text.split(|byte| *byte == b'\n')) {
            self.position.line = line;
            // The text ends in a line feed.
            if line <= self.summary.lines && !text.is_empty() {
                self.read(text, false, sink);
            }
        }
    }

    /// Reads all records of a line.
    fn read(&mut self, line: &[u8], may_collect: bool, sink: &mut Sink<'_>) {
        if line.trim_ascii().is_empty() {
            self.summary.blank += 1;
            return;
        }
        let (mut rest, mut records) = (line, 0);
        loop {
            match self.step(rest, may_collect, sink) {
                Step::Done => break,
                Step::More(at) => {
                    rest = &rest[at..];
                    records += 1;
                }
                Step::Unknown if records == 0 => return self.unknown(line, sink),
                Step::Unknown => return,
            }
        }
        if records > 0 {
            self.summary.shared.at(self.position);
        }
    }

    /// Nothing is known that begins like this line; another program may have put something before it.
    fn unknown(&mut self, line: &[u8], sink: &mut Sink<'_>) {
        let begins = self.finder.look(line, 0).begins;
        let begins = begins.or_else(|| memchr::memmem::find(line, OUR_BEGIN));
        if let Some(at) = begins.filter(|at| *at > 0) {
            match self.step(&line[at..], false, sink) {
                Step::Done => return,
                Step::More(more) => return self.read(&line[at + more..], false, sink),
                Step::Unknown => {}
            }
        }
        if self.position.line == 1 {
            self.summary.first_is_cut = true;
        }
        self.summary.not_understood(self.position, line);
    }

    /// Reads the record that a text begins with.
    fn step(&mut self, text: &[u8], may_collect: bool, sink: &mut Sink<'_>) -> Step {
        match text[0] {
            b'0'..=b'9' => {
                if let Some(timed) = text::timed(&mut self.clock, text) {
                    return self.timed(timed, text, sink);
                }
            }
            b'e' if text.starts_with(ERROR_FIRST) => {
                if let Some((record, tail)) = text::error_first(&mut self.clock, text) {
                    self.tell(record, sink);
                    let begins = self.finder.look(tail, 0).begins;
                    return begins
                        .map_or(Step::Done, |at| Step::More(text.len() - tail.len() + at));
                }
            }
            b'{' | b'[' | b' ' | b',' | b']' | b'}' => match self.json(text, may_collect, sink) {
                Step::Unknown => {}
                step => return step,
            },
            _ => {}
        }
        if let Some(at) = self.stamp.take() {
            self.tell(Record::new(Form::Grafana, Some(at), text.trim_ascii()), sink);
            return Step::Done;
        }
        self.message(None, text, sink)
    }

    fn timed(&mut self, timed: Timed<'_>, text: &[u8], sink: &mut Sink<'_>) -> Step {
        match timed {
            Timed::Record(record) => {
                self.stamp = None;
                let begins = self.tell(record, sink);
                begins.map_or(Step::Done, |at| Step::More(text.len() - record.message.len() + at))
            }
            Timed::Stamp(at) => {
                self.stamp = Some(at);
                Step::Done
            }
            Timed::Outlast(at, rest) => self.ours_for_people(at, rest, sink),
            Timed::Bare(at, rest) => self.message(Some(at), rest, sink),
        }
    }

    /// A message of the platform that nobody's name stands before.
    fn message(&mut self, at: Option<When>, text: &[u8], sink: &mut Sink<'_>) -> Step {
        let text = text.trim_ascii_start();
        let Some(meaning) = platform::meaning(text) else { return Step::Unknown };
        let form = if at.is_some() { Form::Stamped } else { Form::Message };
        self.put(Record::new(form, at, text), Some(meaning), sink);
        Step::Done
    }

    fn ours_for_people(&mut self, at: When, rest: &[u8], sink: &mut Sink<'_>) -> Step {
        let record =
            Record { origin: Origin::Outlast, ..Record::new(Form::OutlastText, Some(at), rest) };
        let Some((level, message)) = text::outlast_level(rest) else {
            let Some((exchange, request)) = outlast::exchange_for_people(rest) else {
                return Step::Unknown;
            };
            let kind = Kind::Exchange(Box::new(exchange));
            let meaning = Meaning { kind, origin: Origin::Outlast, machine: b"" };
            self.put(Record { request, level: Level::Info, ..record }, Some(meaning), sink);
            return Step::Done;
        };
        let fields = Fields::Text(message);
        let request = fields.get(Key::RequestId);
        let meaning = outlast::meaning(message, fields);
        self.put(Record { request, level, ..record }, meaning, sink);
        Step::Done
    }

    /// Objects of JSON: one, several, a page of them, or the first line of one.
    fn json(&mut self, text: &[u8], may_collect: bool, sink: &mut Sink<'_>) -> Step {
        let begin = text.trim_ascii_start();
        if !matches!(begin.first(), Some(b'{' | b'[')) {
            // What is left of a list or a page whose objects have been read.
            let is_rest = begin.iter().all(|byte| b"]},".contains(byte));
            let is_rest = is_rest && self.summary.records_total() > 0;
            return if is_rest { Step::Done } else { Step::Unknown };
        }
        match self.walk(begin, self.position.line, sink) {
            Walked::All => Step::Done,
            Walked::Some(end) => Step::More(text.len() - begin.len() + end),
            Walked::Cut if may_collect && self.collector.begin(text, self.position.line) => {
                Step::Done
            }
            Walked::Cut | Walked::Nothing => Step::Unknown,
        }
    }

    /// Reads the objects of a text that is whole. False: there was none that is a record.
    fn objects(&mut self, text: &[u8], line: u64, sink: &mut Sink<'_>) -> bool {
        matches!(self.walk(text.trim_ascii_start(), line, sink), Walked::All | Walked::Some(_))
    }

    fn walk(&mut self, text: &[u8], first_line: u64, sink: &mut Sink<'_>) -> Walked {
        let page = json::page(text);
        let (mut at, mut line, mut counted) = (page.unwrap_or(0), first_line, 0);
        let mut told = 0;
        loop {
            let (object, length) = match object::read(&text[at..]) {
                Ok(read) => read,
                Err(NotJson::Cut) if told == 0 => return Walked::Cut,
                Err(NotJson::Cut) => {
                    self.summary.last_is_cut = true;
                    return Walked::All;
                }
                Err(NotJson::Other) if told == 0 => return Walked::Nothing,
                Err(NotJson::Other) => return Walked::Some(at),
            };
            line += memchr::memchr_iter(b'\n', &text[counted..at]).count() as u64;
            counted = at;
            self.position.line = line;
            if self.object(&object, page.is_some(), sink) {
                told += 1;
            }
            at += length;
            let Some(next) = json::next(text, at) else { break };
            at = next;
        }
        if told == 0 {
            return Walked::Nothing;
        }
        let rest = text[at..].trim_ascii();
        let is_over = page.is_some() || rest.iter().all(|byte| b"]},".contains(byte));
        if is_over { Walked::All } else { Walked::Some(at) }
    }

    fn object(&mut self, object: &Object<'_>, is_of_page: bool, sink: &mut Sink<'_>) -> bool {
        let Some(record) = object.record(&mut self.clock, is_of_page) else { return false };
        if let Some(target) = object.our_target() {
            self.put(record, ours(target, object), sink);
            return true;
        }
        let mut unescaped = std::mem::take(&mut self.unescaped);
        let mut record = record;
        if memchr::memchr(b'\\', record.message).is_some() {
            json::unescape(record.message, &mut unescaped);
            record.message = &unescaped;
        }
        self.tell(record, sink);
        self.unescaped = unescaped;
        true
    }

    /// Tells what a record means, and where in its message another one begins.
    fn tell(&mut self, record: Record<'_>, sink: &mut Sink<'_>) -> Option<usize> {
        if record.message.starts_with(OUR_BEGIN)
            && let Ok((object, _)) = object::read(record.message)
            && let Some(target) = object.our_target()
            && let Some(inner) = object.record(&mut self.clock, false)
        {
            let machine = if inner.machine.is_empty() { record.machine } else { inner.machine };
            let form = record.form;
            self.put(
                Record { form, machine, region: record.region, ..inner },
                ours(target, &object),
                sink,
            );
            return None;
        }
        let signs = self.finder.look(record.message, 0);
        let message = match signs.begins {
            Some(at) => record.message[..at].trim_ascii_end(),
            None => record.message,
        };
        let begins = signs.begins;
        let meaning = match record.origin {
            Origin::App => {
                let signs = self.finder.look_at_app(message, signs);
                let served = signs.may_be_served && !signs.is_sure;
                let served = if served { served::meaning(message) } else { None };
                served.or(signs.meaning)
            }
            Origin::Unknown => platform::meaning(message).or(signs.meaning),
            _ => platform::meaning(message),
        };
        self.put(record, meaning, sink);
        begins
    }

    /// Counts a record, and hands on what it means.
    fn put(&mut self, record: Record<'_>, meaning: Option<Meaning<'_>>, sink: &mut Sink<'_>) {
        let said = meaning.as_ref().map_or(Origin::Unknown, |meaning| meaning.origin);
        let origin = if record.origin == Origin::Unknown { said } else { record.origin };
        self.summary.record(record.form, origin, record.at, self.position);
        let Some(Meaning { kind, machine, .. }) = meaning else { return };
        self.summary.events += 1;
        let machine = if record.machine.is_empty() { machine } else { record.machine };
        sink(Event {
            at: record.at,
            position: self.position,
            origin,
            level: record.level,
            machine: Name::new(machine),
            region: Name::new(record.region),
            request: Name::new(record.request),
            kind,
        });
    }
}

/// How a line of ours for programs begins.
const OUR_BEGIN: &[u8] = b"{\"timestamp\":\"";

/// What became of objects.
enum Walked {
    All,
    /// They end here, and something else follows.
    Some(usize),
    /// The first ends too early.
    Cut,
    /// There is no record.
    Nothing,
}

fn ours<'a>(target: &[u8], object: &Object<'a>) -> Option<Meaning<'a>> {
    let fields = Fields::Object(&object.ours);
    match target {
        b"outlast::access" => {
            let kind = Kind::Exchange(Box::new(outlast::exchange(fields)));
            Some(Meaning { kind, origin: Origin::Outlast, machine: b"" })
        }
        b"outlast::proxy" => platform::meaning(object.message),
        _ => outlast::meaning(object.message, fields),
    }
}

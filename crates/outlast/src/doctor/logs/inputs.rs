//! Several logs read side by side, their events in the order of their times.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, anyhow};
use outlast_doctor::logs::{Event, LINE_BYTES_MAX, Order, Reader, Summary};

use crate::failure::Failure;

/// So much of a file is read at a time; packed, it may become a thousand times as much.
const PIECE_BYTES: usize = 16 * 1024;
/// Events of a file that wait for those of others, or for the end of a file that runs backwards: 100 MB.
const WAITING_MAX: usize = 500_000;
/// After so many events it is known which way a file runs.
const ORDER_KNOWN: usize = 64;

/// One log.
struct Input {
    name: String,
    bytes: Box<dyn Read>,
    /// `None`: it is read to its end.
    reader: Option<Reader>,
    events: VecDeque<Event>,
    /// The last time in it, in nanoseconds: what has none stands where it stands.
    last: i64,
    runs: Runs,
    summary: Summary,
}

/// Which way a file runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    Unknown,
    Forward,
    Backward,
}

/// All of them.
pub(super) struct Inputs {
    all: Vec<Input>,
}

impl Inputs {
    /// Opens every log; `-` is standard input.
    pub(super) fn open(paths: &[impl AsRef<Path>]) -> Result<Self, Failure> {
        let mut all = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            let file = u16::try_from(number)
                .map_err(|_| Failure::config(anyhow!("more than 65,535 logs are too many")))?;
            let (name, bytes) = open(path.as_ref())?;
            all.push(Input {
                name,
                bytes,
                reader: Some(Reader::new(file)),
                events: VecDeque::new(),
                last: i64::MIN,
                runs: Runs::Unknown,
                summary: Summary::default(),
            });
        }
        Ok(Self { all })
    }

    /// The names as reports print them.
    pub(super) fn names(&self) -> Vec<String> {
        self.all.iter().map(|input| input.name.clone()).collect()
    }

    /// What was wrong with a log that was read to its end, a sentence each.
    pub(super) fn notes(&self) -> Vec<String> {
        let notes = self.all.iter().flat_map(|input| {
            notes(&input.summary).into_iter().map(|note| format!("{}: {note}", input.name))
        });
        notes.collect()
    }

    /// The next event of all logs.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Failure> {
        for input in &mut self.all {
            input.fill()?;
        }
        let first = |input: &&mut Input| {
            let event = input.events.front()?;
            Some(event.at.map_or(input.last, |at| at.nanoseconds()))
        };
        let waiting = self.all.iter_mut().filter(|input| !input.events.is_empty());
        let Some(input) = waiting.min_by_key(first) else { return Ok(None) };
        let event = input.events.pop_front().expect("it waits");
        input.last = event.at.map_or(input.last, |at| at.nanoseconds());
        Ok(Some(event))
    }
}

fn open(path: &Path) -> Result<(String, Box<dyn Read>), Failure> {
    if path.as_os_str() == "-" {
        return Ok(("standard input".to_owned(), Box::new(io::stdin())));
    }
    let what = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(what).map_err(|error| {
        Failure::config(error).hint("--logs names a log: `fly logs > fly.log` writes one")
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        let error = anyhow!("{}: it is a folder", what());
        return Err(Failure::config(error).hint("name the logs in it: --logs a --logs b"));
    }
    Ok((path.display().to_string(), Box::new(file)))
}

impl Input {
    /// Reads until an event waits that may be handed on, or to the end.
    fn fill(&mut self) -> Result<(), Failure> {
        while self.reader.is_some() && !self.is_ready() {
            let mut piece = [0; PIECE_BYTES];
            let read = loop {
                match self.bytes.read(&mut piece) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            let what = || format!("cannot read {}", self.name);
            let length = read.with_context(what).map_err(Failure::config)?;
            if length == 0 {
                self.end()?;
            } else if let Some(reader) = &mut self.reader {
                reader.feed(&piece[..length], &mut |event| self.events.push_back(event));
                if self.runs == Runs::Unknown && self.events.len() >= ORDER_KNOWN {
                    self.runs = runs(reader.summary());
                }
            }
            if self.events.len() > WAITING_MAX && self.runs == Runs::Backward {
                let error =
                    anyhow!("{} is too long to be turned round: it begins with its end", self.name);
                return Err(Failure::config(error).hint("`tac LOG > TURNED` turns it round"));
            }
        }
        Ok(())
    }

    fn is_ready(&self) -> bool {
        match self.runs {
            Runs::Forward => !self.events.is_empty(),
            Runs::Unknown | Runs::Backward => false,
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        let summary = reader.finish(&mut |event| self.events.push_back(event));
        self.summary = summary
            .map_err(|unreadable| Failure::config(anyhow!("{}: {unreadable}", self.name)))?;
        if runs(&self.summary) == Runs::Backward && self.runs != Runs::Forward {
            self.events.make_contiguous().reverse();
        }
        Ok(())
    }
}

fn runs(summary: &Summary) -> Runs {
    let is_backward =
        [&summary.dated, &summary.undated].iter().any(|times| times.order() == Order::NewestFirst);
    if is_backward { Runs::Backward } else { Runs::Forward }
}

/// What was wrong with a log, a sentence each.
pub(super) fn notes(summary: &Summary) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.not_understood > 0 {
        let first = summary.examples.first();
        let first = first.map(|first| {
            format!(", the first is line {}: `{}`", first.position.line, first.excerpt)
        });
        let (lines, all) = (summary.not_understood, summary.lines);
        notes.push(format!(
            "{lines} of {all} lines were not understood{}",
            first.unwrap_or_default()
        ));
    }
    if let Some((line, reason)) = &summary.broken {
        notes.push(format!("it could not be unpacked beyond line {line}: {reason}"));
    }
    if summary.long.count > 0 {
        let lines = summary.long.count;
        notes.push(format!("of {lines} lines only the first {LINE_BYTES_MAX} bytes were read"));
    }
    notes
}

//! A log that grows, as `tail -F` follows one: it may be rotated or cut, and what was missing comes.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use outlast_doctor::diagnosis::report::{incident_json, json, time};
use outlast_doctor::diagnosis::{Beside, Diagnosis, News, Watch};
use outlast_doctor::logs::{Event, Reader, Unreadable};
use outlast_runtime::clock;
use serde_json::json as object;
use tokio::sync::mpsc;

use super::super::args::{DoctorArgs, Format};
use super::inputs::notes;
use super::{code, draw, names_of, print, remark, style};
use crate::failure::Failure;
use crate::signals::Signals;

/// A file is looked at so often.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces of standard input that wait to be read.
const PIECES_MAX: usize = 4;

/// Follows until `--for` is over, standard input ends, or a signal comes; then tells everything.
pub(super) fn run(args: &DoctorArgs, plan: Option<Beside>) -> Result<ExitCode, Failure> {
    let [path] = &*args.logs.logs else {
        let error = anyhow!("--follow reads one log, and {} were given", args.logs.logs.len());
        return Err(Failure::config(error).hint("start one for each"));
    };
    if !matches!(args.format, Format::Human | Format::Json) {
        let error = anyhow!("--follow tells lines as they come: --format human or --format json");
        return Err(Failure::config(error).hint("without --follow every format is written"));
    }
    let source = Source::open(path)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime").map_err(Failure::failed)?;
    let follower = Follower {
        watch: Watch::new(Diagnosis::new(plan, names_of(args))),
        reader: Reader::new(0),
        names: vec![source.name()],
        format: args.format,
        last_event: None,
    };
    runtime.block_on(follower.follow(args, source))
}

struct Follower {
    watch: Watch,
    reader: Reader,
    names: Vec<String>,
    format: Format,
    last_event: Option<clock::Instant>,
}

impl Follower {
    async fn follow(mut self, args: &DoctorArgs, mut source: Source) -> Result<ExitCode, Failure> {
        let mut signals =
            Signals::new().context("cannot listen for signals").map_err(Failure::failed)?;
        let end = clock::now() + args.logs.span;
        loop {
            let piece = tokio::select! {
                piece = source.next() => piece,
                () = clock::sleep_until(end) => break,
                _signal = signals.next() => break,
            };
            match piece
                .with_context(|| format!("cannot read {}", self.names[0]))
                .map_err(Failure::failed)?
            {
                Piece::Bytes(bytes) => self.take(&bytes)?,
                Piece::Nothing => self.look()?,
                Piece::Anew => self.anew()?,
                Piece::End => break,
            }
        }
        self.finish(args)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut events = Vec::new();
        self.reader.feed(bytes, &mut |event| events.push(event));
        self.observe(&events)
    }

    fn observe(&mut self, events: &[Event]) -> Result<(), Failure> {
        for event in events {
            if let Some(news) = self.watch.observe(event) {
                self.tell(&news)?;
            }
        }
        if !events.is_empty() {
            self.last_event = Some(clock::now());
        }
        Ok(())
    }

    /// What has come is read: how does it look now?
    fn look(&mut self) -> Result<(), Failure> {
        let since = self.last_event.map_or(Duration::ZERO, |last| clock::now() - last);
        for news in self.watch.look(since) {
            self.tell(&news)?;
        }
        Ok(())
    }

    /// The file is another one, or begins again.
    fn anew(&mut self) -> Result<(), Failure> {
        let reader = std::mem::replace(&mut self.reader, Reader::new(0));
        let mut events = Vec::new();
        // What was no log may become one.
        let _summary_or_not = reader.finish(&mut |event| events.push(event));
        self.observe(&events)
    }

    fn tell(&self, news: &News) -> Result<(), Failure> {
        let News { turn, incident } = news;
        print(&match self.format {
            Format::Json => {
                let line = object!({ "news": turn.name(), "incident": incident_json(incident, &self.names) });
                format!("{line}\n")
            }
            _ => format!(
                "{} {}: {} [{}, {}]\n",
                time(incident.began),
                turn.name(),
                incident.title,
                incident.cause(),
                incident.severity
            ),
        })
    }

    fn finish(mut self, args: &DoctorArgs) -> Result<ExitCode, Failure> {
        self.look()?;
        let mut events = Vec::new();
        let reader = std::mem::replace(&mut self.reader, Reader::new(0));
        let summary = reader.finish(&mut |event| events.push(event));
        self.observe(&events)?;
        let diagnosed = self.watch.finish();
        match summary {
            Ok(summary) => remark(&notes(&summary)),
            // Who watches a log in which nothing is written has nothing to complain of.
            Err(Unreadable::Empty) => {}
            Err(_) if diagnosed.events > 0 => {}
            Err(unreadable) => {
                return Err(Failure::config(anyhow!("{}: {unreadable}", self.names[0])));
            }
        }
        print(&match self.format {
            Format::Json => {
                let whole: serde_json::Value = serde_json::from_str(&json(&diagnosed, &self.names))
                    .expect("it was written just now");
                format!("{}\n", object!({ "news": "summary", "diagnosis": whole }))
            }
            _ => format!("\n{}", draw::draw(&diagnosed, &self.names, style())),
        })?;
        Ok(code(args, &diagnosed))
    }
}

/// What a look at the log gave.
enum Piece {
    Bytes(Vec<u8>),
    /// Nothing more for now.
    Nothing,
    /// It begins again.
    Anew,
    End,
}

enum Source {
    Input(mpsc::Receiver<io::Result<Vec<u8>>>),
    File(Tail),
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            let (sender, receiver) = mpsc::channel(PIECES_MAX);
            let reading = std::thread::Builder::new().name("input".to_owned());
            let started = reading.spawn(move || read_input(&sender));
            started.context("cannot start a thread").map_err(Failure::failed)?;
            return Ok(Self::Input(receiver));
        }
        let what = || format!("cannot read {}", path.display());
        let tail = Tail::open(path).with_context(what).map_err(|error| {
            Failure::config(error)
                .hint("the file that is followed has to be there; it may be empty")
        })?;
        Ok(Self::File(tail))
    }

    fn name(&self) -> String {
        match self {
            Self::Input(_) => "standard input".to_owned(),
            Self::File(tail) => tail.path.display().to_string(),
        }
    }

    /// The next piece; nothing, if there is none within [`LOOK_INTERVAL`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: a file is read without waiting.
    async fn next(&mut self) -> io::Result<Piece> {
        match self {
            Self::Input(receiver) => match clock::timeout(LOOK_INTERVAL, receiver.recv()).await {
                Ok(Some(piece)) => Ok(Piece::Bytes(piece?)),
                Ok(None) => Ok(Piece::End),
                Err(_) => Ok(Piece::Nothing),
            },
            Self::File(tail) => {
                // Whether a file grows is asked, as `tail -F` asks where it has to: it may be on any file system.
                if tail.is_read {
                    clock::sleep(LOOK_INTERVAL).await;
                }
                let piece = tail.next()?;
                tail.is_read = matches!(piece, Piece::Nothing);
                Ok(piece)
            }
        }
    }
}

/// Ends with the input, or when nobody listens.
fn read_input(sender: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let read = match input.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                Ok(piece)
            }
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        if sender.blocking_send(read).is_err() || is_last {
            return;
        }
    }
}

/// A file that grows under its name.
struct Tail {
    path: PathBuf,
    file: File,
    /// How much of it was read.
    at: u64,
    /// Whether there was nothing more.
    is_read: bool,
}

impl Tail {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { path: path.to_owned(), file, at: 0, is_read: false })
    }

    fn next(&mut self) -> io::Result<Piece> {
        let mut piece = vec![0; PIECE_BYTES];
        let length = self.file.read(&mut piece)?;
        if length > 0 {
            self.at += length as u64;
            piece.truncate(length);
            return Ok(Piece::Bytes(piece));
        }
        let own = self.file.metadata()?;
        if own.len() < self.at {
            self.file.rewind()?;
            self.at = 0;
            return Ok(Piece::Anew);
        }
        // While another one is put in its place there may be none.
        let is_other = std::fs::metadata(&self.path).is_ok_and(|there| !is_same(&own, &there));
        if is_other {
            *self = Self::open(&self.path)?;
            return Ok(Piece::Anew);
        }
        Ok(Piece::Nothing)
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

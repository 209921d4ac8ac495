//! One client from its first click to its one outcome, with what people do on the way.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use outlast_http1::Body;
use outlast_runtime::clock;
use outlast_runtime::random::Seeded;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::check::{Checker, End, Proof};
use crate::desk::{Desk, Job, Open};
use crate::plan::{Client, Kind, RETRY_AFTER_MAX, Reclick, RetryAfter};
use crate::tally::{Outcome, State, microseconds};
use crate::wire::{self, Head, parse_head};

/// A slow reader reads its share so often a second.
const SLOW_READS: u32 = 10;

/// What came of one request.
enum Attempt {
    Over(Outcome),
    /// 503 or 429, with the wait that the server asks for.
    Refused(Option<Duration>),
    /// No answer at all.
    Unanswered(String),
    /// Asleep, with the connection still open.
    Asleep(TcpStream),
    /// Never to be heard of again, with the connection still open.
    Vanished(TcpStream),
}

/// What bytes led to.
enum Step {
    More,
    /// The answer has begun.
    Begun,
    Over(Attempt),
}

/// A response as far as it is read.
enum Reading {
    Head(Vec<u8>),
    Body { body: Body, _open: Open },
}

struct Person {
    desk: Arc<Desk>,
    job: Job,
    id: String,
    checker: Checker,
    chance: Seeded,
    clicks: u32,
    answered: Answered,
    slept: Slept,
}

#[derive(PartialEq, Eq)]
enum Answered {
    NotYet,
    Yes,
}

#[derive(PartialEq, Eq)]
enum Slept {
    NotYet,
    Yes,
}

/// Lives through one planned stream.
///
/// Cancel safety: dropping the future closes its connection; the stream has no outcome then and counts as stuck.
pub(crate) async fn live(desk: Arc<Desk>, job: Job) {
    {
        let late = clock::now().saturating_duration_since(desk.epoch + job.start.at);
        let mut tally = desk.tally();
        tally.start_lag.saturating_record(microseconds(late));
        tally.summary.started += 1;
    }
    desk.counts.started.fetch_add(1, Ordering::Relaxed);
    let id = desk.id(&job);
    let checker = Checker::new(desk.load(&job).kind, &id);
    let mut person = Person {
        job,
        id,
        checker,
        chance: Seeded::new(job.start.seed),
        clicks: 0,
        answered: Answered::NotYet,
        slept: Slept::NotYet,
        desk,
    };
    person.go_on().await;
}

impl Person {
    async fn go_on(&mut self) {
        loop {
            let outcome = match self.attempt().await {
                Attempt::Over(outcome) => outcome,
                Attempt::Refused(retry_after) => match self.wait_and_click(retry_after).await {
                    Click::Again => continue,
                    Click::NoMore => Outcome::TurnedAway,
                },
                Attempt::Unanswered(reason) => {
                    self.desk.tally().complain(reason.clone());
                    match self.wait_and_click(None).await {
                        Click::Again => continue,
                        Click::NoMore => Outcome::Failed("gave up without an answer".to_owned()),
                    }
                }
                Attempt::Asleep(stream) => {
                    self.sleep(stream).await;
                    continue;
                }
                Attempt::Vanished(stream) => {
                    self.settle(Outcome::Vanished);
                    // The socket is held until the drill is over, and nobody reads from it.
                    let _held = stream;
                    pending().await
                }
            };
            return self.settle(outcome);
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let is_half = self.client() == Client::HalfClose;
        let is_lost = matches!(outcome, Outcome::Truncated(Some(_)) | Outcome::Failed(_));
        // After a half-close both are right: to go on, and to take it as the client's leave.
        let outcome = if is_half && is_lost { Outcome::Left } else { outcome };
        self.desk.end(&self.job, outcome);
    }

    fn client(&self) -> Client {
        self.desk.load(&self.job).client
    }

    /// One request on one connection.
    async fn attempt(&mut self) -> Attempt {
        self.desk.enter(&self.job, State::Connecting);
        let stream = {
            let request = self.desk.request(&self.job, &self.id, self.checker.next());
            wire::send(self.desk.asking.target.address, &request).await
        };
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return self.unconnected(&error),
        };
        if self.client() == Client::HalfClose
            && let Err(error) = stream.shutdown().await
        {
            return Attempt::Unanswered(format!("no answer: {error}"));
        }
        self.desk.enter(&self.job, State::Waiting);
        let attempt = self.follow(stream).await;
        self.desk.tally().disconnected(self.job.index);
        attempt
    }

    fn unconnected(&self, error: &io::Error) -> Attempt {
        let wants = [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL];
        if wants.iter().any(|want| error.raw_os_error() == Some(want.raw_os_error())) {
            self.desk.tally().starved += 1;
        }
        Attempt::Unanswered(format!("cannot connect: {error}"))
    }

    /// Reads to the end, or until the client does something else.
    async fn follow(&mut self, mut stream: TcpStream) -> Attempt {
        let mut reading = Reading::Head(Vec::new());
        let mut act: Option<Pin<Box<Sleep>>> = None;
        let limit = match self.client() {
            Client::Slow(rate) => usize::try_from(rate / SLOW_READS).unwrap_or(1).max(1),
            _ => usize::MAX,
        };
        loop {
            let step = tokio::select! {
                biased;
                read = wire::read(&mut stream, limit, |bytes| self.take(&mut reading, bytes)) => read,
                () = at(&mut act) => return self.act(stream),
            };
            match step {
                Ok(Step::More) => {}
                Ok(Step::Begun) => {
                    let after = self.acts_after();
                    act = after.map(|after| Box::pin(clock::sleep_until(clock::now() + after)));
                }
                Ok(Step::Over(attempt)) => return attempt,
                Err(error) => return broken(&reading, &error.to_string()),
            }
            if limit < usize::MAX {
                clock::sleep(Duration::from_secs(1) / SLOW_READS).await;
            }
        }
    }

    /// How long after the first byte the client does something.
    fn acts_after(&mut self) -> Option<Duration> {
        match self.client() {
            Client::Leave(after) | Client::Vanish(after) => Some(after.draw(&mut self.chance)),
            Client::Sleep(after, _) if self.slept == Slept::NotYet => {
                Some(after.draw(&mut self.chance))
            }
            _ => None,
        }
    }

    fn act(&self, stream: TcpStream) -> Attempt {
        match self.client() {
            Client::Sleep(..) => Attempt::Asleep(stream),
            Client::Vanish(_) => Attempt::Vanished(stream),
            // Closing the socket is what closing a tab does.
            _ => Attempt::Over(Outcome::Left),
        }
    }

    /// A laptop that sleeps neither reads nor closes; when it wakes up, its connection is lost to it.
    async fn sleep(&mut self, stream: TcpStream) {
        self.desk.enter(&self.job, State::Asleep);
        if let Client::Sleep(_, rest) = self.client() {
            clock::sleep(rest.draw(&mut self.chance)).await;
        }
        drop(stream);
        self.slept = Slept::Yes;
        self.desk.tally().summary.resumed += 1;
    }

    fn take(&mut self, reading: &mut Reading, bytes: &mut [u8]) -> Step {
        if bytes.is_empty() {
            return self.closed(reading);
        }
        let head = match reading {
            Reading::Body { body, .. } => return self.feed(body, bytes),
            Reading::Head(head) => head,
        };
        head.extend_from_slice(bytes);
        match parse_head(head) {
            Ok(None) => Step::More,
            Ok(Some((parsed, length))) => {
                let mut rest = head.split_off(length);
                self.begin(reading, parsed, &mut rest)
            }
            Err(reason) => Step::Over(Attempt::Over(Outcome::Failed(reason))),
        }
    }

    fn begin(&mut self, reading: &mut Reading, head: Head, rest: &mut [u8]) -> Step {
        match head.status {
            200..300 => {}
            503 | 429 => {
                let now = self.desk.now_us();
                self.desk.tally().refused(self.job.index, now, self.desk.counts.open());
                return Step::Over(Attempt::Refused(head.retry_after));
            }
            status => {
                return Step::Over(Attempt::Over(Outcome::Failed(format!("status {status}"))));
            }
        }
        let proof = match (head.is_marked, self.desk.load(&self.job).kind) {
            (true, _) => Proof::Marked,
            (false, Kind::Chat) => Proof::Chat,
            (false, _) => Proof::None,
        };
        self.checker.begin(proof);
        if self.answered == Answered::NotYet {
            self.answered = Answered::Yes;
            let planned = microseconds(self.job.start.at);
            let late = self.desk.now_us().saturating_sub(planned);
            self.desk.tally().first_byte.saturating_record(late);
        }
        let mut body = head.body;
        let step = if rest.is_empty() && !body.is_ended() {
            Step::Begun
        } else {
            match self.feed(&mut body, rest) {
                Step::More => Step::Begun,
                step => step,
            }
        };
        *reading = Reading::Body { body, _open: Open::new(&self.desk.counts) };
        step
    }

    fn feed(&mut self, body: &mut Body, bytes: &mut [u8]) -> Step {
        let advanced = match body.advance(bytes) {
            Ok(advanced) => advanced,
            Err(error) => {
                let reason = format!("the body is broken: {error}");
                return Step::Over(Attempt::Over(Outcome::Truncated(Some(reason))));
            }
        };
        let data = &bytes[..advanced.forward];
        if !data.is_empty() {
            let mut findings = Vec::new();
            self.checker.feed(data, &mut findings);
            let now = self.desk.now_us();
            let mut tally = self.desk.tally();
            tally.heard(self.job.index, now, data.len());
            if !findings.is_empty() {
                tally.violated(&self.id, now, findings);
            }
        }
        if body.is_ended() { Step::Over(Attempt::Over(self.whole())) } else { Step::More }
    }

    /// The response has ended as a whole one.
    fn whole(&mut self) -> Outcome {
        let mut findings = Vec::new();
        let end = self.checker.end(&mut findings);
        self.desk.tally().violated(&self.id, self.desk.now_us(), findings);
        match end {
            End::Whole => Outcome::Completed,
            End::Failed(error) => Outcome::Failed(format!("the server says: {error}")),
            End::Short => Outcome::Truncated(None),
        }
    }

    fn closed(&mut self, reading: &mut Reading) -> Step {
        let is_whole = match reading {
            Reading::Body { body, .. } => body.close().is_ok(),
            Reading::Head(_) => false,
        };
        Step::Over(if is_whole {
            Attempt::Over(self.whole())
        } else {
            broken(reading, "the connection was closed")
        })
    }

    async fn wait_and_click(&mut self, retry_after: Option<Duration>) -> Click {
        let Reclick::Again { wait, times, retry_after: heed } = self.desk.load(&self.job).reclick
        else {
            return Click::NoMore;
        };
        if self.clicks == times {
            return Click::NoMore;
        }
        self.clicks += 1;
        self.desk.enter(&self.job, State::Refused);
        let asked = match heed {
            RetryAfter::Heed => retry_after.unwrap_or_default().min(RETRY_AFTER_MAX),
            RetryAfter::Ignore => Duration::ZERO,
        };
        clock::sleep(wait.draw(&mut self.chance).max(asked)).await;
        Click::Again
    }
}

/// The connection ended before the response did.
fn broken(reading: &Reading, why: &str) -> Attempt {
    match reading {
        Reading::Head(_) => Attempt::Unanswered(format!("no answer: {why}")),
        Reading::Body { .. } => {
            Attempt::Over(Outcome::Truncated(Some(format!("broken off: {why}"))))
        }
    }
}

enum Click {
    Again,
    NoMore,
}

/// The moment to act, if there is one.
async fn at(act: &mut Option<Pin<Box<Sleep>>>) {
    match act {
        Some(sleep) => sleep.await,
        None => pending().await,
    }
}

//! What the clients of one worker thread share: the plan, the target, the clock, and the tally.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use outlast_config::format_duration;
use outlast_runtime::clock::{self, Instant};
use tokio::sync::Notify;

use crate::plan::{Kind, Load, Plan, Start};
use crate::tally::{Outcome, State, Tally, microseconds};
use crate::target::Target;

/// The request field by which the built-in origin is told what to send.
pub(crate) const SCRIPT: &str = "Outlast-Drill-Script";

/// What every request has in common.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) target: Target,
    pub(crate) fields: Vec<(String, String)>,
    /// In place of the body of a chat; other kinds are sent by POST with it.
    pub(crate) body: Option<String>,
}

/// A planned stream and its numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Among all streams.
    pub(crate) number: usize,
    /// In the tally of its thread.
    pub(crate) index: usize,
    pub(crate) start: Start,
}

/// Counts over all threads.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) started: AtomicU64,
    pub(crate) ended: AtomicU64,
    open: AtomicU64,
    open_max: AtomicU64,
    pub(crate) one_ended: Notify,
}

impl Counts {
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn open_max(&self) -> u64 {
        self.open_max.load(Ordering::Relaxed)
    }
}

/// A stream that is let in and has not ended.
pub(crate) struct Open(Arc<Counts>);

impl Open {
    pub(crate) fn new(counts: &Arc<Counts>) -> Self {
        let open = counts.open.fetch_add(1, Ordering::Relaxed) + 1;
        counts.open_max.fetch_max(open, Ordering::Relaxed);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the clients of one thread share.
pub(crate) struct Desk {
    pub(crate) plan: Arc<Plan>,
    pub(crate) asking: Arc<Asking>,
    pub(crate) seed: u64,
    /// This drill among those of the same seed: a server may remember the streams of an earlier one.
    pub(crate) drill: u16,
    /// The start of the drill.
    pub(crate) epoch: Instant,
    pub(crate) jobs: Vec<Job>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) tally: Mutex<Tally>,
}

impl Desk {
    pub(crate) fn now_us(&self) -> u64 {
        microseconds(clock::now().saturating_duration_since(self.epoch))
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("no thread panics while it counts")
    }

    pub(crate) fn load(&self, job: &Job) -> &Load {
        &self.plan.loads[job.start.load]
    }

    pub(crate) fn enter(&self, job: &Job, state: State) {
        self.tally().enter(job.index, self.now_us(), state);
    }

    pub(crate) fn end(&self, job: &Job, outcome: Outcome) {
        self.tally().ended(job.index, self.now_us(), outcome);
        self.counts.ended.fetch_add(1, Ordering::Relaxed);
        self.counts.one_ended.notify_one();
    }

    /// The id by which a stream is known on both sides.
    pub(crate) fn id(&self, job: &Job) -> String {
        format!("drill-{:x}-{:04x}-{}", self.seed, self.drill, job.number)
    }

    /// The request of a stream that begins, or goes on, at a line.
    pub(crate) fn request(&self, job: &Job, id: &str, from: u32) -> Vec<u8> {
        let load = self.load(job);
        let Asking { target, fields, body } = &*self.asking;
        let path = load.path.as_ref().or(target.path.as_ref());
        let path = path.map_or(load.kind.default_path(), String::as_str);
        let body = match (body, load.kind) {
            (Some(body), _) => Some(body.replace("{id}", id)),
            (None, Kind::Chat) => {
                Some(format!("{{\"message\":\"Analyze this codebase\",\"requestId\":\"{id}\"}}"))
            }
            (None, _) => None,
        };
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", target.authority);
        for (name, value) in fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if load.kind == Kind::Chat && !job.start.length.is_zero() {
            let pace = format_duration(job.start.length);
            text.push_str(&format!("Outlast-Drill-Pace: {pace}\r\n"));
        }
        if load.kind == Kind::Sse && from > 0 {
            text.push_str(&format!("Last-Event-ID: {}\r\n", from - 1));
        }
        text.push_str(&format!("{SCRIPT}: {}\r\n", self.script(job, load, id, from)));
        if let Some(body) = &body {
            let length = body.len();
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {length}\r\n"
            ));
        }
        text.push_str("\r\n");
        text.push_str(body.as_deref().unwrap_or_default());
        text.into_bytes()
    }

    fn script(&self, job: &Job, load: &Load, id: &str, from: u32) -> String {
        let gap = load.gap.mean().as_secs_f64().max(1e-6);
        let lines = job.start.length.as_secs_f64() / gap;
        // A chat is heard again from its beginning, whoever answers.
        let from = if load.kind == Kind::Chat { 0 } else { from };
        format!(
            "id={id}&lines={:.0}&gap={}&first={}&seed={}&from={from}",
            lines.clamp(1.0, 1e9),
            load.gap,
            load.first_byte,
            job.start.seed,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::read::read_plan;

    fn request(load: &str, url: &str, body: Option<&str>, from: u32) -> String {
        let plan = format!("[[load]]\nusers = 1\nlength = \"8s\"\n{load}");
        let plan = read_plan(&outlast_config::SourceText::new("test", plan)).unwrap();
        let start = plan.schedule(1)[0];
        let desk = Desk {
            plan: Arc::new(plan),
            asking: Arc::new(Asking {
                target: Target::resolve(url, None).unwrap(),
                fields: vec![("X-Team".to_owned(), "drill".to_owned())],
                body: body.map(ToOwned::to_owned),
            }),
            seed: 0xab,
            drill: 0xcd,
            epoch: clock::now(),
            jobs: Vec::new(),
            counts: Arc::default(),
            tally: Mutex::new(Tally::new(Vec::new(), Duration::from_secs(1))),
        };
        let job = Job { number: 3, index: 0, start };
        let id = desk.id(&job);
        String::from_utf8(desk.request(&job, &id, from)).unwrap()
    }

    #[test]
    fn requests_ask_for_what_the_plan_says() {
        let plain = "http://127.0.0.1:1";
        for (load, url, body, from, parts) in [
            (
                "kind = \"chat\"",
                plain,
                None,
                0,
                &[
                    "POST /api/chat HTTP/1.1\r\nHost: 127.0.0.1:1\r\nX-Team: drill\r\n",
                    "Outlast-Drill-Pace: 8s\r\n",
                    "\"requestId\":\"drill-ab-00cd-3\"}",
                ][..],
            ),
            (
                "kind = \"sse\"",
                plain,
                None,
                5,
                &[
                    "GET /sse HTTP/1.1",
                    "Last-Event-ID: 4\r\n",
                    "id=drill-ab-00cd-3&lines=8&",
                    "&from=5\r\n",
                ],
            ),
            ("kind = \"sse\"", "http://127.0.0.1:1/x?y", None, 0, &["GET /x?y HTTP/1.1"]),
            ("kind = \"sse\"\npath = \"/z\"", "http://127.0.0.1:1/x", None, 0, &["GET /z HTTP"]),
            (
                "kind = \"plain\"",
                plain,
                Some("{\"n\":\"{id}\"}"),
                0,
                &["POST /plain", "Content-Length: 23\r\n", "\r\n\r\n{\"n\":\"drill-ab-00cd-3\"}"],
            ),
        ] {
            let request = request(load, url, body, from);
            for part in parts {
                assert!(request.contains(part), "{load}: {request}");
            }
        }
    }
}

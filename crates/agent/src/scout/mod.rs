//! Scout: the agent that needs no key and no network. It really looks at the working directory, and tells what it
//! found in the words and steps of a coding agent.

mod ask;
mod history;
mod language;
mod pace;
mod report;
mod survey;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use outlast_protocol::chat::ChatLine;
use outlast_runtime::clock;
use serde_json::json;
use tokio::sync::watch;

use crate::line::{Lines, shortened};
use crate::log::{Log, Written};
use crate::runs::Wish;
use ask::Ask;
use survey::{Survey, survey};

/// A tool's result is shown in a fold; nobody reads more of it.
const RESULT_BYTES_MAX: usize = 2 * 1024;

/// What scout is to do, and where it tells about it.
pub(crate) struct Work {
    pub(crate) directory: PathBuf,
    pub(crate) message: String,
    pub(crate) pace: Duration,
    pub(crate) lines: Lines,
    pub(crate) log: Arc<Log>,
    pub(crate) wished: watch::Receiver<Wish>,
}

/// The log has its last line already: there is nobody to tell.
struct Unheard;

/// Explores and reports, with one last line.
///
/// Cancel safety: dropping the future leaves a walk of the directory to end by itself, at its next file.
pub(crate) async fn run(work: Work) {
    // Whoever ended the log has told why.
    let _heard = explore(&work).await;
}

async fn explore(work: &Work) -> Result<(), Unheard> {
    let start = clock::now();
    let lines = &work.lines;
    let ask = Ask::of(&work.message);
    work.tell(&lines.init(&work.directory.display().to_string()))?;
    work.tell(&lines.text(&ask.opening()))?;
    let (id, step) = match ask.needle() {
        Some(needle) => lines.tool_use("Grep", &json!({ "pattern": shortened(needle, 200) })),
        None => lines.tool_use("Glob", &json!({ "pattern": "**/*" })),
    };
    work.tell(&step)?;
    let survey = match work.survey(ask.needle().map(ToOwned::to_owned)).await {
        Ok(survey) => survey,
        Err(error) => {
            return work.tell(&ChatLine::Error { error });
        }
    };
    let found = match ask.needle() {
        Some(_) => report::hits_plain(&survey),
        None => report::overview_plain(&survey),
    };
    work.tell(&lines.tool_result(&id, &shortened(&found, RESULT_BYTES_MAX)))?;
    let mut turns = 2;
    let history = match &ask {
        Ask::Search(_) => None,
        Ask::Tour => {
            let (id, step) = lines.tool_use("Bash", &json!({ "command": "git log" }));
            work.tell(&step)?;
            let history = history::read(&work.directory).await;
            let text = shortened(&report::history_plain(&history), RESULT_BYTES_MAX);
            work.tell(&lines.tool_result(&id, &text))?;
            turns += 1;
            Some(history)
        }
    };
    let answer = report::answer(&ask, &survey, history.as_ref());
    let left = work.pace.saturating_sub(start.elapsed());
    let pieces = pace::pieces(&answer, work.pace);
    let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX).max(1);
    for piece in &pieces {
        if !work.pace.is_zero() {
            clock::sleep(left / count).await;
        }
        work.tell(&lines.text(piece))?;
    }
    let took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut facts = report::facts(&survey, history.as_ref());
    facts["before"] = json!(work.log.sum());
    work.tell(&lines.result(&report::summary(&survey), took, turns, &facts))?;
    work.tell(&ChatLine::Done)
}

impl Work {
    fn tell(&self, line: &ChatLine) -> Result<(), Unheard> {
        match self.log.write(line) {
            Written::Taken => Ok(()),
            Written::Ended => Err(Unheard),
        }
    }

    async fn survey(&self, needle: Option<String>) -> Result<Survey, String> {
        let (directory, wished) = (self.directory.clone(), self.wished.clone());
        let go = move || *wished.borrow() == Wish::Go;
        let walk = tokio::task::spawn_blocking(move || survey(&directory, needle.as_deref(), &go));
        walk.await.map_err(|error| format!("scout broke off, by a defect of ours: {error}"))
    }
}

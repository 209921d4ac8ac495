//! Remarks that must not flood the log: at most one a second of each kind.

use std::sync::Mutex;
use std::time::Duration;

use outlast_runtime::clock;

/// Between two remarks of a kind.
const GAP: Duration = Duration::from_secs(1);

/// Lets one remark a second through.
#[derive(Debug, Default)]
pub(crate) struct OnceASecond(Mutex<Option<clock::Instant>>);

/// Lets "it pauses" and "it goes on" through, by turns, and so that the last word is the truth.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    last: Option<clock::Instant>,
    is_paused: bool,
}

impl OnceASecond {
    /// Whether a remark may be made now; then it counts as made.
    pub(crate) fn is_due(&self) -> bool {
        let now = clock::now();
        let mut last = self.0.lock().expect("no panic while held");
        let is_due = last.is_none_or(|last| now - last >= GAP);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

impl Pauses {
    /// Whether to say now that a pause begins. The error is when to ask again; none if it is the last word already.
    pub(crate) fn begins(&self) -> Result<(), Option<clock::Instant>> {
        let now = clock::now();
        let mut said = self.0.lock().expect("no panic while held");
        if said.is_paused {
            return Err(None);
        }
        match said.last.map(|last| last + GAP) {
            Some(next) if now < next => Err(Some(next)),
            _ => {
                *said = Said { last: Some(now), is_paused: true };
                Ok(())
            }
        }
    }

    /// Whether to say now that it goes on: not if nobody was told of the pause.
    pub(crate) fn ends(&self) -> bool {
        std::mem::take(&mut self.0.lock().expect("no panic while held").is_paused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_has_one_remark() {
        let remark = OnceASecond::default();
        assert!(remark.is_due() && !remark.is_due());
        clock::sleep(GAP).await;
        assert!(remark.is_due() && !remark.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_word_about_a_pause_is_the_truth() {
        let pauses = Pauses::default();
        assert!(!pauses.ends(), "nothing has begun");
        assert_eq!(pauses.begins(), Ok(()));
        assert_eq!(pauses.begins(), Err(None), "said already");
        assert!(pauses.ends() && !pauses.ends());
        // Too soon for a second one, which is not forgotten.
        let again = pauses.begins().expect_err("a second has not passed").expect("when");
        clock::sleep_until(again).await;
        assert_eq!(pauses.begins(), Ok(()));
        assert!(pauses.ends());
        // One that nobody was told of ends without a word.
        assert!(pauses.begins().is_err() && !pauses.ends());
    }
}

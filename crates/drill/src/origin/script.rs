//! What the origin is told to send.

use std::time::Duration;

use outlast_config::{Spread, parse_duration};

/// What can be told, for a person.
pub const HELP: &str = "\
GET /ndjson, /sse, /plain, POST /api/chat
  id=NAME             the stream's name, letters, digits and hyphens
  lines=N             lines before the last one
  gap=SPREAD          between two lines: 1s, uniform:1s:3s, exponential:2s, lognormal:2s:0.5
  first=SPREAD        before the first line
  bytes=N             of text in a line
  seed=N              gives the same gaps again
  from=N              goes on at line N
  stall=N:DURATION    is silent for so long before line N
  cut=N               closes the connection before line N
  false_end=N         ends the response as if it were whole before line N
  status=N            answers with this status
  retry_after=N       and says to come back in so many seconds
";

/// A line is no longer than this.
const BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Script {
    pub(super) id: String,
    pub(super) lines: u32,
    pub(super) gap: Spread,
    pub(super) first: Spread,
    pub(super) bytes: usize,
    pub(super) seed: u64,
    pub(super) from: u32,
    pub(super) stall: Option<(u32, Duration)>,
    pub(super) cut: Option<u32>,
    pub(super) false_end: Option<u32>,
    pub(super) status: u16,
    pub(super) retry_after: u32,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            id: "stream".to_owned(),
            lines: 10,
            gap: Spread::Fixed(Duration::from_secs(1)),
            first: Spread::Fixed(Duration::ZERO),
            bytes: 60,
            seed: 0,
            from: 0,
            stall: None,
            cut: None,
            false_end: None,
            status: 200,
            retry_after: 5,
        }
    }
}

impl Script {
    /// A chat that is to take so long: about a line a second, two at least.
    pub(super) fn pace(&mut self, text: &str) -> Result<(), String> {
        let pace = parse_duration(text).map_err(|error| format!("the pace {text:?}: {error}\n"))?;
        self.lines = u32::try_from(pace.as_secs()).unwrap_or(u32::MAX).max(2);
        self.gap = Spread::Fixed(pace / self.lines);
        Ok(())
    }

    /// Takes `key=value&key=value`; what is told later wins.
    pub(super) fn read(&mut self, text: &str) -> Result<(), String> {
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.set(key, value)
                .ok_or_else(|| format!("{key}={value} is not understood\n\n{HELP}"))?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        match key {
            "id" => {
                self.id = Some(value).filter(|id| id.chars().all(is_name))?.to_owned();
            }
            "lines" => self.lines = value.parse().ok()?,
            "gap" => self.gap = value.parse().ok()?,
            "first" => self.first = value.parse().ok()?,
            "bytes" => self.bytes = value.parse().ok().filter(|bytes| *bytes <= BYTES_MAX)?,
            "seed" => self.seed = value.parse().ok()?,
            "from" => self.from = value.parse().ok()?,
            "stall" => {
                let (line, stall) = value.split_once(':')?;
                self.stall = Some((line.parse().ok()?, parse_duration(stall).ok()?));
            }
            "cut" => self.cut = Some(value.parse().ok()?),
            "false_end" => self.false_end = Some(value.parse().ok()?),
            "status" => {
                self.status = value.parse().ok().filter(|status| (200..600).contains(status))?;
            }
            "retry_after" => self.retry_after = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_help_is_understood_and_no_other() {
        let values = [("id", "a-1"), ("gap", "uniform:1s:2s"), ("first", "1s"), ("stall", "3:10s")];
        let keys = HELP.lines().skip(1).filter_map(|line| line.trim().split('=').next());
        for key in keys {
            let value = values.iter().find(|(known, _)| *known == key).map_or("201", |pair| pair.1);
            let mut script = Script::default();
            assert_eq!(script.read(&format!("{key}={value}")), Ok(()), "{key}");
            assert_ne!(script, Script::default(), "{key}");
        }
        for wrong in ["x=1", "lines", "lines=-1", "id=a\"b", "status=100", "stall=3", "bytes=65537"]
        {
            assert!(Script::default().read(wrong).is_err(), "{wrong}");
        }
    }
}

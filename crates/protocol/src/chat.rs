//! The chat API of the desktop, in the shapes of claude-code-webui, so that its front end runs unchanged.
//!
//! A chat's response is `application/x-ndjson`: [`ChatLine`]s, and blank lines that only say that the run still lives.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of `POST /api/chat`. Fields that are not listed are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatRequest {
    /// What is asked.
    pub message: String,
    /// Names the run: it can be aborted by it, and a second request with it watches the same run.
    pub request_id: String,
    /// The session to go on with. Absent: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Tools that need no permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_tools: Option<Vec<String>>,
    /// The directory to work in. Absent: the workspace itself. Relative: from the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
    /// `default`, `plan` or `acceptEdits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
}

/// One line of a chat's response. Exactly one [`ChatLine::is_last`] line ends a whole response: without it, it was cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatLine {
    /// A message of the agent, in the format of the Claude Code CLI's `stream-json`.
    ClaudeJson {
        /// The message.
        data: Value,
    },
    /// The run came to its end. The last line.
    Done,
    /// The run failed. The last line.
    Error {
        /// What happened and what to do, for a person.
        error: String,
    },
    /// Somebody stopped the run. The last line.
    Aborted,
}

impl ChatLine {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::ClaudeJson { .. })
    }
}

/// Lines of a chat as they were sent: who has read them whole comes to the same. Scout's result has one of all lines before it, as
/// `scout.before`; blank lines are not counted. Against accidents, not against attackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinesSum {
    /// How many.
    pub lines: u64,
    /// With a line feed each.
    pub bytes: u64,
    /// FNV-1a of 64 bits over these bytes, 16 digits.
    #[serde(with = "hex")]
    pub fnv1a64: u64,
}

impl Default for LinesSum {
    fn default() -> Self {
        Self { lines: 0, bytes: 0, fnv1a64: 0xcbf2_9ce4_8422_2325 }
    }
}

impl LinesSum {
    /// One more, without its line feed.
    pub fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        self.bytes += line.len() as u64 + 1;
        self.fnv1a64 = line.iter().chain(b"\n").fold(self.fnv1a64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{number:016x}"))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }
}

/// The answer to `POST /api/abort/{requestId}` when there was something to abort.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// Always true.
    pub success: bool,
    /// For a person.
    pub message: String,
}

/// The answer of `GET /api/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Of Outlast.
    pub version: String,
    /// The agent that answers: `scout`.
    pub agent: String,
    /// Why that one.
    pub agent_reason: String,
    /// Runs in progress.
    pub runs: usize,
    /// Runs that wait for others to end.
    pub runs_waiting: usize,
    /// The machine's id, in a machine that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_tell_lines_apart_that_differ_in_anything() {
        let sum = |text: &str| {
            let mut sum = LinesSum::default();
            text.lines().for_each(|line| sum.add(line.as_bytes()));
            sum
        };
        let whole = sum("one\ntwo");
        // The offset basis, and what another program makes of "foobar\n".
        assert_eq!(
            (sum("").fnv1a64, sum("foobar").fnv1a64),
            (0xcbf2_9ce4_8422_2325, 0x3453_16a7_168b_8506)
        );
        let json = serde_json::to_value(whole).unwrap();
        assert_eq!((&json["lines"], &json["bytes"]), (&json!(2), &json!(8)));
        assert_eq!(serde_json::from_value::<LinesSum>(json).unwrap(), whole);
        for other in ["two\none", "one", "one\ntwo\ntwo", "one\ntwa", "onet\nwo"] {
            assert_ne!(sum(other), whole, "{other}");
        }
    }

    #[test]
    fn shapes_are_those_of_the_original() {
        let request: ChatRequest = serde_json::from_value(json!({
            "message": "hello", "requestId": "q1", "sessionId": "s1", "allowedTools": ["Read"],
            "workingDirectory": "/work", "permissionMode": "plan", "unknown": 1,
        }))
        .unwrap();
        assert_eq!(request.request_id, "q1");
        assert_eq!(request.session_id.as_deref(), Some("s1"));
        assert_eq!(request.permission_mode.as_deref(), Some("plan"));

        for (line, text) in [
            (
                ChatLine::ClaudeJson { data: json!({"type": "system"}) },
                r#"{"type":"claude_json","data":{"type":"system"}}"#,
            ),
            (ChatLine::Done, r#"{"type":"done"}"#),
            (ChatLine::Error { error: "x".to_owned() }, r#"{"type":"error","error":"x"}"#),
            (ChatLine::Aborted, r#"{"type":"aborted"}"#),
        ] {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
        }
    }
}

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

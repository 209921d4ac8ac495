//! Lines in the format of the Claude Code CLI's `stream-json`, so that every front end for it can show scout.

use outlast_protocol::chat::ChatLine;
use outlast_runtime::random;
use serde_json::{Value, json};

/// The most text that a line carries. The original front end loses lines that the network splits, so none may come near
/// 16 KiB, also with every character escaped.
pub(crate) const TEXT_BYTES_MAX: usize = 2 * 1024;

/// Makes the lines of one session.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    session: String,
}

impl Lines {
    /// Goes on with a session, or begins one.
    pub(crate) fn new(session: Option<&str>) -> Self {
        let is_sound = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        Self { session: session.filter(is_sound).map_or_else(unique, ToOwned::to_owned) }
    }

    pub(crate) fn init(&self, cwd: &str) -> ChatLine {
        self.line(json!({
            "type": "system",
            "subtype": "init",
            "cwd": cwd,
            "tools": ["Glob", "Grep", "Read", "Bash"],
            "model": "scout",
            "permissionMode": "default",
        }))
    }

    pub(crate) fn status(&self, text: &str) -> ChatLine {
        self.line(json!({ "type": "system", "subtype": "status", "status": text }))
    }

    pub(crate) fn text(&self, text: &str) -> ChatLine {
        self.assistant(&json!({ "type": "text", "text": text }))
    }

    /// A step that scout takes, and the id by which its result refers to it.
    pub(crate) fn tool_use(&self, name: &str, input: &Value) -> (String, ChatLine) {
        let id = format!("toolu_{}", unique().replace('-', ""));
        let line = json!({ "type": "tool_use", "id": id, "name": name, "input": input });
        (id, self.assistant(&line))
    }

    pub(crate) fn tool_result(&self, id: &str, text: &str) -> ChatLine {
        let content = json!([{ "type": "tool_result", "tool_use_id": id, "content": text }]);
        self.line(json!({ "type": "user", "message": { "role": "user", "content": content } }))
    }

    pub(crate) fn result(
        &self,
        text: &str,
        milliseconds: u64,
        turns: usize,
        facts: &Value,
    ) -> ChatLine {
        self.line(json!({
            "type": "result",
            "subtype": "success",
            "is_error": false,
            "duration_ms": milliseconds,
            "num_turns": turns,
            "result": text,
            "total_cost_usd": 0,
            "scout": facts,
        }))
    }

    fn assistant(&self, content: &Value) -> ChatLine {
        self.line(json!({
            "type": "assistant",
            "message": {
                "id": format!("msg_{}", unique().replace('-', "")),
                "type": "message",
                "role": "assistant",
                "model": "scout",
                "content": [content],
                "stop_reason": null,
            },
        }))
    }

    fn line(&self, mut data: Value) -> ChatLine {
        data["session_id"] = json!(self.session);
        data["parent_tool_use_id"] = Value::Null;
        data["uuid"] = json!(unique());
        ChatLine::ClaudeJson { data }
    }
}

/// A random UUID (RFC 9562 section 5.4).
fn unique() -> String {
    let mut bytes: [u8; 16] = random::bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The beginning of a text, whole characters only, with a mark if something is missing.
pub(crate) fn shortened(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_go_on_if_they_look_like_some() {
        assert_eq!(Lines::new(Some("abc-1")).session, "abc-1");
        for odd in ["", "a b", "../x", &"a".repeat(65)] {
            assert_eq!(Lines::new(Some(odd)).session.len(), 36, "{odd}");
        }
        assert_ne!(unique(), unique());
        assert_eq!(unique().as_bytes()[14], b'4');
    }
}

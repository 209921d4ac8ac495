//! The checker: every byte of a stream, compared with what must have been sent.
//!
//! Lines that prove themselves (see [`crate::line`]) are checked to the byte. Of a chat of `outlast serve` the form, the
//! session, the last line, and, when it is heard again, its beginning are checked; of one of scout, whose result tells what was sent
//! before it, all bytes up to there. Of anything else, only the framing.

use std::cmp::Ordering;

use outlast_protocol::chat::{ChatLine, LinesSum};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::line::{Seen, checksum, see};
use crate::plan::Kind;

/// A line longer than this is no line.
const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Lines that may be late in one stream before they count as lost.
const MISSING_MAX: usize = 64;

/// What is wrong with bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// A line never came, and later ones did.
    Lost,
    /// A line came twice.
    Doubled,
    /// A line came after a later one.
    Reordered,
    /// A line belongs to another client.
    Foreign,
    /// Bytes are not those that were sent.
    Corrupt,
    /// The response ended as if it were whole, before its last line.
    FalseEnd,
}

impl Flaw {
    /// All there are.
    pub const ALL: [Self; 6] =
        [Self::Lost, Self::Doubled, Self::Reordered, Self::Foreign, Self::Corrupt, Self::FalseEnd];

    /// For a person.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Reordered => "reordered",
            Self::Foreign => "another client's bytes",
            Self::Corrupt => "corrupt",
            Self::FalseEnd => "truncated, but looked whole",
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) flaw: Flaw,
    /// In bytes of the decoded body of one response.
    pub(crate) offset: u64,
    pub(crate) detail: String,
}

/// What a response promises about its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// They prove themselves.
    Marked,
    /// They are those of a chat.
    Chat,
    /// Nothing.
    None,
}

/// How much of a stream was there, when its response had ended as a whole one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// All.
    Whole,
    /// The server itself says that it failed or was stopped.
    Failed(String),
    /// Less than all.
    Short,
}

/// Follows one stream, over all responses that it takes.
#[derive(Debug)]
pub(crate) struct Checker {
    kind: Kind,
    proof: Proof,
    id: Box<str>,
    /// Of the current response.
    offset: u64,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
    next: u32,
    end: Option<End>,
    /// Lines that are late: place, and where they should have been.
    missing: Vec<(u32, u64)>,
    chat: ChatSeen,
}

/// What is known of a chat whose lines do not prove themselves.
#[derive(Debug, Default, Clone, Copy)]
struct ChatSeen {
    session: Option<u64>,
    message: Option<u64>,
    /// Lines of this response, and the sum of them all.
    heard: (u32, u64),
    /// Lines that must come again as they were.
    before: Option<(u32, u64)>,
    /// All lines of this response.
    sum: LinesSum,
    scout: Scout,
}

/// Whether the chat is one of scout, whose result tells what all lines before it were.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Scout {
    #[default]
    No,
    /// Its result is to come.
    Unproven,
    Proven,
}

impl Checker {
    pub(crate) fn new(kind: Kind, id: &str) -> Self {
        Self {
            kind,
            proof: Proof::None,
            id: id.into(),
            offset: 0,
            partial: Vec::new(),
            next: 0,
            end: None,
            missing: Vec::new(),
            chat: ChatSeen::default(),
        }
    }

    /// A response begins. A chat is heard again from its beginning; others go on where [`Checker::next`] says.
    pub(crate) fn begin(&mut self, proof: Proof) {
        self.proof = proof;
        self.offset = 0;
        self.partial = Vec::new();
        self.end = None;
        if self.kind == Kind::Chat {
            self.next = 0;
            self.missing.clear();
            let before = Some(self.chat.heard).filter(|(lines, _)| *lines > 0);
            self.chat = ChatSeen { before, session: self.chat.session, ..ChatSeen::default() };
        }
    }

    /// The place of the line that is to come.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Takes bytes of the body.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], findings: &mut Vec<Finding>) {
        if self.proof == Proof::None {
            self.offset += bytes.len() as u64;
            return;
        }
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(at);
            if self.partial.is_empty() {
                self.line(line, findings);
            } else {
                let mut whole = std::mem::take(&mut self.partial);
                whole.extend_from_slice(line);
                self.line(&whole, findings);
            }
            bytes = &rest[1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LINE_BYTES_MAX {
            self.find(findings, Flaw::Corrupt, 0, "a line of more than 1 MiB".to_owned());
            self.proof = Proof::None;
            self.partial = Vec::new();
        }
    }

    fn find(&self, findings: &mut Vec<Finding>, flaw: Flaw, at: usize, detail: String) {
        findings.push(Finding { flaw, offset: self.offset + at as u64, detail });
    }

    fn line(&mut self, line: &[u8], findings: &mut Vec<Finding>) {
        match self.proof {
            Proof::Marked => self.marked_line(line, findings),
            Proof::Chat => self.chat_line(line, findings),
            Proof::None => {}
        }
        self.offset += line.len() as u64 + 1;
    }

    fn marked_line(&mut self, line: &[u8], findings: &mut Vec<Finding>) {
        match see(self.kind, line) {
            Seen::Filler => {}
            Seen::ChatEnd => self.end = self.end.take().map(|_| End::Whole),
            Seen::Damaged { at } => {
                let detail = format!("in line {}: {}", self.next, shown(line));
                self.find(findings, Flaw::Corrupt, at, detail);
                self.next += 1;
            }
            Seen::Proven { id, seq, .. } if *id != *self.id.as_bytes() => {
                let detail = format!("line {seq} of {}", String::from_utf8_lossy(id));
                self.find(findings, Flaw::Foreign, 0, detail);
            }
            Seen::Proven { seq, is_end, .. } => {
                self.place(seq, findings);
                if is_end {
                    // A chat has a last line of its own still to come.
                    let is_chat = self.kind == Kind::Chat;
                    self.end = Some(if is_chat { End::Short } else { End::Whole });
                }
            }
        }
    }

    fn place(&mut self, seq: u32, findings: &mut Vec<Finding>) {
        if seq >= self.next {
            let room = MISSING_MAX.saturating_sub(self.missing.len());
            self.missing.extend((self.next..seq).take(room).map(|seq| (seq, self.offset)));
            self.next = seq + 1;
        } else if let Some(at) = self.missing.iter().position(|(late, _)| *late == seq) {
            self.missing.swap_remove(at);
            self.find(findings, Flaw::Reordered, 0, format!("line {seq} after a later one"));
        } else {
            self.find(findings, Flaw::Doubled, 0, format!("line {seq} again"));
        }
    }

    fn chat_line(&mut self, line: &[u8], findings: &mut Vec<Finding>) {
        if line.is_empty() {
            return;
        }
        let Ok(parsed) = serde_json::from_slice::<ChatLine>(line) else {
            self.find(findings, Flaw::Corrupt, 0, format!("no line of a chat: {}", shown(line)));
            return;
        };
        if self.end.is_some() {
            self.find(findings, Flaw::Doubled, 0, "a line after the last one".to_owned());
        }
        match parsed {
            ChatLine::ClaudeJson { data } => self.message(&data, findings),
            ChatLine::Done => {
                if self.chat.scout == Scout::Unproven {
                    let detail = "the result never came, and the chat is done".to_owned();
                    self.find(findings, Flaw::Lost, 0, detail);
                }
                self.end = Some(End::Whole);
            }
            ChatLine::Error { error } => self.end = Some(End::Failed(error)),
            ChatLine::Aborted => self.end = Some(End::Failed("aborted".to_owned())),
        }
        self.hear(line, findings);
    }

    /// A message belongs to one session, and each is sent once.
    fn message(&mut self, data: &Value, findings: &mut Vec<Finding>) {
        if let Some(session) = data["session_id"].as_str() {
            let sum = checksum(session.as_bytes());
            if *self.chat.session.get_or_insert(sum) != sum {
                let detail = format!("a message of session {session}");
                self.find(findings, Flaw::Foreign, 0, detail);
            }
        }
        let message = data["uuid"].as_str().map(|uuid| checksum(uuid.as_bytes()));
        if message.is_some() && message == self.chat.message {
            self.find(findings, Flaw::Doubled, 0, "the message before again".to_owned());
        }
        self.chat.message = message;
        self.proof(data, findings);
    }

    /// Scout's result tells how many lines there were before it, and their checksum.
    fn proof(&mut self, data: &Value, findings: &mut Vec<Finding>) {
        if data["subtype"] == "init" && data["model"] == "scout" {
            self.chat.scout = Scout::Unproven;
        }
        let Ok(sent) = LinesSum::deserialize(&data["scout"]["before"]) else { return };
        self.chat.scout = Scout::Proven;
        let came = self.chat.sum;
        if sent == came {
            return;
        }
        let flaw = match came.lines.cmp(&sent.lines) {
            Ordering::Less => Flaw::Lost,
            Ordering::Greater => Flaw::Doubled,
            Ordering::Equal => Flaw::Corrupt,
        };
        let detail = format!(
            "{} lines of {} bytes before the result, and {} of {} were sent, or others",
            came.lines, came.bytes, sent.lines, sent.bytes
        );
        self.find(findings, flaw, 0, detail);
    }

    /// What was heard before must come again as it was.
    fn hear(&mut self, line: &[u8], findings: &mut Vec<Finding>) {
        self.chat.sum.add(line);
        let (lines, sum) = self.chat.heard;
        self.chat.heard = (lines + 1, (sum ^ checksum(line)).rotate_left(5));
        if let Some(before) = self.chat.before.filter(|(lines, _)| *lines == self.chat.heard.0) {
            self.chat.before = None;
            if before != self.chat.heard {
                let detail = format!("the first {} lines are not those heard before", before.0);
                self.find(findings, Flaw::Corrupt, 0, detail);
            }
        }
    }

    /// The response has ended as a whole one.
    pub(crate) fn end(&mut self, findings: &mut Vec<Finding>) -> End {
        self.lost(findings);
        if self.proof == Proof::None {
            return End::Whole;
        }
        let rest = self.partial.len();
        match self.end.take() {
            Some(end) if rest == 0 && end != End::Short => end,
            _ => {
                let detail = match rest {
                    0 => format!("after line {}, without the last one", self.next),
                    _ => format!("within a line: {}", shown(&self.partial)),
                };
                self.find(findings, Flaw::FalseEnd, rest, detail);
                End::Short
            }
        }
    }

    /// Nothing more will come: what is late is lost.
    pub(crate) fn lost(&mut self, findings: &mut Vec<Finding>) {
        for (seq, offset) in std::mem::take(&mut self.missing) {
            let detail = format!("line {seq} never came");
            findings.push(Finding { flaw: Flaw::Lost, offset, detail });
        }
    }
}

/// The beginning of a line, printable.
fn shown(line: &[u8]) -> String {
    let begin = &line[..line.len().min(60)];
    let more = if begin.len() < line.len() { "…" } else { "" };
    format!("{}{more}", begin.escape_ascii())
}

#[cfg(test)]
mod tests;

//! The checker: every byte of a stream, compared with what must have been sent.
//!
//! Lines that prove themselves (see [`crate::line`]) are checked to the byte. Of a chat of `outlast serve` the form, the
//! session, the last line, and, when it is heard again, its beginning are checked. Of anything else, only the framing.

use outlast_protocol::chat::ChatLine;
use serde::{Deserialize, Serialize};

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
}

#[derive(Deserialize)]
struct Glance<'l> {
    #[serde(borrow)]
    session_id: Option<&'l str>,
    #[serde(borrow)]
    uuid: Option<&'l str>,
}

#[derive(Deserialize)]
struct GlanceLine<'l> {
    #[serde(borrow)]
    data: Option<Glance<'l>>,
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
            self.chat = ChatSeen { before, heard: (0, 0), message: None, ..self.chat };
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
            ChatLine::ClaudeJson { .. } => self.message(line, findings),
            ChatLine::Done => self.end = Some(End::Whole),
            ChatLine::Error { error } => self.end = Some(End::Failed(error)),
            ChatLine::Aborted => self.end = Some(End::Failed("aborted".to_owned())),
        }
        self.hear(line, findings);
    }

    /// A message belongs to one session, and each is sent once.
    fn message(&mut self, line: &[u8], findings: &mut Vec<Finding>) {
        let Ok(GlanceLine { data: Some(glance) }) = serde_json::from_slice(line) else { return };
        if let Some(session) = glance.session_id {
            let sum = checksum(session.as_bytes());
            if *self.chat.session.get_or_insert(sum) != sum {
                let detail = format!("a message of session {session}");
                self.find(findings, Flaw::Foreign, 0, detail);
            }
        }
        let message = glance.uuid.map(|uuid| checksum(uuid.as_bytes()));
        if message.is_some() && message == self.chat.message {
            self.find(findings, Flaw::Doubled, 0, "the message before again".to_owned());
        }
        self.chat.message = message;
    }

    /// What was heard before must come again as it was.
    fn hear(&mut self, line: &[u8], findings: &mut Vec<Finding>) {
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
mod tests {
    use super::*;
    use crate::line::{Content, push};

    fn line(kind: Kind, id: &str, seq: u32, content: Content) -> Vec<u8> {
        let mut wire = Vec::new();
        push(&mut wire, kind, id, seq, content);
        wire
    }

    /// Lines 0 to 4 of a stream, the last one being its end.
    fn stream(kind: Kind, id: &str) -> Vec<Vec<u8>> {
        let text = |seq| line(kind, id, seq, Content::Text(20));
        let mut lines: Vec<_> = (0..4).map(text).collect();
        lines.push(line(kind, id, 4, Content::End));
        lines
    }

    fn judge(kind: Kind, bytes: &[u8]) -> (Vec<(Flaw, u64)>, End) {
        let mut checker = Checker::new(kind, "me");
        checker.begin(Proof::Marked);
        let mut findings = Vec::new();
        for piece in bytes.chunks(7) {
            checker.feed(piece, &mut findings);
        }
        let end = checker.end(&mut findings);
        (findings.into_iter().map(|finding| (finding.flaw, finding.offset)).collect(), end)
    }

    #[test]
    fn a_whole_stream_has_no_flaw() {
        for kind in Kind::ALL {
            assert_eq!(judge(kind, &stream(kind, "me").concat()), (vec![], End::Whole), "{kind:?}");
        }
    }

    #[test]
    fn each_flaw_is_found_at_its_offset() {
        let lines = stream(Kind::Ndjson, "me");
        let length = lines[0].len() as u64;
        let of = |order: &[usize]| order.iter().flat_map(|at| lines[*at].clone()).collect();
        let with = |at: usize, bytes: &[u8]| -> Vec<u8> {
            let whole: Vec<u8> = lines.concat();
            [&whole[..at], bytes, &whole[at..]].concat()
        };
        let other = line(Kind::Ndjson, "you", 2, Content::Text(20));
        // A line cut within, and the response ended.
        let cut = usize::try_from(length).unwrap() * 2 + 5;
        let table: [(&str, Vec<u8>, Flaw, u64, End); 7] = [
            ("lost", of(&[0, 1, 3, 4]), Flaw::Lost, 2 * length, End::Whole),
            ("doubled", of(&[0, 1, 1, 2, 3, 4]), Flaw::Doubled, 2 * length, End::Whole),
            ("reordered", of(&[0, 2, 1, 3, 4]), Flaw::Reordered, 2 * length, End::Whole),
            ("foreign", with(lines[0].len(), &other), Flaw::Foreign, length, End::Whole),
            ("corrupt", with(1, b"{"), Flaw::Corrupt, 0, End::Whole),
            ("short", of(&[0, 1, 2, 3]), Flaw::FalseEnd, 4 * length, End::Short),
            ("cut", lines.concat()[..cut].to_vec(), Flaw::FalseEnd, 2 * length + 5, End::Short),
        ];
        for (name, bytes, flaw, offset, end) in table {
            assert_eq!(judge(Kind::Ndjson, &bytes), (vec![(flaw, offset)], end), "{name}");
        }
    }

    #[test]
    fn a_chat_without_its_last_line_is_not_whole() {
        let mut wire = line(Kind::Chat, "me", 0, Content::End);
        assert_eq!(judge(Kind::Chat, &wire).1, End::Whole);
        wire.truncate(wire.len() - "{\"type\":\"done\"}\n".len());
        assert_eq!(judge(Kind::Chat, &wire).1, End::Short);
        assert_eq!(judge(Kind::Chat, b"{\"type\":\"done\"}\n").1, End::Short);
    }

    fn chat(checker: &mut Checker, lines: &[&str]) -> Vec<Flaw> {
        let mut findings = Vec::new();
        for line in lines {
            checker.feed(format!("{line}\n").as_bytes(), &mut findings);
        }
        findings.into_iter().map(|finding| finding.flaw).collect()
    }

    #[test]
    fn a_chat_is_held_to_its_session_and_to_what_was_heard_before() {
        let message = |session: &str, uuid: &str| {
            format!(
                r#"{{"type":"claude_json","data":{{"session_id":"{session}","uuid":"{uuid}"}}}}"#
            )
        };
        let (one, two) = (message("s", "1"), message("s", "2"));
        let fresh = || {
            let mut checker = Checker::new(Kind::Chat, "me");
            checker.begin(Proof::Chat);
            checker
        };
        let done = r#"{"type":"done"}"#;
        for (lines, flaws) in [
            (vec![&*one, "", &two, done], vec![]),
            (vec![&*one, &one, done], vec![Flaw::Doubled]),
            (vec![&*one, &message("t", "2"), done], vec![Flaw::Foreign]),
            (vec![&*one, "{\"type\":", done], vec![Flaw::Corrupt]),
            (vec![&*one, done, &two], vec![Flaw::Doubled]),
        ] {
            assert_eq!(chat(&mut fresh(), &lines), flaws, "{lines:?}");
        }
        let mut again = fresh();
        assert_eq!(chat(&mut again, &[&one, &two]), []);
        again.begin(Proof::Chat);
        assert_eq!(chat(&mut again, &[&one, &two, done]), []);
        assert_eq!(again.end(&mut Vec::new()), End::Whole);
        let mut changed = fresh();
        assert_eq!(chat(&mut changed, &[&one, &two]), []);
        changed.begin(Proof::Chat);
        assert_eq!(chat(&mut changed, &[&one, &message("s", "3")]), [Flaw::Corrupt]);

        let failed = r#"{"type":"error","error":"no room"}"#;
        let mut checker = fresh();
        assert_eq!(chat(&mut checker, &[failed]), []);
        assert_eq!(checker.end(&mut Vec::new()), End::Failed("no room".to_owned()));
    }
}

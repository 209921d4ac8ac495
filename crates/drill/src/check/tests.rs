//! What the checker finds in streams that were spoilt on purpose, and what it does not find in whole ones.

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
        format!(r#"{{"type":"claude_json","data":{{"session_id":"{session}","uuid":"{uuid}"}}}}"#)
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

#[test]
fn an_answer_of_scout_proves_every_byte_before_its_result() {
    let line = |data: &str| format!("{{\"type\":\"claude_json\",\"data\":{data}}}");
    let init = line(r#"{"type":"system","subtype":"init","model":"scout"}"#);
    let texts = ["once", "upon", "a time"].map(|text| line(&format!("{{\"text\":\"{text}\"}}")));
    let [one, two, three] = texts.each_ref().map(String::as_str);
    let mut sum = LinesSum::default();
    [&init, one, two, three].iter().for_each(|line| sum.add(line.as_bytes()));
    let sum = serde_json::to_string(&sum).unwrap();
    let result = line(&format!("{{\"type\":\"result\",\"scout\":{{\"before\":{sum}}}}}"));
    let (changed, done) = (two.replace("upon", "upom"), r#"{"type":"done"}"#);
    for (lines, flaws) in [
        // A blank line is a sign of life, whoever sent it.
        (vec![&*init, one, "", two, three, &result, done], vec![]),
        (vec![&init, one, three, &result, done], vec![Flaw::Lost]),
        (vec![&init, one, two, one, three, &result, done], vec![Flaw::Doubled]),
        (vec![&init, one, three, two, &result, done], vec![Flaw::Corrupt]),
        (vec![&init, one, &changed, three, &result, done], vec![Flaw::Corrupt]),
        (vec![&init, one, two, three, done], vec![Flaw::Lost]),
        // Another agent proves nothing, and need not.
        (vec![one, three, done], vec![]),
    ] {
        let mut checker = Checker::new(Kind::Chat, "me");
        // Heard again from the beginning, it is counted from there.
        for _ in 0..2 {
            checker.begin(Proof::Chat);
            assert_eq!(chat(&mut checker, &lines), flaws, "{lines:?}");
        }
    }
}

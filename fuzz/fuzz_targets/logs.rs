//! Logs: any bytes are survived, in whatever pieces they come, and events and summary agree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outlast_doctor::logs::{Event, Reader, Summary, Unreadable};

fuzz_target!(|bytes: &[u8]| {
    let (events, summary) = read(bytes, bytes.len().max(1));
    // The length of the pieces is taken from the input, so that it is found again.
    let length = 1 + bytes.iter().fold(0_usize, |sum, byte| sum + usize::from(*byte)) % 64;
    let other = read(bytes, length);
    // How much of a broken member comes out before that is found depends on the pieces.
    if is_broken(&summary) || is_broken(&other.1) {
        assert!(is_broken(&summary) && is_broken(&other.1), "broken in some pieces alone");
    } else {
        assert_eq!(other, (events.clone(), summary.clone()), "in pieces of {length}");
    }
    let Ok(summary) = summary else {
        return assert!(events.is_empty(), "events of what is no log");
    };
    assert_eq!(summary.events, events.len() as u64);
    assert!(summary.events <= summary.records_total());
    assert!(events.is_sorted_by_key(|event| event.position));
    let is_within = |event: &Event| (1..=summary.lines).contains(&event.position.line);
    assert!(events.iter().all(is_within));
    let is_safe = |excerpt: &str| !excerpt.contains(char::is_control);
    assert!(summary.examples.iter().all(|example| is_safe(&example.excerpt)));
});

fn is_broken(summary: &Result<Summary, Unreadable>) -> bool {
    match summary {
        Ok(summary) => summary.broken.is_some(),
        Err(unreadable) => matches!(unreadable, Unreadable::Packed { .. }),
    }
}

fn read(bytes: &[u8], length: usize) -> (Vec<Event>, Result<Summary, Unreadable>) {
    let (mut reader, mut events) = (Reader::new(0), Vec::new());
    for piece in bytes.chunks(length) {
        reader.feed(piece, &mut |event| events.push(event));
    }
    let summary = reader.finish(&mut |event| events.push(event));
    (events, summary)
}

//! No bytes make the reader panic, contradict itself, or lose what it knows.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use outlast_doctor::logs::{Event, Form, Kind, Reader, Summary, Unreadable};
use proptest::prelude::*;

/// Reads a log in pieces that end at these places.
fn read(bytes: &[u8], cuts: &[usize]) -> (Vec<Event>, Result<Summary, Unreadable>) {
    let (mut reader, mut events) = (Reader::new(0), Vec::new());
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts.into_iter().chain([bytes.len()]) {
        reader.feed(&bytes[from..cut], &mut |event| events.push(event));
        from = cut;
    }
    let summary = reader.finish(&mut |event| events.push(event));
    (events, summary)
}

fn survives(bytes: &[u8], cuts: &[usize]) {
    let (events, summary) = read(bytes, &[]);
    assert_eq!(read(bytes, cuts), (events.clone(), summary.clone()));
    let Ok(summary) = summary else {
        assert_eq!(events, []);
        return;
    };
    assert_eq!(summary.events, events.len() as u64);
    assert!(summary.events <= summary.records_total() && summary.blank <= summary.lines);
    assert!(events.is_sorted_by_key(|event| event.position));
    assert!(events.iter().all(|event| (1..=summary.lines).contains(&event.position.line)));
    for example in &summary.examples {
        assert!(!example.excerpt.contains(char::is_control), "{:?}", example.excerpt);
    }
    let counted: u64 = summary
        .activity()
        .flat_map(|(_, activity)| ORIGINS.map(|origin| u64::from(activity.of(origin))))
        .sum();
    assert_eq!(counted + summary.untimed, summary.records_total());
}

const ORIGINS: [outlast_doctor::logs::Origin; 6] = {
    use outlast_doctor::logs::Origin::*;
    [App, Proxy, Runner, Health, Outlast, Unknown]
};

/// Pieces that lines are made of, valid and not.
const PIECES: [&str; 34] = [
    "2026-02-03T09:05:00Z ",
    "2026-02-03 09:05:00.880\t\n",
    "2026-02-03T09:05:00.1+02:00 ",
    "14:37:39 ",
    "[error] ",
    "[info]",
    "proxy[3d8d9930b32d89] fra ",
    "app[a] fra [info]",
    " fra ",
    "error.message=\"",
    "\" 2026-02-03T09:05:00Z proxy[a] fra [error]",
    "request.id=\"r\" ",
    "[PR04] could not find a good candidate within 75ms",
    "last error: [PM05]",
    "Instance a reached hard limit of 25 concurrent connections",
    "machine started in 1.5s",
    "App a has excess capacity, autostopping machine b. 0 out of 1",
    "Health check 'a' on port 1 is now passing.",
    "ECONNRESET",
    " HTTP/1.1\" 502 ",
    "Main child exited normally with code: ",
    "{\"data\":[",
    "{\"timestamp\":\"2026-02-03T09:05:00Z\",",
    "\"message\":\"[PC01] x\\n\",\"instance\":\"a\"}",
    "\"target\":\"outlast::access\",\"outcome\":\"completed\"}",
    "200 GET / completed 1.2 MB after 8 min 3 s, queued 2.0 s 127.0.0.1:1 r",
    "warning: the machine ended exit=code 7 machine=m",
    "{\n",
    "}\n",
    "],",
    "\u{1b}[31m",
    "\0",
    "\n",
    "\r\n",
];

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        12 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        3 => Just("\n".to_owned()),
        1 => ".{0,8}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// One event, as each of Fly's forms has it. `None`: the form cannot tell whom it is about.
fn written(form: Form, second: u32, machine: &str, message: &str) -> String {
    let at = format!("2026-02-03T09:{:02}:{:02}", second / 60 % 60, second % 60);
    let text = message.replace('"', "\\\"");
    let object = |head: &str, meta: &str| {
        format!(
            "{{{head}\"message\":\"{text}\",\"level\":\"error\",\"instance\":\"{machine}\",\"region\":\"fra\",\"timestamp\":\"{at}Z\",\"meta\":{meta}}}"
        )
    };
    match form {
        Form::Dashboard => format!("{at}.000 proxy[{machine}] fra [error] {message}\n\n"),
        Form::FlyJson => {
            object("", "{\"Event\":{\"Provider\":\"proxy\"}}")
                .replace("{\"", "{\n  \"")
                .replace(",\"", ",\n  \"")
                .replace('}', "\n}")
                + "\n"
        }
        Form::Stream => format!(
            "{{\"event\":{{\"provider\":\"proxy\"}},\"fly\":{{\"app\":{{\"instance\":\"{machine}\"}},\"region\":\"fra\"}},\"log\":{{\"level\":\"error\"}},\"message\":\"{text}\",\"timestamp\":\"{at}Z\"}}\n"
        ),
        Form::Page => {
            let object = object("", "{\"event\":{\"provider\":\"proxy\"}}");
            format!(
                "{{\"data\":[{{\"id\":\"1\",\"attributes\":{object}}}],\"meta\":{{\"next_token\":\"2\"}}}}\n"
            )
        }
        _ => format!("{at}Z proxy[{machine}] fra [error]{message}\n"),
    }
}

const FORMS: [Form; 5] = [Form::FlyText, Form::Dashboard, Form::FlyJson, Form::Stream, Form::Page];
const MESSAGES: [&str; 5] = [
    "[PR04] could not find a good candidate within 40 attempts at load balancing",
    "[PM01] machines API returned an error: \"rate limit exceeded\"",
    "Instance 3d8d9930b32d89 reached hard limit of 25 concurrent connections.",
    "machine became reachable in 6.1s",
    "waiting for machine to be reachable on 0.0.0.0:8080 (waited 5.1s so far)",
];

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        survives(&bytes, &cuts);
    }

    #[test]
    fn any_lines(text in pieces(), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        survives(text.as_bytes(), &cuts);
    }

    /// The same record means the same in each form, whatever stands before and behind it, packed or not.
    #[test]
    fn a_record_means_the_same_in_each_form(
        records in prop::collection::vec((0..FORMS.len(), 0..MESSAGES.len(), 0..3_600_u32), 1..20),
        junk in prop::sample::select(&["", "# what is this\n", "\u{1b}[0m\r\n", "x: 1\n"][..]),
        is_packed in any::<bool>(),
    ) {
        let machine = "e2862692b79d68";
        let mut text = String::new();
        for (form, message, second) in &records {
            text += junk;
            text += &written(FORMS[*form], *second, machine, MESSAGES[*message]);
        }
        let mut bytes = text.clone().into_bytes();
        if is_packed {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).expect("memory");
            bytes = encoder.finish().expect("memory");
        }
        let (events, summary) = read(&bytes, &[7, 100]);
        let summary = summary.expect("a log");
        prop_assert_eq!(events.len(), records.len(), "{}", text);
        for (event, (form, message, second)) in events.iter().zip(&records) {
            let alone = written(Form::FlyText, *second, machine, MESSAGES[*message]);
            let alone = read(alone.as_bytes(), &[]).0.remove(0);
            prop_assert_eq!((&event.kind, event.machine, event.region, event.level), (&alone.kind, alone.machine, alone.region, alone.level));
            let times = [event, &alone].map(|event| event.at.map(|at| at.nanoseconds()));
            prop_assert_eq!(times[0], times[1]);
            prop_assert!(!matches!(event.kind, Kind::App(_)));
            prop_assert!(summary.records(FORMS[*form]) > 0);
        }
    }
}

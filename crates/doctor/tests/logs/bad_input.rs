//! Logs that are mixed, out of order, cut, coloured or huge, and what is none.

use outlast_doctor::logs::{Form, LINE_BYTES_MAX, Order, Unreadable};

use super::{forms, in_pieces, read, told};

const LINE: &str = "2026-02-03T09:05:00Z proxy[3d8d9930b32d89] fra [info]Starting machine";
const EVENT: &str = "d09:05:00 Proxy Info 3d8d9930b32d89/fra Starting";

#[test]
fn two_records_on_a_line() {
    let first = "2026-02-03T09:04:00Z app[e2862692b79d68] fra [info][    4.3] reboot: Restarting system      ";
    let error = "error.message=\"instance refused connection. is your app listening on 0.0.0.0:3000?\" \
                 2026-02-03T09:05:00Z proxy[3d8d9930b32d89] fra [error]request.id=\"r\" ";
    let (events, summary) = told(&format!("{first}{error}{LINE}\n"));
    assert_eq!(
        events,
        [
            "1 d09:04:00 App Info e2862692b79d68/fra App(Restarting)".to_owned(),
            "1 d09:05:00 Proxy Error 3d8d9930b32d89/fra#r ProxyError { code: PC01, is_written: false, cause: None, attempts: None, waited: None }".to_owned(),
            format!("1 {EVENT}"),
        ]
    );
    assert_eq!((summary.shared.count, summary.not_understood), (1, 0));
    // An app that talks of such things has not ended its line by it.
    let (events, summary) = told(&format!("{first}error.message=\"x\" and more EPIPE\n"));
    assert_eq!((events.len(), summary.not_understood), (1, 0));
}

#[test]
fn colours_line_ends_and_nul_bytes() {
    let coloured = LINE.replace("[info]", "[\u{1b}[36minfo\u{1b}[0m]");
    let coloured =
        coloured.replace("2026-02-03T09:05:00Z", "\u{1b}[2m2026-02-03T09:05:00Z\u{1b}[0m");
    let nul = LINE.replace("Starting", "Start\0ing");
    let (events, summary) = told(&format!("{coloured}\r\n\r\n{nul}\r\n\u{feff}"));
    assert_eq!(events, [format!("1 {EVENT}"), format!("3 {EVENT}")]);
    assert_eq!((summary.nul.count, summary.blank), (1, 1));
    let bytes = [LINE.as_bytes(), b" \xff\xfe\n", LINE.as_bytes(), b"\n"].concat();
    let (events, summary) = read(&bytes);
    let seen = summary.expect("a log").not_utf8;
    assert_eq!((events.len(), seen.count, seen.first.map(|at| at.line)), (2, 1, Some(1)));
}

#[test]
fn what_is_cut_says_so() {
    let text = format!("{}\n{LINE}\n{}", &LINE[9..], &LINE[..30]);
    let (events, summary) = told(&text);
    assert_eq!(events, [format!("2 {EVENT}")]);
    assert!(summary.first_is_cut && summary.last_is_cut, "{summary:?}");
    assert_eq!(summary.not_understood, 2);
    let lines: Vec<_> = summary.examples.iter().map(|example| example.position.line).collect();
    assert_eq!(lines, [1, 3]);
}

#[test]
fn forms_are_mixed_and_clocks_jump() {
    let (events, summary) = told(&format!(
        "{LINE}\nwhat is this\n14:37:39 [PR04] could not find a good candidate within 75ms\n{}\n{}\n",
        LINE.replace(":05:", ":07:"),
        LINE.replace("09:05:", "08:00:"),
    ));
    assert_eq!(events.len(), 4);
    assert_eq!(forms(&summary), [(Form::FlyText, 3), (Form::Stamped, 1)]);
    let (jumps, count) = summary.dated.jumps();
    assert_eq!((summary.dated.order(), count), (Order::Mixed, 1));
    assert_eq!(jumps[0].position.line, 5);
    assert_eq!(jumps[0].from.since(jumps[0].to).map(|span| span.as_secs()), Some(67 * 60));
    assert_eq!(summary.examples[0].excerpt, "what is this");
}

#[test]
fn objects_that_are_none_hide_nothing() {
    for junk in [
        "{",
        "{\"a\": [",
        "{ name: 'x',\n  port: 1",
        "[",
        "{\"a\":\n\"}\"",
        "[\n[\n[",
        "{\"level\":1}",
    ] {
        let (events, summary) = told(&format!("{junk}\n{LINE}\n{{\n  x\n}}\n{LINE}\n"));
        assert_eq!(
            events.iter().filter(|event| event.ends_with(EVENT)).count(),
            2,
            "{junk}: {events:?}"
        );
        assert!(summary.not_understood > 0, "{junk}");
    }
    // What lies between braces that are no object is read all the same.
    let (events, summary) = told("{\n[PR04] could not find a good candidate within 75ms\n}\n");
    assert_eq!((events.len(), summary.not_understood), (1, 1));
    // An object that lost its end does not take the next one with it.
    let object = format!(
        "{{\n  \"message\": \"Starting machine\",\n  \"instance\": \"a\",\n  \"timestamp\": \"{}\"\n}}\n",
        &LINE[..20]
    );
    let (events, summary) = told(&format!("{}{object}{object}", &object[..35]));
    assert_eq!((events.len(), forms(&summary)), (2, vec![(Form::Stream, 2)]));
    // An object that never ends is given up before it takes much memory.
    let text = format!("{{\n{}{LINE}\n", "  \"a\": [\n".repeat(LINE_BYTES_MAX / 4));
    let (events, summary) = in_pieces(text.as_bytes(), 100_000);
    assert_eq!(events.len(), 1);
    assert!(summary.expect("a log").not_understood > 1000);
}

#[test]
fn long_lines_are_cut_and_counted() {
    let long = "x".repeat(10 * LINE_BYTES_MAX);
    let text = format!("{LINE}\n{LINE} {long}\n{long}\n{LINE}\n");
    let (events, summary) = in_pieces(text.as_bytes(), 64 * 1024);
    let summary = summary.expect("a log");
    let lines: Vec<_> = events.iter().map(|event| event.position.line).collect();
    assert_eq!((lines, summary.long.count), (vec![1, 2, 4], 2));
    assert_eq!(summary.long.first.map(|at| at.line), Some(2));
}

#[test]
fn what_is_no_log_is_told_with_the_forms_that_are_known() {
    let why = |bytes: &[u8]| read(bytes).1.expect_err("no log").to_string();
    assert_eq!(why(b""), "it is empty: there is no line to read");
    assert_eq!(why(b"\r\n \n\n"), "it is empty: there is no line to read");
    assert_eq!(
        why(b"\n# Title\nI timed out, and listened on.\n{\"time\":1,\"msg\":\"x\"}\n"),
        "nothing here that I can read as a log: none of 4 lines, line 2 is `# Title`; these forms are known: text of `fly logs`, \
         lines copied from Fly's dashboard, lines copied from Grafana, `fly logs --json`, JSON lines of Fly's log stream, pages of \
         Fly's logs API, times with messages of the proxy, messages of the proxy alone, Outlast's log for people, Outlast's log for \
         programs"
    );
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0";
    assert_eq!(
        why(png),
        "it is binary, first seen in line 3: a log is text, or text packed with gzip"
    );
    assert_eq!(read(b"\xff\xfa\n\xf0\n").1, Err(Unreadable::Binary { line: 1 }));
    assert!(
        why(b"\x1f\x8b\x08not really").starts_with("it begins like gzip and cannot be unpacked: ")
    );
}

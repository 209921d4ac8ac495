//! Fly's forms.

use outlast_doctor::logs::{Form, Order};

use super::{forms, told};

#[test]
fn text_of_fly_logs() {
    let (events, summary) = told(
        r#"2026-02-03T09:00:01Z proxy[3d8d9930b32d89] fra [info]Starting machine
2026-02-03T09:00:02Z runner[3d8d9930b32d89] fra [info]Machine started in 812ms
2026-02-03T09:00:02Z app[3d8d9930b32d89] fra [info] INFO Preparing to run: `node server.js` as root
2026-02-03T09:00:07Z proxy[3d8d9930b32d89] fra [info]waiting for machine to be reachable on 0.0.0.0:3000 (waited 5.1s so far)
2026-02-03T09:00:08Z app[3d8d9930b32d89] fra [info]Listening on port 3000
2026-02-03T09:00:08Z proxy[3d8d9930b32d89] fra [info]machine became reachable in 6.2s
2026-02-03T09:00:09Z health[3d8d9930b32d89] fra [info]Health check 'servicecheck-00-http-3000' on port 3000 is now passing.
2026-02-03T09:05:00Z proxy[3d8d9930b32d89] fra [warn]Instance 3d8d9930b32d89 reached hard limit of 40 concurrent requests. This usually indicates your app is not closing connections properly.
2026-02-03T09:05:31Z proxy[3d8d9930b32d89] fra [error][PR03] could not find a good candidate within 40 attempts at load balancing. last error: [PC05] connection error: timed out
error.message="could not complete HTTP request to instance: connection closed before message completed" 2026-02-03T09:05:32Z proxy[3d8d9930b32d89] fra [error]request.method="GET" request.url="https://a.example/x y" request.id="01JKA0000000000000000000AA-fra" response.status=502 
2026-02-03T09:09:00Z proxy[3d8d9930b32d89] fra [info]App my-app has excess capacity, autosuspending machine 3d8d9930b32d89. 0 out of 1 machines left running (region=fra, process group=app)
2026-02-03T09:09:01Z runner[3d8d9930b32d89] fra [info]Virtual machine has been suspended
2026-02-03T09:09:02Z  fra [info]somebody said something
"#,
    );
    assert_eq!(
        events,
        [
            "1 d09:00:01 Proxy Info 3d8d9930b32d89/fra Starting",
            "2 d09:00:02 Runner Info 3d8d9930b32d89/fra Started { took: Some(812ms) }",
            "4 d09:00:07 Proxy Info 3d8d9930b32d89/fra WaitingForReachable { waited: Some(5.1s) }",
            "5 d09:00:08 App Info 3d8d9930b32d89/fra App(Listening)",
            "6 d09:00:08 Proxy Info 3d8d9930b32d89/fra Reachable { took: Some(6.2s) }",
            "7 d09:00:09 Health Info 3d8d9930b32d89/fra Health { status: Passing, check: \"servicecheck-00-http-3000\" }",
            "8 d09:05:00 Proxy Warn 3d8d9930b32d89/fra HardLimit { limit: Some(40), unit: Some(Requests) }",
            "9 d09:05:31 Proxy Error 3d8d9930b32d89/fra ProxyError { code: PR03, is_written: true, cause: Some(PC05), attempts: Some(40), waited: None }",
            "10 d09:05:32 Proxy Error 3d8d9930b32d89/fra#01JKA0000000000000000000AA-fra ProxyError { code: PU02, is_written: false, cause: None, attempts: None, waited: None }",
            "11 d09:09:00 Proxy Info 3d8d9930b32d89/fra Autostop { how: Suspend, left: Some(0), of: Some(1) }",
            "12 d09:09:01 Runner Info 3d8d9930b32d89/fra Suspended",
        ]
    );
    assert_eq!(forms(&summary), [(Form::FlyText, 13)]);
    assert_eq!((summary.not_understood, summary.last_is_cut), (0, false));
}

#[test]
fn the_incidents_own_lines() {
    let (events, summary) = told(
        "14:37:39 [error] Instance reached hard limit of 25 concurrent connections\n\
         14:37:39 [PR04] could not find a good candidate within 75ms\n\
         00:00:02 [error] Instance reached hard limit of 25 concurrent connections",
    );
    assert_eq!(
        events,
        [
            "1 14:37:39 Proxy Error HardLimit { limit: Some(25), unit: Some(Connections) }",
            "2 14:37:39 Proxy - ProxyError { code: PR04, is_written: true, cause: None, attempts: None, waited: Some(75ms) }",
            "3 00:00:02 Proxy Error HardLimit { limit: Some(25), unit: Some(Connections) }",
        ]
    );
    assert_eq!(forms(&summary), [(Form::Stamped, 3)]);
    let (earliest, latest) = summary.undated.range.expect("times");
    assert_eq!(latest.since(earliest).map(|span| span.as_secs()), Some(33_743), "over midnight");
}

#[test]
fn the_dashboards_lines() {
    let (events, summary) = told(
        "2026-02-03T09:05:00.378 proxy[3d8d9930b32d89] fra [warn] Instance 3d8d9930b32d89 reached hard limit of 40 concurrent connections.\n\
         \n\
         2026-02-03T09:05:01.001 app[3d8d9930b32d89] fra [info] 198.51.100.7 - - [03/Feb/2026:09:05:01 +0000] \"GET / HTTP/1.1\" 503 12\n",
    );
    assert_eq!(
        events,
        [
            "1 d09:05:00.378 Proxy Warn 3d8d9930b32d89/fra HardLimit { limit: Some(40), unit: Some(Connections) }",
            "3 d09:05:01.001 App Info 3d8d9930b32d89/fra Served(Served { status: 503, took: Untold, sounds_long: false })",
        ]
    );
    assert_eq!((forms(&summary), summary.blank), (vec![(Form::Dashboard, 2)], 1));
}

#[test]
fn grafanas_lines_newest_first() {
    let (events, summary) = told(
        "2026-02-03 09:05:09.880\t\n\
         [PR04] could not find a good candidate within 20 attempts at load balancing\n\
         2026-02-03 09:05:02.100\t\n\
         Error: read ECONNRESET\n\
         2026-02-03 09:05:01.000\tStarting machine\n\
         2026-02-03 09:05:00.000\t\n\
         nothing of interest\n",
    );
    assert_eq!(
        events,
        [
            "2 d09:05:09.88 Proxy - ProxyError { code: PR04, is_written: true, cause: None, attempts: Some(20), waited: None }",
            "4 d09:05:02.1 App - App(Reset)",
            "5 d09:05:01 Proxy - Starting",
        ]
    );
    assert_eq!(forms(&summary), [(Form::Grafana, 4)]);
    assert_eq!((summary.dated.order(), summary.dated.jumps().1), (Order::NewestFirst, 0));
}

#[test]
fn json_of_fly_logs() {
    let record = |second: u32, provider: &str, message: &str, error: &str| {
        format!(
            r#"{{
    "level": "error",
    "instance": "3d8d9930b32d89",
    "message": "{message}",
    "region": "fra",
    "timestamp": "2026-02-03T09:05:{second:02}.5Z",
    "meta": {{
        "Instance": "3d8d9930b32d89",
        "Region": "fra",
        "Event": {{ "Provider": "{provider}" }},
        "HTTP": {{
            "Request": {{ "ID": "01JKA0000000000000000000AA-fra", "Method": "GET", "Version": "1.1" }},
            "Response": {{ "status_code": 0 }}
        }},
        "Error": {{ "Code": 0, "Message": "{error}" }},
        "URL": {{ "Full": "" }}
    }}
}}
"#
        )
    };
    let text = record(1, "proxy", "", r#"machines API returned an error: \"rate limit exceeded\""#)
        + &record(2, "app", r"a {brace \\ and \u001b[31mEPIPE", "");
    let (events, summary) = told(&text);
    assert_eq!(
        events,
        [
            "1 d09:05:01.5 Proxy Error 3d8d9930b32d89/fra#01JKA0000000000000000000AA-fra ProxyError { code: PM01, is_written: false, cause: None, attempts: None, waited: None }",
            "19 d09:05:02.5 App Error 3d8d9930b32d89/fra#01JKA0000000000000000000AA-fra App(BrokenPipe)",
        ]
    );
    assert_eq!((forms(&summary), summary.not_understood), (vec![(Form::FlyJson, 2)], 0));
}

#[test]
fn the_log_stream() {
    let text = r#"{"event":{"provider":"proxy"},"fly":{"app":{"instance":"3d8d9930b32d89","name":"my-app"},"region":"fra"},"host":"0ad1","log":{"level":"warn"},"message":"Instance 3d8d9930b32d89 reached hard limit of 40 concurrent connections.","timestamp":"2026-02-03T09:05:00.252022967Z"}"#;
    let app =
        text.replace("\"proxy\"", "\"app\"").replace("Instance ", r#"AbortError: \"stopped\" "#);
    let (events, summary) = told(&format!("{text}\n{app}{text}\n"));
    let proxy = "d09:05:00.252022967 Proxy Warn 3d8d9930b32d89/fra HardLimit { limit: Some(40), unit: Some(Connections) }";
    let app = "2 d09:05:00.252022967 App Warn 3d8d9930b32d89/fra App(ClientAborted)";
    assert_eq!(events, [format!("1 {proxy}"), app.to_owned(), format!("2 {proxy}")]);
    assert_eq!(forms(&summary), [(Form::Stream, 3)]);
}

#[test]
fn pages_of_the_logs_api() {
    let record = r#"{"id":"7","type":"log","attributes":{"timestamp":"2026-02-03T09:05:00Z","message":"[PM08] machine is in a non-startable state: stopping","level":"error","instance":"3d8d9930b32d89","region":"fra","meta":{"event":{"provider":"proxy"}}}}"#;
    let event = "d09:05:00 Proxy Error 3d8d9930b32d89/fra ProxyError { code: PM08, is_written: true, cause: None, attempts: None, waited: None }";
    let page = format!(r#"{{"data":[{record},{record}],"meta":{{"next_token":"1"}}}}"#);
    let (events, summary) = told(&format!("{page}\n{page}\n"));
    assert_eq!(events, [1, 1, 2, 2].map(|line| format!("{line} {event}")));
    assert_eq!((forms(&summary), summary.not_understood), (vec![(Form::Page, 4)], 0));
    // As a tool for reading JSON prints it.
    let page = page.replace("[{", "[\n  {").replace("\":{", "\": {\n    ").replace("}}", "\n}\n}");
    let (events, summary) = told(&page);
    assert_eq!(events.len(), 2, "{page}");
    assert_eq!((forms(&summary), summary.not_understood), (vec![(Form::Page, 2)], 0));
}

#[test]
fn messages_alone() {
    let (events, summary) = told(
        "[PC07] failed to connect to instance after 6 attempts\n\
         no known healthy instances found for route tcp/443\n\
         Dropped a connection destined for tcp/443 due to a full backlog for your app.\n",
    );
    assert_eq!(
        events,
        [
            "1 - Proxy - ProxyError { code: PC07, is_written: true, cause: None, attempts: Some(6), waited: None }",
            "2 - Proxy - ProxyError { code: PR01, is_written: false, cause: None, attempts: None, waited: None }",
            "3 - Proxy - BacklogFull",
        ]
    );
    assert_eq!((forms(&summary), summary.untimed), (vec![(Form::Message, 3)], 3));
}

#[test]
fn how_machines_end() {
    let head = "2026-02-03T09:00:01Z";
    let lines = [
        "app[a] x [info] INFO Sending signal SIGTERM to main child process w/ PID 637",
        "app[a] x [info] INFO Main child exited normally with code: 3",
        "app[a] x [info] INFO Main child exited with signal (with signal 'SIGKILL', core dumped? false)",
        "app[a] x [info] INFO Process appears to have been OOM killed!",
        "app[a] x [info][   88.100000] Out of memory: Killed process 641 (node) total-vm:1kB",
        "runner[a] x [info]machine exited with exit code 0, not restarting",
        "runner[a] x [warn]machine exited with exit code: 7, after 2.1s; restart in 1s",
        "runner[a] x [info]machine was killed by signal 9, after 2.1s",
        "runner[a] x [error]machine has reached its max restart count of 10",
        "runner[a] x [info]Trial machine stopping. To run for longer, add a credit card",
        "runner[a] x [warn]lost 3 lines of this log: disk full",
        "app[a] x [info]Sending signal to the moon",
    ];
    let text: String = lines.iter().map(|line| format!("{head} {line}\n")).collect();
    let kinds: Vec<_> =
        super::read(text.as_bytes()).0.into_iter().map(|event| event.kind).collect();
    let kinds: Vec<_> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    assert_eq!(
        kinds,
        [
            "Signal { name: \"SIGTERM\" }",
            "Exited { cause: Code(3), restarts: None }",
            "Exited { cause: Signal(9), restarts: None }",
            "OutOfMemory",
            "OutOfMemory",
            "Exited { cause: Code(0), restarts: Some(false) }",
            "Exited { cause: Code(7), restarts: Some(true) }",
            "Exited { cause: Signal(9), restarts: None }",
            "NotStarted",
            "TrialStop",
            "LinesLost { lines: 3 }",
        ]
    );
}

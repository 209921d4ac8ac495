//! Our own forms. That they are what we print is tested where we print them.

use outlast_doctor::logs::Form;

use super::{forms, told};

const ACCESS: &str = r#"{"timestamp":"2026-11-24T14:37:39.000001Z","level":"INFO","request_id":"01JKA0000000000000000000AA-local","client":"127.0.0.1:4711","service":"http","method":"POST","path":"/api/chat","status":200,"machine":"3d8d9930b32d89","outcome":"client_gone","detail":"streaming","cause":"vanished","attempts":1,"sent_bytes":1200,"received_bytes":34,"queued_ms":5,"first_byte_ms":60,"duration_ms":480000,"target":"outlast::access"}"#;
const EXCHANGE: &str = r#"Exchange(Exchange { outcome: ClientGone, detail: "streaming", has_vanished: true, status: 200, client: Some(127.0.0.1), service: "http", path: "/api/chat", attempts: 1, sent_bytes: 1200, received_bytes: 34, queued: 5ms, first_byte: Some(60ms), duration: 480s })"#;

#[test]
fn lines_for_programs() {
    let line = |fields: &str| {
        format!("{{\"timestamp\":\"2026-11-24T14:37:39.5Z\",\"level\":\"WARN\",{fields}}}\n")
    };
    let text = [
        format!("{ACCESS}\n"),
        line(r#""region":"local","message":"[PR04] could not find a good candidate within 30000ms","target":"outlast::proxy""#),
        line(r#""machine":"m","exit":"signal 9","lived_ms":7,"restart_in_ms":100,"message":"the machine ended","target":"outlast::news""#),
        line(r#""machine":"m","exit":"code 0","lived_ms":7,"message":"the machine ended","target":"outlast::news""#),
        line(r#""machine":"m","check":"c","status":"critical","output":"x","message":"the machine was checked","target":"outlast::news""#),
        line(r#""service":"http","machine":"m","reason":"connect","time_ms":5,"message":"the machine is ejected","target":"outlast_gateway::ejection""#),
        line(r#""request_id":"r","service":"http","client":"[::1]:2","reason":"client_vanished","evidence":"e","message":"a peer has vanished: its exchange is released","target":"outlast_gateway::living""#),
        line(r#""service":"http","mismatch":"place without socket","detail":"d","message":"permits, gauge and sockets disagree: this is a defect, please report it","target":"outlast_observe::ledger""#),
        line(r#""signal":"SIGTERM","grace":"30s","message":"drains: a second signal ends it at once","target":"outlast::up""#),
        line(r#""late":2,"message":"ended","target":"outlast::up""#),
        line(r#""service":"http","reason":"descriptors","message":"accepting pauses: new clients wait in the kernel","target":"outlast_gateway::accept""#),
        line(r#""message":"log lines were lost","lines":12,"why":"no room","target":"outlast::log""#),
        line(r#""message":"the gateway listens","target":"outlast::up""#),
    ]
    .concat();
    let (events, summary) = told(&text);
    let at = "d14:37:39.5";
    assert_eq!(
        events,
        [
            format!(
                "1 d14:37:39.000001 Outlast Info 3d8d9930b32d89#01JKA0000000000000000000AA-local {EXCHANGE}"
            ),
            format!(
                "2 {at} Outlast Warn/local ProxyError {{ code: PR04, is_written: true, cause: None, attempts: None, waited: Some(30s) }}"
            ),
            format!("3 {at} Outlast Warn m Exited {{ cause: Signal(9), restarts: Some(true) }}"),
            format!("4 {at} Outlast Warn m Exited {{ cause: Code(0), restarts: Some(false) }}"),
            format!("5 {at} Outlast Warn m Health {{ status: Failing, check: \"c\" }}"),
            format!("6 {at} Outlast Warn m Ejected"),
            format!(
                "7 {at} Outlast Warn#r Release(Release {{ reason: \"client_vanished\", client: Some(::1), service: \"http\" }})"
            ),
            format!(
                "8 {at} Outlast Warn LedgerMismatch(LedgerMismatch {{ mismatch: \"place without socket\", service: \"http\" }})"
            ),
            format!("9 {at} Outlast Warn Drain(Began)"),
            format!("10 {at} Outlast Warn Drain(Ended {{ late: 2 }})"),
            format!("11 {at} Outlast Warn Shortage {{ of: \"descriptors\" }}"),
            format!("12 {at} Outlast Warn LinesLost {{ lines: 12 }}"),
        ]
    );
    assert_eq!(forms(&summary), [(Form::OutlastJson, 13)]);
}

#[test]
fn lines_for_people() {
    let (events, summary) = told(
        "2026-11-24T14:37:39Z 200 POST /api/chat completed 1.2 MB after 8 min 3 s, queued 2.5 s 127.0.0.1:4711 01JKA0000000000000000000AA-local\n\
         2026-11-24T14:37:39Z \u{1b}[33m---\u{1b}[0m GET / \u{1b}[33mrefused (bad_request: syntax)\u{1b}[0m 0 B after 3 ms \u{1b}[2m[::1]:4711 r\u{1b}[0m\n\
         2026-11-24T14:37:39Z warning: a peer has vanished: its exchange is released client=127.0.0.1:4711 evidence=no answer for 30 s reason=client_vanished request_id=r service=http\n\
         2026-11-24T14:37:39Z proxy[3d8d9930b32d89] local [warn]Instance 3d8d9930b32d89 reached hard limit of 25 concurrent connections. This\n\
         2026-11-24T14:37:39Z proxy[] local [error][PR04] could not find a good candidate within 75ms\n\
         2026-11-24T14:37:39Z info: the gateway listens machines=1\n",
    );
    assert_eq!(
        events,
        [
            r#"1 d14:37:39 Outlast Info#01JKA0000000000000000000AA-local Exchange(Exchange { outcome: Completed, detail: "", has_vanished: false, status: 200, client: Some(127.0.0.1), service: "", path: "/api/chat", attempts: 0, sent_bytes: 1200000, received_bytes: 0, queued: 2.5s, first_byte: None, duration: 483s })"#,
            r#"2 d14:37:39 Outlast Info#r Exchange(Exchange { outcome: Refused, detail: "bad_request", has_vanished: false, status: 0, client: Some(::1), service: "", path: "/", attempts: 0, sent_bytes: 0, received_bytes: 0, queued: 0ns, first_byte: None, duration: 3ms })"#,
            r#"3 d14:37:39 Outlast Warn#r Release(Release { reason: "client_vanished", client: Some(127.0.0.1), service: "http" })"#,
            "4 d14:37:39 Proxy Warn 3d8d9930b32d89/local HardLimit { limit: Some(25), unit: Some(Connections) }",
            "5 d14:37:39 Proxy Error/local ProxyError { code: PR04, is_written: true, cause: None, attempts: None, waited: Some(75ms) }",
        ]
    );
    assert_eq!(forms(&summary), [(Form::FlyText, 2), (Form::OutlastText, 4)]);
}

/// Outlast runs as an app on Fly, under systemd, in a container.
#[test]
fn lines_within_other_logs() {
    let (events, summary) = told(&format!(
        "2026-11-24T14:37:40Z app[e2862692b79d68] fra [info]{ACCESS}\n\
         Nov 24 14:37:39 host outlast[7]: {ACCESS}\n\
         web-1  | 2026-11-24T14:37:39Z proxy[3d8d9930b32d89] local [info]machine became reachable in 1s\n",
    ));
    let exchange = format!(
        "d14:37:39.000001 Outlast Info 3d8d9930b32d89REGION#01JKA0000000000000000000AA-local {EXCHANGE}"
    );
    assert_eq!(
        events,
        [
            format!("1 {}", exchange.replace("REGION", "/fra")),
            format!("2 {}", exchange.replace("REGION", "")),
            "3 d14:37:39 Proxy Info 3d8d9930b32d89/local Reachable { took: Some(1s) }".to_owned(),
        ]
    );
    assert_eq!(forms(&summary), [(Form::FlyText, 2), (Form::OutlastJson, 1)]);
}

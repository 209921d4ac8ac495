//! `outlast doctor --live` beside real gateways in several situations.

use std::fs;
use std::net::SocketAddr;

use outlast_runtime::Tasks;
use outlast_testkit::{ScriptedMachine, Wire};
use serde_json::Value;

use crate::support::{GET, INCIDENT, Outlast, stream};

/// Places of the gateways here.
const HARD: usize = 4;
const LIMITS: [&str; 4] = ["--type", "connections", "--hard-limit", "4"];
/// Connections linger until the test is over.
const LINGERS: (&str, &str) =
    ("outlast.toml", "[upstream]\nlinger = \"hold\"\nidle_timeout = \"10m\"\n");

/// What `doctor --live` made of it: exit code, standard output, standard error.
pub(crate) async fn doctor(outlast: &Outlast, args: &[&str]) -> (i32, String, String) {
    let folder = outlast.folder.path();
    let live = format!("http://{}", outlast.admin);
    let all = [&["doctor", "--live", &live, "--watch", "100ms"], args].concat();
    let output = Outlast::command(folder, &all).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

async fn json(outlast: &Outlast) -> (i32, Value) {
    let (code, stdout, stderr) = doctor(outlast, &["--format", "json"]).await;
    (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stderr}")))
}

fn rules(live: &Value) -> Vec<&str> {
    let findings = live["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["rule"].as_str().unwrap()).collect()
}

async fn up(files: &[(&str, &str)], machine: &ScriptedMachine, flags: &[&str]) -> Outlast {
    let to = machine.address().to_string();
    Outlast::up(files, &[&["--to", &to], &LIMITS[..], flags].concat()).await
}

async fn streams(outlast: &Outlast, machine: &ScriptedMachine) -> Vec<(Wire, Wire)> {
    let mut streams = Vec::new();
    for _ in 0..HARD {
        streams.push(stream(outlast, machine).await);
    }
    streams
}

#[tokio::test]
async fn an_empty_gateway_is_clean() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[], &machine, &[]).await;
    let (code, stdout, stderr) = doctor(&outlast, &["--fail-on", "note"]).await;
    assert_eq!((code, &*stderr), (0, ""), "{stdout}");
    assert!(stdout.contains("0 of 4 places are taken"), "{stdout}");
    assert!(stdout.ends_with(": nothing found\n"), "{stdout}");
    let (_, junit, _) = doctor(&outlast, &["--format", "junit"]).await;
    assert!(junit.contains("failures=\"0\"") && junit.contains("LIVE101: "), "{junit}");
}

#[tokio::test]
async fn places_full_of_working_streams_are_told_from_anything_else() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[], &machine, &["--no-auth"]).await;
    let _streams = streams(&outlast, &machine).await;
    let mut waits = Wire::connect(outlast.gateway).await;
    waits.send(GET).await;
    outlast.service_where("one waits", |service| service["queue_length"] == 1).await;
    let (code, stdout, _) = doctor(&outlast, &[]).await;
    assert_eq!(code, 1);
    for part in [
        "  4 of 4 places are taken\n",
        "  4 places hold working streams, the oldest 0.",
        "  no place is held by a zombie\n    the kernel tells of the clients of 4 of 4 exchanges",
        "  no place is held by an idle connection\n",
        "  1 exchange waits for a place",
        "warning[LIVE101]: http: all 4 places are taken\n",
        "= seen: held by 4 working streams\n",
        "outlast explain RULE tells more about each\n",
    ] {
        assert!(stdout.contains(part), "{part}\n{stdout}");
    }
    assert!(!stdout.contains("127.0.0.1 has") && stdout.contains("client-1 has 4"), "{stdout}");
    let (_, stdout, _) = doctor(&outlast, &["--show-private"]).await;
    assert!(stdout.contains("127.0.0.1 has 4"), "{stdout}");

    let (code, live) = json(&outlast).await;
    assert_eq!((code, rules(&live)), (1, vec!["LIVE101", "LIVE108"]), "{live:#}");
    let service = &live["services"][0];
    assert_eq!((&service["working"], &service["waiting"]), (&4.into(), &1.into()));
    assert!(live["gateway"]["watched_ms"].as_u64().unwrap() >= 100, "{live:#}");
    let (code, sarif, _) = doctor(&outlast, &["--format", "sarif", "--fail-on", "error"]).await;
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!((code, &sarif["runs"][0]["results"][0]["ruleId"]), (0, &"LIVE101".into()));
    let (_, github, _) = doctor(&outlast, &["--format", "github"]).await;
    assert!(github.starts_with("::warning title=LIVE101 (high)::"), "{github}");
}

#[tokio::test]
async fn idle_connections_are_told_from_streams() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[LINGERS], &machine, &["--no-auth"]).await;
    let mut kept = Vec::new();
    for (mut client, mut upstream) in streams(&outlast, &machine).await {
        upstream.send("0\r\n\r\n").await;
        client.read_until("0\r\n\r\n").await;
        kept.push((client, upstream));
    }
    outlast.service_where("all linger", |service| service["lingering"] == HARD).await;
    let (code, live) = json(&outlast).await;
    assert_eq!((code, rules(&live)), (1, vec!["LIVE101", "LIVE103"]), "{live:#}");
    let service = &live["services"][0];
    assert_eq!((&service["idle_connections"], &service["working"]), (&4.into(), &0.into()));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_told_from_one_that_does() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[], &machine, &["--no-auth"]).await;
    let mut streams = streams(&outlast, &machine).await;
    streams[0].1.send(format!("{:x}\r\n", 64 << 20)).await;
    streams[0].1.send_while_taken(&vec![b'x'; 64 << 20]).await;
    outlast.service_where("one is slow", |service| service["states"]["slow reader"] == 1).await;
    let (code, live) = json(&outlast).await;
    assert_eq!((code, rules(&live)), (1, vec!["LIVE101", "LIVE105"]), "{live:#}");
    let evidence = live["findings"][1]["evidence"][0].as_str().unwrap();
    assert!(evidence.contains("bytes wait for"), "{evidence}");
    assert_eq!(live["services"][0]["working"], 3);
}

#[tokio::test]
async fn refusals_are_news_only_while_somebody_watches() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[], &machine, &["--queue-timeout", "0s"]).await;
    let _streams = streams(&outlast, &machine).await;
    let refuse = |to: SocketAddr| async move {
        let mut client = Wire::connect(to).await;
        client.send(GET).await;
        client.read_until("503 ").await;
    };
    refuse(outlast.gateway).await;
    let (_, live) = json(&outlast).await;
    assert!(!rules(&live).contains(&"LIVE107"), "that was before: {live:#}");
    let tasks = Tasks::default();
    let (gateway, again) = (outlast.gateway, refuse);
    tasks.spawn(async move {
        loop {
            again(gateway).await;
        }
    });
    let (code, live) = json(&outlast).await;
    assert_eq!(code, 1);
    assert!(rules(&live).contains(&"LIVE107"), "{live:#}");
    assert!(live["services"][0]["refused"].as_u64().unwrap() > 0, "{live:#}");
}

#[tokio::test]
async fn whoever_cannot_be_asked_is_said_to_be_why_and_what_to_do() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[], &machine, &[]).await;
    let folder = outlast.folder.path();
    fs::write(folder.join("wrong"), "olt_0").unwrap();
    fs::write(folder.join("empty"), "\n").unwrap();
    let admin = outlast.admin.to_string();
    let https = format!("https://{admin}");
    let by_name = format!("http://localhost.example:{}", outlast.admin.port());
    let silent = "127.0.0.1:1";
    for (args, error, hint) in [
        (&["--live", silent][..], "does not answer", "start `outlast up`"),
        (&["--live", &admin, "--data", "elsewhere"], "/api/pool answers 401", "--data"),
        (&["--live", &admin, "--token", "wrong"], "/api/pool answers 401", "--token"),
        (&["--live", &admin, "--token", "empty"], "empty holds no token", "olt_"),
        (&["--live", &admin, "--token", "none"], "cannot read none", "--token names a file"),
        (&["--live", &https], "is no http:// URL", "TLS is not spoken"),
        (&["--live", &by_name], "cannot be resolved", "name the admin listener"),
        (&["--live", &admin, "--watch", "2h"], "at most an hour", "leave it out"),
        (&["--live", &admin, "--fix"], "cannot be used with", "--help"),
    ] {
        let all = [&["doctor", "--watch", "0s"][..], args].concat();
        let all = if args.contains(&"--watch") { [&["doctor"], args].concat() } else { all };
        let output = Outlast::command(folder, &all).output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?} {stderr}");
        assert!(stderr.contains(error) && stderr.contains(hint), "{args:?} {stderr}");
    }
    let (other, tasks) = (ScriptedMachine::start().await, Tasks::default());
    let of_other = format!("http://{}", other.address());
    tasks.spawn(async move {
        for answer in ["404 Not Found", "200 OK", "200 OK", "200 OK"] {
            let mut wire = other.accept().await;
            wire.read_head().await;
            wire.send(format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\n{{}}")).await;
        }
    });
    for error in ["/api/pool answers 404", "is no admin listener that this version understands"] {
        let all = ["doctor", "--live", &of_other, "--watch", "0s"];
        let output = Outlast::command(folder, &all).output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(error), "{stderr}");
        assert!(stderr.contains("127.0.0.1:8079 unless told otherwise"), "{stderr}");
    }
}

#[tokio::test]
async fn a_checklist_is_ticked_by_the_file_and_by_the_gateway() {
    let machine = ScriptedMachine::start().await;
    let outlast = up(&[("incident.toml", INCIDENT)], &machine, &[]).await;
    let flags = ["incident.toml", "--checklist", "--streams", "8m", "--format", "json"];
    let (code, stdout, _) = doctor(&outlast, &flags).await;
    let list: Value = serde_json::from_str(&stdout).unwrap();
    let mark = |id: &str| {
        let mut items = list["items"].as_array().unwrap().iter();
        items.find(|item| item["id"] == id).unwrap()["mark"].as_str().unwrap().to_owned()
    };
    assert_eq!(code, 1);
    for (id, wanted) in [
        ("secrets", "done"),
        ("drain", "wrong"),
        // Whether one machine may fail depends on how many there are, and nobody told.
        ("machines", "open"),
        ("ready", "done"),
        ("room", "done"),
        ("signal", "open"),
    ] {
        assert_eq!(mark(id), wanted, "{id}\n{stdout}");
    }
    let folder = outlast.folder.path();
    for (args, wanted) in [
        (&["--checklist", "--fail-on", "never"][..], 0),
        (&["--checklist", "--fail-on", "error"], 0),
        (&["--checklist", "--format", "sarif"], 2),
        // What would be ignored is refused.
        (&["--checklist", "--fix"], 2),
        (&["--checklist", "--logs", "fly.log"], 2),
        (&["--checklist", "--what-if", "hard=60"], 2),
        (&["--live", "--what-if", "hard=60"], 2),
    ] {
        let all = [&["doctor", "incident.toml"], args].concat();
        let status = Outlast::command(folder, &all).output().await.unwrap().status;
        assert_eq!(status.code(), Some(wanted), "{args:?}");
    }
}

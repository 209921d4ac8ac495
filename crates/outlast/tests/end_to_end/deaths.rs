//! Who dies with whom: kill -9 of a client, a machine, the gateway, in the middle of streams; and the drain.

use std::os::fd::OwnedFd;

use crate::support::{Chat, Outlast, signal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

const LONG: [(&str, &str); 1] = [("Outlast-Drill-Pace", "1h")];

/// A hold on a process by which its end can be waited for.
fn hold(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

async fn dead(process: OwnedFd) {
    let waiting = tokio::task::spawn_blocking(move || {
        let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
        poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).unwrap()
    });
    assert_eq!(waiting.await.unwrap(), 1, "the process still lives");
}

/// Everything below a process, by `/proc`.
fn descendants(pid: u32) -> Vec<u32> {
    let below = outlast_runtime::guard::descendants(pid);
    below.into_iter().map(|member| member.pid).collect()
}

#[tokio::test]
async fn a_killed_gateway_leaves_nothing_running_and_no_stream_looks_whole() {
    let mut outlast = Outlast::up(&[], &["--no-auth"]).await;
    let chat = Chat::ask(outlast.gateway, "a", &LONG).await.unwrap();
    let all: Vec<_> = descendants(outlast.pid()).into_iter().map(hold).collect();
    assert!(all.len() >= 2, "a guard and its machine");
    outlast.signal(Signal::KILL);
    for process in all {
        dead(process).await;
    }
    let error = chat.end().await.unwrap_err();
    assert!(!error.to_string().is_empty());
    outlast.ended().await;
}

/// A response that only a close delimits looked whole when the gateway was killed: the kernel closes what is left in order.
#[tokio::test]
async fn a_killed_gateway_resets_what_only_a_close_would_delimit() {
    let machine = outlast_testkit::ScriptedMachine::start().await;
    let to = machine.address().to_string();
    let mut outlast = Outlast::up(&[], &["--to", &to, "--no-auth"]).await;
    let mut client = outlast_testkit::Wire::connect(outlast.gateway).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut upstream = machine.accept().await;
    upstream.read_head().await;
    upstream.send("HTTP/1.1 200 OK\r\n\r\nhalf of it").await;
    client.read_until("half of it").await;
    outlast.signal(Signal::KILL);
    assert_eq!(client.read_to_end().await, Err(std::io::ErrorKind::ConnectionReset));
    outlast.ended().await;
}

#[tokio::test]
async fn a_killed_machine_is_cut_visibly_while_the_others_go_on_and_it_comes_back() {
    let outlast = Outlast::up(&[], &["--no-auth", "--machines", "2"]).await;
    let both = outlast.service_where("two machines", |service| {
        let machines = service["machines"].as_array().unwrap();
        machines.iter().filter(|machine| machine["state"] == "ready").count() == 2
    });
    both.await;
    let mut chats = Vec::new();
    for id in ["a", "b"] {
        let mut chat = Chat::ask(outlast.gateway, id, &LONG).await.unwrap();
        chat.line().await.unwrap();
        chats.push(chat);
    }
    let service = outlast.service().await;
    let machine_of = |index: usize| service["exchanges"][index]["machine"].clone();
    assert_ne!(machine_of(0), machine_of(1), "the least busy is chosen");

    let victim = machine_of(0);
    let line = outlast.stdout_line(&format!("runner[{}]", victim.as_str().unwrap())).await;
    let killed = machine_process(outlast.pid(), victim.as_str().unwrap());
    signal(killed, Signal::KILL);
    let cut = chats.remove(0).end().await;
    assert!(cut.is_err(), "{cut:?} after {line}");
    let ended = outlast.exchanges("/api/chat", 1).await;
    assert_eq!(ended[0]["outcome"], "machine_failed");
    let told = outlast.logged("the machine ended").await;
    assert_eq!((&told["exit"], &told["machine"]), (&"signal 9".into(), &victim));
    assert!(told["lived_ms"].is_u64() && told["restart_in_ms"].is_u64(), "{told}");

    let back = outlast.service_where("it is back, its place free", |service| {
        let machines = service["machines"].as_array().unwrap();
        let ready = machines.iter().filter(|machine| machine["state"] == "ready").count();
        ready == 2 && service["in_flight"] == 1
    });
    back.await;
    // Whichever machine is asked to stop it, the one that has it does.
    let stop = crate::support::request(outlast.gateway, "POST", "/api/abort/b", &[], "").await;
    assert_eq!(stop.unwrap().status, 200);
    assert_eq!(chats.remove(0).end().await.unwrap(), "aborted");
}

/// The main process of a machine, found by the environment that only it has.
fn machine_process(owner: u32, id: &str) -> u32 {
    let wanted = format!("FLY_MACHINE_ID={id}");
    let is_machine = |pid: &u32| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
            && name.trim() == "outlast"
    };
    descendants(owner).into_iter().find(is_machine).expect("the machine runs")
}

#[tokio::test]
async fn a_client_that_is_gone_gives_its_place_back_at_once_and_its_run_goes_on() {
    let flags = ["--no-auth", "--hard-limit", "1", "--type", "connections", "--linger", "evict"];
    let outlast = Outlast::up(&[], &flags).await;
    let mut chat = Chat::ask(outlast.gateway, "a", &LONG).await.unwrap();
    chat.line().await.unwrap();
    chat.leave();
    let gone = outlast.exchanges("/api/chat", 1).await;
    assert_eq!(
        (&gone[0]["outcome"], &gone[0]["detail"]),
        (&"client_gone".into(), &"streaming".into())
    );
    outlast.service_where("the place is free", |service| service["in_flight"] == 0).await;

    // The same request id watches the same run, from its beginning.
    let mut again = Chat::ask(outlast.gateway, "a", &[]).await.unwrap();
    let first = again.line().await.unwrap().unwrap();
    assert_eq!(first["data"]["subtype"], "init");
    let stop =
        crate::support::request(outlast.gateway, "POST", "/api/abort/a", &[], "").await.unwrap();
    assert_eq!(stop.status, 200);
    assert_eq!(again.end().await.unwrap(), "aborted");
}

#[tokio::test]
async fn sigterm_lets_streams_finish_and_refuses_new_ones() {
    let mut outlast = Outlast::up(&[], &["--no-auth", "--drain-grace", "20s"]).await;
    let pace = [("Outlast-Drill-Pace", "3s")];
    let mut chat = Chat::ask(outlast.gateway, "a", &pace).await.unwrap();
    chat.line().await.unwrap();
    outlast.signal(Signal::TERM);
    outlast.logged("drains: a second signal ends it at once").await;
    let refused = Chat::ask(outlast.gateway, "b", &[]).await.unwrap();
    assert_eq!(refused.response.status, 503);
    assert_eq!(refused.response.field("retry-after"), Some("1"));
    let (status, reason) = crate::support::get(outlast.admin, "/readyz", &[]).await;
    assert_eq!(status, 503, "{reason}");
    assert_eq!(chat.end().await.unwrap(), "done");
    assert!(outlast.ended().await.success());
}

#[tokio::test]
async fn a_second_signal_cuts_what_is_late_visibly_and_the_exit_code_tells() {
    let mut outlast = Outlast::up(&[], &["--no-auth"]).await;
    let mut chat = Chat::ask(outlast.gateway, "a", &LONG).await.unwrap();
    chat.line().await.unwrap();
    let all: Vec<_> = descendants(outlast.pid()).into_iter().map(hold).collect();
    outlast.signal(Signal::INT);
    outlast.logged("drains: a second signal ends it at once").await;
    outlast.signal(Signal::INT);
    assert_eq!(outlast.logged("cut by the drain").await["path"], "/api/chat");
    assert!(chat.end().await.is_err());
    assert_eq!(outlast.ended().await.code(), Some(1));
    assert_eq!(outlast.logged("ended").await["late"], 1);
    for process in all {
        dead(process).await;
    }
    let cut = outlast.exchanges("/api/chat", 1).await;
    assert_eq!(cut[0]["outcome"], "cut_by_drain");
}

#[tokio::test]
async fn a_drain_that_takes_too_long_names_who_was_late() {
    let mut outlast = Outlast::up(&[], &["--no-auth", "--drain-grace", "500ms"]).await;
    let mut chat = Chat::ask(outlast.gateway, "a", &LONG).await.unwrap();
    chat.line().await.unwrap();
    outlast.signal(Signal::TERM);
    let late = outlast.logged("cut by the drain").await;
    assert_eq!((&late["method"], &late["path"]), (&"POST".into(), &"/api/chat".into()));
    assert!(chat.end().await.is_err());
    assert_eq!(outlast.ended().await.code(), Some(1));
}

/// Ctrl-C was dead for up to `kill_timeout`, which may be five minutes.
#[tokio::test]
async fn a_signal_while_machines_are_stopped_kills_them() {
    let fly = "kill_timeout = 300\n[http_service]\ninternal_port = 8081\n";
    let script = "trap '' INT; echo deaf; while :; do sleep 1; done";
    let args = ["--no-auth", "--", "sh", "-c", script];
    let mut outlast = Outlast::starting(&[("fly.toml", fly)], &args).await;
    outlast.stdout_line("]deaf").await;
    let all: Vec<_> = descendants(outlast.pid()).into_iter().map(hold).collect();
    outlast.signal(Signal::INT);
    outlast.stdout_line("Sending signal SIGINT").await;
    outlast.signal(Signal::INT);
    outlast.logged("the machines are killed").await;
    assert_eq!(outlast.ended().await.code(), Some(0), "no stream was cut");
    for process in all {
        dead(process).await;
    }
}

//! Peers that are processes of their own, because they are stopped: only the kernel answers for them then.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use outlast_runtime::clock;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::peers::{Count, Ending, Phase, Seen, Stage};
use super::subjects::Subject;
use crate::support::signal;

/// Sends its third argument to the address of the first two, and writes whatever comes to the fourth.
const CLIENT: &str = r#"exec 3<>"/dev/tcp/$0/$1" && printf %s "$2" >&3 && exec cat <&3 >"$3""#;
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

fn stop(child: &Child) {
    signal(child.id().expect("it runs"), Signal::STOP);
}

fn go_on(child: &Child) {
    signal(child.id().expect("it runs"), Signal::CONT);
}

/// What came behind the head, if that came whole.
fn body(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(bytes[at + 4..].to_vec())
}

/// A client that is stopped from before anything flows to the end.
pub(super) async fn client(subject: Subject, gateway: SocketAddr, mut stage: Stage) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("received");
    let (ip, port) = (gateway.ip().to_string(), gateway.port().to_string());
    let mut command = Command::new("bash");
    command.args(["-c", CLIENT, &ip, &port, &subject.request()]).arg(&file).kill_on_drop(true);
    let mut child = command.spawn().expect("Debian's package bash is installed");
    while body(&file).is_none() {
        // The file has no event to wait for.
        clock::sleep(LOOK_INTERVAL).await;
    }
    stop(&child);
    stage.tell(&subject, Seen::Waits(clock::now()));
    stage.reached(Phase::Ending).await;
    go_on(&child);
    let is_cut = !child.wait().await.expect("a child").success();
    let mut received = Count::default();
    received.add(&body(&file).expect("it was there before"));
    let ending = Ending { received, cut: is_cut.then(clock::now), ..Ending::default() };
    stage.tell(&subject, Seen::Client(ending));
}

/// A machine that is stopped while peers act. `listening` is told when it listens.
pub(super) async fn machine(port: u16, listening: impl FnOnce(), mut stage: Stage) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/living/stopped.js");
    let mut command = Command::new("node");
    command.arg(script).env("PORT", port.to_string()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("Debian's package nodejs is installed");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next_line().await.expect("a pipe").as_deref(), Some("listens"));
    listening();
    stage.reached(Phase::Acting).await;
    stop(&child);
    stage.reached(Phase::Ending).await;
    go_on(&child);
    // It serves until the test is over.
    child.wait().await.expect("a child");
}

//! Health checks of machines at fixed addresses, from probe to event and log line.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use outlast_machines::{
    Change, CheckReport, CheckSpec, CheckStatus, Level, LogLine, MachineEvent, ProbeSpec, Provider,
    Supervisor, fixed,
};
use outlast_runtime::Tasks;
use outlast_runtime::clock::timeout;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

const LONG: Duration = Duration::from_secs(20);
const INTERNAL: u16 = 8081;

/// An app that answers one request of each connection: with these statuses in turn, and with the last for ever.
async fn app(statuses: &'static [u16], asked: Arc<AtomicUsize>, tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n")
                && stream.read_buf(&mut request).await.unwrap() > 0
            {}
            let turn = asked.fetch_add(1, Ordering::Relaxed).min(statuses.len() - 1);
            let answer = format!("HTTP/1.1 {} X\r\nContent-Length: 3\r\n\r\nwhy", statuses[turn]);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

fn check(grace: Duration) -> CheckSpec {
    CheckSpec {
        name: "servicecheck-00-http-8081".to_owned(),
        port: INTERNAL,
        probe: ProbeSpec::Http {
            method: "GET".to_owned(),
            path: "/up".to_owned(),
            headers: Vec::new(),
        },
        interval: Duration::from_millis(5),
        timeout: LONG,
        grace,
        exposed: vec![8080],
    }
}

struct Rig {
    supervisor: Supervisor,
    events: mpsc::Receiver<MachineEvent>,
    lines: mpsc::Receiver<LogLine>,
    tasks: Tasks,
}

async fn start(statuses: &'static [u16], grace: Duration) -> Rig {
    let tasks = Tasks::default();
    let address = app(statuses, Arc::default(), &tasks).await;
    let (tx, lines) = mpsc::channel(100);
    let specs = fixed(INTERNAL, &[address], "sjc", &[check(grace)]);
    let (supervisor, events) = Supervisor::start(specs, &tx, &tasks);
    let mut rig = Rig { supervisor, events, lines, tasks };
    assert!(matches!(rig.change().await, Change::Ready { .. }));
    rig
}

impl Rig {
    async fn change(&mut self) -> Change {
        timeout(LONG, self.events.recv()).await.expect("something happens").unwrap().change
    }

    async fn checked(&mut self) -> CheckReport {
        match self.change().await {
            Change::Checked(report) => report,
            other => panic!("{other:?} is no result of a check"),
        }
    }

    async fn line(&mut self) -> LogLine {
        timeout(LONG, self.lines.recv()).await.expect("a line").unwrap()
    }

    async fn stop(self) {
        self.supervisor.stop().await;
        self.tasks.cancel();
        self.tasks.join().await;
    }
}

#[tokio::test]
async fn a_machine_that_flaps_is_told_of_each_time_and_only_then() {
    let mut rig = start(&[503, 503, 200, 200, 500, 500, 500, 200], Duration::from_secs(60)).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let report = rig.checked().await;
        seen.push((report.status, report.output));
    }
    let seen: Vec<_> = seen.iter().map(|(status, output)| (*status, output.as_str())).collect();
    assert_eq!(
        seen,
        [
            (CheckStatus::Warning, "HTTP 503: why"),
            (CheckStatus::Passing, "HTTP 200: why"),
            (CheckStatus::Critical, "HTTP 500: why"),
            (CheckStatus::Passing, "HTTP 200: why"),
        ]
    );
    for (level, text) in [
        (Level::Warn, "is in a 'warning' state. "),
        (Level::Info, "is now passing."),
        (
            Level::Error,
            "has failed. Your app is not responding properly. Services exposed on ports [8080] ",
        ),
        (Level::Info, "is now passing."),
    ] {
        let line = rig.line().await;
        assert_eq!((line.provider, line.level), (Provider::Health, level), "{line}");
        assert!(line.message.contains(text), "{line}");
        let start = "Health check 'servicecheck-00-http-8081' on port 8081 ";
        assert!(line.message.starts_with(start), "{line}");
        assert!(line.to_string().contains(" health["), "{line}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn without_grace_the_first_failure_counts() {
    let mut rig = start(&[503], Duration::ZERO).await;
    assert_eq!(rig.checked().await.status, CheckStatus::Critical);
    rig.supervisor.stop().await;
    // Checks end before the machine does: its end is the last that is heard of it.
    while let Some(event) = timeout(LONG, rig.events.recv()).await.expect("it ends") {
        if event.change == Change::Stopped {
            break;
        }
    }
    rig.stop().await;
}

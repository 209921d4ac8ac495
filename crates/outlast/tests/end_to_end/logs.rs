//! Logs that cannot be written: full disks and readers that are gone hold nothing up, and what was lost is told.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Outlast, get};
use outlast_testkit::eventually;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};
use serde_json::Value;

const FLAGS: [&str; 3] = ["--no-auth", "--log-format", "json"];
/// A sixth of a kilobyte of log each, at least.
const REQUESTS: usize = 20;

async fn is_served(outlast: &Outlast) {
    for _ in 0..REQUESTS {
        assert_eq!(get(outlast.gateway, "/api/health", &[]).await.0, 200);
    }
}

/// Waits until the log on standard error has lost something.
async fn loses(outlast: &Outlast) -> f64 {
    let line = "outlast_log_lines_lost_total{log=\"stderr\"}";
    loop {
        is_served(outlast).await;
        let lost = outlast.metrics().await[line];
        if lost > 0.0 {
            return lost;
        }
    }
}

async fn ends_well(mut outlast: Outlast) {
    outlast.signal(Signal::TERM);
    assert!(outlast.ended().await.success());
}

fn news_of_a_loss(log: &str) -> Option<Value> {
    let mut events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.find(|event| event["message"] == "log lines were lost")
}

#[tokio::test]
async fn a_full_device_behind_both_logs_stops_nothing() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outlast = Outlast::unheard(&[], &FLAGS, full(), full()).await;
    loses(&outlast).await;
    // The machine's first words.
    let line = "outlast_log_lines_lost_total{log=\"stdout\"}";
    assert!(outlast.metrics().await[line] >= 1.0);
    ends_well(outlast).await;
}

#[tokio::test]
async fn a_disk_that_has_room_again_gets_the_number_of_lines_it_has_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    // A limit of the file's size stands for the disk: it tears lines as that does, and needs no root. The signal that comes
    // with it is ignored, as the limit itself is inherited.
    let by = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let outlast = Outlast::unheard(&by, &FLAGS, Stdio::null(), File::create(&path).unwrap()).await;
    let pid = Pid::from_raw(i32::try_from(outlast.pid()).unwrap());
    let before = getrlimit(Resource::Fsize);
    let room = std::fs::metadata(&path).unwrap().len() + 1000;
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(room), ..before }).unwrap();
    loses(&outlast).await;
    assert_eq!(std::fs::metadata(&path).unwrap().len(), room, "filled to the last byte");

    prlimit(pid, Resource::Fsize, before).unwrap();
    is_served(&outlast).await;
    let read = || std::fs::read_to_string(&path).unwrap();
    eventually("the news of the loss", || news_of_a_loss(&read()).is_some()).await;
    ends_well(outlast).await;
    let log = read();
    let news = news_of_a_loss(&log).unwrap();
    assert!(news["why"].as_str().unwrap().contains("File too large"), "{news}");
    let whole: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(log.lines().count() - whole.len() <= 1, "one line is torn, and ended: {log}");
    let written = whole.iter().filter(|line| line["path"] == "/api/health").count() as u64;
    // The torn one is among them.
    let lost = news["lines"].as_u64().unwrap();
    assert_eq!((written + lost) % REQUESTS as u64, 0, "{written} and {lost} lost");
}

/// A named pipe, opened for reading so that nothing waits for a writer.
fn reader(path: &Path) -> File {
    let flags = OFlags::NONBLOCK.bits().try_into().unwrap();
    OpenOptions::new().read(true).custom_flags(flags).open(path).unwrap()
}

#[tokio::test]
async fn a_reader_that_comes_back_learns_what_it_has_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let first = reader(&path);
    let pipe = OpenOptions::new().write(true).open(&path).unwrap();
    let outlast = Outlast::unheard(&[], &FLAGS, Stdio::null(), pipe).await;
    drop(first);
    loses(&outlast).await;

    let mut second = reader(&path);
    is_served(&outlast).await;
    ends_well(outlast).await;
    let mut log = String::new();
    second.read_to_string(&mut log).unwrap();
    let news = news_of_a_loss(&log).unwrap();
    assert!(news["why"].as_str().unwrap().contains("Broken pipe"), "{news}");
    assert!(log.starts_with('{') && log.contains("log lines were lost"), "{log}");
}

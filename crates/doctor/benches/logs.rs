//! How long a large log takes beside `grep -c`, and how much memory: `cargo bench -p outlast-doctor --bench logs -- 1024`.
//!
//! The number is MiB per log (default 256). Each log is written once, by seed, into the target folder; then `grep -c` and the
//! reader go over it in turn, each in a process of its own, three times. CPU is user and system time of that process. The
//! goal: at most 4 × the time of `grep -c`, and at most 100 MiB.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use outlast_doctor::logs::Reader;

const SEED: u64 = 0x2026_1128;
const RUNS: usize = 3;
const MIB_DEFAULT: u64 = 256;
/// As much as the binary reads at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Linux counts CPU time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, path] = &args[..]
        && command == "read"
    {
        return read(Path::new(path));
    }
    let mib = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(MIB_DEFAULT);
    println!("{mib} MiB each, seed {SEED:#x}, medians of {RUNS}");
    println!(
        "{:<12} {:>8} {:>8} {:>7} {:>9} {:>10} {:>10}",
        "log", "grep s", "read s", "ratio", "peak MiB", "lines", "events"
    );
    for (name, line) in KINDS {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        write(&path, mib * 1024 * 1024, line).expect("the log is written");
        let (mut greps, mut reads, mut told) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..RUNS {
            let mut grep = Command::new("grep");
            grep.args(["-c", "hard limit"]).arg(&path).env("LC_ALL", "C");
            greps.push(run(&mut grep).0);
            let mut reader = Command::new(std::env::current_exe().expect("this program"));
            let (took, output) = run(reader.arg("read").arg(&path));
            reads.push(took);
            told = output;
        }
        fs::remove_file(&path).expect("the log is there");
        let (grep, read) = (median(greps), median(reads));
        let told: Vec<&str> = told.split_whitespace().collect();
        let ratio = read.as_secs_f64() / grep.as_secs_f64().max(1.0 / TICKS_PER_SECOND);
        println!(
            "{name:<12} {:>8.2} {:>8.2} {ratio:>7.2} {:>9} {:>10} {:>10}",
            grep.as_secs_f64(),
            read.as_secs_f64(),
            told[0],
            told[1],
            told[2]
        );
    }
}

/// Reads a log, and tells the most memory that it took, the lines and the events.
fn read(path: &Path) {
    let (mut reader, mut buffer) = (Reader::new(0), vec![0; PIECE_BYTES]);
    let mut file = File::open(path).expect("the log is there");
    loop {
        let length = file.read(&mut buffer).expect("it can be read");
        if length == 0 {
            break;
        }
        reader.feed(&buffer[..length], &mut |event| drop(std::hint::black_box(event)));
    }
    let summary = reader.finish(&mut |_| {}).expect("it is a log");
    assert_eq!(summary.not_understood, 0, "{:?}", summary.examples);
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("{} {} {}", peak / 1024, summary.lines, summary.events);
}

/// Runs a program to its end, and gives its CPU time and what it printed.
fn run(command: &mut Command) -> (Duration, String) {
    let before = children();
    let output = command.stderr(Stdio::inherit()).output().expect("it starts");
    (children() - before, String::from_utf8(output.stdout).expect("text"))
}

/// User and system time of all processes that were waited for: proc_pid_stat(5), fields 16 and 17.
fn children() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit_once(") ").expect("Linux").1.split(' ');
    let ticks: f64 =
        fields.skip(13).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A name, and what writes its lines.
type Kind = (&'static str, fn(&mut Chance, u64, &mut String));

/// An app that mostly talks; one that is full all the time; the log stream; Outlast's own.
const KINDS: [Kind; 4] =
    [("fly logs", talking), ("full", full), ("stream", stream), ("outlast", outlast)];

fn write(path: &Path, bytes: u64, line: fn(&mut Chance, u64, &mut String)) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(PIECE_BYTES, File::create(path)?);
    let (mut chance, mut text, mut written, mut number) = (Chance(SEED), String::new(), 0, 0);
    while written < bytes {
        text.clear();
        line(&mut chance, number, &mut text);
        file.write_all(text.as_bytes())?;
        written += text.len() as u64;
        number += 1;
    }
    file.flush()
}

/// A generator of numbers by seed: `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn machine(&mut self) -> &'static str {
        match self.below(3) {
            0 => "3d8d9930b32d89",
            1 => "e2862692b79d68",
            _ => "2869115ae45958",
        }
    }
}

/// The second of a line: thirty lines in each.
fn second(number: u64) -> String {
    let second = number / 30;
    let (day, hour) = (1 + second / 86_400 % 28, second / 3_600 % 24);
    format!("2026-02-{day:02}T{hour:02}:{:02}:{:02}", second / 60 % 60, second % 60)
}

fn talking(chance: &mut Chance, number: u64, out: &mut String) {
    let (at, machine) = (second(number), chance.machine());
    let says = match chance.below(1_000) {
        0 => {
            return *out = format!(
                "{at}Z proxy[{machine}] fra [warn]Instance {machine} reached hard limit of 25 concurrent connections. This usually indicates your app is not closing connections properly.\n"
            );
        }
        1 => {
            return *out = format!(
                "{at}Z proxy[{machine}] fra [error][PR04] could not find a good candidate within 40 attempts at load balancing\n"
            );
        }
        2 => {
            "Error: read ECONNRESET at TCP.onStreamRead (node:internal/stream_base_commons:217:20)"
        }
        3..=400 => {
            "[chat] stream 4711: 812 bytes sent, 96 messages, session 01JKA0000000000000000000AA, still at work"
        }
        401..=700 => {
            "198.51.100.7 - - [03/Feb/2026:09:05:01 +0000] \"POST /api/chat HTTP/1.1\" 200 48213 \"-\" \"Mozilla/5.0\""
        }
        _ => "DEBUG tool finished: grep -n pattern src, 34 matches in 0.8 s",
    };
    *out = format!("{at}Z app[{machine}] fra [info]{says}\n");
}

fn full(chance: &mut Chance, number: u64, out: &mut String) {
    let (at, machine) = (second(number), chance.machine());
    *out = match chance.below(2) {
        0 => format!(
            "{at}Z proxy[{machine}] fra [warn]Instance {machine} reached hard limit of 25 concurrent connections. This usually indicates your app is not closing connections properly or is not closing them fast enough for the traffic levels it is handling. Scaling resources, number of instances or increasing your hard limit might help.\n"
        ),
        _ => format!(
            "error.message=\"could not find a good candidate within 40 attempts at load balancing\" {at}Z proxy[{machine}] fra [error]request.method=\"GET\" request.id=\"01JKA{number:021}-fra\" \n"
        ),
    };
}

fn stream(chance: &mut Chance, number: u64, out: &mut String) {
    let (at, machine, nanoseconds) =
        (second(number), chance.machine(), chance.below(1_000_000_000));
    let message = match chance.below(100) {
        0 => "Error: read ECONNRESET",
        _ => "[chat] stream \\\"4711\\\": 812 bytes sent, 96 messages, still at work",
    };
    *out = format!(
        "{{\"event\":{{\"provider\":\"app\"}},\"fly\":{{\"app\":{{\"instance\":\"{machine}\",\"name\":\"my-app\"}},\"region\":\"fra\"}},\"host\":\"0ad1\",\"log\":{{\"level\":\"info\"}},\"message\":\"{message}\",\"timestamp\":\"{at}.{nanoseconds:09}Z\"}}\n"
    );
}

fn outlast(chance: &mut Chance, number: u64, out: &mut String) {
    let (at, machine, took) = (second(number), chance.machine(), chance.below(600_000));
    *out = format!(
        "{{\"timestamp\":\"{at}.000001Z\",\"level\":\"INFO\",\"request_id\":\"01JKA{number:021}-local\",\"client\":\"127.0.0.1:4711\",\"service\":\"http\",\"method\":\"POST\",\"path\":\"/api/chat\",\"status\":200,\"machine\":\"{machine}\",\"outcome\":\"completed\",\"detail\":\"\",\"attempts\":1,\"sent_bytes\":48213,\"received_bytes\":512,\"queued_ms\":0,\"first_byte_ms\":61,\"duration_ms\":{took},\"target\":\"outlast::access\"}}\n"
    );
}

//! A program that can be a guard, a machine, and the owner of machines, as the tests need it.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

use std::io::{self, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use outlast_machines::{
    GuardProgram, LocalSpec, MachineId, MachineSpec, Readiness, StopPolicy, StopSignal, Supervisor,
    default_backoff, write_lines,
};
use outlast_runtime::{Tasks, guard};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().unwrap().to_str().unwrap() {
        guard::SUBCOMMAND => return guard::main(args),
        "listen" => listen(),
        "own" => own(),
        other => panic!("{other}?"),
    }
    ExitCode::SUCCESS
}

/// Listens on the port that `PORT` names, and answers every connection with its environment.
fn listen() {
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    println!("listening");
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let env = std::env::vars().map(|(name, value)| format!("{name}={value}\n"));
        // Whoever only looked whether we listen reads nothing.
        let _read = stream.write_all(env.collect::<String>().as_bytes());
    }
}

/// Owns a machine with a daemon until killed.
fn own() {
    let program = std::env::current_exe().unwrap();
    let script = "(setsid sh -c 'trap \"\" HUP INT TERM; while :; do sleep 1000 & echo daemon $$; wait; done' &); \
                  exec \"$0\" listen";
    let words = ["sh", "-c", script, program.to_str().unwrap()];
    let spec = LocalSpec {
        id: MachineId::random(),
        app: "test".to_owned(),
        group: "app".to_owned(),
        region: "local".to_owned(),
        command: words.map(str::to_owned).to_vec(),
        env: [("PORT".to_owned(), "8081".to_owned())].into(),
        ports: [(8081, Readiness::Awaited)].into(),
        checks: Vec::new(),
        stop: StopPolicy { signal: StopSignal::Int, timeout: Duration::from_secs(1) },
        restart: default_backoff(),
        cwd: None,
        guard: GuardProgram::at(program),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (lines, _writer) = write_lines(io::stdout()).unwrap();
        let tasks = Tasks::default();
        let (_supervisor, mut events) =
            Supervisor::start(vec![MachineSpec::Local(spec)], &lines, &tasks);
        while events.recv().await.is_some() {}
    });
}

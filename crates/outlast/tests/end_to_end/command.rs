//! The command line: what it starts, and what it says when it cannot.

use crate::support::{INCIDENT, Outlast, get, request};
use outlast_testkit::ScriptedMachine;
use serde_json::Value;

/// Runs a command to its end: exit code, standard output, standard error.
async fn run(files: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let folder = Outlast::folder(files);
    let output = Outlast::command(folder.path(), args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_mistake_is_shown_where_it_is_with_what_to_do() {
    let outlast = "[queue]\ntimout = \"30s\"\n";
    let (code, stdout, stderr) = run(&[("outlast.toml", outlast)], &["up"]).await;
    assert_eq!((code, &*stdout), (2, ""));
    let wanted = "\
error: unknown key `queue.timout`
 --> outlast.toml:2:1
  |
2 | timout = \"30s\"
  | ^^^^^^
  |";
    assert!(stderr.starts_with(wanted), "{stderr}");
    assert!(stderr.contains("hint: ") && stderr.contains("`timeout`"), "{stderr}");
}

#[tokio::test]
async fn check_prints_every_value_with_its_origin() {
    let args = ["check", "--print", "--hard-limit", "50"];
    let (code, stdout, stderr) = run(&[("fly.toml", INCIDENT)], &args).await;
    assert_eq!(code, 0, "{stderr}");
    let line = |key: &str| {
        let line = stdout.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("service.http.hard_limit"), "service.http.hard_limit 50 --hard-limit");
    assert_eq!(line("queue.timeout"), "queue.timeout \"30s\" default");
    let [port, own] = ["env.PORT", "env.TERMINAL_WS_PORT"].map(line);
    assert!(port.starts_with("env.PORT rewritten per machine fly.toml:"), "{port}");
    assert!(own.starts_with("env.TERMINAL_WS_PORT rewritten per machine fly.toml:"), "{own}");
    assert_eq!(line("admin"), "admin 127.0.0.1:8079 default");
    assert_eq!(line("threads"), "threads one per core default");
    assert_eq!(line("no_auth"), "no_auth false default");
    assert_eq!(line("allow_host"), "allow_host none default");
    assert!(line("data").ends_with("/data OUTLAST_DATA"), "{stdout}");
    let soft = line("service.http.soft_limit");
    assert!(soft.starts_with("service.http.soft_limit 20 fly.toml:"), "{soft}");
}

#[tokio::test]
async fn check_shows_what_variables_say_and_no_secret() {
    let fly = "[env]\nAPI_KEY = \"s3cret\"\n[http_service]\ninternal_port = 8081\n";
    let folder = Outlast::folder(&[("fly.toml", fly)]);
    let mut command = Outlast::command(folder.path(), &["check", "--print"]);
    command.env("OUTLAST_ADMIN", "localhost:9").env("OUTLAST_ALLOW_HOST", "a,b");
    let stdout = String::from_utf8(command.output().await.unwrap().stdout).unwrap();
    let lines: Vec<_> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let has = |words: &[&str]| lines.iter().any(|line: &Vec<&str>| line == words);
    assert!(has(&["admin", "localhost:9", "OUTLAST_ADMIN"]), "{stdout}");
    assert!(has(&["allow_host", "a,b", "OUTLAST_ALLOW_HOST"]), "{stdout}");
    assert!(has(&["env.API_KEY", "not", "shown", "fly.toml:2:11"]), "{stdout}");
    assert!(!stdout.contains("s3cret"), "{stdout}");
    command.env("OUTLAST_ADMIN", "9");
    assert_eq!(command.output().await.unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn what_cannot_start_says_why_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (args, code, what) in [
        (vec!["up", "--no-auth", "--listen", "0.0.0.0:18080"], 2, "loopback"),
        (vec!["up", "--config", "nowhere.toml"], 2, "there is no nowhere.toml"),
        (vec!["up", "--admin", "127.0.0.1:0", "--listen", &address], 1, "--listen"),
        (vec!["up", "--admin", &address, "--listen", "127.0.0.1:0"], 1, "--admin"),
        (vec!["up", "--log", "a=b=c"], 2, "log filter"),
        (vec!["serve", "--workspace", "nowhere"], 2, "--workspace"),
        (vec!["up", "--hard-limt", "3"], 2, "--hard-limit"),
    ] {
        let (got, stdout, stderr) = run(&[], &args).await;
        assert_eq!(got, code, "{args:?}: {stderr}");
        assert!(stderr.contains(what), "{args:?}: {stderr}");
        assert_eq!(stdout, "", "{args:?}");
    }
}

#[tokio::test]
async fn a_secret_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Outlast::folder(&[]);
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    drop(outlast_access::Access::open(&folder.path().join("data")).unwrap());
    let link = Outlast::command(folder.path(), &["link"]).output().await.unwrap();
    assert!(link.status.success());
    let secret = folder.path().join("data/access/secret");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let link = Outlast::command(folder.path(), &["link"]).output().await.unwrap();
    assert_eq!(link.status.code(), Some(2));
    let stderr = String::from_utf8(link.stderr).unwrap();
    assert!(stderr.contains("secret"), "{stderr}");
}

#[tokio::test]
async fn a_link_is_only_for_what_was_started() {
    let folder = Outlast::folder(&[]);
    let link = Outlast::command(folder.path(), &["link"]).output().await.unwrap();
    assert_eq!(link.status.code(), Some(2));
    let stderr = String::from_utf8(link.stderr).unwrap();
    assert!(stderr.contains("nothing was started") && stderr.contains("--data"), "{stderr}");
    assert!(!folder.path().join("data").exists(), "no keys were made");
}

#[tokio::test]
async fn the_command_that_is_printed_makes_a_link_that_works() {
    let outlast = Outlast::up(&[], &[]).await;
    let line = outlast.stdout_line("prints another").await;
    let command = line.split('`').nth(1).unwrap();
    let words = shlex::split(command).unwrap();
    let args: Vec<_> = words[1..].iter().map(String::as_str).collect();
    let elsewhere = Outlast::folder(&[]);
    let link = Outlast::command(elsewhere.path(), &args).output().await.unwrap();
    let link = String::from_utf8(link.stdout).unwrap();
    let path = link.trim().strip_prefix(&format!("http://{}", outlast.gateway)).unwrap();
    assert_eq!(request(outlast.gateway, "GET", path, &[], "").await.unwrap().status, 303);
}

/// A pipe whose reader has gone ended the gateway by a panic.
#[tokio::test]
async fn a_reader_that_has_gone_ends_nothing() {
    let nobody = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        std::process::Stdio::from(writer)
    };
    let folder = Outlast::folder(&[]);
    drop(outlast_access::Access::open(&folder.path().join("data")).unwrap());
    for args in [&["check", "--print"][..], &["link"]] {
        let status = Outlast::command(folder.path(), args).stdout(nobody()).status().await.unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
    let mut wrong = Outlast::command(folder.path(), &["up", "--config", "nowhere.toml"]);
    assert_eq!(wrong.stderr(nobody()).status().await.unwrap().code(), Some(2));

    for args in [
        &["up", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json"][..],
        &["serve", "--port", "0", "--log-format", "json"],
    ] {
        let mut command = Outlast::command(folder.path(), args);
        command.stdout(nobody()).stderr(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let stderr = tokio::io::BufReader::new(process.stderr.take().unwrap());
        let mut lines = tokio::io::AsyncBufReadExt::lines(stderr);
        let mut log = String::new();
        let mut address = None;
        while let Some(line) = lines.next_line().await.unwrap() {
            log.push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap();
            match event["message"].as_str().unwrap() {
                "the gateway listens" => address = event["listen"].as_str().map(str::to_owned),
                "the desktop listens" => address = event["address"].as_str().map(str::to_owned),
                _ => continue,
            }
            break;
        }
        let address = address.unwrap_or_else(|| panic!("{args:?}: {log}"));
        let address = address.trim_matches(['[', ']']).parse().unwrap();
        // Waits in the queue until the machine is ready, which is when it is greeted.
        assert_eq!(get(address, "/api/health", &[]).await.0, 200, "{args:?}");
        crate::support::signal(process.id().unwrap(), rustix::process::Signal::TERM);
        assert_eq!(process.wait().await.unwrap().code(), Some(0), "{args:?}");
    }
}

#[tokio::test]
async fn the_users_own_command_is_the_app() {
    let program = env!("CARGO_BIN_EXE_outlast");
    let outlast = Outlast::up(&[], &["--no-auth", "--", program, "serve", "--no-auth"]).await;
    let (status, health) = get(outlast.gateway, "/api/health", &[]).await;
    assert_eq!(status, 200);
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["status"], "ok");
    outlast.stdout_line("Serving http://").await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named_and_tried_again() {
    let outlast =
        Outlast::starting(&[], &["--no-auth", "--queue-timeout", "100ms", "--", "no-such-app"])
            .await;
    let failed = outlast.logged("the machine does not start").await;
    assert!(failed["reason"].as_str().unwrap().contains("no-such-app"), "{failed}");
    let mut refused = request(outlast.gateway, "GET", "/", &[], "").await.unwrap();
    assert_eq!(refused.status, 503);
    let status = refused.field("proxy-status").unwrap();
    assert!(status.contains("destination_unavailable"), "{status}");
    refused.body().await.unwrap();
    assert_eq!(get(outlast.admin, "/readyz", &[]).await.0, 503);
    assert_eq!(get(outlast.admin, "/livez", &[]).await.0, 200);
}

#[tokio::test]
async fn the_gateway_alone_stands_before_what_already_runs() {
    let machine = ScriptedMachine::start().await;
    let to = machine.address().to_string();
    let outlast = Outlast::up(&[], &["--to", &to, "--no-auth"]).await;
    assert_eq!(outlast.logged("the gateway listens").await["machines"], 1);
    let gateway = outlast.gateway;
    let tasks = outlast_runtime::Tasks::default();
    let (tx, mut answered) = tokio::sync::mpsc::channel(1);
    tasks.spawn(async move { tx.send(get(gateway, "/a?b=c", &[]).await).await.unwrap() });
    let mut upstream = machine.accept().await;
    let head = upstream.read_head().await;
    assert!(head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nFly-Client-IP: 127.0.0.1\r\n"), "{head}");
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(answered.recv().await.unwrap(), (200, "hi".to_owned()));
}

#[tokio::test]
async fn the_path_of_a_chunk_costs_three_system_calls() {
    const CHUNKS: usize = 200;
    let machine = ScriptedMachine::start().await;
    let to = machine.address().to_string();
    let outlast = Outlast::up(&[], &["--to", &to, "--no-auth", "--threads", "1"]).await;
    let mut client = outlast_testkit::Wire::connect(outlast.gateway).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut upstream = machine.accept().await;
    upstream.read_head().await;
    upstream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.read_head().await;

    let trace = outlast.folder.path().join("trace");
    let thread = worker_thread(outlast.pid());
    let mut strace = tokio::process::Command::new("strace");
    strace.arg("-o").arg(&trace).args(["-p", &thread.to_string()]);
    let mut strace =
        strace.stderr(std::process::Stdio::piped()).spawn().expect("strace is installed");
    let mut stderr = tokio::io::BufReader::new(strace.stderr.take().unwrap());
    let mut attached = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut stderr, &mut attached).await.unwrap();
    assert!(attached.contains("attached"), "{attached}");
    for number in 0..CHUNKS {
        let text = format!("chunk {number}");
        upstream.send_chunk(&text).await;
        assert_eq!(client.read_chunk().await, text);
    }
    let id = rustix::process::Pid::from_raw(strace.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    strace.wait().await.unwrap();
    let trace = std::fs::read_to_string(trace).unwrap();
    let calls: Vec<_> = trace.lines().filter(|line| line.contains('(')).collect();
    let count = |name: &str| calls.iter().filter(|line| line.starts_with(name)).count();
    // A handful for attaching in the middle of a wait.
    let exactly = CHUNKS..CHUNKS + 4;
    let reads = count("recvfrom(") + count("read(");
    let writes = count("sendto(") + count("writev(") + count("write(");
    assert!(exactly.contains(&reads), "{reads} reads");
    assert!(exactly.contains(&writes), "{writes} writes");
    assert!(calls.len() <= 3 * CHUNKS + 12, "{} calls for {CHUNKS} chunks", calls.len());
}

/// The thread that carries the exchanges.
fn worker_thread(pid: u32) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let ids = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    let is_worker = |id: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/task/{id}/comm")).unwrap().trim()
            == "gateway-0"
    };
    ids.filter(is_worker).map(|id| id.parse().unwrap()).next().expect("the worker runs")
}

#[tokio::test]
async fn the_desktop_alone_prints_a_link_of_its_own() {
    let folder = Outlast::folder(&[]);
    let mut command = Outlast::command(folder.path(), &["serve", "--port", "0"]);
    let mut serve = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdout = tokio::io::BufReader::new(serve.stdout.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line).await.unwrap();
    let link = line.trim().strip_prefix("Open http://").expect("a link");
    let (address, path) = link.split_at(link.find('/').unwrap());
    let address = address.parse().unwrap();
    assert_eq!(request(address, "GET", path, &[], "").await.unwrap().status, 303);
    crate::support::signal(serve.id().unwrap(), rustix::process::Signal::TERM);
    assert!(serve.wait().await.unwrap().success());
}

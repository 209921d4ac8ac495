//! Layers, flags and what is started: the plan for each combination that matters.

#![expect(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use outlast_config::{
    Accounting, AgentKind, Checked, Command, Diagnostic, Eject, Flags, KillSignal, Level, Limits,
    Linger, Machines, Origin, Retry, ServiceKind, SourceText, Sources, check, decode_fly,
};

const INCIDENT: &str = include_str!("fixtures/fly/incident.toml");
const PROCESSES: &str = include_str!("fixtures/fly/processes.toml");
const PRIVILEGED: &str = include_str!("fixtures/fly/privileged-ports.toml");
const HANDLERS: &str = include_str!("fixtures/fly/handlers.toml");
const DONUTS: &str = include_str!("fixtures/invalid/fly/donuts.toml");
const NOTHING: &str = include_str!("fixtures/invalid/fly/nothing-to-serve.toml");
const SAME_ADDRESS: &str = include_str!("fixtures/invalid/fly/same-address.toml");
const ONE_PORT: &str = include_str!("fixtures/invalid/fly/app-and-gateway-on-one-port.toml");

/// Everything a plan is made from, empty at first.
#[derive(Default)]
struct Layers<'a> {
    fly: Option<&'a str>,
    outlast: Option<&'a str>,
    env: &'a [(&'a str, &'a str)],
    flags: Flags,
}

impl Layers<'_> {
    fn check(self) -> Result<Checked, Vec<Diagnostic>> {
        let env = self.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let env: BTreeMap<_, _> = env.collect();
        check(&Sources {
            fly: self.fly.map(|text| SourceText::new("fly.toml", text)),
            outlast: self.outlast.map(|text| SourceText::new("outlast.toml", text)),
            env: &env,
            flags: self.flags,
        })
    }

    fn ok(self) -> Checked {
        self.check().unwrap_or_else(|errors| panic!("{}", show(&errors)))
    }

    /// The errors and warnings alone.
    fn complaints(self) -> String {
        let diagnostics = match self.check() {
            Ok(checked) => checked.notes,
            Err(diagnostics) => diagnostics,
        };
        show(&diagnostics.into_iter().filter(|one| one.level != Level::Note).collect::<Vec<_>>())
    }
}

fn show(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn limit(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn origin(checked: &Checked, key: &str) -> String {
    checked.values.iter().find(|value| value.key == key).unwrap().origin.to_string()
}

fn groups(checked: &Checked) -> &[outlast_config::Group] {
    match &checked.plan.machines {
        Machines::Local(groups) => groups,
        Machines::Fixed(addresses) => panic!("fixed: {addresses:?}"),
    }
}

#[test]
fn with_nothing_at_all_the_desktop_is_served_without_limits() {
    let checked = Layers::default().ok();
    assert_eq!(checked.notes, []);
    let plan = &checked.plan;
    assert_eq!((plan.app.as_str(), plan.region.as_str()), ("outlast", "local"));
    let [http] = plan.services.as_slice() else { panic!("{:?}", plan.services) };
    assert_eq!((http.name.as_str(), http.kind), ("http", ServiceKind::Http));
    assert_eq!(http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(http.internal_port, 8081);
    assert_eq!(http.limits, Limits { accounting: Accounting::Requests, soft: None, hard: None });
    let [group] = groups(&checked) else { panic!("one group") };
    assert_eq!((group.name.as_str(), &group.command), ("app", &Command::Desktop));
    assert_eq!((group.count, group.kill_signal), (NonZeroU32::MIN, KillSignal::Int));
    assert_eq!(group.kill_timeout, Duration::from_secs(5));
    assert!(group.env.is_empty());
    assert_eq!(plan.upstream.linger, Linger::Evict);
    assert_eq!(plan.upstream.idle_timeout, Duration::from_secs(4));
    assert_eq!((plan.queue.depth_max, plan.queue.timeout), (100, Duration::from_secs(30)));
    assert_eq!(plan.reserve.slots, 2);
    assert!(plan.reserve.paths.iter().any(|path| path.matches("/api/abort/7")));
    assert_eq!(plan.services[0].routes.rest.clocks.connect, Duration::from_secs(5));
    assert_eq!(plan.services[0].clocks.head, Duration::from_secs(15));
    assert_eq!(plan.services[0].clocks.keep_alive, Duration::from_secs(60));
    assert_eq!(plan.drain_grace, Duration::from_secs(30));
    assert_eq!((plan.eject, plan.retry), (Eject::default(), Retry::default()));
    assert!(plan.checks.is_empty() && plan.services[0].checks.is_empty());
    assert_eq!((plan.agent.kind, plan.agent.runs_max), (AgentKind::Auto, 8));
    assert_eq!(plan.agent.pace, Duration::ZERO);
}

#[test]
fn the_incident_is_rehearsed_with_its_own_limits() {
    let checked = Layers { fly: Some(INCIDENT), ..Layers::default() }.ok();
    let [http, terminal] = checked.plan.services.as_slice() else { panic!("two services") };
    assert_eq!((http.kind, http.internal_port), (ServiceKind::Http, 10000));
    let connections = Accounting::Connections;
    assert_eq!(http.limits, Limits { accounting: connections, soft: limit(20), hard: limit(25) });
    assert_eq!((terminal.kind, terminal.internal_port), (ServiceKind::Tcp, 3001));
    assert_eq!(terminal.listen.to_string(), "127.0.0.1:3001");
    assert_eq!(terminal.limits, Limits { accounting: connections, soft: limit(20), hard: None });
    let [group] = groups(&checked) else { panic!("one group") };
    assert_eq!(group.command, Command::Desktop);
    assert_eq!(group.env["PORT"], "10000");
    assert_eq!(checked.plan.upstream.linger, Linger::Hold);
}

#[test]
fn checks_come_along_to_machines_that_already_run() {
    let fly = "[http_service]\ninternal_port = 8080\n[[http_service.checks]]\npath = \"/up\"\n\
               [checks.a]\ntype = \"tcp\"\n[checks.b]\ntype = \"tcp\"\nport = 8080\n[checks.c]\ntype = \"tcp\"\nport = 9\n";
    let to = vec!["127.0.0.1:9000".parse().unwrap()];
    let flags = Flags { to, ..Flags::default() };
    let checked = Layers { fly: Some(fly), flags, ..Layers::default() }.ok();
    let [check] = checked.plan.services[0].checks.as_slice() else { panic!("one check") };
    assert_eq!((check.name.as_str(), check.port), ("servicecheck-00-http-8080", 9000));
    let top: Vec<_> = checked.plan.checks.iter().map(|check| check.port).collect();
    assert_eq!(top, [9000, 9000, 9]);
}

#[test]
fn flags_win_over_variables_over_outlast_toml_over_defaults() {
    let outlast = "[queue]\ntimeout = \"1s\"\n[drain]\ngrace = \"1s\"\n[agent]\npace = \"1s\"\n";
    let env = [("OUTLAST_QUEUE_TIMEOUT", "2s"), ("OUTLAST_DRAIN_GRACE", "2s")];
    let flags = Flags { queue_timeout: Some(Duration::from_secs(3)), ..Flags::default() };
    let checked = Layers { outlast: Some(outlast), env: &env, flags, ..Layers::default() }.ok();
    assert_eq!(checked.plan.queue.timeout, Duration::from_secs(3));
    assert_eq!(checked.plan.drain_grace, Duration::from_secs(2));
    assert_eq!(checked.plan.agent.pace, Duration::from_secs(1));
    assert_eq!(origin(&checked, "queue.timeout"), "--queue-timeout");
    assert_eq!(origin(&checked, "drain.grace"), "OUTLAST_DRAIN_GRACE");
    assert_eq!(origin(&checked, "agent.pace"), "outlast.toml:6:8");
    assert_eq!(origin(&checked, "queue.depth_max"), "default");
}

#[test]
fn every_variable_of_the_reference_is_read() {
    let values = [
        ("OUTLAST_LISTEN_CONNECTIONS_MAX", "7"),
        ("OUTLAST_LISTEN_CONNECTIONS_PER_CLIENT_MAX", "7"),
        ("OUTLAST_QUEUE_DEPTH_MAX", "7"),
        ("OUTLAST_QUEUE_TIMEOUT", "7s"),
        ("OUTLAST_RESERVE_SLOTS", "7"),
        ("OUTLAST_CLOCKS_CONNECT", "7s"),
        ("OUTLAST_CLOCKS_HEAD", "7s"),
        ("OUTLAST_CLOCKS_KEEP_ALIVE", "7s"),
        ("OUTLAST_CLOCKS_RESPONSE_HEAD", "7s"),
        ("OUTLAST_CLOCKS_CHUNK_GAP", "7s"),
        ("OUTLAST_CLOCKS_LIFETIME", "7s"),
        ("OUTLAST_CLOCKS_WRITE_STALL", "7s"),
        ("OUTLAST_UPSTREAM_LINGER", "hold"),
        ("OUTLAST_UPSTREAM_IDLE_TIMEOUT", "7s"),
        ("OUTLAST_UPSTREAM_REQUEST_BUFFER", "7KiB"),
        ("OUTLAST_EXCHANGE_BUFFER_MAX", "70KiB"),
        ("OUTLAST_EJECT_FAILURES", "7"),
        ("OUTLAST_EJECT_TIME", "7s"),
        ("OUTLAST_EJECT_TIME_MAX", "7m"),
        ("OUTLAST_EJECT_SHARE_MAX", "7"),
        ("OUTLAST_RETRY_PERCENT", "7"),
        ("OUTLAST_RETRY_MIN", "7"),
        ("OUTLAST_DRAIN_GRACE", "7s"),
        ("OUTLAST_AGENT_KIND", "scout"),
        ("OUTLAST_AGENT_PACE", "7s"),
        ("OUTLAST_AGENT_RUNS_MAX", "7"),
        ("OUTLAST_STREAMS_APPEND_MAX", "7KiB"),
        ("OUTLAST_STREAMS_BYTES_MAX", "7GiB"),
        ("OUTLAST_STREAMS_AGE_MAX", "7m"),
        ("OUTLAST_STREAMS_READERS_MAX", "7"),
        ("OUTLAST_STREAMS_POLL_TIMEOUT", "7s"),
        ("OUTLAST_STREAMS_EVENTS_LIFETIME", "7s"),
        ("OUTLAST_LISTEN", "127.0.0.1:7777"),
        ("OUTLAST_TYPE", "connections"),
        ("OUTLAST_HARD_LIMIT", "7"),
        ("OUTLAST_SOFT_LIMIT", "6"),
        ("OUTLAST_MACHINES", "7"),
    ];
    let checked = Layers { env: &values, ..Layers::default() }.ok();
    assert_eq!(checked.notes, []);
    for (name, value) in values {
        let read =
            checked.values.iter().find(|one| one.origin == Origin::Variable(name.to_owned()));
        let read = read.unwrap_or_else(|| panic!("{name} is not read"));
        assert_eq!(read.value.trim_matches('"'), value, "{name}");
    }
    let keys = outlast_config::reference().iter().filter_map(|entry| entry.env);
    let more = outlast_config::variables().iter().filter(|entry| entry.flag.is_some());
    let known: Vec<_> = keys.chain(more.map(|entry| entry.env)).collect();
    assert_eq!(known, values.map(|(name, _)| name));
}

#[test]
fn wrong_variables_are_errors_and_unknown_ones_notes() {
    let env = [
        ("OUTLAST_QUEUE_TIMEOUT", "30"),
        ("OUTLAST_MACHINES", "0"),
        ("OUTLAST_LISTEN", "8080"),
        ("OUTLAST_TYPE", "donuts"),
        ("OUTLAST_AGENT_KIND", "claude"),
        ("OUTLAST_HARD_LIMTI", "3"),
        ("OUTLAST_QUITE_DIFFERENT_THING", "3"),
        ("OUTLAST_DATA", "/data"),
        ("OUTLAST_SOFT_LIMIT", ""),
        ("PATH", "/bin"),
    ];
    let errors = Layers { env: &env, ..Layers::default() }.check().unwrap_err();
    let want = "\
error: 0 machines serve nobody
  --> OUTLAST_MACHINES
hint: write 1 or more
error: `OUTLAST_AGENT_KIND`: the agent \"claude\" is not built yet
  --> OUTLAST_AGENT_KIND
hint: it arrives with the Claude Code integration; write \"auto\" or \"scout\"
error: `OUTLAST_LISTEN`: \"8080\" is not an address with a port
  --> OUTLAST_LISTEN
hint: write 127.0.0.1:8080 for this host alone, or 0.0.0.0:8080 for everybody
error: `OUTLAST_QUEUE_TIMEOUT`: \"30\" is not a duration
  --> OUTLAST_QUEUE_TIMEOUT
hint: a unit is missing; write numbers with units, such as \"30s\", \"250ms\" or \"1m30s\"
error: `OUTLAST_TYPE`: \"donuts\" is not known
  --> OUTLAST_TYPE
hint: write one of `connections` and `requests`
note: the variable `OUTLAST_HARD_LIMTI` means nothing to outlast
hint: did you mean `OUTLAST_HARD_LIMIT`?
note: the variable `OUTLAST_QUITE_DIFFERENT_THING` means nothing to outlast";
    let mut lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.sort();
    assert_eq!(lines.join("\n"), want);
}

#[test]
fn all_files_are_told_at_once_and_a_losing_layer_is_read_too() {
    let flags = Flags { queue_timeout: Some(Duration::from_secs(3)), ..Flags::default() };
    let layers = Layers {
        fly: Some("app = 1\n"),
        outlast: Some("[queue]\ntimeout = \"soon\"\n"),
        env: &[("OUTLAST_DRAIN_GRACE", "x")],
        flags,
    };
    let complaints = layers.complaints();
    for part in ["fly.toml:1:7", "outlast.toml:2:11", "OUTLAST_DRAIN_GRACE"] {
        assert!(complaints.contains(part), "{part} in\n{complaints}");
    }
}

#[test]
fn limits_of_the_first_http_service_are_overridden() {
    let flags = Flags {
        accounting: Some(Accounting::Requests),
        hard_limit: Some(250),
        soft_limit: Some(200),
        listen: Some("127.0.0.1:9999".parse().unwrap()),
        ..Flags::default()
    };
    let checked = Layers { fly: Some(INCIDENT), flags, ..Layers::default() }.ok();
    let [http, terminal] = checked.plan.services.as_slice() else { panic!("two services") };
    let requests = Accounting::Requests;
    assert_eq!(http.limits, Limits { accounting: requests, soft: limit(200), hard: limit(250) });
    assert_eq!(http.listen.to_string(), "127.0.0.1:9999");
    assert_eq!(terminal.limits.accounting, Accounting::Connections);
    assert_eq!(terminal.listen.to_string(), "127.0.0.1:3001");
    assert_eq!(origin(&checked, "service.http.hard_limit"), "--hard-limit");

    let flags = Flags { hard_limit: Some(0), soft_limit: Some(0), ..Flags::default() };
    let checked = Layers { fly: Some(INCIDENT), flags, ..Layers::default() }.ok();
    let limits = checked.plan.services[0].limits;
    assert_eq!((limits.soft, limits.hard), (None, None), "0 is no limit");
}

#[test]
fn an_unknown_type_decodes_and_is_overridden_by_a_flag() {
    assert!(decode_fly("fly.toml", DONUTS).is_ok());
    let flags = Flags { accounting: Some(Accounting::Requests), ..Flags::default() };
    let checked = Layers { fly: Some(DONUTS), flags, ..Layers::default() }.ok();
    assert_eq!(checked.plan.services[0].limits.accounting, Accounting::Requests);
}

#[test]
fn overrides_without_an_http_service_are_refused() {
    let fly = "[[services]]\ninternal_port = 7000\n[[services.ports]]\nport = 7000\n";
    let flags = Flags { hard_limit: Some(3), ..Flags::default() };
    let env = [("OUTLAST_LISTEN", "127.0.0.1:1"), ("OUTLAST_TYPE", "requests")];
    let complaints = Layers { fly: Some(fly), env: &env, flags, outlast: None }.complaints();
    assert_eq!(complaints.matches("there is no HTTP service for this to override").count(), 3);
    for part in ["--> --hard-limit", "--> OUTLAST_LISTEN", "--> OUTLAST_TYPE"] {
        assert!(complaints.contains(part), "{part} in\n{complaints}");
    }
}

#[test]
fn the_first_http_service_comes_first_wherever_it_stands() {
    let flags = Flags { hard_limit: Some(3), ..Flags::default() };
    let checked = Layers { fly: Some(HANDLERS), flags, ..Layers::default() }.ok();
    let names: Vec<_> = checked.plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["http-6201", "tcp-5432", "tcp-6001", "tcp-6101"]);
    assert_eq!(checked.plan.services[0].limits.hard, limit(3));
    assert_eq!(checked.plan.services[1].limits.hard, None);
}

#[test]
fn ports_are_moved_by_their_public_number() {
    let flags = Flags { ports: vec![(3001, 13001)], ..Flags::default() };
    let checked = Layers { fly: Some(INCIDENT), flags, ..Layers::default() }.ok();
    assert_eq!(checked.plan.services[1].listen.to_string(), "127.0.0.1:13001");
    assert_eq!(origin(&checked, "service.tcp-3001.listen"), "--port");

    let flags = Flags { ports: vec![(8080, 18080)], ..Flags::default() };
    let checked = Layers { fly: Some(SAME_ADDRESS), flags, ..Layers::default() }.ok();
    assert_eq!(checked.plan.services[1].listen.port(), 18080, "the hint of the collision helps");

    let flags = Flags { ports: vec![(3002, 13002)], ..Flags::default() };
    let want = "error: no service has the public port 3002\n  --> --port\n\
                hint: the public ports are [3001]; --listen moves http_service";
    assert_eq!(Layers { fly: Some(INCIDENT), flags, ..Layers::default() }.complaints(), want);
}

#[test]
fn privileged_ports_are_shifted_unless_told_otherwise() {
    let shifted = |flags: Flags| {
        let checked = Layers { fly: Some(PRIVILEGED), flags, ..Layers::default() }.ok();
        let listen = checked.plan.services.iter().map(|service| service.listen.to_string());
        let notes = checked.notes.iter().filter(|note| note.message.contains("root's")).count();
        (listen.collect::<Vec<_>>(), notes)
    };
    let addresses = |list: [&str; 2]| list.map(ToOwned::to_owned).to_vec();
    let none = shifted(Flags::default());
    assert_eq!(none, (addresses(["127.0.0.1:8080", "127.0.0.1:8443"]), 2));
    let kept = shifted(Flags { ports: vec![(80, 80), (443, 4443)], ..Flags::default() });
    assert_eq!(kept, (addresses(["127.0.0.1:80", "127.0.0.1:4443"]), 0));
    let listen = Some("0.0.0.0:7000".parse().unwrap());
    let moved = shifted(Flags { listen, ..Flags::default() });
    assert_eq!(moved, (addresses(["0.0.0.0:7000", "127.0.0.1:8443"]), 1));
}

#[test]
fn listening_everywhere_collides_with_listening_anywhere() {
    let flags = Flags { listen: Some("0.0.0.0:3001".parse().unwrap()), ..Flags::default() };
    let complaints = Layers { fly: Some(INCIDENT), flags, ..Layers::default() }.complaints();
    assert!(complaints.contains("http_service and services port 3001 both listen"), "{complaints}");
    let flags = Flags {
        listen: Some("127.0.0.1:0".parse().unwrap()),
        ports: vec![(3001, 0)],
        ..Flags::default()
    };
    let checked = Layers { fly: Some(INCIDENT), flags, ..Layers::default() }.ok();
    assert_eq!(checked.plan.services[1].listen.port(), 0, "port 0 is a new one each time");
}

#[test]
fn what_runs_is_settled_in_order() {
    let words = |line: &str| line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let machine = "[machine]\ncommand = \"from file\"\n";
    let flag = Flags { command: words("from flag"), ..Flags::default() };
    let table = [
        (None, None, Flags::default(), Command::Desktop),
        (None, Some(machine), Flags::default(), Command::Program(words("from file"))),
        (None, Some(machine), flag.clone(), Command::Program(words("from flag"))),
        (Some(INCIDENT), None, Flags::default(), Command::Desktop),
        (Some(INCIDENT), Some(machine), Flags::default(), Command::Program(words("from file"))),
        (Some(INCIDENT), Some(machine), flag.clone(), Command::Program(words("from flag"))),
    ];
    for (fly, outlast, flags, want) in table {
        let given = format!("{} {outlast:?} {:?}", fly.is_some(), flags.command);
        let stands_in = fly.is_some() && want == Command::Desktop;
        let checked = Layers { fly, outlast, flags, ..Layers::default() }.ok();
        assert_eq!(groups(&checked)[0].command, want, "{given}");
        let said = checked.notes.iter().any(|note| note.message.contains("stands in for the app"));
        assert_eq!(said, stands_in, "{given}");
    }
    let layers = Layers { fly: Some(PROCESSES), outlast: Some(machine), flags: flag, env: &[] };
    let want = "warning: the command after `--` is not used: fly.toml has [processes]\n  --> --\n\
                hint: take [processes] out, or the command";
    assert_eq!(layers.complaints(), want);
}

#[test]
fn a_program_without_fly_toml_is_told_its_port() {
    let flags = Flags { command: vec!["npm".to_owned()], machines: limit(3), ..Flags::default() };
    let checked = Layers { flags, ..Layers::default() }.ok();
    let [group] = groups(&checked) else { panic!("one group") };
    assert_eq!(group.env["PORT"], checked.plan.services[0].internal_port.to_string());
    assert_eq!(group.count.get(), 3);
}

#[test]
fn several_machines_need_a_port_that_can_be_rewritten() {
    let fly = "[env]\nNAME = \"x\"\n[http_service]\ninternal_port = 4000\n";
    let command = vec!["serve".to_owned()];
    let flags = Flags { machines: limit(2), command: command.clone(), ..Flags::default() };
    let want = "error: 2 machines cannot share port 4000: no value in [env] is 4000, so each would take that port\n  \
                --> --machines\n\
                hint: if the app reads its port from a variable, add it to [env]: PORT = \"4000\"";
    assert_eq!(Layers { fly: Some(fly), flags, ..Layers::default() }.complaints(), want);

    let flags = Flags { machines: limit(2), command, ..Flags::default() };
    let fly_with_port = fly.replace("NAME = \"x\"", "LISTEN_PORT = 4000");
    Layers { fly: Some(&fly_with_port), flags, ..Layers::default() }.ok();

    let flags = Flags { machines: limit(2), ..Flags::default() };
    let checked = Layers { fly: Some(fly), flags, ..Layers::default() }.ok();
    assert_eq!(groups(&checked)[0].command, Command::Desktop, "which always gets its port");
}

#[test]
fn a_stubborn_app_and_the_gateway_are_kept_apart() {
    let complaints = Layers { fly: Some(ONE_PORT), ..Layers::default() }.complaints();
    assert_eq!(complaints.matches("both cannot have it").count(), 2, "{complaints}");
    let flags = Flags {
        listen: Some("127.0.0.1:8000".parse().unwrap()),
        ports: vec![(7000, 17000)],
        ..Flags::default()
    };
    Layers { fly: Some(ONE_PORT), flags, ..Layers::default() }.ok();
}

#[test]
fn fixed_machines_serve_the_first_http_service() {
    let to = vec!["127.0.0.1:5000".parse().unwrap(), "127.0.0.1:5001".parse().unwrap()];
    let flags = Flags { to: to.clone(), ..Flags::default() };
    let checked = Layers { fly: Some(INCIDENT), flags: flags.clone(), ..Layers::default() }.ok();
    assert_eq!(checked.plan.machines, Machines::Fixed(to.clone()));
    let [http] = checked.plan.services.as_slice() else { panic!("one service") };
    assert_eq!((http.name.as_str(), http.internal_port), ("http", 5000));
    assert_eq!(http.limits.hard, limit(25));
    assert_eq!(http.groups, Vec::<String>::new());
    assert!(checked.notes.iter().any(|note| note.message.ends_with("not served: tcp-3001")));

    for fly in [None, Some(NOTHING)] {
        let checked = Layers { fly, flags: flags.clone(), ..Layers::default() }.ok();
        assert_eq!(checked.plan.machines, Machines::Fixed(to.clone()));
        let limits = checked.plan.services[0].limits;
        assert_eq!((limits.accounting, limits.hard), (Accounting::Requests, None));
    }

    let flags = Flags { command: vec!["x".to_owned()], machines: limit(2), ..flags };
    let complaints = Layers { flags, ..Layers::default() }.complaints();
    assert_eq!(complaints.matches("--to starts no machines").count(), 2, "{complaints}");
}

#[test]
fn signals_are_read_in_any_spelling() {
    let table = [
        ("SIGINT", Some(KillSignal::Int)),
        ("int", Some(KillSignal::Int)),
        ("sigTerm", Some(KillSignal::Term)),
        ("QUIT", Some(KillSignal::Quit)),
        ("SIGHUP", Some(KillSignal::Hup)),
        ("usr1", Some(KillSignal::Usr1)),
        ("SIGUSR2", Some(KillSignal::Usr2)),
        ("kill", Some(KillSignal::Kill)),
        ("SIGSTOP", Some(KillSignal::Stop)),
        ("SIGSIGINT", None),
        ("9", None),
    ];
    for (name, want) in table {
        let fly = format!("kill_signal = \"{name}\"\n[http_service]\ninternal_port = 4000\n");
        let checked = Layers { fly: Some(&fly), ..Layers::default() }.check();
        let got = checked.ok().map(|checked| groups(&checked)[0].kill_signal);
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn marks_and_carriage_returns_do_not_move_places() {
    let plain = "app = \"x\"\n\t[http_service]\n\tinternal_port = \"ü\"\n";
    let want = show(&decode_fly("fly.toml", plain).unwrap_err());
    assert!(want.contains("fly.toml:3:18"), "{want}");
    for text in [plain.replace('\n', "\r\n"), format!("\u{feff}{plain}")] {
        let errors = decode_fly("fly.toml", &text).unwrap_err();
        assert_eq!(show(&errors), want);
        let span = errors[0].span().unwrap();
        assert_eq!(&text[span], "\"ü\"");
    }
}

#[test]
fn each_kind_of_idle_part_is_noted_once() {
    let port =
        "[[services]]\ninternal_port = 1\n[[services.ports]]\nport = 2001\nforce_https = true\n";
    let fly = format!("{port}{}{}", port.replace("2001", "2002"), port.replace("2001", "2003"));
    let checked = Layers { fly: Some(&fly), ..Layers::default() }.ok();
    let notes = checked.notes.iter().filter(|note| note.message.contains("force_https")).count();
    assert_eq!(notes, 1);
}

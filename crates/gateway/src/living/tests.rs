//! How often it looks. Time is the test's; the gateway's threads have their own.

use std::collections::BTreeMap;

use outlast_observe::Observe;
use outlast_runtime::Phases;
use outlast_testkit::ScriptedMachine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::gateway::{Admittance, Gateway, GatewayOptions};

fn start() -> (Gateway, u16) {
    let (env, flags) = (BTreeMap::new(), outlast_config::Flags::default());
    let sources = outlast_config::Sources { fly: None, outlast: None, env: &env, flags };
    let mut plan = outlast_config::check(&sources).expect("the defaults hold").plan;
    plan.services[0].listen = "127.0.0.1:0".parse().expect("an address");
    let port = plan.services[0].internal_port;
    let observe = Observe::new("local", &[plan.services[0].name.clone()], 2);
    let options = GatewayOptions {
        threads: 2,
        connections_max: 10,
        admittance: Box::new(|_| Admittance::Granted),
        phases: Phases::default(),
    };
    (Gateway::start(plan, &observe, options).expect("a free port"), port)
}

async fn read_to(client: &mut TcpStream, end: &[u8]) {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(client.read_u8().await.expect("more of the response"));
    }
}

#[tokio::test(start_paused = true)]
async fn it_looks_each_second_while_bytes_move_and_twice_a_minute_while_none_do() {
    let (gateway, port) = start();
    let machine = ScriptedMachine::start().await;
    gateway.machine_ready("m", "app", &BTreeMap::from([(port, machine.address())]));
    let looks = || gateway.shared().living.watch().number;
    let script = async {
        let mut client = TcpStream::connect(gateway.addresses()[0]).await.expect("it listens");
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("room");
        let mut upstream = machine.accept().await;
        upstream.read_head().await;
        upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst").await;
        read_to(&mut client, b"first").await;
        // These seconds pass in no time, in which a thread may still be at work.
        let mut seconds = 0;
        while {
            let before = looks();
            clock::sleep(Duration::from_secs(10)).await;
            looks() - before > 1
        } {
            seconds += 10;
            assert!(seconds < 100_000, "it never comes to rest");
        }
        let before = looks();
        clock::sleep(Duration::from_mins(5)).await;
        assert_eq!(looks() - before, 10, "twice a minute");

        for word in ["a", "b", "c", "d"] {
            let before = looks();
            upstream.send(word).await;
            read_to(&mut client, word.as_bytes()).await;
            clock::sleep(2 * LOOK_INTERVAL).await;
            assert!(looks() > before, "something has moved");
        }
    };
    tokio::select! {
        () = gateway.watch_sockets() => unreachable!("it never ends"),
        () = script => {}
    }
    gateway.stop();
}

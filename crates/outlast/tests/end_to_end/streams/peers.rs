//! Other people's programs against `outlast serve`: the public conformance suite and the official clients. `cargo xtask test
//! --only install` puts them, as pinned, into `target/peers`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use outlast_runtime::clock::timeout;
use serde_json::Value;
use tokio::process::Command;

use crate::support::Outlast;

/// The suite takes less than a minute; an idle machine is not asked for.
const SUITE_TIMEOUT: Duration = Duration::from_secs(300);

/// Some of its tests wait 5 s at most for a long poll to end.
const SHORT_POLLS: (&str, &str) = ("outlast.toml", "[streams]\npoll_timeout = \"1s\"\n");

/// The tests of subscriptions (protocol section 6), which the suite leaves out unless it is asked for them.
const SUBSCRIPTIONS: &str = "Reserved subscription APIs";

fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers");
    assert!(
        folder.join("node_modules").exists() && folder.join("venv").exists(),
        "{} is not whole: run `cargo xtask test --only install`",
        folder.display()
    );
    folder
}

fn source(name: &str) -> String {
    format!("{}/../streams/tests/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

async fn run(program: &Path, args: &[&str], env: &[(&str, &str)], folder: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied()).current_dir(folder);
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(SUITE_TIMEOUT, output).await.expect("it ends in time").unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn the_public_conformance_suite_passes_whole() {
    let outlast = Outlast::serve(&[SHORT_POLLS], &["--no-auth"]).await;
    let folder = installed();
    // It finds what it needs beside itself.
    let test = "conformance.test.mjs";
    std::fs::copy(source(test), folder.join(test)).unwrap();
    let url = format!("http://{}", outlast.gateway);
    let report = outlast.folder.path().join("report.json");
    let report = report.to_str().unwrap();
    let to = format!("--outputFile.json={report}");
    let args =
        ["node_modules/vitest/vitest.mjs", "run", test, "--reporter=json", "--reporter=dot", &to];
    let env = [("CONFORMANCE_TEST_URL", &*url), ("NO_COLOR", "1")];
    let output = run(&folder.join("node"), &args, &env, &folder).await;
    let said = said(&output);
    let report = std::fs::read_to_string(report).unwrap_or_else(|_| panic!("no report: {said}"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let tests = report["testResults"][0]["assertionResults"].as_array().unwrap();
    let mut passed = 0;
    for test in tests {
        match test["status"].as_str().unwrap() {
            "passed" => passed += 1,
            _ if test["ancestorTitles"][0] == SUBSCRIPTIONS => {}
            status => panic!("{status}: {}\n{said}", test["fullName"]),
        }
    }
    println!("{passed} of {} passed; the others are of {SUBSCRIPTIONS}", tests.len());
    assert!(output.status.success(), "{said}");
    assert!(passed >= 332, "only {passed} ran: {said}");
}

#[tokio::test]
async fn the_official_javascript_client_works() {
    let outlast = Outlast::serve(&[], &[]).await;
    let (folder, token) = (installed(), outlast.token());
    let url = format!("http://{}", outlast.gateway);
    let args = [&*source("client.mjs"), &url, &token, folder.to_str().unwrap()];
    let output = run(&folder.join("node"), &args, &[], &folder).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("ok ").count(), 7, "{}", said(&output));
}

#[tokio::test]
async fn the_official_python_client_works() {
    let outlast = Outlast::serve(&[], &[]).await;
    let (folder, token) = (installed(), outlast.token());
    let url = format!("http://{}", outlast.gateway);
    let args = [&*source("client.py"), &url, &token];
    let output = run(&folder.join("venv/bin/python"), &args, &[], &folder).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output).matches("ok ").count(), 7, "{}", said(&output));
}

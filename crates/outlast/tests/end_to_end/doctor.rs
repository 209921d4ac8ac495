//! `outlast doctor` and `outlast explain` as a user runs them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;

use crate::support::{INCIDENT, Outlast};

/// Small, and nothing to say about it at or above `warning`.
const CLEAN: &str = "\
app = \"a\"
kill_signal = \"SIGTERM\"
kill_timeout = 300

[http_service]
internal_port = 8080
force_https = true

[http_service.concurrency]
type = \"requests\"
hard_limit = 100
soft_limit = 80

[[http_service.checks]]
path = \"/health\"
interval = \"15s\"
timeout = \"5s\"

[[vm]]
memory = \"1gb\"
";

const SECRET: &str = "\
kill_timeout = 900
[env]
API_TOKEN = \"t0ps3cret\"
[http_service]
internal_port = 8080
";

/// Runs it in a folder to its end: exit code, standard output, standard error.
async fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Outlast::command(folder, args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_incident_s_file_is_drawn_with_lines_and_numbers_and_no_colours() {
    let folder = Outlast::folder(&[("fly.toml", INCIDENT)]);
    let (code, stdout, stderr) = run(folder.path(), &["doctor"]).await;
    assert_eq!((code, &*stderr), (1, ""));
    let wanted = "\
warning[FLY101]: http_service counts connections, idle ones included, not requests
  --> fly.toml:19:8
   |
19 | type = \"connections\"
   |        ^^^^^^^^^^^^^
   |
   = so: idle upstream connections may fill all 25 places";
    assert!(stdout.contains(wanted), "{stdout}");
    for part in [
        "type = \"requests\" alone                      25        +0",
        "The type alone makes room for not one more stream",
        "--fix mends 1 of them",
    ] {
        assert!(stdout.contains(part), "{part}\n{stdout}");
    }
    assert!(!stdout.contains('\u{1b}'), "{stdout}");
}

#[tokio::test]
async fn the_exit_code_tells_whether_something_was_found() {
    let folder = Outlast::folder(&[("fly.toml", CLEAN), ("incident.toml", INCIDENT)]);
    for (args, wanted) in [
        (&["doctor"][..], 0),
        (&["doctor", "fly.toml", "--fail-on", "note"], 1),
        (&["doctor", "incident.toml"], 1),
        (&["doctor", "incident.toml", "--fail-on", "error"], 0),
        (&["doctor", "incident.toml", "--fail-on", "never"], 0),
        (&["doctor", "incident.toml", "--fail-on", "high"], 1),
        (&["doctor", "incident.toml", "--format", "junit", "--fail-on", "medium"], 1),
        (&["doctor", "--dry-run"], 2),
        (&["doctor", "--machines", "0"], 2),
        (&["doctor", "--memory-per-stream", "much"], 2),
        (&["doctor", "--outlast", "none.toml"], 2),
        (&["doctor", "none.toml"], 2),
    ] {
        let (code, stdout, stderr) = run(folder.path(), args).await;
        assert_eq!(code, wanted, "{args:?}\n{stdout}{stderr}");
    }
}

#[tokio::test]
async fn what_is_no_configuration_is_refused_with_its_reason() {
    let folder =
        Outlast::folder(&[("empty.toml", ""), ("blank.toml", "# nothing\n"), ("a.json", "{}")]);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("prose.toml", b"Dear Fly,\nplease run my app.\n");
    write("latin.toml", b"app = \"M\xfcller\"\n");
    write("binary.toml", &[0x7f, b'E', b'L', b'F', 0, 0, 1, 2]);
    write("huge.toml", &b"# 0123456789\n".repeat(10 << 20 >> 4));
    write("line.toml", &[b"a = \"".as_slice(), &vec![b'x'; 10 << 20]].concat());
    fs::create_dir(folder.path().join("dir.toml")).unwrap();
    for (name, reason) in [
        ("empty.toml", "there is nothing in it"),
        ("blank.toml", "there is nothing in it"),
        ("a.json", "no TOML by its ending"),
        ("prose.toml", "prose.toml:1:"),
        ("latin.toml", "invalid utf-8"),
        ("binary.toml", "binary.toml"),
        ("huge.toml", "it is not a configuration"),
        ("line.toml", "it is not a configuration"),
        ("dir.toml", "cannot read dir.toml"),
        ("gone.toml", "there is no gone.toml"),
        ("/dev/zero", "it is not a configuration"),
    ] {
        for more in [&[][..], &["--fix"]] {
            let args = [&["doctor", name], more].concat();
            let (code, stdout, stderr) = run(folder.path(), &args).await;
            assert_eq!((code, &*stdout), (2, ""), "{name}: {stderr}");
            assert!(stderr.contains(reason) && !stderr.contains("panicked"), "{name}: {stderr}");
        }
    }
}

#[tokio::test]
async fn a_difference_is_shown_and_nothing_written_until_it_is_asked_for() {
    let folder = Outlast::folder(&[("real.toml", INCIDENT)]);
    let file = folder.path().join("real.toml");
    symlink("real.toml", folder.path().join("fly.toml")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, stdout, _) = run(folder.path(), &["doctor", "--fix", "--dry-run"]).await;
    assert_eq!(code, 1);
    let wanted = "--- a/fly.toml\n+++ b/fly.toml\n@@ ";
    assert!(stdout.starts_with(wanted), "{stdout}");
    assert!(stdout.contains("\n-type = \"connections\"\n+type = \"requests\"\n"), "{stdout}");
    assert_eq!(fs::read_to_string(&file).unwrap(), INCIDENT);

    let (_, stdout, stderr) = run(folder.path(), &["doctor", "--fix"]).await;
    assert_eq!(stderr, "fixed in fly.toml: FLY101\n");
    assert!(!stdout.contains("FLY101"), "{stdout}");
    let fixed = fs::read_to_string(&file).unwrap();
    assert_eq!(fixed, INCIDENT.replace("type = \"connections\"", "type = \"requests\""));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(folder.path().join("fly.toml")).unwrap().is_symlink());
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".outlast")), "{names:?}");

    let (code, stdout, stderr) = run(folder.path(), &["doctor", "--fix", "--dry-run"]).await;
    assert_eq!((code, &*stdout, &*stderr), (0, "", ""), "nothing is left to fix");
}

#[tokio::test]
async fn secrets_are_shown_to_nobody_who_did_not_ask() {
    let folder = Outlast::folder(&[("fly.toml", SECRET)]);
    let all = ["human", "json", "sarif", "github", "junit"]
        .map(|format| vec!["doctor", "--format", format]);
    for args in all.into_iter().chain([vec!["doctor", "--fix", "--dry-run"]]) {
        let (code, stdout, _) = run(folder.path(), &args).await;
        assert_eq!(code, 1);
        assert!(
            stdout.contains("API_TOKEN") && !stdout.contains("t0ps3cret"),
            "{args:?}\n{stdout}"
        );
        let (_, stdout, _) = run(folder.path(), &[&args[..], &["--show-private"]].concat()).await;
        let shows = args.len() == 1 || args[2] == "human" || args[2] == "--dry-run";
        assert_eq!(stdout.contains("t0ps3cret"), shows, "{args:?}\n{stdout}");
    }
}

#[tokio::test]
async fn programs_get_one_whole_document() {
    let folder = Outlast::folder(&[("fly.toml", INCIDENT)]);
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let (_, json, _) = run(folder.path(), &["doctor", "--format", "json", "--streams", "8m"]).await;
    let findings = parsed(&json)["findings"].as_array().unwrap().len();
    let (_, sarif, _) =
        run(folder.path(), &["doctor", "--format", "sarif", "--streams", "8m"]).await;
    assert_eq!(parsed(&sarif)["runs"][0]["results"].as_array().unwrap().len(), findings);
    let (_, github, _) =
        run(folder.path(), &["doctor", "--format", "github", "--streams", "8m"]).await;
    assert_eq!(github.lines().count(), findings);
    let (_, junit, _) =
        run(folder.path(), &["doctor", "--format", "junit", "--streams", "8m"]).await;
    assert!(junit.starts_with("<?xml") && junit.ends_with("</testsuites>\n"), "{junit}");
}

#[tokio::test]
async fn a_rule_is_explained_and_a_misspelt_one_is_found() {
    let folder = Outlast::folder(&[]);
    let (code, list, _) = run(folder.path(), &["explain"]).await;
    assert_eq!(code, 0);
    for line in list.lines() {
        let rule = line.split(' ').next().unwrap();
        let (code, page, _) = run(folder.path(), &["explain", &rule.to_lowercase()]).await;
        assert_eq!(code, 0);
        assert!(page.starts_with(&format!("# {rule}: ")), "{page}");
    }
    let (code, _, stderr) = run(folder.path(), &["explain", "FLY1O1"]).await;
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean FLY101?"), "{stderr}");
}

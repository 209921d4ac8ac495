//! Safe edits end their findings, and leave everything else as it was.

use std::collections::BTreeSet;

use crate::examples::{Example, examples};
use outlast_doctor::pages;

const INCIDENT: &str = include_str!("../../../../examples/incident/fly.toml");

/// One of each kind of edit, between comments, blanks, tabs and both kinds of quotes.
const MESSY: &str = r#"# outlast: nothing to do with an allowance
app = 'desk'   # the name

kill_timeout = 900   # as long as Fly has it

[env]
	PORT = "8080" # tab
  QUOTE = 'it # is not a comment'

[http_service]
  internal_port = 8080   # here
  auto_stop_machines = "suspend"
  min_machines_running = 1

  # limits
  [http_service.concurrency]
    hard_limit = 100 # most
    # the soft one
    soft_limit = 99  # nearly

  [[http_service.checks]] # health
    interval = 15000
    timeout = "5s"

[[services]]
  internal_port = 9000
  protocol = "tcp"
  concurrency = "20,40" # old
  # never used
  http_checks = []
  # tcp only

  [[services.ports]]
    port = 9000
    handlers = ["tls", "http"]

[[vm]]
  memory = "4gb"
  memory_mb = 4096 # twice
  cpus = 2

[experimental]
  # from before
  private_network = true
  auto_rollback = true
"#;

/// What does not decode, and can only have been meant in one way; and what is refused later.
const BROKEN: &[&str] = &[
    "[http_service]\ninternal_port = \"8080\" # in quotes\nforce_https = 'true'\n[http_service.concurrency]\nhard_limit = \"100\"\n",
    "kill_timeout = \"30\"\n[[http_service]]\ninternal_port = 8080\n# limits\n[[http_service.concurrency]]\nhard_limit = 100\n",
    "[http_service]\ninternal_port = 8080\n\n# one\n[http_service.checks]\ninterval = '15s'\n",
    "[[services]]\ninternal_port = 53\nprotocol = \"udp\"\n[[services.ports]]\nport = 53\nhandlers = [\"tls\"]\n",
    "[[services]]\ninternal_port = 80\n[[services.ports]]\nport = 8080\nhandlers = [\"tls\"]\nforce_https = true\n",
    "[[services]]\n[[services]]\ninternal_port = 53\nprotocol = \"udp\"\n[[services.ports]]\nport = 53\nhandlers = [\"tls\"]\n",
    "services = [{}, { internal_port = 53, concurrency = \"20,40\", ports = [{ port = 80, force_https = true }] }]\n",
    "[[services]]\n[[services]]\ninternal_port = 53\nconcurrency = \"20,40\"\n",
    "[hTtp_service]\ninternal_port = 1\n[http_service]\ninternal_port = 8080\n[http_service.concurrency]\nhard_limit = 0\n",
    "[[services]]\nINTERNAL_PORT = 80\n[services.Concurrency]\nHard_Limit = 0\n[[services.ports]]\nport = 8080\n",
];

fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once('#')).map(|(_, comment)| comment).collect()
}

#[test]
fn what_was_fixed_is_not_found_again() {
    let mut seen = BTreeSet::new();
    let on_pages = pages().iter().flat_map(examples);
    let others =
        [Example::new("", MESSY), Example::new("--streams 8m", MESSY), Example::new("", INCIDENT)];
    let broken = BROKEN.iter().map(|text| Example::new("", text));
    for example in on_pages.chain(others).chain(broken) {
        let fixable: BTreeSet<_> = example
            .review()
            .findings
            .iter()
            .filter(|one| one.is_fixable())
            .map(|one| one.rule)
            .collect();
        let fixed = example.fixed();
        let rules = example.fix().rules;
        assert!(rules.is_superset(&fixable), "{fixable:?} of {}", example.fly.text);
        for comment in
            comments(&example.fly.text).into_iter().filter(|comment| *comment != " twice")
        {
            assert!(
                fixed.fly.text.contains(comment),
                "{comment} of {} in {}",
                example.fly.text,
                fixed.fly.text
            );
        }
        for finding in fixed.review().findings {
            assert!(!finding.is_fixable(), "{finding}\n{}", fixed.fly.text);
        }
        assert_eq!(fixed.fix().text, fixed.fly.text, "a second time changes nothing");
        if fixable.is_empty() {
            assert_eq!(fixed.fly.text, example.fly.text, "nothing to fix, nothing changed");
        }
        seen.extend(rules);
    }
    let promised =
        pages().iter().filter(|page| page.text.contains("`--fix` mends it where that is safe."));
    let promised: BTreeSet<_> = promised.map(|page| page.rule).collect();
    assert_eq!(seen, promised, "pages say which rules are mended");
}

#[test]
fn comments_and_layout_stay() {
    let example = Example::new("", MESSY);
    let fixed = example.fix();
    let lost: Vec<_> =
        comments(MESSY).into_iter().filter(|comment| !fixed.text.contains(comment)).collect();
    assert_eq!(lost, [" twice"], "what goes is the comment of a line that goes\n{}", fixed.text);
    let golden = r#"--- a/fly.toml
+++ b/fly.toml
"#;
    let diff = fixed.diff(&example.fly);
    assert!(diff.starts_with(golden), "{diff}");
    let changed: Vec<_> =
        diff.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(
        changed,
        [
            "-kill_timeout = 900   # as long as Fly has it",
            "+kill_timeout = 300   # as long as Fly has it",
            "-  auto_stop_machines = \"suspend\"",
            "+  auto_stop_machines = \"stop\"",
            "-    soft_limit = 99  # nearly",
            "+    soft_limit = 80  # nearly",
            "+    type = \"requests\"",
            "-    interval = 15000",
            "+    interval = \"15s\"",
            "-  concurrency = \"20,40\" # old",
            "+  concurrency = { type = \"requests\", soft_limit = 20, hard_limit = 40 } # old",
            "-  http_checks = []",
            "-  memory_mb = 4096 # twice",
            "-  private_network = true",
        ],
        "{diff}"
    );
}

#[test]
fn line_ends_and_a_byte_order_mark_stay() {
    let dos = format!("\u{feff}{}", MESSY.replace('\n', "\r\n"));
    let fixed = Example::new("", &dos).fix().text;
    assert!(fixed.starts_with('\u{feff}'));
    assert_eq!(fixed.matches('\n').count(), fixed.matches("\r\n").count());
    let plain = Example::new("", MESSY).fix().text;
    assert_eq!(fixed.trim_start_matches('\u{feff}').replace("\r\n", "\n"), plain);
}

#[test]
fn an_author_s_reason_is_left_alone() {
    let with = |line: &str| {
        format!(
            "[http_service]\ninternal_port = 8080\n[http_service.concurrency]\n{line}\nhard_limit = 400\nsoft_limit = 300\n"
        )
    };
    let commented = Example::new("", &with("# long polls\ntype = \"connections\""));
    assert_eq!(commented.findings("FLY101").len(), 1);
    assert_eq!(commented.fix().text, commented.fly.text);
    let bare = Example::new("", &with("type = \"connections\""));
    assert!(bare.fix().text.contains("type = \"requests\""));
}

/// Found by random pieces of examples.
#[test]
fn of_several_tables_that_should_be_one_none_is_chosen() {
    let table = "[[http_service.concurrency]]\nhard_limit = 4\n";
    let head = "[http_service]\ninternal_port = 8080\n";
    for (tables, is_fixable) in [(1, true), (2, false)] {
        let example = Example::new("", &format!("{head}{}", table.repeat(tables)));
        let found = example.findings("FLY602");
        assert!(!found.is_empty() && found.iter().all(|one| one.is_fixable() == is_fixable));
        assert_eq!(example.fix().text != example.fly.text, is_fixable);
    }
}

#[test]
fn a_comment_allows_a_finding_on_its_line_above_it_or_in_the_file() {
    let text = "HEAD\n[http_service]\ninternal_port = 8080\n[http_service.concurrency]\nABOVE\ntype = \"connections\" LINE\n\
                hard_limit = 400\nsoft_limit = 300\n";
    let mark = "# outlast: allow(FLY101) measured";
    for (place, allowed) in [("HEAD", true), ("ABOVE", true), ("LINE", true), ("NOWHERE", false)] {
        let mut written = text.to_owned();
        for name in ["HEAD", "ABOVE", "LINE"] {
            written = written.replace(name, if name == place { mark } else { "" });
        }
        let review = Example::new("", &written).review();
        let found = review.findings.iter().any(|finding| finding.rule == "FLY101");
        assert_eq!((found, review.allowed), (!allowed, usize::from(allowed)), "{place}");
    }
}

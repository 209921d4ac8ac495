//! The lines that the project grew from: what they prove, and what they do not.

use outlast_doctor::Confidence;

use crate::{diagnose, diagnose_with};

/// The two lines that were quoted, at the three times.
const QUOTED: &str = "\
14:37:39 [error] Instance reached hard limit of 25 concurrent connections
14:37:39 [PR04] could not find a good candidate within 75ms
14:37:47 [error] Instance reached hard limit of 25 concurrent connections
14:37:47 [PR04] could not find a good candidate within 75ms
14:40:46 [error] Instance reached hard limit of 25 concurrent connections
14:40:46 [PR04] could not find a good candidate within 75ms
";

const FLY: &str = "\
app = \"a\"
[http_service]
internal_port = 10000
[http_service.concurrency]
type = \"connections\"
hard_limit = 25
soft_limit = 20
";

#[test]
fn three_times_at_the_limit_do_not_prove_live_streams() {
    for fly in [None, Some(FLY)] {
        let diagnosed = diagnose_with(QUOTED, fly);
        let [incident] = &*diagnosed.incidents else { panic!("{diagnosed:?}") };
        assert_eq!(incident.cause(), "not_enough_evidence");
        assert_eq!(incident.confidence(), Confidence::Guess);
        assert_eq!(incident.lasted.as_secs(), 187);
        let certain = incident.certain.join("\n");
        assert!(
            certain.contains("the limit of 25 connections was reached 3 times in 3 min 7 s"),
            "{certain}"
        );
        assert!(certain.contains("3 requests failed, after up to 75 ms"), "{certain}");
        let open = incident.open.join("\n");
        for part in [
            "streams at work, idle connections and clients that had vanished look the same",
            "Fly prints none in this form (no date, no machine, a wait in milliseconds",
            "whether the machine was full all the 3 min 7 s",
        ] {
            assert!(open.contains(part), "{part}\n{open}");
        }
        let commands: Vec<_> = incident.collect.iter().map(|collect| &*collect.command).collect();
        let port = if fly.is_some() { 10000 } else { 8080 };
        let sockets =
            format!("fly ssh console -C \"ss -tnoi state established '( sport = :{port} )'\"");
        assert!(commands.contains(&&*sockets), "{commands:?}");
        assert!(commands.contains(&"fly logs --json > fly.log"), "{commands:?}");
    }
}

#[test]
fn a_file_that_has_another_limit_is_no_evidence() {
    let other = FLY.replace("hard_limit = 25", "hard_limit = 100");
    let diagnosed = diagnose_with(QUOTED, Some(&other));
    let (_, used) = diagnosed.plan.as_ref().unwrap();
    assert_eq!(*used, outlast_doctor::diagnosis::PlanUse::OtherLimit);
    let certain = diagnosed.incidents[0].certain.join("\n");
    assert!(!certain.contains("sets 100"), "{certain}");
    assert_eq!(diagnosed.incidents, diagnose(QUOTED).incidents);
}

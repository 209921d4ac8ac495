//! Each explanation by the smallest log that shows it, and by one that nearly does.

use crate::{answered, causes, diagnose, fly, full, refused};

/// The machine is full at 14:37:39 and 14:37:47, and somebody is refused.
fn at_the_limit() -> String {
    [full("14:37:39"), full("14:37:47"), refused("14:38:20")].concat()
}

#[test]
fn exchanges_that_ended_later_show_that_streams_held_the_places() {
    let ends = |count: usize| -> String {
        ["14:41:00", "14:42:10", "14:43:20", "14:44:30"][..count]
            .iter()
            .map(|time| answered(time, "/api/chat", "8m12.5s"))
            .collect()
    };
    assert_eq!(causes(&(at_the_limit() + &ends(4))), ["working_streams"]);
    assert_eq!(
        causes(&(at_the_limit() + &ends(1))),
        ["not_enough_evidence"],
        "one of four is not most"
    );
}

#[test]
fn places_that_no_exchange_held_were_held_by_idle_connections() {
    let asked = |time| answered(time, "/api/items", "120ms");
    let before = ["14:36:01", "14:36:12", "14:36:31", "14:36:50"].map(asked).concat();
    let after = ["14:38:40", "14:39:30", "14:50:01"].map(asked).concat();
    assert_eq!(causes(&(before.clone() + &at_the_limit() + &after)), ["idle_connections"]);
    let requests = at_the_limit().replace("concurrent connections", "concurrent requests");
    assert_eq!(
        causes(&(before + &requests + &after)),
        ["not_enough_evidence"],
        "idle ones do not count"
    );
}

#[test]
fn peers_that_did_not_answer_were_zombies() {
    let lost = |time: &str| {
        fly(time, "app", "info", "[ws] No pong from 3f within 10s, terminating dead connection")
            + &fly(time, "app", "info", "[ws] 3f disconnected code=1006 after 280s")
    };
    let three = ["14:40:10", "14:40:20", "14:40:30"].map(lost).concat();
    assert_eq!(causes(&(at_the_limit() + &three)), ["zombies"]);
    let closed =
        three.replace("No pong from 3f within 10s, terminating dead connection", "3f says goodbye");
    assert_eq!(
        causes(&(at_the_limit() + &closed)),
        ["working_streams"],
        "who answered was at work"
    );
}

#[test]
fn a_header_is_blamed_and_streams_were_it() {
    let header = fly("14:37:50", "app", "info", "removed Connection: keep-alive from responses");
    let ends: String = ["14:41:00", "14:42:10", "14:43:20"]
        .iter()
        .map(|time| answered(time, "/api/chat", "8m12.5s"))
        .collect();
    assert_eq!(causes(&(at_the_limit() + &header + &ends)), ["working_streams"]);
    assert_eq!(
        causes(&(at_the_limit() + &header)),
        ["not_enough_evidence"],
        "words alone are no proof"
    );
}

#[test]
fn many_short_requests_at_once_were_a_burst() {
    let ends = |took: &str| -> String {
        [
            "14:37:40", "14:37:40", "14:37:40", "14:37:41", "14:37:48", "14:37:48", "14:37:48",
            "14:37:49",
        ]
        .iter()
        .map(|time| answered(time, "/api/report", took))
        .collect()
    };
    let log = |took| {
        full("14:37:39")
            + &ends(took)[..ends(took).len() / 2]
            + &full("14:37:47")
            + &refused("14:37:47")
            + &ends(took)[ends(took).len() / 2..]
    };
    assert_eq!(causes(&log("3.1s")), ["limit_too_low_for_burst"]);
    assert_eq!(causes(&log("40s")), ["working_streams"], "they were not short");
}

fn starts() -> String {
    fly("09:00:00", "proxy", "info", "Starting machine")
        + &fly("09:00:01", "runner", "info", "Machine started in 1.2s")
        + &fly(
            "09:00:06",
            "proxy",
            "info",
            "waiting for machine to be reachable on 0.0.0.0:8080 (waited 5.1s so far)",
        )
        + &fly(
            "09:00:09",
            "proxy",
            "error",
            "[PM05] failed to connect to machine: gave up after 15 attempts (in 8.1s)",
        )
}

#[test]
fn a_machine_that_answers_late_started_slowly() {
    let reached = fly("09:00:13", "proxy", "info", "machine became reachable in 12.4s");
    assert_eq!(causes(&(starts() + &reached)), ["slow_start"]);
    let quick = fly("09:00:00", "proxy", "info", "Starting machine")
        + &fly("09:00:01", "proxy", "info", "machine became reachable in 412ms")
        + &refused("09:00:02");
    assert_eq!(causes(&quick), ["not_enough_evidence"], "half a second is not slow");
}

#[test]
fn a_machine_that_never_answers_failed_to_start() {
    assert_eq!(causes(&starts()), ["failing_start"]);
    let begun = fly("09:00:00", "proxy", "info", "Starting machine");
    assert_eq!(causes(&begun), [""; 0], "it may still come");
}

#[test]
fn an_app_that_listens_elsewhere_fails_although_it_was_deployed() {
    let deploy =
        fly("09:00:00", "runner", "info", "Pulling container image registry.fly.io/a@sha256:00")
            + &fly(
                "09:00:03",
                "app",
                "info",
                " INFO Sending signal SIGINT to main child process w/ PID 637",
            )
            + &fly("09:00:08", "runner", "info", "Machine created and started in 3.6s")
            + &fly("09:00:09", "app", "info", "Server listening on http://127.0.0.1:3000");
    let refused = |time: &str| {
        fly(
            time,
            "proxy",
            "error",
            "[PC01] instance refused connection. is your app listening on 0.0.0.0:8080?",
        )
    };
    let deaf = ["09:00:12", "09:00:20", "09:00:31"].map(refused).concat();
    assert_eq!(causes(&(deploy.clone() + &deaf)), ["failing_start"]);
    assert_eq!(
        causes(&(deploy + &refused("09:00:10"))),
        ["deploy"],
        "one second is no time to listen"
    );
}

fn ends(times: &[&str], code: i32) -> String {
    let text = format!(" INFO Main child exited normally with code: {code}");
    times.iter().map(|time| fly(time, "app", "info", &text)).collect()
}

#[test]
fn an_app_that_ends_again_and_again_is_in_a_loop() {
    let times = ["09:00:00", "09:00:09", "09:00:21"];
    assert_eq!(causes(&ends(&times, 1)), ["crash_loop"]);
    assert_eq!(causes(&ends(&times[..1], 1)), ["not_enough_evidence"], "once is an accident");
    assert_eq!(causes(&ends(&times, 0)), [""; 0], "code 0 is no crash");
}

#[test]
fn machines_that_are_replaced_were_deployed() {
    let broken = fly(
        "09:00:07",
        "proxy",
        "error",
        "[PU02] could not complete HTTP request to instance: connection closed before message completed",
    );
    let image =
        fly("09:00:00", "runner", "info", "Pulling container image registry.fly.io/a@sha256:00");
    let signal = fly(
        "09:00:03",
        "app",
        "info",
        " INFO Sending signal SIGINT to main child process w/ PID 637",
    );
    let set_up = fly("09:00:08", "runner", "info", "Configuring firecracker");
    assert_eq!(causes(&(image.clone() + &signal + &broken + &set_up)), ["deploy"]);
    assert_eq!(causes(&broken), ["not_enough_evidence"]);
    let late = broken + &image.replace("09:00:00", "09:02:00");
    assert_eq!(causes(&late), ["not_enough_evidence"], "what comes two minutes later is the cure");
}

#[test]
fn what_breaks_around_a_suspension_was_suspended() {
    let suspends = fly(
        "09:00:00",
        "proxy",
        "info",
        "App a has excess capacity, autosuspending machine 3d8d9930b32d89. 0 out of 1 machines left running (region=fra, process group=app)",
    ) + &fly("09:00:01", "runner", "info", "Virtual machine has been suspended");
    let resumes = fly("09:20:00", "runner", "info", "Machine started in 403ms");
    let broken = fly(
        "09:20:04",
        "proxy",
        "error",
        "[PU05] could not finish reading HTTP body from instance: error reading a body from connection",
    );
    assert_eq!(causes(&(suspends.clone() + &resumes + &broken)), ["suspend"]);
    let later = suspends + &resumes + &broken.replace("09:20:04", "09:24:00");
    assert_eq!(
        causes(&later),
        ["not_enough_evidence"],
        "minutes later it has to do with something else"
    );
}

#[test]
fn clients_that_leave_are_a_cause_only_if_nothing_else_is_wrong() {
    let times = ["09:00:00", "09:00:03", "09:00:09", "09:00:11", "09:00:20"];
    let left = |time: &&str| fly(time, "app", "info", "AbortError: The operation was aborted");
    let all: String = times.iter().map(left).collect();
    assert_eq!(causes(&all), ["client_aborts"]);
    assert_eq!(
        causes(&times[1..].iter().map(left).collect::<String>()),
        [""; 0],
        "four always leave"
    );
    let after = full("09:00:00") + &refused("09:00:00") + &all;
    assert_eq!(causes(&after), ["not_enough_evidence"], "then they are a symptom");
}

#[test]
fn what_comes_after_the_trouble_or_led_to_an_earlier_one_is_no_part_of_it() {
    let suspends = |time: &str| {
        let text = "Virtual machine has been suspended";
        fly(time, "runner", "info", text)
    };
    let whats = |log: &str| -> Vec<Vec<String>> {
        let incidents = diagnose(log).incidents.into_iter();
        incidents
            .map(|incident| incident.chain.into_iter().map(|step| step.what).collect())
            .collect()
    };
    let chains = whats(&(refused("09:00:00") + &suspends("09:01:00")));
    assert_eq!(chains, [["PR04: requests found no machine to go to"]]);
    let broken = |time| {
        fly(time, "proxy", "error", "[PU05] could not finish reading HTTP body from instance")
    };
    let log = suspends("09:00:00") + &broken("09:00:04") + &broken("09:20:00");
    assert_eq!(causes(&log), ["suspend", "not_enough_evidence"]);
}

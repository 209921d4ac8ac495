//! News of a log that grows.

use std::time::Duration;

use outlast_doctor::diagnosis::{Diagnosis, Names, Turn, Watch};

use crate::{answered, events, full, refused};

fn turns(watch: &mut Watch, log: &str) -> Vec<(Turn, &'static str)> {
    let mut turns = Vec::new();
    for event in events(log) {
        turns.extend(watch.observe(&event));
    }
    turns.extend(watch.look(Duration::ZERO));
    turns.into_iter().map(|news| (news.turn, news.incident.cause())).collect()
}

#[test]
fn an_incident_begins_changes_and_ends() {
    let mut watch = Watch::new(Diagnosis::new(None, Names::Hidden));
    assert_eq!(turns(&mut watch, &answered("14:36:00", "/", "10ms")), []);
    assert_eq!(turns(&mut watch, &full("14:37:39")), [(Turn::Began, "not_enough_evidence")]);
    assert_eq!(
        turns(&mut watch, &refused("14:37:47")),
        [(Turn::Changed, "not_enough_evidence")],
        "it has become worse"
    );
    assert_eq!(turns(&mut watch, &refused("14:37:49")), [], "it is as bad as it was");
    let ends = ["14:40:01", "14:40:02", "14:40:03"].map(|time| answered(time, "/api/chat", "5m1s"));
    assert_eq!(turns(&mut watch, &ends.concat()), [(Turn::Changed, "working_streams")]);
    let news = watch.look(Duration::from_secs(301));
    let turns: Vec<_> = news.iter().map(|news| (news.turn, news.incident.cause())).collect();
    assert_eq!(turns, [(Turn::Ended, "working_streams")]);
    assert!(watch.look(Duration::from_secs(400)).is_empty());
    assert_eq!(watch.finish().incidents.len(), 1);
}

#[test]
fn the_next_incident_ends_the_one_before() {
    let mut watch = Watch::new(Diagnosis::new(None, Names::Hidden));
    turns(&mut watch, &refused("09:00:00"));
    let found = turns(&mut watch, &refused("09:10:00"));
    assert_eq!(found.iter().map(|(turn, _)| *turn).collect::<Vec<_>>(), [Turn::Ended, Turn::Began]);
}

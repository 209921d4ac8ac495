//! A running gateway as a person reads of it.

use std::time::Duration;

use annotate_snippets::Renderer;
use outlast_config::format_duration;
use outlast_doctor::live::{Live, ServiceView};
use outlast_doctor::{Confidence, Review};

use super::draw::{group, summary};

/// What is so, service by service; then what is wrong.
pub(super) fn draw(live: &Live, url: &str, coloured: bool) -> String {
    let seconds = |time: Duration| format_duration(Duration::from_secs(time.as_secs()));
    let watched = match live.watched {
        Some(time) => format!("watched for {}", seconds(time)),
        None => "looked at once".to_owned(),
    };
    let mut text = format!("{url}: {} for {}, {watched}\n\n", live.phase, seconds(live.uptime));
    for service in &live.services {
        tell(service, coloured, &mut text);
    }
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    for finding in &live.findings {
        text.push_str(&renderer.render(&[group(finding, &[])]));
        text.push_str("\n\n");
    }
    let review = Review {
        findings: live.findings.clone(),
        is_decoded: true,
        allowed: 0,
        capacities: Vec::new(),
        secrets: Vec::new(),
    };
    summary(&review, url, &mut text);
    text
}

fn tell(service: &ServiceView, coloured: bool, text: &mut String) {
    let (bold, dim, off) = if coloured { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    text.push_str(&format!("{bold}{}{off} counts {}\n", service.name, service.accounting));
    for statement in &service.statements {
        let sure = match statement.confidence {
            Confidence::Certain => String::new(),
            confidence => format!(" ({confidence})"),
        };
        text.push_str(&format!("  {bold}{}{off}{sure}\n", statement.says));
        for evidence in &statement.evidence {
            text.push_str(&format!("    {dim}{evidence}{off}\n"));
        }
    }
    text.push('\n');
}

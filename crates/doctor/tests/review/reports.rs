//! Findings for programs: their forms hold whatever is in them.

use outlast_config::SourceText;
use outlast_doctor::{Files, Hints, Review, Severity, pages, report, review};

/// Characters that mean something to one of the forms, in a name and in a value that is quoted back.
const TEXT: &str = "app = \"a\"\n[http_service]\ninternal_port = 8080\n\"a%,:<&>\\\"\\u0007\" = 1\n[http_service.concurrency]\n\
                    type = \"]]>&amp;%0A\"\n";

fn found() -> Review {
    let source = SourceText::new("dir/a b,c%.toml", TEXT);
    review(&Files { fly: &source, outlast: None }, &Hints::default()).unwrap()
}

#[test]
fn json_has_every_finding_with_all_its_parts() {
    let review = found();
    let value: serde_json::Value = serde_json::from_str(&report::json(&review)).unwrap();
    let findings = value["findings"].as_array().unwrap();
    assert_eq!(findings.len(), review.findings.len());
    let type_106 = findings.iter().find(|finding| finding["rule"] == "FLY106").unwrap();
    assert_eq!((&type_106["severity"], &type_106["level"]), (&"error".into(), &"error".into()));
    assert_eq!((&type_106["at"]["line"], &type_106["at"]["column"]), (&6.into(), &8.into()));
    assert_eq!(type_106["message"], "there is no concurrency type \"]]>&amp;%0A\"");
}

#[test]
fn sarif_names_each_rule_and_places_each_result() {
    let review = found();
    let value: serde_json::Value =
        serde_json::from_str(&report::sarif(&review, "fly.toml")).unwrap();
    let run = &value["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), pages().len());
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), review.findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "dir/a%20b,c%25.toml");
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
    }
}

#[test]
fn github_s_commands_are_one_line_each_and_escaped() {
    let review = found();
    let text = report::github(&review, "fly.toml");
    assert_eq!(text.lines().count(), review.findings.len());
    for line in text.lines() {
        let (head, message) = line[2..].split_once("::").unwrap();
        assert!(
            head.starts_with("error ")
                || head.starts_with("warning ")
                || head.starts_with("notice "),
            "{line}"
        );
        assert!(head.contains("file=dir/a b%2Cc%25.toml,line="), "{line}");
        assert!(!message.is_empty());
    }
    assert!(text.contains("]]>&amp;%250A"), "{text}");
}

#[test]
fn junit_fails_from_the_asked_severity_on() {
    let review = found();
    let count = |least: Option<Severity>| {
        report::junit(&review, "a\"b.toml", least).matches("<failure ").count()
    };
    let at_least =
        |least| review.findings.iter().filter(|finding| finding.severity <= least).count();
    assert_eq!(count(Some(Severity::Error)), at_least(Severity::Error));
    assert_eq!(count(Some(Severity::Info)), review.findings.len());
    assert_eq!(count(None), 0);
    let text = report::junit(&review, "a\"b.toml", Some(Severity::Info));
    assert_eq!(text.matches("<testcase ").count(), pages().len());
    assert!(
        text.contains("classname=\"a&quot;b.toml\"") && text.contains("]]&gt;&amp;amp;%0A"),
        "{text}"
    );
    assert!(!text.contains('\u{7}'), "XML has no such character");
}

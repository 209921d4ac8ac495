//! Examples: the blocks of TOML on the rules' pages, with the flags behind the opening fence.

use outlast_config::{SourceText, parse_duration};
use outlast_doctor::{Files, Finding, Fixed, Hints, Page, Review, fix, review};

/// The line between a `fly.toml` and an `outlast.toml`.
const BETWEEN: &str = "# outlast.toml\n";

pub(crate) struct Example {
    pub(crate) hints: Hints,
    pub(crate) fly: SourceText,
    pub(crate) outlast: Option<SourceText>,
}

impl Example {
    pub(crate) fn new(flags: &str, text: &str) -> Self {
        let (fly, outlast) = match text.split_once(BETWEEN) {
            Some((fly, outlast)) => (fly, Some(outlast)),
            None => (text, None),
        };
        Self {
            hints: hints(flags),
            fly: SourceText::new("fly.toml", fly),
            outlast: outlast.map(|text| SourceText::new("outlast.toml", text)),
        }
    }

    fn files(&self) -> Files<'_> {
        Files { fly: &self.fly, outlast: self.outlast.as_ref() }
    }

    pub(crate) fn review(&self) -> Review {
        let review = review(&self.files(), &self.hints);
        review.unwrap_or_else(|unreadable| {
            panic!("{unreadable}: {:?}\n{}", unreadable.reasons, self.fly.text)
        })
    }

    pub(crate) fn findings(&self, rule: &str) -> Vec<Finding> {
        self.review().findings.into_iter().filter(|finding| finding.rule == rule).collect()
    }

    pub(crate) fn fix(&self) -> Fixed {
        fix(&self.files(), &self.hints).unwrap()
    }

    pub(crate) fn fixed(&self) -> Self {
        let fly = SourceText::new("fly.toml", self.fix().text);
        Self { hints: self.hints, fly, outlast: self.outlast.clone() }
    }
}

fn hints(flags: &str) -> Hints {
    let mut hints = Hints::default();
    let mut words = flags.split_whitespace();
    while let Some(flag) = words.next() {
        let value = words.next().expect("each flag has a value");
        match flag {
            "--streams" => hints.streams = Some(parse_duration(value).unwrap()),
            "--boot" => hints.boot = Some(parse_duration(value).unwrap()),
            "--machines" => hints.machines = Some(value.parse().unwrap()),
            "--memory-per-stream" => hints.memory_per_stream = Some(value.parse().unwrap()),
            "--peak" => hints.peak = Some(value.parse().unwrap()),
            _ => panic!("{flag} is no flag"),
        }
    }
    hints
}

/// The examples of a page, in order: the wrong one, then the right one.
pub(crate) fn examples(page: &Page) -> Vec<Example> {
    let blocks = page.text.split("\n```toml").skip(1);
    let example = |block: &str| {
        let (flags, rest) = block.split_once('\n').expect("a fence is a line");
        let (text, _) = rest.split_once("\n```\n").expect("a block has an end");
        Example::new(flags, &format!("{text}\n"))
    };
    blocks.map(example).collect()
}

//! What a finding is made of.

use std::fmt;
use std::ops::Range;

use outlast_config::{Place, SourceText};

use crate::fix::Edit;
use crate::hints::{Basis, Premise};

/// How bad it is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The deployment or the first request fails.
    Error,
    /// Users will see failures.
    High,
    /// Users may see failures.
    Medium,
    /// It is not as meant, and hardly anybody will notice.
    Low,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The file shows it, and the platform documents what follows.
    Certain,
    /// Documented and not shown by the file alone, or seen by users and not documented.
    Likely,
    /// It stands or falls with something that nobody told.
    Guess,
}

impl Confidence {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Guess => "guess",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One remark of the doctor.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule, such as `FLY101`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The cause: lowercase, no full stop.
    pub message: String,
    /// Where. `None` if it is about something that is not there and has no place of its own.
    pub at: Option<Place>,
    /// What the place itself shows.
    pub label: Option<String>,
    /// Further places that belong to it, each with what is there.
    pub also: Vec<(Place, String)>,
    /// What it is known by, a sentence each, where no file shows it.
    pub evidence: Vec<String>,
    /// What follows from it, in numbers where there are any.
    pub consequence: String,
    /// What to do.
    pub fix: String,
    /// What was taken for granted without being told, a sentence each.
    pub assumed: Vec<String>,
    /// The flags that would settle it.
    pub flags: Vec<&'static str>,
    pub(crate) edits: Vec<Edit>,
}

impl Finding {
    /// Whether `--fix` mends it.
    #[must_use]
    pub fn is_fixable(&self) -> bool {
        !self.edits.is_empty()
    }

    pub(crate) fn new(
        rule: &'static str,
        severity: Severity,
        confidence: Confidence,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity,
            confidence,
            message: message.into(),
            at: None,
            label: None,
            also: Vec::new(),
            evidence: Vec::new(),
            consequence: String::new(),
            fix: String::new(),
            assumed: Vec::new(),
            flags: Vec::new(),
            edits: Vec::new(),
        }
    }

    pub(crate) fn at(mut self, source: &SourceText, span: &Range<usize>) -> Self {
        self.at = Some(source.place(span.clone()));
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn also(
        mut self,
        source: &SourceText,
        span: &Range<usize>,
        label: impl Into<String>,
    ) -> Self {
        self.also.push((source.place(span.clone()), label.into()));
        self
    }

    pub(crate) fn by(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    pub(crate) fn so(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = consequence.into();
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    pub(crate) fn edit(mut self, edit: Option<Edit>) -> Self {
        self.edits.extend(edit);
        self
    }

    /// It depends on a premise: a guessed one makes it a guess.
    pub(crate) fn given<T>(mut self, premise: &Premise<T>, flag: &'static str) -> Self {
        self.flags.push(flag);
        match &premise.basis {
            Basis::Told => {}
            Basis::Seen(why) => {
                self.confidence = self.confidence.max(Confidence::Likely);
                self.assumed.push(why.clone());
            }
            Basis::Guessed(why) => {
                self.confidence = Confidence::Guess;
                self.assumed.push(why.clone());
            }
        }
        self
    }
}

/// Plain text of several lines without a final newline; the binary draws source lines itself.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({}): {}", self.rule, self.severity, self.confidence, self.message)?;
        if let Some(at) = &self.at {
            write!(f, "\n  --> {at}")?;
        }
        if let Some(label) = &self.label {
            write!(f, " ({label})")?;
        }
        for (at, label) in &self.also {
            write!(f, "\n  --> {at} ({label})")?;
        }
        for evidence in &self.evidence {
            write!(f, "\nseen: {evidence}")?;
        }
        write!(f, "\nso: {}\nfix: {}", self.consequence, self.fix)?;
        if self.is_fixable() {
            f.write_str(" (--fix does it)")?;
        }
        for assumed in &self.assumed {
            write!(f, "\nassumed: {assumed}")?;
        }
        if !self.flags.is_empty() {
            write!(f, "\nflags: {}", self.flags.join(" "))?;
        }
        Ok(())
    }
}

//! What is said about a configuration.

use std::fmt;
use std::ops::Range;

use crate::source::{Origin, Place};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing starts.
    Error,
    /// It starts, but hardly as meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One remark about the configuration: what, where, and what to do.
///
/// Its `Display` is plain text of several lines without a final newline; the binary draws the source line itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// What is wrong: lowercase, no full stop.
    pub message: String,
    /// Where. `None` if it is about the configuration as a whole.
    pub at: Option<Origin>,
    /// What the place itself shows, if the message alone is not enough.
    pub label: Option<String>,
    /// Further places that belong to it.
    pub also: Vec<Remark>,
    /// What to do.
    pub hint: Option<String>,
    /// The key whose value it is about, such as `http_service.internal_port`, where it is about one.
    pub key: Option<String>,
}

/// A further place of a [`Diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Where.
    pub at: Origin,
    /// What is there.
    pub label: String,
}

impl Diagnostic {
    /// Nothing can start.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Level::Error, message.into())
    }

    /// It is hardly meant so.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Level::Warning, message.into())
    }

    /// It is worth knowing.
    #[must_use]
    pub fn note(message: impl Into<String>) -> Self {
        Self::new(Level::Note, message.into())
    }

    fn new(level: Level, message: String) -> Self {
        Self { level, message, at: None, label: None, also: Vec::new(), hint: None, key: None }
    }

    /// Tells where. What nobody wrote has no place.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.at = Some(origin).filter(|origin| *origin != Origin::Default);
        self
    }

    /// Tells what the place itself shows.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds a further place.
    #[must_use]
    pub fn also(mut self, at: Origin, label: impl Into<String>) -> Self {
        self.also.push(Remark { at, label: label.into() });
        self
    }

    /// Tells what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells whose value it is about.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The file it points into, if it does.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match &self.at {
            Some(Origin::File(place)) => Some(place),
            _ => None,
        }
    }

    /// The name of the file it points into, if it does.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.place().map(|place| &*place.source)
    }

    /// The bytes of that file it points at, if it does.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        self.place().map(|place| place.span.clone())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.level, self.message)?;
        if let Some(at) = &self.at {
            write!(f, "\n  --> {at}")?;
            if let Some(label) = &self.label {
                write!(f, " ({label})")?;
            }
        }
        for remark in &self.also {
            write!(f, "\n  --> {} ({})", remark.at, remark.label)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

/// The worst first, then in the order in which a reader meets them, and nothing twice.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|diagnostic| {
        let place = diagnostic.place();
        // What has no place comes after what has one.
        let file = place.map_or_else(|| "~".to_owned(), |place| place.source.to_string());
        (diagnostic.level, file, place.map_or(0, |place| place.span.start))
    });
    diagnostics.dedup();
}

/// Whether anything forbids to start.
pub(crate) fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.level == Level::Error)
}

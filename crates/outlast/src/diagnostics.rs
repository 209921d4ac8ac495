//! Remarks about the configuration, as a person reads them.

use std::io::{self, IsTerminal, Write};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use outlast_config::{Diagnostic, Origin, Place, SourceText};

/// Prints errors and warnings with their source lines, notes in a line each, on standard error.
pub(crate) fn print(diagnostics: &[Diagnostic], texts: &[&SourceText]) {
    let mut stderr = io::stderr().lock();
    let coloured = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for diagnostic in diagnostics {
        let text = match diagnostic.level {
            outlast_config::Level::Note => note(diagnostic, coloured),
            _ => render(diagnostic, texts, coloured),
        };
        // If nobody reads standard error, nobody misses it.
        let _told = writeln!(stderr, "{text}");
    }
}

fn note(diagnostic: &Diagnostic, coloured: bool) -> String {
    let (bold, off) = if coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let at = diagnostic.at.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
    let hint = diagnostic.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{bold}note{off}: {at}{}{hint}", diagnostic.message)
}

/// Draws a remark as rustc would.
fn render(diagnostic: &Diagnostic, texts: &[&SourceText], coloured: bool) -> String {
    let level = match diagnostic.level {
        outlast_config::Level::Error => Level::ERROR,
        outlast_config::Level::Warning => Level::WARNING,
        outlast_config::Level::Note => Level::NOTE,
    };
    let mut group = Group::with_title(level.primary_title(diagnostic.message.as_str()));
    if let Some((place, source)) = diagnostic.place().and_then(|place| text_of(place, texts)) {
        let label = diagnostic.label.as_deref();
        let primary = AnnotationKind::Primary.span(place.span.clone()).label(label);
        let also = diagnostic.also.iter().filter_map(|remark| match &remark.at {
            Origin::File(other) if other.source == place.source => {
                Some(AnnotationKind::Context.span(other.span.clone()).label(remark.label.as_str()))
            }
            _ => None,
        });
        let snippet = Snippet::source(source.text.as_str()).path(&*source.name);
        group = group.element(snippet.annotation(primary).annotations(also));
    } else if let Some(at) = &diagnostic.at {
        group = group.element(Level::NOTE.message(format!("set by {at}")));
    }
    for remark in &diagnostic.also {
        let elsewhere = match (&remark.at, diagnostic.place()) {
            (Origin::File(other), Some(place)) => other.source != place.source,
            _ => true,
        };
        if elsewhere {
            let text = format!("{}: {}", remark.at, remark.label);
            group = group.element(Level::NOTE.message(text));
        }
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    format!("{}\n", renderer.render(&[group]))
}

fn text_of<'t>(place: &'t Place, texts: &[&'t SourceText]) -> Option<(&'t Place, &'t SourceText)> {
    let source = texts.iter().find(|source| source.name == place.source)?;
    Some((place, source))
}

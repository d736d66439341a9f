//! Diagnostics as people read them: the lines of the file with the offending piece underlined.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::diagnostics::{Diagnostic, Diagnostics, Severity, Span};

/// Lines longer than this are named, but not shown: underlining would be far off every screen.
const LONGEST_LINE: usize = 1000;

impl Diagnostics {
    /// All of them, each with its lines underlined, ready for a terminal (`colour`) or a file.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for fault in &self.list {
            text += &renderer.render(&[self.group(fault)]);
            text += "\n\n";
        }
        let total = self.list.len() + self.more;
        let faults = self.list.iter().filter(|found| found.severity == Severity::Error).count();
        let warnings = self.list.len() - faults;
        let many = |count, what| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let count = match (faults, warnings) {
            (0, _) => many(total, "warning"),
            (_, 1..) if self.more == 0 => format!("{}, {}", many(faults, "fault"), many(warnings, "warning")),
            _ => many(total, "fault"),
        };
        let unlisted = if self.more > 0 { format!(", of which {} are shown", self.list.len()) } else { String::new() };
        text + &format!("{}: {count}{unlisted}\n", self.sources.first().name)
    }

    fn group<'a>(&'a self, fault: &'a Diagnostic) -> Group<'a> {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(format!("{} [{}]", fault.message, fault.code)));
        group = match self.snippet(fault.span, |span| AnnotationKind::Primary.span(span)) {
            Some(snippet) => group.element(snippet),
            None => group
                .element(Origin::path(&self.sources.of(fault.span).name).line(fault.line).char_column(fault.column)),
        };
        if let Some((span, label)) = fault.also.as_deref()
            && let Some(snippet) = self.snippet(*span, |span| AnnotationKind::Context.span(span).label(label))
        {
            group = group.element(snippet);
        }
        match &fault.help {
            Some(help) => group.element(Level::HELP.message(help)),
            None => group,
        }
    }

    /// The line that a piece begins on, and the piece in it (up to the line's end).
    fn snippet<'a>(
        &'a self,
        span: Span,
        annotate: impl FnOnce(std::ops::Range<usize>) -> Annotation<'a>,
    ) -> Option<Snippet<'a, Annotation<'a>>> {
        let source = self.sources.of(span);
        let Span { start, end } = source.own(span);
        let start = start.min(source.text.len());
        let (line_number, line_start) = source.line(start);
        let line = source.text.get(line_start..)?.lines().next().unwrap_or_default();
        if line.len() > LONGEST_LINE || !source.text.is_char_boundary(start) {
            return None;
        }
        let from = (start - line_start).min(line.len());
        let to = end.saturating_sub(line_start).clamp(from, line.len());
        Some(Snippet::source(line).line_start(line_number).path(&source.name).annotation(annotate(from..to)))
    }
}

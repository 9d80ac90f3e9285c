//! The little Markdown that the document's descriptions are written in: headings, paragraphs, code.

use serde::Serialize;

/// A run of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Whether it is code.
    pub code: bool,
    /// The text.
    pub text: String,
}

/// Runs of text that belong together.
pub type Paragraph = Vec<Span>;

/// Paragraphs under a heading.
#[derive(Debug, Default, Serialize)]
pub struct Chapter {
    /// Its place on the page; empty for what comes before the first heading.
    pub anchor: String,
    /// The heading.
    pub title: String,
    /// The paragraphs.
    pub paragraphs: Vec<Paragraph>,
}

/// A paragraph.
pub(super) fn paragraph(markdown: &str) -> Paragraph {
    let pieces = markdown.split('`').enumerate();
    let spans = pieces.map(|(place, text)| Span { code: place % 2 == 1, text: text.to_owned() });
    spans.filter(|span| !span.text.is_empty()).collect()
}

/// Paragraphs.
pub(super) fn paragraphs(markdown: &str) -> Vec<Paragraph> {
    markdown.split("\n\n").map(str::trim).filter(|one| !one.is_empty()).map(paragraph).collect()
}

/// Paragraphs by their headings.
pub(super) fn chapters(markdown: &str) -> Vec<Chapter> {
    let mut chapters = vec![Chapter::default()];
    for block in markdown.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        match (block.strip_prefix("## "), chapters.last_mut()) {
            (Some(title), _) => chapters.push(Chapter {
                anchor: anchor(title),
                title: title.to_owned(),
                paragraphs: Vec::new(),
            }),
            (None, Some(last)) => last.paragraphs.push(paragraph(block)),
            (None, None) => {}
        }
    }
    chapters
}

/// A title as a place on the page: `who-is-calling`.
pub(super) fn anchor(title: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    title.chars().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_paragraphs_and_code_are_told_apart() {
        let read = chapters("First `a`.\n\n## Who is it?\n\nOne.\n\nTwo\nlines.");
        assert_eq!(read.len(), 2);
        let code = |span: &Span| (span.code, span.text.clone());
        let spans: Vec<_> = read[0].paragraphs[0].iter().map(code).collect();
        assert_eq!(spans, [(false, "First ".into()), (true, "a".into()), (false, ".".into())]);
        assert_eq!((&*read[1].anchor, read[1].paragraphs.len()), ("who-is-it-", 2));
    }
}

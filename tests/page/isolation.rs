//! What people write about themselves does not disturb what stands around it.

use crate::house::{files, read};

/// What comes from outside, by the last word of what a template prints.
const FOREIGN: [&str; 6] = ["email", "display_name", "description", "reason", "detail", "device"];

/// The templates that print our own words under such a name.
const OURS: [&str; 4] =
    ["docs.html.tera", "part/docs.html.tera", "error.html.tera", "overview.html.tera"];

/// Whether a text ends inside a tag.
fn is_in_tag(before: &str) -> bool {
    before.rfind('<') > before.rfind('>')
}

#[test]
fn texts_of_people_are_isolated_wherever_they_are_shown() {
    let mut printed = 0;
    for path in files("templates", ".html.tera") {
        if OURS.iter().any(|ours| path.ends_with(ours)) {
            continue;
        }
        let text = read(&path);
        for (at, _) in text.match_indices("{{ ") {
            let (before, rest) = text.split_at(at);
            let Some((expression, after)) = rest[3..].split_once("}}") else { continue };
            let words: Vec<&str> = expression.split([' ', '.']).collect();
            let foreign = words.iter().any(|word| FOREIGN.contains(word));
            // A component prints for itself, and the value of an attribute is a text of its own.
            if !foreign || expression.starts_with('<') || is_in_tag(before) {
                continue;
            }
            printed += 1;
            let is_isolated = before.ends_with("<bdi>") && after.starts_with("</bdi>");
            let is_option = before.ends_with("selected>");
            assert!(is_isolated || is_option, "{}: {expression}", path.display());
        }
    }
    assert!(printed > 20, "{printed}");
}

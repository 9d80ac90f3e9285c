//! Commands that guides show are taken, and blocks behind `<!-- run -->` do what they show.

use std::collections::BTreeSet;

use super::{Block, guides, none};
use crate::app::PASSWORD;
use crate::support::binary::{self, Server};

/// The words of a `doorward` command, up to the first that stands for something else.
fn command(line: &str) -> Option<Vec<String>> {
    let rest = line.trim().trim_start_matches("$ ");
    let rest = rest.strip_prefix("doorward ").or_else(|| rest.strip_prefix("cargo run -- "))?;
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for sign in rest.chars().chain([' ']) {
        match (sign, quote) {
            ('\'' | '"', None) => quote = Some(sign),
            (sign, Some(open)) if sign == open => quote = None,
            (' ', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(sign),
        }
    }
    let real = |word: &String| !word.contains(['…', '<', '>', '|', '[', '&', '$', '#']);
    let cut = words.iter().position(|word| !real(word));
    words.truncate(cut.unwrap_or(words.len()));
    // An option whose value stood for something else.
    if cut.is_some() && words.last().is_some_and(|word| word.starts_with("--")) {
        words.pop();
    }
    words.retain(|word| !word.is_empty());
    Some(words)
}

#[test]
fn every_command_that_is_shown_is_taken() {
    let mut commands = BTreeSet::new();
    for guide in guides() {
        commands.extend(guide.spans().0.iter().filter_map(|span| command(span)));
        for block in
            guide.blocks().iter().filter(|b| ["sh", "console"].contains(&b.language.as_str()))
        {
            let text = block.text.replace("\\\n", " ");
            let lines = text.lines().flat_map(|line| line.split(" | "));
            commands.extend(lines.filter_map(command));
        }
    }
    let mut refused = Vec::new();
    for words in &commands {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        // It reads all that stands before, and does nothing.
        arguments.push("--help");
        let done = binary::run(&arguments, "", &[]);
        if done.code != Some(0) {
            refused.push(format!("doorward {}: {}", words.join(" "), done.stderr));
        }
    }
    none(&refused);
    assert!(commands.len() > 20, "{commands:?}");
}

#[test]
fn marked_blocks_do_what_they_show() {
    let mut ran = 0;
    for guide in guides() {
        let marked: Vec<Block> = guide.blocks().into_iter().filter(|block| block.runs).collect();
        if marked.is_empty() {
            continue;
        }
        ran += marked.len();
        let server = Server::start(&[]);
        let script: String = marked.iter().map(|block| block.text.as_str()).collect();
        // The first administrator, whom readers have made in a browser. And an answer that says no is
        // a failure here, as it is to whoever types it.
        let script = format!(
            "set -euo pipefail\ncurl() {{ command curl -sS --fail-with-body \"$@\"; }}\n\
             echo '{PASSWORD}' | doorward user create --email first@example.org --role admin\n{}",
            script.replace("http://localhost:8000", &server.url(""))
        );
        let done = server.shell(&script);
        assert_eq!(done.code, Some(0), "{}: {}\n{}", guide.name, done.stdout, done.stderr);
    }
    assert!(ran > 3, "{ran}");
}

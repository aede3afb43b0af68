//! The plan of the house, held by a test: a room imports only from rooms above it, only the command line prints, only one
//! file names atomics, `unsafe` stands where it may.

use std::path::{Path, PathBuf};

/// The rooms in order; rooms on one line do not import each other.
const ORDER: &[&[&str]] = &[
    &["sync"],
    &["error"],
    &["file"],
    &["threads"],
    &["data", "loss", "penalty"],
    &["problem"],
    &["weights"],
    &["update"],
    &["strategy"],
    &["eval"],
    &["model"],
    &["train"],
    &["lab"],
    &["cli"],
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// (path below src, text without its test module) of every source file.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.split("#[cfg(all(test").next().unwrap_or_default().to_owned();
            (path.strip_prefix(&root).expect("below src").display().to_string(), code)
        })
        .collect()
}

fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

fn level(room: &str) -> Option<usize> {
    ORDER.iter().position(|rooms| rooms.contains(&room))
}

/// Lines of code, without comments.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

#[test]
fn every_room_stands_in_the_order() {
    for (path, _) in files() {
        let room = room(&path);
        assert!(level(room).is_some() || ["lib", "main"].contains(&room), "{path} is in no room of the plan");
    }
}

#[test]
fn a_room_imports_only_from_rooms_above_it() {
    let mut seen = 0;
    for (path, text) in files() {
        let Some(mine) = level(room(&path)) else { continue };
        for line in code_lines(&text) {
            for after in line.split("crate::").skip(1) {
                let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(theirs) = level(&name) else { continue };
                seen += 1;
                assert!(theirs < mine || name == room(&path), "{path} imports from {name}: {line}");
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found: the test has gone blind");
}

#[test]
fn only_the_command_line_prints_or_exits() {
    for (path, text) in files().into_iter().filter(|(path, _)| room(path) != "cli") {
        for line in code_lines(&text) {
            for word in ["println!", "eprintln!", "print!(", "process::exit", "dbg!"] {
                assert!(!line.contains(word), "{path}: {line}");
            }
        }
    }
}

#[test]
fn only_sync_names_the_atomics() {
    for (path, text) in files().into_iter().filter(|(path, _)| path != "sync.rs") {
        for line in code_lines(&text) {
            assert!(!line.contains("sync::atomic") && !line.contains("atomic_float"), "{path}: {line}");
        }
    }
}

#[test]
fn unsafe_stands_only_where_the_plan_allows_it() {
    for (path, text) in files() {
        let uses = code_lines(&text).any(|line| line.contains("unsafe ") || line.contains("allow(unsafe_code)"));
        assert!(!uses || ["data/mmap.rs", "data/prefetch.rs"].contains(&path.as_str()), "{path} uses unsafe");
    }
}

#[test]
fn strategies_keep_no_time_and_training_spawns_no_thread() {
    for (path, text) in files() {
        for line in code_lines(&text) {
            // The crew's size is chosen by the clock, and delays wait by it; nothing else in this room may look at it.
            if room(&path) == "strategy" && !["strategy/crew.rs", "strategy/watch.rs"].contains(&path.as_str()) {
                assert!(!line.contains("Instant") && !line.contains("std::fs") && !line.contains("objective("), "{path}: {line}");
            }
            if room(&path) == "train" {
                assert!(!line.contains("spawn") && !line.contains("ThreadPool"), "{path}: {line}");
            }
        }
    }
}

#[test]
fn nothing_outside_tests_unwraps() {
    for (path, text) in files() {
        for line in code_lines(&text) {
            assert!(!line.contains(".unwrap()") && !line.contains(".expect(") && !line.contains("todo!("), "{path}: {line}");
        }
    }
}

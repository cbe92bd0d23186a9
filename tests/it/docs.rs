//! What documents say of files: that they are there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The project's documents: those at its top, in `docs/` and below, beside a crate or the fuzz targets, and what GitHub shows.
fn documents() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let folders = ["", "docs", "docs/decisions", "docs/migrating", "fuzz", ".github"];
    let folders = folders.into_iter().map(|folder| root().join(folder)).chain(crates);
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let is_document = |file: &PathBuf| {
        file.extension().is_some_and(|extension| extension == "md") || file.ends_with("llms.txt")
    };
    let found: Vec<_> = files.filter(is_document).collect();
    assert!(found.len() > 10, "{found:?}");
    found
}

/// The text outside of blocks of code.
fn prose(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("```").step_by(2).collect()
}

/// What stands between `before` and `after`, wherever it does.
fn between<'a>(text: &'a str, before: &str, after: char) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split_once(after).map(|(found, _)| found))
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(file: &Path) -> BTreeSet<String> {
    prose(file)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn each_link_of_a_document_leads_to_a_file_and_a_heading() {
    for document in documents() {
        let text = prose(&document);
        for link in between(&text, "](", ')').filter(|link| !link.starts_with("http")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}: there is no such file", document.display());
            let is_there = heading.is_empty() || anchors(&target).contains(heading);
            assert!(is_there, "{}: {link}: there is no such heading", document.display());
        }
    }
}

/// As <https://llmstxt.org> has it: a title, what the project is, and lists of links with a word on each.
#[test]
fn llms_txt_has_a_title_and_a_summary_and_leads_to_every_document() {
    let text = fs::read_to_string(root().join("llms.txt")).unwrap();
    assert!(text.starts_with("# Keyward\n\n> "), "a title and a summary");
    let lists = text.split_once("\n## ").unwrap().1.lines();
    for line in lists.filter(|line| line.starts_with('-')) {
        let is_link = line.starts_with("- [") && line.contains("](") && line.contains("): ");
        assert!(is_link, "{line}: a link, a colon and a word on it");
    }
    let linked: BTreeSet<PathBuf> = between(&text, "](", ')').map(|link| root().join(link)).collect();
    for document in documents() {
        // A decision is found by the list of all; what GitHub shows, it shows by itself.
        let is_found = document.starts_with(root().join("docs/decisions"))
            || document.starts_with(root().join(".github"))
            || document.ends_with("llms.txt");
        assert!(is_found || linked.contains(&document), "{} is not in llms.txt", document.display());
    }
}

/// A way from a first start to a gate that others rely on.
const WAY: [&str; 6] = ["Start", "Protect", "Limit", "Deploy", "Watch", "Recover"];

#[test]
fn readme_and_llms_txt_lead_through_the_documents_in_one_order_and_readme_past_none() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Documentation\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let steps: Vec<&str> = between(section, "\n| **", '*').collect();
    assert_eq!(steps, [&WAY[..], &["Look up"]].concat());
    let llms = fs::read_to_string(root().join("llms.txt")).unwrap();
    let parts: Vec<&str> = between(&llms, "\n## ", '\n').take(WAY.len()).collect();
    assert_eq!(parts, WAY);
    let linked: BTreeSet<PathBuf> = between(section, "](", ')')
        .map(|link| root().join(link.split_once('#').map_or(link, |(path, _)| path)))
        .collect();
    for document in documents().iter().filter(|document| document.parent() == Some(&root().join("docs"))) {
        assert!(linked.contains(document), "README leads to no {}", document.display());
    }
}

#[test]
fn each_decision_is_on_one_page_and_in_the_list_and_no_number_is_left_out() {
    fn numbers<'a>(text: &'a str, before: &str) -> Vec<(usize, &'a str)> {
        let titles = text.lines().filter_map(|line| line.strip_prefix(before));
        titles.map(|title| (title.split_once(". ").unwrap().0.parse().unwrap(), title)).collect()
    }
    let list = prose(&root().join("docs/decisions.md"));
    let mut listed = numbers(&list, "- [");
    for (_, title) in &mut listed {
        *title = title.split_once("](").unwrap().0;
    }
    let pages: Vec<String> = fs::read_dir(root().join("docs/decisions"))
        .unwrap()
        .map(|page| prose(&page.unwrap().path()))
        .collect();
    let mut decided: Vec<_> = pages.iter().flat_map(|page| numbers(page, "## ")).collect();
    for numbered in [&mut listed, &mut decided] {
        numbered.sort_unstable();
        let wrong = (1..).zip(&*numbered).find(|(expected, (number, _))| expected != number);
        assert_eq!(wrong, None, "a number that is left out, or there twice");
    }
    let differing = listed.iter().zip(&decided).find(|(listed, decided)| listed != decided);
    assert_eq!((differing, listed.len()), (None, decided.len()), "the list says what the pages say");
}

#[test]
fn each_file_that_a_document_names_in_code_is_there() {
    let ours =
        ["bench/", "crates/", "demo/", "docs/", "examples/", "fuzz/", "scripts/", "src/", "tests/", "www/"];
    for document in documents().iter().filter(|document| !document.ends_with("CHANGELOG.md")) {
        let text = prose(document);
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = ours.iter().any(|folder| name.starts_with(folder));
            if is_path && !name.contains(|c: char| c.is_whitespace() || "*{<…".contains(c)) {
                let path = name.split_once('#').map_or(name, |(path, _)| path);
                // Of a crate's own document, from the crate.
                let places = [root(), document.parent().unwrap().to_owned()];
                let is_there = places.iter().any(|place| place.join(path).exists());
                assert!(is_there, "{}: `{name}` is not there", document.display());
            }
        }
    }
}

//! What the fuzz targets have found is kept, and runs with the other tests.

use std::{fs, panic::catch_unwind, path::PathBuf};

use keyward_fuzz::TARGETS;

/// Most bytes of all inputs together: a corpus is what reaches each path, not all that ever did.
const MOST_BYTES: usize = 200_000;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("it can be read").path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(&file).expect("it can be read"))).collect()
}

#[test]
fn every_target_holds_for_all_of_its_corpus() {
    for (name, run) in TARGETS {
        for (file, input) in inputs(name) {
            let outcome = catch_unwind(|| run(&input));
            assert!(outcome.is_ok(), "{} fails: see above", file.display());
        }
    }
}

/// A body of the admin API has 64 KiB, a URL and headers have less.
#[test]
fn what_is_large_is_read_within_the_same_bounds() {
    const LARGE: usize = 66_000;
    for (name, run) in TARGETS {
        for (file, input) in inputs(name).into_iter().take(3).filter(|(_, input)| !input.is_empty()) {
            // Once as one long line, once as many.
            for mark in [&b""[..], b"\n"] {
                let input: Vec<u8> = [&input[..], mark].concat().into_iter().cycle().take(LARGE).collect();
                let outcome = catch_unwind(|| run(&input));
                assert!(outcome.is_ok(), "{} fails when it is repeated: see above", file.display());
            }
        }
    }
}

#[test]
fn the_corpus_is_small_and_of_these_targets_only() {
    let mut bytes = 0;
    for (name, _) in TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() >= 5, "{name} has seeds");
        bytes += inputs.iter().map(|(_, input)| input.len()).sum::<usize>();
    }
    assert!(bytes <= MOST_BYTES, "{bytes} bytes: `npm run fuzz -- --minimise`");
    let folders =
        fs::read_dir(corpus()).expect("it is there").map(|entry| entry.expect("it can be read").file_name());
    for folder in folders {
        assert!(TARGETS.iter().any(|(name, _)| *name == folder), "{folder:?} is the corpus of no target");
    }
}

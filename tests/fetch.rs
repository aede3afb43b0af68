//! `datasets/fetch.sh`: what it downloads is whole, known and converted, or it is not there.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A mirror of one set, and a folder to fetch it into.
struct Site {
    root: tempfile::TempDir,
}

impl Site {
    fn with_a9a() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("mirror/binary")).expect("a mirror");
        let site = Self { root };
        std::fs::write(site.mirrored("a9a"), "+1 1:1\n-1 2:1\n").expect("written");
        std::fs::write(site.mirrored("a9a.t"), "-1 1:1\n").expect("written");
        site
    }

    fn mirrored(&self, name: &str) -> PathBuf {
        self.root.path().join("mirror/binary").join(name)
    }

    fn fetched(&self, name: &str) -> PathBuf {
        self.root.path().join("my data").join(name)
    }

    /// Runs the script with the program under test first on the path.
    fn fetch(&self, name: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_unfenced")).parent().expect("a folder");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/fetch.sh"))
            .arg(name)
            .env("PATH", path)
            .env("UNFENCED_MIRROR", format!("file://{}", self.root.path().join("mirror").display()))
            .env("UNFENCED_DATA", self.root.path().join("my data"))
            .output()
            .expect("bash runs")
    }
}

#[test]
fn a_set_is_fetched_converted_and_trained_on() {
    let site = Site::with_a9a();
    let done = site.fetch("a9a");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(site.fetched("a9a.unf").is_file() && site.fetched("a9a.t.unf").is_file());
    let store = unfenced::data::open(&site.fetched("a9a.unf"), unfenced::data::FeatureNumbers::Auto, 0).expect("a store");
    assert_eq!((store.n_rows(), store.n_nonzeros()), (2, 2));
}

#[test]
fn a_file_that_has_changed_since_is_refused() {
    let site = Site::with_a9a();
    assert!(site.fetch("a9a").status.success());
    std::fs::remove_file(site.fetched("a9a")).expect("removed");
    std::fs::write(site.mirrored("a9a"), "+1 1:2\n-1 2:1\n").expect("tampered");
    let refused = site.fetch("a9a");
    assert_eq!(refused.status.code(), Some(1));
    assert!(!site.fetched("a9a").exists(), "it must not lie under its name");
}

#[test]
fn what_cannot_be_fetched_leaves_nothing_under_its_name() {
    let site = Site::with_a9a();
    assert_eq!(site.fetch("w8a").status.code(), Some(1));
    assert!(!site.fetched("w8a").exists() && !site.fetched("w8a.unf").exists());
    assert_eq!(site.fetch("no-such-set").status.code(), Some(2));
}

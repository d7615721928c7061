//! The house rules that a compiler does not check: which room may know which, and that the code map is true.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn rooms_of_the_host_know_only_those_below_them() -> Result<()> {
    let may_know: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("cli", ["http", "lane", "store", "strategy", "outbox", "stats"].as_slice()),
        ("http", ["lane", "store", "strategy", "stats"].as_slice()),
        ("lane", ["store", "strategy", "outbox", "stats"].as_slice()),
        ("store", [].as_slice()),
        ("strategy", [].as_slice()),
        ("outbox", [].as_slice()),
        ("stats", [].as_slice()),
    ]);
    let mut wrong = Vec::new();
    for (room, known) in &may_know {
        let mut files = Vec::new();
        sources(&root().join("host/src").join(room), &mut files)?;
        assert!(!files.is_empty(), "there is a room {room}");
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            for other in may_know.keys().filter(|other| *other != room && !known.contains(other)) {
                let grouped = text.lines().any(|line| line.contains("crate::{") && line.contains(other));
                if text.contains(&format!("crate::{other}")) || grouped {
                    wrong.push(format!("{} knows {other}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn only_the_store_writes_rows_and_only_the_lane_has_it_write() -> Result<()> {
    let mut files = Vec::new();
    sources(&root().join("host/src"), &mut files)?;
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let room = file.strip_prefix(root().join("host/src"))?.iter().next().context("a room")?.to_owned();
        if text.contains("rocksdb") {
            assert!(room == "store", "{} uses RocksDB; only the store does", file.display());
        }
        if text.contains(".commit(") {
            assert!(room == "lane", "{} commits; only the lane does", file.display());
        }
    }
    Ok(())
}

#[test]
fn unsafe_code_stands_in_few_named_files() -> Result<()> {
    let allowed = ["host/src/http/files.rs", "host/src/strategy/image.rs", "host/src/strategy/thread.rs"];
    let mut files = Vec::new();
    sources(&root().join("host"), &mut files)?;
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let has = text.lines().any(|line| line.trim_start().starts_with("unsafe ") || line.contains(" unsafe {"));
        if has {
            assert!(allowed.iter().any(|a| file.ends_with(a)), "{} has unsafe code", file.display());
        }
    }
    Ok(())
}

#[test]
fn the_code_map_of_the_readme_names_what_is_there() -> Result<()> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let map = readme.split("## Code map").nth(1).context("the README has a code map")?;
    let map = map.split("\n## ").next().unwrap_or_default();
    let mut named = Vec::new();
    for line in map.lines().filter(|line| line.starts_with("| `")) {
        let first = line.split('|').nth(1).context("a first column")?;
        for path in first.split('`').skip(1).step_by(2) {
            assert!(root().join(path).exists(), "the code map names {path}, which is not there");
            named.push(path.trim_end_matches('/').to_owned());
        }
    }
    let mut files = Vec::new();
    for folder in ["host", "sdk", "strategies", "tests", ".cargo/xtask"] {
        sources(&root().join(folder), &mut files)?;
    }
    for file in files {
        let path = file.strip_prefix(root())?.to_string_lossy().into_owned();
        assert!(named.iter().any(|n| path.starts_with(n.as_str())), "{path} is in no room of the code map");
    }
    Ok(())
}

//! The starters in `sdk/starters`, and what else a project is made of, inside the program.
//!
//! Each file is named here, so that nothing that was built or installed beside them comes along; a test holds the list
//! to what is there.

use std::path::PathBuf;

use clap::ValueEnum;

/// What a strategy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// With the SDK.
    Rust,
    /// On QuickJS, compiled to WebAssembly.
    #[value(alias = "javascript")]
    Js,
    /// On CPython, compiled to WebAssembly.
    Python,
    /// With clang.
    C,
}

impl Language {
    fn folder(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }
}

/// Path in the repository, and text.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $path)))),*]
    };
}

const STARTERS: &[File] = files![
    "sdk/starters/c/.gitignore",
    "sdk/starters/c/Makefile",
    "sdk/starters/c/settings.c",
    "sdk/starters/c/settings.h",
    "sdk/starters/c/settings.schema.json",
    "sdk/starters/c/signalbox.toml",
    "sdk/starters/c/text.c",
    "sdk/starters/c/text.h",
    "sdk/starters/c/triage.c",
    "sdk/starters/c/wasi.c",
    "sdk/starters/cases/a-full-desk-takes-vips.json",
    "sdk/starters/cases/a-full-desk-turns-others-away.json",
    "sdk/starters/cases/a-later-rule-is-found-in-the-subject.json",
    "sdk/starters/cases/a-phrase-is-found-across-lines-signs-and-case.json",
    "sdk/starters/cases/a-vip-goes-first.json",
    "sdk/starters/cases/a-word-without-letters-is-refused.json",
    "sdk/starters/cases/an-interaction-without-words-is-unsuitable.json",
    "sdk/starters/cases/as-many-as-allowed-may-wait.json",
    "sdk/starters/cases/nobody-can-be-looked-up-without-a-sender.json",
    "sdk/starters/cases/only-whole-words-are-found.json",
    "sdk/starters/cases/the-first-rule-that-finds-its-words-decides.json",
    "sdk/starters/cases/the-priority-is-never-lowered.json",
    "sdk/starters/cases/whoever-is-not-on-the-table-is-no-vip.json",
    "sdk/starters/cases/words-of-other-alphabets-are-found.json",
    "sdk/starters/js/.gitignore",
    "sdk/starters/js/package.json",
    "sdk/starters/js/signalbox.toml",
    "sdk/starters/js/src/settings.js",
    "sdk/starters/js/src/strategy.js",
    "sdk/starters/python/.gitignore",
    "sdk/starters/python/app.py",
    "sdk/starters/python/requirements.txt",
    "sdk/starters/python/settings.py",
    "sdk/starters/python/signalbox.toml",
    "sdk/starters/rust/.gitignore",
    "sdk/starters/rust/Cargo.toml",
    "sdk/starters/rust/rust-toolchain.toml",
    "sdk/starters/rust/signalbox.toml",
    "sdk/starters/rust/src/lib.rs",
    "sdk/starters/rust/tests/triage.rs",
    "sdk/starters/settings.json",
];

/// Where `sdk/Cargo.toml` and what it needs stand, which a project in Rust brings along.
const SDK: &[File] = files![
    "sdk/Cargo.toml",
    "sdk/examples/vip.rs",
    "sdk/src/bindings.rs",
    "sdk/src/decision.rs",
    "sdk/src/glue.rs",
    "sdk/src/host.rs",
    "sdk/src/interaction.rs",
    "sdk/src/lib.rs",
    "sdk/src/limits.rs",
    "sdk/src/strategy.rs",
    "sdk/src/testing/bench.rs",
    "sdk/src/testing/fake.rs",
    "sdk/src/testing/interaction.rs",
    "sdk/src/testing/mod.rs",
];

const WORLD: &[File] = files!["wit/strategy.wit"];

/// The files of a new project: path in it, and text.
pub(super) fn files(language: Language, name: &str) -> Vec<(PathBuf, String)> {
    let folder = format!("sdk/starters/{}/", language.folder());
    let own = STARTERS.iter().filter_map(|(path, text)| {
        let place = match path.strip_prefix(&folder) {
            Some(place) => return Some((place.into(), text.replace("{{name}}", name))),
            None => path.strip_prefix("sdk/starters/")?,
        };
        let shared = place == "settings.json" || place.starts_with("cases/");
        shared.then(|| (place.into(), (*text).to_owned()))
    });
    let sdk: &[File] = if language == Language::Rust { SDK } else { &[] };
    let as_it_is = WORLD.iter().chain(sdk).map(|(path, text)| (PathBuf::from(path), (*text).to_owned()));
    own.chain(as_it_is).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// What git would keep: what a `.gitignore` of a starter names by `/NAME` is left out.
    fn there(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        let ignored = std::fs::read_to_string(folder.join(".gitignore")).unwrap_or_default();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if ignored.lines().any(|line| line.trim_start_matches('/') == name) {
                continue;
            }
            if path.is_dir() {
                there(&path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_of_the_starters_and_of_the_sdk_is_in_the_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = BTreeSet::from([root.join("sdk/Cargo.toml")]);
        for folder in ["sdk/starters", "sdk/src", "sdk/examples"] {
            there(&root.join(folder), &mut found);
        }
        found.remove(&root.join("sdk/starters/README.md"));
        let named: BTreeSet<_> = STARTERS.iter().chain(SDK).map(|(path, _)| root.join(path)).collect();
        assert_eq!(named, found);
    }

    #[test]
    fn a_project_has_its_languages_files_the_cases_and_the_world() {
        for (language, file) in [
            (Language::Rust, "src/lib.rs"),
            (Language::Js, "src/strategy.js"),
            (Language::Python, "app.py"),
            (Language::C, "triage.c"),
        ] {
            let files = files(language, "parcels");
            let text =
                |name: &str| files.iter().find(|(path, _)| path == Path::new(name)).map(|(_, text)| text.as_str());
            assert!(text("signalbox.toml").unwrap().contains("name = \"parcels\""), "{language:?}");
            for name in [file, "settings.json", "wit/strategy.wit", "cases/a-vip-goes-first.json"] {
                assert!(text(name).is_some(), "{language:?} has no {name}");
            }
            assert!(files.iter().all(|(path, text)| path.starts_with("sdk") || !text.contains("{{name}}")));
            assert_eq!(text("sdk/Cargo.toml").is_some(), language == Language::Rust);
        }
    }
}

//! `signalbox strategy new`: a project that builds, with cases and settings.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::starter::{self, Language};
use crate::cli::error::Error;
use crate::cli::output::Output;

const NAME_BYTES_MAX: usize = 64;

/// Makes a project of a starter: it sorts by words, lets VIPs go first, and says when the desk is full.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy new triage --lang rust
  signalbox strategy new triage --lang python --path strategies/triage

All four languages take the same settings, and pass the same cases.")]
pub(super) struct New {
    /// Name of the strategy: a letter a-z, then letters, digits and hyphens.
    #[arg(value_parser = name)]
    name: String,
    /// What it is written in.
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,
    /// Folder for it, which must be empty or not there. Left out: NAME.
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

impl New {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let folder = self.path.unwrap_or_else(|| PathBuf::from(&self.name));
        let is_empty = match std::fs::read_dir(&folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(Error::file("read", &folder, &error)),
        };
        if !is_empty {
            return Err(Error::new(format!("{} is not empty: nothing was written", folder.display()))
                .fix("name another folder with --path"));
        }
        let files = starter::files(self.lang, &self.name);
        for (path, text) in &files {
            let path = folder.join(path);
            let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            made.and_then(|()| std::fs::write(&path, text)).map_err(|error| Error::file("written", &path, &error))?;
        }
        let document = json!({ "name": self.name, "folder": folder, "files": files.len() });
        output.result(&document, |_| {
            let (folder, name) = (folder.display(), &self.name);
            format!(
                "made {folder} with {} files\n\n  \
                 signalbox strategy build {folder}    # writes {name}.wasm; signalbox.toml says how\n  \
                 signalbox strategy test {folder}     # runs cases/ as the server would\n  \
                 signalbox strategy watch {folder} --bind WORKFLOW/ELEMENT   # on every save: build, test, serve",
                files.len()
            )
        })
    }
}

fn name(text: &str) -> Result<String, String> {
    let mut bytes = text.bytes();
    let begins = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    let goes_on = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if begins && goes_on && text.len() <= NAME_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(format!("a letter a-z, then letters, digits and hyphens, {NAME_BYTES_MAX} at most"))
}

//! `signalbox strategy test`: a project's cases, through the server's own sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::case::{Came, Case, Verdict};
use super::local;
use super::occasion::assets;
use super::project::Project;
use super::trial::{Setup, Trial, Tried, undeployable};
use crate::cli::document::read_json;
use crate::cli::error::Error;
use crate::cli::output::{Output, Style, duration};
use crate::strategy::{Asset, Grants, InstallError, Purpose};

/// Runs the cases of a strategy's project, with the engine and the limits of the server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy test                               # the project in this folder
  signalbox strategy test triage --update               # takes what came as expected, in each case that differs
  signalbox strategy test triage --component old.wasm   # the same cases, another component

A case is a file in cases/: settings, grants, tables, statistics, calendars, responses, a request, and what is expected.
Files in assets/ are what the strategy takes, each by its name. A trap says files and lines where the component was built
with them.")]
pub(super) struct Test {
    /// Folder of the project.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Tests this component. Left out: the project's, which is built where it is older than its sources.
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Writes what came into `expect` of each case that differs. A trap and its like are never written.
    #[arg(long)]
    update: bool,
}

/// What came of one case.
#[derive(Debug, Serialize)]
struct Line {
    case: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
    #[serde(skip)]
    took: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Passed,
    Differs,
    Updated,
}

impl Test {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let file = match self.component {
            Some(file) => file,
            None => built(&Project::open(&self.directory)?, output)?,
        };
        tested(&self.directory, &local::read_with_lines(&file)?, &file, self.update, output)
    }
}

/// The project's component, built where it must be.
fn built(project: &Project, output: &Output) -> Result<PathBuf, Error> {
    if let Some(file) = project.built() {
        return Ok(file);
    }
    let made = project.build(None, output)?;
    made.write(&made.file)?;
    Ok(made.file)
}

/// Runs all cases of a folder with a component, and says what came. An error where one of them differs.
pub(super) fn tested(
    directory: &Path,
    component: &[u8],
    file: &Path,
    update: bool,
    output: &Output,
) -> Result<(), Error> {
    let cases = cases(directory)?;
    let (trial, assets) = (Trial::new(Purpose::Authoring)?, assets(&asset_files(directory)?)?);
    let mut suite = Suite { trial, component, file, assets, deployed: BTreeMap::new() };
    let default = settings(directory)?.to_string();
    let mut lines = Vec::new();
    for case in &cases {
        let line = suite.run(case, &default, update)?;
        output.step(&shown(&line, output));
        lines.push(line);
    }
    let count = |state: State| lines.iter().filter(|line| line.state == state).count();
    let (passed, differ, updated) = (count(State::Passed), count(State::Differs), count(State::Updated));
    let document = serde_json::json!({ "cases": lines, "passed": passed, "differ": differ, "updated": updated });
    output.result(&document, |_| {
        let updated = if updated > 0 { format!(", {updated} updated") } else { String::new() };
        format!("{passed} of {} cases passed{updated}", lines.len())
    })?;
    if differ > 0 {
        let error = Error::new(format!("{differ} of {} cases came out differently", lines.len()));
        return Err(error.fix("`-` was expected, `+` came: put the strategy right, or take what came with --update"));
    }
    Ok(())
}

/// The cases of a project, by name of their files.
fn cases(directory: &Path) -> Result<Vec<Case>, Error> {
    let folder = directory.join("cases");
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file("read", &folder, &error)),
        entries => entries.into_iter().flatten(),
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    if files.is_empty() {
        return Err(Error::new(format!("there is no case in {}", folder.display()))
            .fix("write one: cases/NAME.json with a request; --update then writes what came of it"));
    }
    files.iter().map(|file| Case::read(file)).collect()
}

/// The settings of a project, which a case without any has too.
pub(super) fn settings(directory: &Path) -> Result<Value, Error> {
    let file = directory.join("settings.json");
    if file.is_file() { read_json(&file) } else { Ok(serde_json::json!({})) }
}

/// The files in a project's `assets/`, each of which the strategy takes by its file's name.
pub(super) fn asset_files(directory: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let folder = directory.join("assets");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let unread = |error| Error::file("read", &folder, &error);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unread)? {
        let file = entry.map_err(unread)?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with('.') && file.is_file() {
            files.push((name, file));
        }
    }
    files.sort();
    Ok(files)
}

/// A component, deployed once for each settings and grants that a case has.
struct Suite<'a> {
    trial: Trial,
    component: &'a [u8],
    file: &'a Path,
    assets: Arc<[Asset]>,
    deployed: BTreeMap<String, Result<Tried, String>>,
}

impl Suite<'_> {
    fn run(&mut self, case: &Case, default: &str, update: bool) -> Result<Line, Error> {
        let settings = case.settings.as_ref().map_or_else(|| Ok(default.to_owned()), serde_json::to_string);
        let settings = settings.map_err(|error| Error::new("settings cannot be written").because(&error))?;
        let grants = case.grants();
        let key = serde_json::json!([settings, grants]).to_string();
        if !self.deployed.contains_key(&key) {
            let setup = Setup { settings, assets: Arc::clone(&self.assets), grants };
            let tried = match self.trial.deploy(self.component, &setup)? {
                Ok(tried) => Ok(tried),
                Err(error) if is_of_the_case(&error) => Err(error.to_string()),
                Err(error) => return Err(undeployable(self.file, &error).at(case.file().display().to_string())),
            };
            self.deployed.insert(key.clone(), tried);
        }
        let began = Instant::now();
        let came = match &self.deployed[&key] {
            Err(why) => Came::Refused(why.clone()),
            Ok(tried) => {
                let Some(request) = case.request.clone() else {
                    let what = format!("{} has no request, and its settings are taken", case.file().display());
                    return Err(Error::new(what).fix("add a request, or settings that `configure` refuses"));
                };
                let grants: Arc<dyn Grants> = Arc::new(case.given());
                let result = tried.deployment.call(&request.request(), &grants);
                Came::Called(result.outcome, result.record.log)
            }
        };
        let took = began.elapsed();
        let (state, difference) = match case.judge(&came) {
            Verdict::Passed => (State::Passed, None),
            Verdict::Differs(_, Some(text)) if update => {
                std::fs::write(case.file(), text).map_err(|error| Error::file("written", case.file(), &error))?;
                (State::Updated, None)
            }
            Verdict::Differs(difference, _) => (State::Differs, Some(difference)),
        };
        Ok(Line { case: case.name.clone(), state, difference, took })
    }
}

/// Whether the case's settings or grants are at fault, and not the component or this machine.
fn is_of_the_case(error: &InstallError) -> bool {
    matches!(
        error,
        InstallError::SettingsSyntax(_)
            | InstallError::SettingsSchema { .. }
            | InstallError::Settings(_)
            | InstallError::ImportBeyondGrants { .. }
    )
}

fn shown(line: &Line, output: &Output) -> String {
    let (style, sign) = match line.state {
        State::Passed => (Style::Green, "✓"),
        State::Differs => (Style::Red, "✗"),
        State::Updated => (Style::Bold, "↻"),
    };
    let took = format!("({})", duration(line.took));
    let mut text = format!("{} {} {}", output.paint_step(style, sign), line.case, output.paint_step(Style::Dim, &took));
    if let Some(difference) = &line.difference {
        text.push('\n');
        text.push_str(difference);
    }
    text
}

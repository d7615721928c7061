//! A strategy's project: its folder, and how a component is made in it.
//!
//! `signalbox.toml` says how, so that nothing here knows a language. A plain crate needs none.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use serde::Deserialize;

use super::{cargo, local};
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::strategy::{componentize, without_lines};

/// The file that says how a project is built.
pub(super) const RECIPE: &str = "signalbox.toml";

/// Files and folders that are looked at for what has changed, at most.
const FILES_MAX: usize = 10_000;

/// A project.
pub(super) struct Project {
    /// Where it is.
    pub directory: PathBuf,
    /// None: a plain crate.
    recipe: Option<Recipe>,
}

/// `signalbox.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipe {
    name: String,
    output: PathBuf,
    sources: Vec<PathBuf>,
    #[serde(default, rename = "step")]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    run: Vec<String>,
    makes: Option<PathBuf>,
    #[serde(default)]
    from: Vec<PathBuf>,
    needs: Option<String>,
}

/// What a build made, not written yet.
pub(super) struct Made {
    /// The component as it is deployed.
    pub component: Vec<u8>,
    /// The same with files and lines, for traps; the same bytes where it has none.
    pub with_lines: Vec<u8>,
    /// Where it goes unless somebody says otherwise.
    pub file: PathBuf,
}

impl Made {
    fn new(with_lines: Vec<u8>, file: PathBuf) -> Self {
        Self { component: without_lines(&with_lines), with_lines, file }
    }

    /// Writes both.
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let write = |file: &Path, bytes: &[u8]| {
            std::fs::write(file, bytes).map_err(|error| Error::file("written", file, &error))
        };
        write(file, &self.component)?;
        let lines = local::lines_file(file);
        if self.component != self.with_lines {
            return write(&lines, &self.with_lines);
        }
        match std::fs::remove_file(&lines) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("removed", &lines, &error)),
            _ => Ok(()),
        }
    }
}

impl Project {
    /// The project in a folder.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let file = directory.join(RECIPE);
        let recipe = match std::fs::read_to_string(&file) {
            Ok(text) => Some(recipe(&text).map_err(|why| Error::new(why).at(file.display().to_string()))?),
            Err(_) if directory.join("Cargo.toml").is_file() => None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::new(format!("there is no {RECIPE} and no crate in {}", directory.display()))
                    .fix("name the folder of a strategy's project; `signalbox strategy new` makes one"));
            }
            Err(error) => return Err(Error::file("read", &file, &error)),
        };
        Ok(Self { directory: directory.to_owned(), recipe })
    }

    /// Its component as an earlier build wrote it, where nothing that it is made of has changed since.
    pub fn built(&self) -> Option<PathBuf> {
        let recipe = self.recipe.as_ref()?;
        let file = self.file(&recipe.name);
        let written = std::fs::metadata(&file).and_then(|data| data.modified()).ok()?;
        let sources = recipe.sources.iter().cloned().chain([RECIPE.into()]);
        self.files(sources).iter().all(|(_, changed)| *changed <= written).then_some(file)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.wasm"))
    }

    /// Builds it. The profile is a crate's alone.
    pub fn build(&self, profile: Option<&str>, output: &Output) -> Result<Made, Error> {
        let (file, built) = match &self.recipe {
            Some(recipe) => (self.file(&recipe.name), self.run_steps(recipe, output)?),
            None => {
                let built = cargo::build(&self.directory, profile, output)?;
                (self.file(&super::stem(&built).replace('_', "-")), built)
            }
        };
        let bytes = std::fs::read(&built).map_err(|error| Error::file("read", &built, &error))?;
        if !wasmparser::Parser::is_core_wasm(&bytes) {
            return Ok(Made::new(bytes, file));
        }
        let component = componentize(&bytes).map_err(|error| {
            Error::new(error.to_string()).at(built.display().to_string()).fix(
                "export the world's functions: in Rust by `signalbox_sdk::export!(YourStrategy);`, with one version of \
                 signalbox-sdk alone",
            )
        })?;
        Ok(Made::new(component, file))
    }

    fn run_steps(&self, recipe: &Recipe, output: &Output) -> Result<PathBuf, Error> {
        let built = self.directory.join(&recipe.output);
        if let Some(folder) = built.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::file("made", folder, &error))?;
        }
        for step in &recipe.steps {
            if !self.is_fresh(step) {
                let began = Instant::now();
                self.run(step)?;
                output.timed(&step.run.iter().take(3).cloned().collect::<Vec<_>>().join(" "), began.elapsed());
            }
        }
        Ok(built)
    }

    fn is_fresh(&self, step: &Step) -> bool {
        let Some(makes) = &step.makes else { return false };
        let changed =
            |path: &PathBuf| std::fs::metadata(self.directory.join(path)).and_then(|data| data.modified()).ok();
        let Some(made) = changed(makes) else { return false };
        step.from.iter().all(|from| changed(from).is_some_and(|changed| changed <= made))
    }

    fn run(&self, step: &Step) -> Result<(), Error> {
        let said = step.run.join(" ");
        let failed = |what: String| {
            let error = Error::new(what).at(said.clone());
            match &step.needs {
                Some(needs) => error.fix(format!("put right what it says above; it needs {}", needs.trim())),
                None => error,
            }
        };
        let Some((program, arguments)) = step.run.split_first() else {
            return Err(Error::new("a step runs nothing").at(RECIPE));
        };
        let found = if program.contains('/') {
            let path = self.directory.join(program);
            std::path::absolute(&path).map_err(|error| Error::file("found", &path, &error))?
        } else {
            program.into()
        };
        // What it says is no result of ours.
        let status = Command::new(found)
            .args(arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .map_err(|error| failed(format!("`{program}` cannot be started: {error}")))?;
        if !status.success() {
            return Err(failed(format!("`{program}` failed ({status}): see its messages above")));
        }
        let Some(makes) = &step.makes else { return Ok(()) };
        let made =
            std::fs::File::open(self.directory.join(makes)).and_then(|file| file.set_modified(SystemTime::now()));
        made.map_err(|error| failed(format!("`{program}` has not made {}: {error}", makes.display())))
    }

    /// When each file was changed that the component or its cases depend on.
    pub fn changes(&self) -> Vec<(PathBuf, SystemTime)> {
        let sources = match &self.recipe {
            Some(recipe) => recipe.sources.clone(),
            None => vec!["Cargo.toml".into(), "src".into()],
        };
        self.files(sources.into_iter().chain(["assets", "cases", "settings.json", RECIPE].map(PathBuf::from)))
    }

    /// All files under these, and when each was changed.
    fn files(&self, under: impl Iterator<Item = PathBuf>) -> Vec<(PathBuf, SystemTime)> {
        let mut changes = Vec::new();
        let mut waiting: Vec<_> = under.map(|path| self.directory.join(path)).collect();
        while let Some(path) = waiting.pop() {
            let Ok(data) = std::fs::metadata(&path) else { continue };
            if data.is_dir() {
                waiting.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            } else if let Ok(changed) = data.modified() {
                changes.push((path, changed));
            }
            if changes.len() >= FILES_MAX {
                break;
            }
        }
        changes.sort();
        changes
    }
}

fn recipe(text: &str) -> Result<Recipe, String> {
    let recipe: Recipe = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
    let leaves =
        |path: &Path| path.is_absolute() || path.components().any(|part| part == std::path::Component::ParentDir);
    if leaves(&recipe.output) || recipe.output.as_os_str().is_empty() {
        return Err(format!("`output` is a path in the project, unlike `{}`", recipe.output.display()));
    }
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if recipe.name.is_empty() || !recipe.name.bytes().all(is_name) {
        return Err(format!("`name` is made of letters, digits, `-` and `_`, unlike `{}`", recipe.name));
    }
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "name = \"a\"\noutput = \"build/a.wasm\"\nsources = [\"src\"]\n";

    fn project(folder: &Path, steps: &str) -> Project {
        std::fs::write(folder.join(RECIPE), format!("{PLAIN}{steps}")).unwrap();
        Project::open(folder).unwrap()
    }

    #[test]
    fn a_key_that_is_not_known_is_refused_by_its_line() {
        let why = recipe(&format!("{PLAIN}profile = \"x\"\n")).unwrap_err();
        assert!(why.contains("line 4") && why.contains("unknown field `profile`"), "{why}");
        assert!(recipe(&PLAIN.replace("build/", "../")).is_err());
        assert!(recipe(&PLAIN.replace("\"a\"", "\"a/b\"")).is_err());
    }

    #[test]
    fn a_step_is_left_out_while_what_it_makes_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("from"), "1").unwrap();
        let steps = "[[step]]\nrun = [\"cp\", \"from\", \"build/made\"]\nmakes = \"build/made\"\nfrom = [\"from\"]\n";
        let project = project(folder.path(), steps);
        let made = || std::fs::read_to_string(folder.path().join("build/made")).unwrap();
        let run = || project.run_steps(project.recipe.as_ref().unwrap(), &Output::new(true)).unwrap();
        run();
        assert_eq!(made(), "1");
        std::fs::write(folder.path().join("build/made"), "kept").unwrap();
        run();
        assert_eq!(made(), "kept");
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        std::fs::write(folder.path().join("from"), "2").unwrap();
        std::fs::File::open(folder.path().join("from")).unwrap().set_modified(later).unwrap();
        run();
        assert_eq!(made(), "2");
    }

    #[test]
    fn a_step_that_cannot_be_run_says_what_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        let steps = "[[step]]\nrun = [\"./compile\"]\nneeds = \"the compiler\"\n[[step]]\nrun = [\"false\"]\n";
        let project = project(folder.path(), steps);
        let error = project.build(None, &Output::new(true)).err().unwrap();
        assert_eq!(error.fix.as_deref(), Some("put right what it says above; it needs the compiler"));
        assert!(error.what.starts_with("`./compile` cannot be started"), "{}", error.what);
        let fails = project.run(&project.recipe.as_ref().unwrap().steps[1]).unwrap_err();
        assert!(fails.what.starts_with("`false` failed"), "{}", fails.what);
    }
}

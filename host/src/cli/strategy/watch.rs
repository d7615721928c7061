//! `signalbox strategy watch`: on every save, the project is built, tested, deployed and bound.
//!
//! Invariant: what does not build or pass is never deployed, so what serves goes on serving.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::binding::{OnFailure, With, element, note_canary_ended, put_binding, standing};
use super::deploy::{can_be_bound, upload_asset, upload_strategy};
use super::grants::GrantArgs;
use super::project::Project;
use super::test;
use crate::cli::client::{Body, Client};
use crate::cli::document::read_json;
use crate::cli::error::Error;
use crate::cli::output::{Output, cell};

/// How often files are looked at: less than anybody notices, and nothing beside a build.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Builds, tests, deploys and binds a strategy whenever it is saved. For a development server; ends with Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy watch triage --bind support/screen
  signalbox strategy watch triage --bind support/screen --settings rules.json

Files in assets/ go with it, each by its name. Each deployment gets a fresh name, and the next call goes to it. A build or a
case that fails leaves alone what serves.")]
pub(super) struct Watch {
    /// Folder of the project.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The strategy element that it is to serve.
    #[arg(long, value_name = "WORKFLOW/ELEMENT", value_parser = element)]
    bind: (String, String),
    /// JSON file with the settings. Left out: the project's settings.json, else {}
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    on_failure: OnFailure,
}

/// When each file was changed.
type Changes = Vec<(PathBuf, SystemTime)>;

impl Watch {
    pub async fn run(self, client: &Client, output: &Output) -> Result<(), Error> {
        Project::open(&self.directory)?;
        can_be_bound(client, &self.bind).await?;
        let mut seen = Changes::new();
        loop {
            // Read anew each time: the file that says how it is built may be what was saved.
            let project = Project::open(&self.directory);
            let changes = project.as_ref().map(|project| self.changes(project)).unwrap_or_default();
            if changes == seen {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let saved = saved(&seen, &changes);
            seen = changes;
            let served = match &project {
                Ok(project) => self.serve(project, client, output).await,
                Err(error) => Err(error.clone()),
            };
            match served {
                Ok(name) => {
                    let (workflow, element) = &self.bind;
                    let took = saved.and_then(|saved| SystemTime::now().duration_since(saved).ok());
                    let took =
                        took.map_or(String::new(), |took| format!(", {:.1} s after it was saved", took.as_secs_f64()));
                    output.step(&format!("{name} serves {workflow}/{element}{took}; waiting for the next save"));
                }
                Err(error) => {
                    output.error(&error);
                    output.step("what served before goes on serving; waiting for the next save");
                }
            }
        }
    }

    fn changes(&self, project: &Project) -> Changes {
        let mut changes = project.changes();
        let settings =
            self.settings.iter().filter_map(|file| Some((file.clone(), file.metadata().ok()?.modified().ok()?)));
        changes.extend(settings);
        changes
    }

    /// From the sources to the binding; answers with the deployment's name.
    async fn serve(&self, project: &Project, client: &Client, output: &Output) -> Result<String, Error> {
        let made = project.build(None, output)?;
        made.write(&made.file)?;
        if project.directory.join("cases").is_dir() {
            test::tested(&project.directory, &made.with_lines, &made.file, false, output)?;
        }
        let settings = match &self.settings {
            Some(file) => read_json(file)?,
            None => test::settings(&project.directory)?,
        };
        let strategy = upload_strategy(client, &made.file, None, output).await?;
        let mut assets = serde_json::Map::new();
        for (name, file) in test::asset_files(&project.directory)? {
            assets.insert(name, json!(upload_asset(client, &file, output).await?));
        }
        let mut body = json!({ "strategy": strategy, "settings": settings, "assets": assets, "message": "saved" });
        if let Some(grants) = self.grants.scope() {
            body["grants"] = json!(grants);
        }
        let deployment: Value = client.send_long(Method::POST, &["deployments"], Body::Json(&body)).await?;
        let name = cell(&deployment, "name");
        let with = With { message: "watched", ..With::default() };
        let standing = standing(client, &self.bind).await?;
        let on_failure = self.on_failure.or_standing(standing.as_ref());
        let share = [(name.clone(), 1)];
        let bound = put_binding(client, &self.bind, &share, &on_failure, with, standing.as_ref()).await?;
        note_canary_ended(standing.as_ref(), &bound, output);
        Ok(name)
    }
}

/// When the last of what changed was saved; none on the first look, where nobody has saved anything.
fn saved(before: &Changes, now: &Changes) -> Option<SystemTime> {
    if before.is_empty() {
        return None;
    }
    let changed = now.iter().filter(|change| !before.contains(change)).map(|(_, at)| *at);
    // Where a file went away, nobody knows when.
    changed.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_the_newest_change() {
        let at = |s: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let file = |name: &str, s: u64| (PathBuf::from(name), at(s));
        let before = vec![file("a", 1), file("b", 9)];
        assert_eq!(saved(&vec![], &before), None);
        assert_eq!(saved(&before, &vec![file("a", 4), file("b", 9)]), Some(at(4)));
        assert_eq!(saved(&before, &vec![file("a", 4), file("b", 9), file("c", 5)]), Some(at(5)));
        assert_eq!(saved(&before, &vec![file("a", 1)]), None);
    }
}

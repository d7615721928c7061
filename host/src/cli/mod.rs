//! The command line: starts the server, and asks things of a running one.
//!
//! One file for each noun; what they share is here and in `client` (HTTP), `output` (what is printed) and `error` (why
//! it failed, and the exit code of that). Nothing here decides about interactions, and but for `serve` and `restore`
//! nothing here opens the store: a script can do through HTTP whatever an operator can do here.

mod account;
mod backup;
mod callback;
mod classifier;
mod client;
mod compile;
mod document;
mod endpoint;
mod error;
mod feed;
mod interaction;
mod key;
mod output;
mod queue;
mod records;
mod replay;
mod serve;
mod simulation;
mod staff;
mod statistic;
mod strategy;
mod submit;
mod token;
mod workflow;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use error::Error;
use output::Output;

/// Interaction server whose routing is scripted in WebAssembly.
#[derive(Debug, Parser)]
#[command(name = "signalbox", version, max_term_width = 110, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct Cli {
    /// Prints JSON for programs: results to standard output, errors to standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  signalbox serve --store ./store
  signalbox strategy build strategies/screening
  signalbox strategy deploy strategies/screening/screening.wasm --settings rules.json --name screening-1 --bind support/screen
  signalbox workflow put support.json
  signalbox submit --workflow support --sender ana@example.com --body 'Where is my order?'
  signalbox queue take billing

Exit codes:
  0  done
  1  failed here: a file, the store, a strategy that does not build
  2  wrong usage of this command line
  3  the server understood and refused (HTTP 4xx)
  4  the server is not there, or failed itself (HTTP 5xx)

Colours are used only on a terminal; NO_COLOR turns them off.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Strategy(strategy::Strategy),
    Workflow(workflow::Workflow),
    Submit(submit::Submit),
    Replay(replay::Replay),
    Interaction(interaction::Interaction),
    Queue(queue::Queue),
    Agent(staff::Agent),
    AgentGroup(staff::AgentGroup),
    Skill(staff::Skill),
    Place(staff::Place),
    PlaceGroup(staff::PlaceGroup),
    Statistic(statistic::Statistic),
    Callback(callback::Callback),
    Classifier(classifier::Classifier),
    Key(key::Key),
    Token(token::Token),
    Account(account::Account),
    Response(document::Response),
    Table(document::Table),
    Calendar(document::Calendar),
    Webhook(document::Webhook),
    Endpoint(endpoint::Endpoint),
    Backup(backup::Backup),
    Restore(backup::Restore),
    #[command(hide = true)]
    Compile(compile::Compile),
}

/// Reads the arguments, does what they say, prints what came of it.
#[must_use]
pub fn main() -> ExitCode {
    // Usage errors end here with 2, as clap does it.
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    let output = Output::new(cli.json);
    match run(cli.command, &output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit()
        }
    }
}

/// The command line. A verb without examples of its own shows those of its noun that are about it.
fn command() -> clap::Command {
    let mut command = Cli::command();
    for noun in command.get_subcommands_mut() {
        let examples = noun.get_after_help().map(ToString::to_string).unwrap_or_default();
        let noun_name = noun.get_name().to_owned();
        for verb in noun.get_subcommands_mut().filter(|verb| verb.get_after_help().is_none()) {
            let begins = format!("signalbox {noun_name} {}", verb.get_name());
            let about: Vec<&str> = examples.lines().filter(|line| line.contains(&begins)).collect();
            let heading = if about.len() == 1 { "Example" } else { "Examples" };
            if !about.is_empty() {
                *verb = std::mem::take(verb).after_help(format!("{heading}:\n{}", about.join("\n")));
            }
        }
    }
    command
}

fn run(command: Command, output: &Output) -> Result<ExitCode, Error> {
    let done = match command {
        Command::Compile(command) => return command.run(),
        Command::Serve(command) => command.run(output),
        Command::Classifier(command) => command.run(output),
        Command::Restore(command) => command.run(output),
        Command::Strategy(command) => wait(command.run(output)),
        Command::Workflow(command) => wait(command.run(output)),
        Command::Submit(command) => wait(command.run(output)),
        Command::Replay(command) => wait(command.run(output)),
        Command::Interaction(command) => wait(command.run(output)),
        Command::Queue(command) => wait(command.run(output)),
        Command::Agent(command) => wait(command.run(output)),
        Command::AgentGroup(command) => wait(command.run(output)),
        Command::Skill(command) => wait(command.run(output)),
        Command::Place(command) => wait(command.run(output)),
        Command::PlaceGroup(command) => wait(command.run(output)),
        Command::Statistic(command) => wait(command.run(output)),
        Command::Callback(command) => wait(command.run(output)),
        Command::Key(command) => wait(command.run(output)),
        Command::Token(command) => wait(command.run(output)),
        Command::Account(command) => wait(command.run(output)),
        Command::Response(command) => wait(command.run(output)),
        Command::Table(command) => wait(command.run(output)),
        Command::Calendar(command) => wait(command.run(output)),
        Command::Webhook(command) => wait(command.run(output)),
        Command::Endpoint(command) => wait(command.run(output)),
        Command::Backup(command) => wait(command.run(output)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// One thread is enough for a client.
fn wait(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new("the asynchronous runtime cannot start").because(&error))?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    /// Two arguments of one identifier, which fields of the same name in parts of a command have, get each other's values.
    #[test]
    fn no_command_has_two_arguments_of_one_identifier() {
        fn check(command: &clap::Command) {
            let mut seen = std::collections::BTreeSet::new();
            for argument in command.get_arguments() {
                let (name, id) = (command.get_name(), argument.get_id().as_str());
                assert!(seen.insert(id.to_owned()), "`{id}` is there twice in `{name}`");
            }
            command.get_subcommands().for_each(check);
        }
        check(&super::command());
    }

    #[test]
    fn every_verb_has_an_example() {
        let mut command = super::command();
        command.build();
        for noun in command.get_subcommands() {
            for verb in noun.get_subcommands() {
                let begins = format!("signalbox {} {}", noun.get_name(), verb.get_name());
                let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&begins), "`{begins}` has no example");
            }
        }
    }
}

//! `signalbox key`: who may sign strategies.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Connection};
use super::document::read_text;
use super::error::Error;
use super::output::{Output, ago, cell, table};
use super::token::write_secret;
use super::workflow::items;
use crate::strategy::{PublicKey, SecretKey};

/// Keeps the keys that strategies are signed with. While an account has one, it takes and deploys signed versions only.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox key generate release                     # release.key, which stays secret, and release.pub
  signalbox key put release --file release.pub       # from now on uploads need its signature, or another key's
  signalbox strategy sign triage.wasm --key release.key
  signalbox strategy deploy triage.wasm --signature triage.wasm.sig
  signalbox key list
  signalbox key delete release

Keys are Ed25519 in PEM, as OpenSSL has them; a signature is over the file's bytes. What is deployed goes on serving whatever
becomes of its key; a version whose key is gone is not deployed again. When the last key is deleted, uploads need no signature
any more. Putting and deleting keys takes an administrator's token.")]
pub(super) struct Key {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a key on this machine: NAME.key, which only you can read, and NAME.pub. No server is asked.
    Generate {
        /// Where; `.key` and `.pub` are added.
        name: PathBuf,
    },
    /// Adds a public key, or puts another in its place.
    Put {
        /// Its name: shown with what it signed.
        name: String,
        /// The public key: NAME.pub, or Base64 of its 32 bytes.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Lists keys.
    List,
    /// Deletes a key: what it signed is deployed no more. With the last one, uploads need no signature any more.
    Delete {
        /// Its name.
        name: String,
    },
}

impl Key {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        match self.command {
            Command::Generate { name } => generate(&name, output),
            Command::Put { name, file } => {
                let public_key = read_text(&file)?;
                // Here already: a secret key given by mistake is not to leave this machine.
                let parsed: Result<PublicKey, _> = public_key.parse();
                parsed.map_err(|error| Error::usage(format!("{}: {error}", file.display())).at("--file"))?;
                let body = json!({ "public_key": public_key });
                let path = ["signing-keys", &name];
                let put = self.connection.client()?.send(Method::PUT, &path, Body::Json(&body)).await;
                let put = put.map_err(|error| error.named(&[("public_key", "--file"), ("signing_key", "NAME")]))?;
                output.result(&put, |_| format!("put {name}; uploads of strategies need a signature from now on"))
            }
            Command::List => {
                let list = self.connection.client()?.get(&["signing-keys"], &[]).await?;
                output.result(&list, |list| {
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(&["key", "public key", "put", "by"], &rows)
                })
            }
            Command::Delete { name } => {
                let client = self.connection.client()?;
                client.send(Method::DELETE, &["signing-keys", &name], Body::Empty).await?;
                let left = items(&client.get(&["signing-keys"], &[]).await?).len();
                output.result(&json!({ "deleted": name, "keys": left }), |_| match left {
                    0 => format!("deleted {name}, the last: uploads need no signature any more"),
                    _ => format!("deleted {name}"),
                })
            }
        }
    }
}

fn generate(name: &Path, output: &Output) -> Result<(), Error> {
    let (secret, text) = SecretKey::generate().map_err(|error| Error::new("no key was made").because(&error))?;
    let with = |extension: &str| {
        let mut file = name.as_os_str().to_owned();
        file.push(extension);
        PathBuf::from(file)
    };
    let (secret_file, public_file) = (with(".key"), with(".pub"));
    if public_file.exists() {
        let error = std::io::ErrorKind::AlreadyExists.into();
        return Err(Error::file("written", &public_file, &error));
    }
    write_secret(&secret_file, text.trim_end()).map_err(|error| Error::file("written", &secret_file, &error))?;
    let public = secret.public();
    std::fs::write(&public_file, public.pem()).map_err(|error| Error::file("written", &public_file, &error))?;
    let result = json!({ "secret": secret_file, "public": public_file, "public_key": public.to_string() });
    output.result(&result, |_| {
        format!("wrote {}, which stays secret, and {}", secret_file.display(), public_file.display())
    })
}

fn row(key: &Value) -> Vec<String> {
    let put = key.get("created_at").and_then(Value::as_u64).map(ago).unwrap_or_default();
    vec![cell(key, "name"), cell(key, "public_key"), put, cell(key, "created_by")]
}

//! `signalbox strategy sign`: vouches for a component's bytes. Nothing is asked of a server.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::local;
use crate::cli::document::read_text;
use crate::cli::error::Error;
use crate::cli::output::Output;
use crate::strategy::SecretKey;

/// Signs a component: writes FILE.sig, which `deploy` hands over with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  signalbox strategy sign triage/triage.wasm --key release.key

`signalbox key generate` makes keys. Sign what was built last: one changed byte makes it another file.")]
pub(super) struct Sign {
    /// The component.
    file: PathBuf,
    /// File with the secret key.
    #[arg(long, value_name = "KEYFILE")]
    key: PathBuf,
    /// File for the signature. Left out: FILE.sig
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sign {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let key = SecretKey::from_pem(&read_text(&self.key)?)
            .map_err(|error| Error::new(format!("{} is no key", self.key.display())).because(&error))?;
        let signature = key.sign(&local::read(&self.file)?);
        let out = self.out.unwrap_or_else(|| {
            let mut file = self.file.clone().into_os_string();
            file.push(".sig");
            file.into()
        });
        std::fs::write(&out, format!("{signature}\n")).map_err(|error| Error::file("written", &out, &error))?;
        let result = json!({ "file": out, "signature": signature, "public_key": key.public().to_string() });
        output.result(&result, |_| format!("wrote {}", out.display()))
    }
}

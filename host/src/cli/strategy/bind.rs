//! `strategy bind`: which deployments serve a workflow's strategy element.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::error::Error;
use super::super::output::Output;
use super::binding::{Keep, OnFailure, With, beside, described, element, note_canary_ended, put_binding, standing};
use super::canary;

/// Says which deployments serve a workflow's strategy element. The next call goes by it.
#[derive(Debug, Args)]
pub(super) struct Bind {
    /// The workflow and its strategy element.
    #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
    place: (String, String),
    /// A deployment, or several with weights: `old=90 new=10`.
    #[arg(required = true, value_name = "DEPLOYMENT[=WEIGHT]", value_parser = share)]
    shares: Vec<(String, u32)>,
    #[command(flatten)]
    on_failure: OnFailure,
    /// A deployment that is asked the same, without effect; more than once for several.
    #[arg(long = "shadow", value_name = "DEPLOYMENT")]
    shadows: Vec<String>,
    /// Calls that one instance may answer, 1 to 10,000, where the deployment could not be snapshotted, as those in JavaScript
    /// cannot. Left out: every call is configured in an instance of its own. With it a call finds what others left behind.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    warm_calls: Option<u32>,
    #[command(flatten)]
    canary: canary::Plan,
    /// Lets nobody new in before a replay of N decisions of those that serve, of which at most PERCENT % changed and none
    /// failed; who served here before, and was not rolled back, is not new. Left out: the gate that stands, if one does.
    #[arg(long, value_name = "N:PERCENT", value_parser = gate, conflicts_with = "no_gate")]
    gate: Option<(u64, u8)>,
    /// Takes the gate away.
    #[arg(long)]
    no_gate: bool,
    /// Why.
    #[arg(short, long, default_value = "")]
    message: String,
}

impl Bind {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<(), Error> {
        let mut named = BTreeSet::new();
        if let Some((twice, _)) = self.shares.iter().find(|(deployment, _)| !named.insert(deployment)) {
            return Err(Error::usage(format!("`{twice}` is named twice")).fix("give each deployment one weight"));
        }
        let canary = self.canary.document();
        let gate = match self.gate {
            Some((replayed_min, changed_percent_max)) => Keep::Other(json!({
                "replayed_min": replayed_min, "changed_percent_max": changed_percent_max
            })),
            None if self.no_gate => Keep::Other(Value::Null),
            None => Keep::Standing,
        };
        let shadows = Keep::Other(json!(self.shadows));
        let warm_calls = Keep::Other(json!(self.warm_calls));
        let with = With { shadows, gate, warm_calls, canary: canary.as_ref(), message: &self.message };
        let standing = standing(client, &self.place).await?;
        let bound = put_binding(client, &self.place, &self.shares, &self.on_failure, with, standing.as_ref()).await?;
        note_canary_ended(standing.as_ref(), &bound, output);
        self.note_warm_calls(client, &bound, output).await;
        output.result(&bound, |bound| {
            let canary = canary::beside(bound).map(|canary| format!(", {canary}")).unwrap_or_default();
            format!("bound {}{canary}{}", described(&self.place, &self.shares), beside(bound))
        })
    }

    /// Says of whom warm calls are asked for in vain. It is bound already: what cannot be asked now is no error.
    async fn note_warm_calls(&self, client: &Client, bound: &Value, output: &Output) {
        let canary = bound.pointer("/canary/deployment").and_then(Value::as_str);
        for name in
            self.shares.iter().map(|(name, _)| name.as_str()).chain(canary).filter(|_| self.warm_calls.is_some())
        {
            let deployment = client.get(&["deployments", name], &[]).await.unwrap_or_default();
            if deployment["snapshotted"] == true {
                output.note(&format!("--warm-calls changes nothing for {name}: it was snapshotted, and each call has a copy of that memory"));
            }
        }
    }
}

/// `20000:2`
fn gate(text: &str) -> Result<(u64, u8), String> {
    let parts = text.split_once(':').and_then(|(replayed, changed)| {
        let replayed = replayed.parse().ok().filter(|replayed| *replayed > 0)?;
        Some((replayed, changed.parse().ok().filter(|percent| *percent <= 100)?))
    });
    parts.ok_or_else(|| "a gate is a number of decisions, 1 or more, and a percentage, as 20000:2".to_owned())
}

fn share(text: &str) -> Result<(String, u32), String> {
    let Some((deployment, weight)) = text.split_once('=') else { return Ok((text.to_owned(), 1)) };
    match weight.parse() {
        Ok(weight @ 1..=1_000_000) => Ok((deployment.to_owned(), weight)),
        _ => Err("a weight is a number from 1 to 1,000,000".into()),
    }
}

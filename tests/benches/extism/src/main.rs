//! Calls a strategy in Extism's host, for the benchmark `extism`: one plug-in, kept and called again and again.
//!
//! Arguments: the plug-in, a file with its settings, a file with the request as JSON. A line on standard input with a number
//! asks for so many calls; the answer is a line of JSON, the nanoseconds of each. It ends where the input does.

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use extism::{Function, Manifest, Plugin, UserData, ValType, Wasm};
use serde_json::Value;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().with_context(|| format!("{what} is missing"));
    let (plugin, settings, request) = (next("the plug-in")?, next("the settings")?, next("the request")?);
    let settings = std::fs::read_to_string(settings)?;
    let request: Value = serde_json::from_slice(&std::fs::read(request)?)?;
    let manifest = Manifest::new([Wasm::data(std::fs::read(plugin)?)]).with_config_key("settings", settings);
    // The strategy's own log, which it says nothing in.
    let log = Function::new("write", [const { ValType::I32 }; 3], [], UserData::<()>::default(), |_, _, _, _| Ok(()));
    let log = log.with_namespace("signalbox:strategy/log@1.1.0");
    let mut plugin = Plugin::new(&manifest, [log], false)?;

    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let calls: usize = line?.trim().parse()?;
        let mut nanos = Vec::with_capacity(calls);
        for _ in 0..calls {
            let began = Instant::now();
            // What comes from a caller is a value, and so is what goes back: both ways through JSON.
            let text = serde_json::to_string(&request)?;
            let answer: &[u8] = plugin.call("decide", text)?;
            let answer: Value = serde_json::from_slice(answer)?;
            nanos.push(u64::try_from(began.elapsed().as_nanos())?);
            ensure!(answer["outcome"] == "clean", "the text has no hit: {answer}");
        }
        writeln!(output, "{}", serde_json::to_string(&nanos)?)?;
        output.flush()?;
    }
    Ok(())
}

//! A canary on the command line: how it is asked for, and how far it is.

use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use signalbox_engine::limits;

use super::super::output::{ago, cell, table, text};

/// A deployment that takes a growing part of the calls, and takes over or goes back by itself.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("guards").multiple(true)))]
pub(super) struct Plan {
    /// A deployment that takes a growing part of the interactions for as long as its guards hold. After its last step it is
    /// the only one; where a guard is broken it goes away, and `history` says why. `rollback` ends it by hand.
    #[arg(long, value_name = "DEPLOYMENT", requires = "steps", requires = "guards")]
    canary: Option<String>,
    /// Its part in each step, and how long the step takes at least: `5%:10m,25%:1h,100%:1h`.
    #[arg(long, value_name = "PERCENT:TIME,…", value_delimiter = ',', value_parser = step, requires = "canary")]
    steps: Vec<(u8, u64)>,
    /// Guard: share of its calls without a decision, at most, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = part, group = "guards", requires = "canary")]
    error_share_max: Option<f64>,
    /// Guard: all but one in a hundred of its calls take at most so long: 500us, 2ms, 1s.
    #[arg(long, value_name = "TIME", value_parser = micros, group = "guards", requires = "canary")]
    p99_max: Option<u64>,
    /// Guard: how far the share of an outcome may be from that of the others, at most, 0 to 1.
    #[arg(long, value_name = "SHARE", value_parser = part, group = "guards", requires = "canary")]
    outcome_shift_max: Option<f64>,
    /// Its calls in a step before a guard is looked at, and before the step is over.
    #[arg(long, value_name = "CALLS", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    calls_min: u64,
}

impl Plan {
    /// As a binding has it; none where none is asked for.
    pub(super) fn document(&self) -> Option<Value> {
        let deployment = self.canary.as_ref()?;
        let steps: Vec<_> =
            self.steps.iter().map(|(percent, for_s)| json!({ "percent": percent, "for_s": for_s })).collect();
        let mut guards = json!({ "calls_min": self.calls_min });
        let limits = [
            ("error_share_max", self.error_share_max.map(Value::from)),
            ("p99_max_us", self.p99_max.map(Value::from)),
            ("outcome_shift_max", self.outcome_shift_max.map(Value::from)),
        ];
        for (guard, limit) in limits {
            if let Some(limit) = limit {
                guards[guard] = limit;
            }
        }
        Some(json!({ "deployment": deployment, "steps": steps, "guards": guards }))
    }
}

fn step(text: &str) -> Result<(u8, u64), String> {
    let wrong = || "write a step as PERCENT:TIME, such as 5%:10m".to_owned();
    let (percent, time) = text.split_once(':').ok_or_else(wrong)?;
    let percent = percent.strip_suffix('%').unwrap_or(percent).parse().map_err(|_| wrong())?;
    if !(1..=100).contains(&percent) {
        return Err("a step takes 1 to 100 percent".into());
    }
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    match number(time, units).ok_or_else(wrong)? {
        seconds @ 1..=limits::CANARY_STEP_S_MAX => Ok((percent, seconds)),
        _ => Err(format!("a step takes 1s to {}d", limits::CANARY_STEP_S_MAX / 86_400)),
    }
}

fn micros(text: &str) -> Result<u64, String> {
    let units = [("us", 1), ("µs", 1), ("ms", 1000), ("s", 1_000_000)];
    let found = units.into_iter().find_map(|(unit, us)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(us));
    found.ok_or_else(|| "write it as 500us, 2ms or 1s".to_owned())
}

fn number(text: &str, units: [(char, u64); 4]) -> Option<u64> {
    units.into_iter().find_map(|(unit, seconds)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(seconds))
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

/// The canary of a binding, in words.
pub(super) fn beside(binding: &Value) -> Option<String> {
    let canary = binding.get("canary")?;
    let percent = canary["steps"].get(usize::try_from(canary["step"].as_u64()?).ok()?)?.get("percent")?;
    Some(format!("canary {} at {percent} %", cell(canary, "deployment")))
}

/// How far a canary is, for people.
pub(super) fn shown(view: &Value) -> String {
    let (canary, figures) = (&view["canary"], &view["figures"]);
    let at = canary["step"].as_u64().unwrap_or_default();
    let steps = canary["steps"].as_array().map_or(0, Vec::len);
    let since = figures["since"].as_u64().map(ago).unwrap_or_default();
    let over = match view["ends_at"].as_u64() {
        Some(ends_at) => format!("over {} if its guards hold", ago(ends_at)),
        None => {
            let min = canary["guards"]["calls_min"].as_u64().unwrap_or_default();
            let has_enough = figures["canary"]["calls"].as_u64().unwrap_or_default() >= min;
            let what = if has_enough { "decisions of the others, to compare it with" } else { "calls" };
            format!("not over before {min} {what}")
        }
    };
    let beside = beside(view).unwrap_or_default();
    let mut lines = vec![format!("{beside}, step {} of {steps}, began {since}, {over}", at + 1)];
    let guards = canary["guards"].as_object().into_iter().flatten();
    let guards: Vec<_> = guards.map(|(guard, limit)| format!("{guard} {}", text(limit))).collect();
    lines.push(format!("guards: {}", guards.join(", ")));

    let mut rows = Vec::new();
    let both = |field: &str| [cell(&figures["canary"], field), cell(&figures["rest"], field)];
    let mut row = |what: String, [canary, rest]: [String; 2]| rows.push(vec![what, canary, rest]);
    row("calls".into(), both("calls"));
    for (kind, called) in [("failures", "failure: "), ("outcomes", "")] {
        let mut names: Vec<&String> = ["canary", "rest"]
            .iter()
            .flat_map(|of| figures[of][kind].as_object().into_iter().flatten().map(|(name, _)| name))
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let counts = ["canary", "rest"].map(|of| figures[of][kind][name].as_u64().unwrap_or(0).to_string());
            row(format!("{called}{name}"), counts);
        }
    }
    for quantile in ["p50", "p99"] {
        row(format!("{quantile}, µs"), both(&format!("times.{quantile}_us")));
    }
    lines.push(table(&["", "canary", "the others"], &rows));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_times_are_read_as_they_are_written() {
        assert_eq!(step("5%:10m"), Ok((5, 600)));
        assert_eq!(step("100:1h"), Ok((100, 3600)));
        for wrong in ["5%", "0%:1s", "101%:1s", "5%:10", "5%:m", "x:1s", ""] {
            assert!(step(wrong).is_err(), "{wrong}");
        }
        assert_eq!((micros("500us"), micros("2ms"), micros("1s")), (Ok(500), Ok(2000), Ok(1_000_000)));
        assert!(micros("2").is_err() && micros("ms").is_err());
        assert!(part("0.02").is_ok() && part("1.5").is_err() && part("NaN").is_err());
    }

    #[test]
    fn how_far_a_canary_is_fits_a_terminal() {
        let view = json!({
            "canary": {"deployment": "rules-8", "step": 1, "step_at": 0,
                       "steps": [{"percent": 5, "for_s": 600}, {"percent": 25, "for_s": 600}],
                       "guards": {"error_share_max": 0.02, "calls_min": 50}},
            "figures": {"since": 0,
                        "canary": {"calls": 12, "failures": {"trap": 1}, "outcomes": {"urgent": 11},
                                   "times": {"p50_us": 14, "p99_us": 21}},
                        "rest": {"calls": 40, "failures": {}, "outcomes": {"spam": 2, "urgent": 38},
                                 "times": {"p50_us": 15, "p99_us": 22}}}});
        let shown = shown(&view);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("canary rules-8 at 25 %, step 2 of 2, began "), "{shown}");
        assert!(lines[0].ends_with("not over before 50 calls"), "{shown}");
        for wanted in ["error_share_max 0.02", "failure: trap", "the others", "p99, µs"] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
    }
}

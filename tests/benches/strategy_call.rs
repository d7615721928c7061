//! A call in a fresh sandbox beside the same call on a warm instance: screening, 20 rules, 1 KB of text without a hit.

use std::sync::Arc;

use anyhow::Result;
use signalbox::strategy::{Grants, Nothing};
use signalbox_tests::{Calls, Local, Report, email_of_1_kb, fresh_and_warm, screening, strategy_file};

const CALLS: usize = 20_000;

fn main() -> Result<()> {
    let local = Local::start()?;
    let deployment = local.deploy(&strategy_file("screening")?, &screening(), &[])?;
    let grants: Arc<dyn Grants> = Arc::new(Nothing);
    let Calls { mut fresh, mut cleared, mut warm } =
        fresh_and_warm(&deployment, &email_of_1_kb()?, &grants, "clean", CALLS)?;

    let mut report = Report::new(&format!("{CALLS} calls of each kind, one thread; {}", local.description()));
    let (fresh_50, warm_50) = (fresh.quantile_us(0.5), warm.quantile_us(0.5));
    report.at_most("fresh sandbox until the answer, above warm instance, p50", fresh_50 - warm_50, "us", 12.0);
    report.at_most("fresh sandbox until the answer, p50", fresh_50, "us", 25.0);
    report.figure("fresh sandbox until the answer, p99", fresh.quantile_us(0.99), "us");
    report.at_most("fresh sandbox until its thread is free again, p50", cleared.quantile_us(0.5), "us", 25.0);
    report.figure("call on a warm instance, p50", warm_50, "us");
    report.figure("call on a warm instance, p99", warm.quantile_us(0.99), "us");
    report.write()
}

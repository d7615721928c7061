//! Lets the customers of a table go first. Its settings are all the state it has, so one type does for both.
use signalbox_sdk::{Assets, Decision, Failure, Outcomes, Request, Strategy, tables};

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct Vip {
    /// Table from a sender's address to the customer's level.
    table: String,
}

impl Strategy for Vip {
    type Settings = Self;
    const NAME: &'static str = "vip";
    const VERSION: &'static str = "1.0.0";
    const DESCRIPTION: &'static str = "Lets the customers of a table go first.";
    const OUTCOMES: Outcomes = &[("vip", "On the table."), ("regular", "Everyone else.")];
    fn configure(settings: Self, _: Assets) -> Result<Self, String> {
        Ok(settings)
    }
    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let sender = request.interaction.sender.as_deref().unwrap_or_default();
        Ok(match tables::lookup(&self.table, sender) {
            Some(level) => Decision::leave_by("vip").priority(900).attach("vip.level", level),
            None => Decision::leave_by("regular").because("not on the table"),
        })
    }
}
signalbox_sdk::export!(Vip);

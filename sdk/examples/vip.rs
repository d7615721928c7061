use signalbox_sdk::{Assets, Decision, Failure, Request, Strategy, tables};

/// What an operator sets: the designer's form comes from this type.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Table from a sender's address to the customer's level.
    table: String,
}

struct Vip(Settings);

impl Strategy for Vip {
    type Settings = Settings;
    const NAME: &'static str = "vip";
    const VERSION: &'static str = "1.0.0";
    const DESCRIPTION: &'static str = "Lets the customers of a table go first.";
    const OUTCOMES: &'static [(&'static str, &'static str)] =
        &[("vip", "On the table."), ("regular", "Everyone else.")];

    fn configure(settings: Settings, _: Assets) -> Result<Self, String> {
        Ok(Vip(settings))
    }
    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let sender = request.interaction.sender.as_deref().unwrap_or_default();
        Ok(match tables::lookup(&self.0.table, sender) {
            Some(level) => Decision::leave_by("vip")
                .priority(900)
                .attach("vip.level", level)
                .because("on the table"),
            None => Decision::leave_by("regular").because("not on the table"),
        })
    }
}
signalbox_sdk::export!(Vip);

//! The strategy `screening` as a plug-in of Extism: JSON in, JSON out.
//!
//! The plug-in is kept between calls and so are its rules: the settings come once, as its configuration, and are made
//! ready by the first call.
#![cfg(target_family = "wasm")]

mod json;

use std::sync::OnceLock;

use extism_pdk::{Error, FnResult, Json, config, plugin_fn};
use json::{Answer, Asked};
use screening::Screening;
use signalbox_sdk::{Assets, Strategy as _};

static SCREENING: OnceLock<Screening> = OnceLock::new();

/// Decides. `route` is the name of what the strategy exports itself.
#[plugin_fn]
pub fn decide(Json(asked): Json<Asked>) -> FnResult<Json<Answer>> {
    let screening = match SCREENING.get() {
        Some(screening) => screening,
        None => {
            let settings = serde_json::from_str(&config::get("settings")?.unwrap_or_default())?;
            let made = Screening::configure(settings, Assets::default()).map_err(Error::msg)?;
            SCREENING.get_or_init(|| made)
        }
    };
    Ok(Json(json::decide(screening, asked).map_err(Error::msg)?))
}

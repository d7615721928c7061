//! What `wit-bindgen` makes of `wit/strategy.wit`. Nothing here is written by hand, and authors never name it.
//!
//! Off Wasm the generated imports cannot be called; `host` sends those calls to the fake in `testing` instead.

wit_bindgen::generate!({
    world: "strategy",
    path: "../wit",
    additional_derives: [PartialEq, Eq],
    generate_unused_types: true,
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "signalbox_sdk::bindings",
    runtime_path: "::signalbox_sdk::glue::rt",
});

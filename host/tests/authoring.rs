//! An author's way from nothing to a tested strategy, by the command line.
//!
//! Components of the starters are kept in `tests/fixtures/starters`, whose README says how they were made: building those of
//! other languages takes tools from the network.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod guest;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

fn signalbox(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_signalbox")).env("HOME", "/nonexistent").args(arguments).output().unwrap()
}

/// What a command that succeeds prints as JSON.
fn answer(arguments: &[&str]) -> Value {
    let output = signalbox(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn starters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/starters")
}

fn built(language: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/fixtures/starters/{language}.wasm"));
    file.to_str().unwrap().to_owned()
}

/// A new project, and its folder as an argument.
fn project(language: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("triage").to_str().unwrap().to_owned();
    answer(&["strategy", "new", "triage", "--lang", language, "--path", &path]);
    (folder, path)
}

/// A project without a language: a step copies a component.
fn copying(language: &str) -> (TempDir, String) {
    let (folder, path) = project("c");
    std::fs::copy(built(language), Path::new(&path).join("made.wasm")).unwrap();
    let recipe = "name = \"triage\"\noutput = \"build/a.wasm\"\nsources = [\"made.wasm\"]\n\
                  [[step]]\nrun = [\"cp\", \"made.wasm\", \"build/a.wasm\"]\nneeds = \"cp\"\n";
    std::fs::write(Path::new(&path).join("signalbox.toml"), recipe).unwrap();
    (folder, path)
}

fn passes_its_cases(language: &str, component: &str) {
    let (_folder, path) = project(language);
    let report = answer(&["strategy", "test", &path, "--component", component]);
    let cases = std::fs::read_dir(starters().join("cases")).unwrap().count();
    assert!(cases >= 14);
    assert_eq!((&report["passed"], &report["differ"]), (&json!(cases), &json!(0)), "{report}");
}

#[test]
fn the_starter_in_rust_passes_all_cases() {
    passes_its_cases("rust", &built("rust"));
}

#[test]
fn the_starter_in_c_passes_all_cases() {
    passes_its_cases("c", &built("c"));
}

#[test]
fn the_starter_in_javascript_passes_all_cases() {
    passes_its_cases("js", &built("js"));
}

/// Its component is kept compressed.
#[test]
fn the_starter_in_python_passes_all_cases() {
    let kept = std::fs::File::open(format!("{}.zst", built("python"))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let component = folder.path().join("python.wasm");
    zstd::stream::copy_decode(kept, std::fs::File::create(&component).unwrap()).unwrap();
    passes_its_cases("python", component.to_str().unwrap());
}

#[test]
fn a_new_project_is_written_whole_and_never_over_another() {
    for (language, own) in [("rust", "src/lib.rs"), ("js", "package.json"), ("python", "app.py"), ("c", "Makefile")] {
        let (_folder, path) = project(language);
        let written = std::fs::read_to_string(Path::new(&path).join(own)).unwrap();
        let starter = std::fs::read_to_string(starters().join(language).join(own)).unwrap();
        assert_eq!(written, starter.replace("{{name}}", "triage"), "{language}");
        let world = std::fs::read(Path::new(&path).join("wit/strategy.wit")).unwrap();
        assert_eq!(world, std::fs::read(starters().join("../../wit/strategy.wit")).unwrap());

        let again = signalbox(&["strategy", "new", "triage", "--lang", language, "--path", &path]);
        assert_eq!(again.status.code(), Some(1));
        assert!(err(&again).contains("is not empty: nothing was written"), "{}", err(&again));
    }
    for name in ["Triage", "7up", "a b", "", &"a".repeat(65)] {
        assert_eq!(signalbox(&["strategy", "new", name, "--lang", "c"]).status.code(), Some(2), "{name}");
    }
}

#[test]
fn a_project_is_built_by_its_steps_and_what_came_is_checked() {
    let (_folder, path) = copying("c");
    let document = answer(&["strategy", "build", &path]);
    assert_eq!(document["name"], "triage");
    assert_eq!(document["outcomes"][0]["name"], "no-match");
    assert_eq!(document["size_bytes"], std::fs::metadata(Path::new(&path).join("triage.wasm")).unwrap().len());

    std::fs::write(Path::new(&path).join("made.wasm"), "no component").unwrap();
    let broken = signalbox(&["strategy", "build", &path]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(err(&broken).contains("strategy-not-wasm"), "{}", err(&broken));
    let kept = std::fs::read(Path::new(&path).join("triage.wasm")).unwrap();
    assert_eq!(kept, std::fs::read(built("c")).unwrap());

    std::fs::remove_file(Path::new(&path).join("made.wasm")).unwrap();
    let fails = signalbox(&["strategy", "build", &path]);
    assert!(err(&fails).contains("it needs cp"), "{}", err(&fails));
}

#[test]
fn a_case_that_differs_shows_how_fails_and_can_be_updated() {
    let (_folder, path) = copying("c");
    let file = Path::new(&path).join("cases/a-vip-goes-first.json");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, right.replace("\"set-priority\": 900", "\"set-priority\": 901")).unwrap();

    let output = signalbox(&["strategy", "test", &path]);
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    assert!(said.contains("✗ a-vip-goes-first") && said.contains("✓ only-whole-words-are-found"), "{said}");
    let lines: Vec<_> = said.lines().map(str::trim).collect();
    assert!(
        lines.contains(&"-         \"set-priority\": 901") && lines.contains(&"+         \"set-priority\": 900"),
        "{said}"
    );
    assert!(out(&output).contains("13 of 14 cases passed"), "{}", out(&output));

    let report = answer(&["strategy", "test", &path, "--update"]);
    assert_eq!((&report["passed"], &report["updated"]), (&json!(13), &json!(1)));
    let document = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(document(&std::fs::read_to_string(&file).unwrap()), document(&right));
    assert_eq!(answer(&["strategy", "test", &path])["passed"], 14);
}

#[test]
fn a_case_says_what_its_deployment_may_use() {
    let (_folder, path) = copying("c");
    let cases = Path::new(&path).join("cases");
    let case: Value =
        serde_json::from_str(&std::fs::read_to_string(cases.join("a-vip-goes-first.json")).unwrap()).unwrap();
    let write = |name: &str, grants: Value, expect: Value| {
        let mut case = case.clone();
        (case["name"], case["grants"], case["expect"]) = (json!(name), grants, expect);
        std::fs::write(cases.join(name).with_extension("json"), case.to_string()).unwrap();
    };
    write("granted", json!({"imports": ["*"], "tables": ["vips"]}), case["expect"].clone());
    write("ungranted", json!({"imports": ["*"], "tables": ["others"]}), json!({"failure": {"refused": "?"}}));
    write("unimportable", json!({"tables": ["vips"]}), json!({"configure-error": "imports"}));
    let output = signalbox(&["strategy", "test", &path]);
    let said = err(&output);
    assert!(said.contains("✓ granted") && said.contains("✓ unimportable"), "{said}");
    assert!(said.contains("✗ ungranted") && said.contains("refused") && said.contains("table vips"), "{said}");

    let file = cases.join("a-vip-goes-first.json");
    let run = |grant: &str| {
        let request = file.to_str().unwrap();
        let grants = ["--grant-import", "*", "--grant-table", grant];
        signalbox(&[&["strategy", "run", &built("c"), "--request", request][..], &grants].concat())
    };
    assert!(run("vips").status.success(), "{}", err(&run("vips")));
    assert!(err(&run("others")).contains("[refused]"), "{}", err(&run("others")));
}

#[test]
fn the_files_in_assets_are_handed_over_by_their_names() {
    let (_folder, path) = copying("c");
    std::fs::create_dir(Path::new(&path).join("assets")).unwrap();
    std::fs::write(Path::new(&path).join("assets/.hidden"), "").unwrap();
    assert!(signalbox(&["strategy", "test", &path]).status.success());
    std::fs::write(Path::new(&path).join("assets/model"), "weights").unwrap();
    let output = signalbox(&["strategy", "test", &path]);
    assert!(err(&output).contains("[asset-unknown]") && err(&output).contains("`model`"), "{}", err(&output));
}

#[test]
fn a_call_tells_its_decision_log_time_memory_and_instructions() {
    let case = starters().join("cases/a-full-desk-turns-others-away.json");
    let request = ["strategy", "run", &built("c"), "--request", case.to_str().unwrap()];
    let told = answer(&request);
    assert_eq!(told["decision"]["outcome"], "busy");
    assert_eq!(told["configure_log"][0]["message"], "3 rules");
    assert_eq!(told["log"], json!([]), "what `configure` logs is no call's");
    assert_eq!(told["granted"][1]["answer"], 3.0);
    assert!(told["instructions"].as_u64().unwrap() > 1000, "{told}");
    assert!(told["touched_bytes"].as_u64().unwrap() >= 4096, "{told}");
    assert!(told["time"]["fastest"]["guest_ns"].as_u64().unwrap() > 0);
    // The same call takes as many instructions each time.
    assert_eq!(answer(&request)["instructions"], told["instructions"]);
    assert!(out(&signalbox(&request)).contains("busy"));
}

#[test]
fn a_trap_says_what_the_panic_said_and_files_and_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (file, request) = (folder.path().join("hostile.wasm"), folder.path().join("request.json"));
    std::fs::write(&file, guest::component_with_lines("hostile")).unwrap();
    std::fs::write(&request, r#"{ "media_type": "email", "body": "panic" }"#).unwrap();
    let output = signalbox(&["strategy", "run", file.to_str().unwrap(), "--request", request.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = err(&output);
    assert!(said.contains("hostile/src/lib.rs:"), "{said}");
    assert!(said.contains("[trap]"), "{said}");
}

#[test]
fn two_versions_are_measured_side_by_side() {
    let settings = starters().join("settings.json");
    let component = built("c");
    let bench = ["strategy", "bench", &component, "--settings", settings.to_str().unwrap(), "--calls", "20"];
    let one = answer(&bench);
    assert_eq!(one["figures"].as_array().unwrap().len(), 1);
    let other = built("rust");
    let against = [&bench[..], &["--against", &other]].concat();
    let output = signalbox(&against);
    assert!(output.status.success(), "{}", err(&output));
    for row in [
        "ratio",
        "to the answer, p50",
        "to the answer, p99",
        "on a warm instance, p50",
        "memory touched",
        "instructions",
    ] {
        assert!(out(&output).contains(row), "no {row} in\n{}", out(&output));
    }
}

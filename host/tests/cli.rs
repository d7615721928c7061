//! The command line from outside: help, exit codes, errors, and the classifier on a small file.

#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use signalbox::store::{Family, Key, Options, Store};

/// The program, without anything of this machine's environment that it would go by.
fn signalbox(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signalbox"));
    for variable in [
        "SIGNALBOX_SERVER",
        "SIGNALBOX_TOKEN",
        "SIGNALBOX_TOKEN_FILE",
        "SIGNALBOX_ACCOUNT",
        "SIGNALBOX_STORE",
        "SIGNALBOX_LISTEN",
        "SIGNALBOX_LOG",
    ] {
        command.env_remove(variable);
    }
    command.env("HOME", "/nonexistent").env_remove("XDG_DATA_HOME").args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Answers one request with a status and a body, and gives the request's head.
fn server(status: &'static str, body: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut buffer = [0; 4096];
        while !head.windows(4).any(|w| w == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the request broke off");
            head.extend_from_slice(&buffer[..count]);
        }
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        String::from_utf8_lossy(&head).into_owned()
    });
    (address, thread)
}

/// A small file of two categories that are easy to tell apart.
fn messages(folder: &Path) -> PathBuf {
    let billing = ["invoice", "bill", "payment", "debit", "refund"];
    let technical = ["router", "signal", "wifi", "cable", "firmware"];
    let mut text = String::from("id,text,category\n");
    for n in 0..40 {
        let (words, category) = if n % 2 == 0 { (billing, "billing") } else { (technical, "technical") };
        let (a, b) = (words[n / 2 % 5], words[(n / 2 + 1 + n / 10) % 5]);
        text.push_str(&format!("{n},\"a question about the {a}, and the {b}\",{category}\n"));
    }
    let file = folder.join("messages.csv");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let output = signalbox(&["--help"]);
    assert_eq!(code(&output), 0);
    insta::assert_snapshot!("help", out(&output));
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        "serve",
        "strategy",
        "workflow",
        "submit",
        "interaction",
        "queue",
        "statistic",
        "callback",
        "endpoint",
        "classifier",
        "key",
        "token",
        "account",
        "response",
        "table",
        "calendar",
        "webhook",
        "backup",
        "restore",
    ] {
        let output = signalbox(&[command, "--help"]);
        assert_eq!(code(&output), 0, "{command}");
        assert!(out(&output).contains(&format!("  signalbox {command}")), "{command} has no example");
    }
    for [noun, verb] in
        [["strategy", "build"], ["strategy", "deploy"], ["classifier", "train"], ["classifier", "evaluate"]]
    {
        assert_eq!(code(&signalbox(&[noun, verb, "--help"])), 0, "{noun} {verb}");
    }
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [
        &["submit", "--workflow", "a", "--body", "b", "--input", "c", "--text", "d"][..],
        &["strategy", "bind", "no-element", "a"],
        &["strategy", "bind", "a/b", "c=0"],
        &["token", "create", "a"],
        &["submit", "--workflow", "a"],
        &["queue", "take", ".."],
        &["queue", "list", "--server", "ftp://example.com"],
        &["serve", "--log", "=="],
    ] {
        let output = signalbox(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn a_server_that_is_not_there_is_4_and_says_how_to_start_one() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let output = signalbox(&["queue", "list", "--server", &address]);
    assert_eq!(code(&output), 4);
    assert!(err(&output).contains("signalbox serve"), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn a_refusal_is_3_and_says_what_where_and_what_to_do() {
    let body = r#"{"status":422,"title":"Workflow faulty","code":"workflow-faulty","detail":"the workflow has 1 fault(s)","field":"elements","what_to_do":"put them right","faults":[{"element":"screen","code":"connector-missing","message":"`spam` leads nowhere"}]}"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.json");
    std::fs::write(&file, r#"{"name":"w"}"#).unwrap();
    let put = ["workflow", "put", file.to_str().unwrap(), "--token", "sbx_test", "--server"];

    let (address, request) = server("422 Unprocessable Entity", body);
    let output = signalbox(&[&put[..], &[&address]].concat());
    assert_eq!(code(&output), 3);
    insta::assert_snapshot!("refusal", err(&output).replace(file.to_str().unwrap(), "w.json"));
    let request = request.join().unwrap().to_ascii_lowercase();
    assert!(request.starts_with("put /v1/accounts/main/workflows/w http/1.1"), "{request}");
    assert!(request.contains("authorization: bearer sbx_test"), "{request}");

    let (address, request) = server("422 Unprocessable Entity", body);
    let output = signalbox(&[&put[..], &[&address, "--json"]].concat());
    request.join().unwrap();
    let error: serde_json::Value = serde_json::from_str(&err(&output)).unwrap();
    assert_eq!(error["error"]["code"], "workflow-faulty");
}

#[test]
fn a_failing_server_is_4_and_a_token_is_never_printed() {
    let (address, request) =
        server("500 Internal Server Error", r#"{"status":500,"code":"internal","detail":"it failed"}"#);
    let output = signalbox(&["queue", "list", "--token", "sbx_verysecret", "--server", &address]);
    request.join().unwrap();
    assert_eq!(code(&output), 4);
    assert!(!err(&output).contains("verysecret") && !out(&output).contains("verysecret"));
}

#[test]
fn a_secret_key_given_for_a_public_one_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("release");
    assert_eq!(code(&signalbox(&["key", "generate", name.to_str().unwrap()])), 0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let secret = name.with_extension("key");
    let arguments = ["key", "put", "release", "--token", "sbx_test", "--server", &address, "--file"];
    let output = signalbox(&[&arguments[..], &[secret.to_str().unwrap()]].concat());
    assert_eq!(code(&output), 2, "{}", err(&output));
    assert!(err(&output).contains("--file"), "{}", err(&output));
    let asked = listener.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "the server was asked");
}

#[test]
fn an_endpoint_is_put_with_its_key_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("crm.key");
    std::fs::write(&key, "0123456789abcdef\n").unwrap();
    let (address, request) = server("201 Created", r#"{"name":"crm","url":"https://crm.example"}"#);
    let put = ["endpoint", "put", "crm", "--url", "https://crm.example", "--timeout-ms", "2000", "--secret-file"];
    let output = signalbox(&[&put[..], &[key.to_str().unwrap(), "--token", "sbx_test", "--server", &address]].concat());
    let request = request.join().unwrap();
    assert_eq!((code(&output), out(&output).trim()), (0, "put crm"), "{}", err(&output));
    assert!(request.starts_with("PUT /v1/accounts/main/endpoints/crm HTTP/1.1"), "{request}");

    let refusal = r#"{"status":422,"code":"invalid","detail":"timeout_ms: 100 to 60000","field":"timeout_ms"}"#;
    let (address, request) = server("422 Unprocessable Entity", refusal);
    let put = ["endpoint", "put", "crm", "--url", "https://crm.example", "--timeout-ms", "1", "--token", "sbx_test"];
    let output = signalbox(&[&put[..], &["--server", &address]].concat());
    request.join().unwrap();
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("--timeout-ms"), "the argument is named, not the field: {}", err(&output));
}

#[test]
fn callbacks_are_listed_shown_moved_and_ended() {
    let id = "0198c0de-7b1a-7c3e-9f00-0123456789ab";
    let one = r#"{"id":"0198c0de-7b1a-7c3e-9f00-0123456789ab","state":"scheduled","sender":"+49 30 1"}"#;
    let list = r#"{"items":[{"id":"0198c0de","state":"scheduled","sender":"+49 30 1","callback":{"rules":"sales","attempts":1}}]}"#;
    let slots = r#"{"items":[{"starts_at":"2026-11-23T14:00:00+01:00","free":2}]}"#;
    let table: [(&[&str], &str, &str, &str); 7] = [
        (&["slots", "sales"], "GET /v1/accounts/main/callback-rules/sales/slots?from_ms=", slots, "14:00:00+01:00  "),
        (&["create", "--rules", "sales", "--number", "1"], "POST /v1/accounts/main/callbacks ", one, "booked 0198c0de"),
        (
            &["list", "--number", "+49 30 1"],
            "GET /v1/accounts/main/callbacks?number=%2B49+30+1&limit=50",
            list,
            "sales",
        ),
        (&["get", id], "GET /v1/accounts/main/callbacks/0198c0de", one, "scheduled"),
        (&["reschedule", id], "POST /v1/accounts/main/callbacks/0198c0de", one, "rescheduled 0198c0de"),
        (&["cancel", id], "POST /v1/accounts/main/callbacks/0198c0de", one, "cancelled 0198c0de"),
        (&["close", id], "POST /v1/accounts/main/callbacks/0198c0de", one, "closed 0198c0de"),
    ];
    for (arguments, asked, body, shown) in table {
        let (address, request) = server("200 OK", body);
        let output = signalbox(&[&["callback"], arguments, &["--token", "sbx_test", "--server", &address]].concat());
        let request = request.join().unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}: {}", err(&output));
        assert!(request.starts_with(asked), "{arguments:?}: {request}");
        assert!(out(&output).contains(shown), "{arguments:?}: {}", out(&output));
    }
}

#[test]
fn output_that_is_no_terminal_has_no_colours() {
    let output = signalbox(&["workflow", "put", "/nonexistent.json"]);
    assert_eq!(code(&output), 1);
    assert!(!err(&output).contains('\x1b'));
    insta::assert_snapshot!("no_file", err(&output));
}

#[test]
fn a_folder_without_a_crate_is_no_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let output = signalbox(&["strategy", "build", folder.path().to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("no crate in"), "{}", err(&output));
}

#[test]
fn what_is_no_component_is_named_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.wasm");
    for (content, code) in [(&b"hello"[..], "strategy-not-wasm"), (b"\0asm\x01\0\0\0", "strategy-core-module")] {
        std::fs::write(&file, content).unwrap();
        let output = signalbox(&["strategy", "inspect", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(code), "{}", err(&output));
    }
}

#[test]
fn a_model_is_trained_the_same_each_time_and_reports_what_it_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let input = messages(folder.path());
    let train = |out: &str, columns: [&str; 2]| {
        let out = folder.path().join(out);
        let output = signalbox(&[
            "classifier",
            "train",
            "--input",
            input.to_str().unwrap(),
            "--text",
            columns[0],
            "--label",
            columns[1],
            "--out",
            out.to_str().unwrap(),
            "--json",
        ]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        (std::fs::read(out).unwrap(), serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap())
    };
    let (by_name, report) = train("a.model", ["text", "category"]);
    let (by_number, _) = train("b.model", ["2", "3"]);
    assert_eq!(by_name, by_number);
    assert_eq!(report["examples"], 40);
    assert_eq!(report["categories"], 2);
    assert_eq!(report["held_out"]["examples"], 4);
    assert_eq!(report["held_out"]["accuracy"], 1.0);
}

#[test]
fn a_record_without_a_category_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("a.tsv");
    std::fs::write(&input, "ham\tone\n\ttwo\n").unwrap();
    let output = signalbox(&[
        "classifier",
        "train",
        "--input",
        input.to_str().unwrap(),
        "--no-header",
        "--text",
        "2",
        "--label",
        "1",
        "--out",
        folder.path().join("m").to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("record 2"), "{}", err(&output));
}

#[test]
fn a_model_is_measured_through_the_strategy_in_its_sandbox() {
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/strategies/content-analysis.wasm");
    if !component.is_file() {
        eprintln!("skipped: {} is not there; `cargo xtask build` makes it", component.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = messages(folder.path());
    let (input, model) = (input.to_str().unwrap(), folder.path().join("m.model"));
    let model = model.to_str().unwrap();
    let columns = ["--input", input, "--text", "text", "--label", "category"];
    let trained = signalbox(&[&["classifier", "train", "--out", model][..], &columns].concat());
    assert_eq!(code(&trained), 0, "{}", err(&trained));
    let evaluate = ["classifier", "evaluate", "--model", model, "--strategy", component.to_str().unwrap(), "--json"];
    let output = signalbox(&[&evaluate[..], &columns].concat());
    assert_eq!(code(&output), 0, "{}", err(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["examples"], &report["accuracy"]), (&serde_json::json!(40), &serde_json::json!(1.0)));
}

#[test]
fn a_store_that_a_newer_version_wrote_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    drop(Store::open(&Options { directory: store.clone(), cache_bytes: 8 << 20 }).unwrap());
    let families = rocksdb::DB::list_cf(&rocksdb::Options::default(), &store).unwrap();
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &store, families).unwrap();
    let meta = db.cf_handle(Family::Meta.name()).unwrap();
    db.put_cf(meta, Key::Format.encode(), 99_u32.to_be_bytes()).unwrap();
    drop(db);
    let output = signalbox(&["serve", "--store", store.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("format 99"), "{}", err(&output));
    assert!(err(&output).contains("restore a backup"), "{}", err(&output));
}

#[test]
fn decisions_are_told_with_what_was_asked_and_logged() {
    let page = r#"{"items": [{"workflow": "support", "element": "screen", "deployment": "rules-7", "answered_at_ms": 1,
        "outcome": "billing", "reason": "it says refund", "actions": [{"set-priority": 900}],
        "granted": [{"question": "key ana of table vips", "answer": "gold"}],
        "log": [{"level": "info", "message": "3 rules"}]}]}"#;
    let (address, asked) = server("200 OK", page);
    let output = signalbox(&["interaction", "--server", &address, "--token", "t", "decisions", "0198"]);
    let told = out(&output);
    for part in ["support/screen by rules-7", "billing", "it says refund", "900", "table vips: gold", "info  3 rules"] {
        assert!(told.contains(part), "no {part} in {told}{}", err(&output));
    }
    assert!(asked.join().unwrap().contains("/interactions/0198/decisions?"));
}

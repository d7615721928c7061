//! What an operator may keep a strategy from, and whom bytes must come from. With strategies in their sandboxes: one that
//! was built against 1.0.0 of the WIT package and is kept, and one of today's that does what the interaction's body says.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use signalbox::strategy::SecretKey;

use super::guest;
use super::{Answer, Server};

/// The starter in C as it was built against 1.0.0.
const OF_1_0: &[u8] = include_bytes!("../../../tests/fixtures/wit-1.0/triage.wasm");

/// Built against the version of today.
static OBEDIENT: LazyLock<Vec<u8>> = LazyLock::new(|| guest::component("hostile"));

async fn upload(server: &Server, component: &[u8], signature: Option<&str>) -> Answer {
    let request = Request::post("/v1/accounts/acme/strategies")
        .header("authorization", format!("Bearer {}", server.token("acme/operator")))
        .header("content-type", "application/wasm");
    let request = match signature {
        Some(signature) => request.header("signalbox-strategy-signature", signature),
        None => request,
    };
    server.send(request.body(Body::from(component.to_vec())).unwrap()).await
}

/// Uploads and deploys.
async fn deploy(server: &Server, component: &[u8], deployment: Value) -> Answer {
    let uploaded = upload(server, component, None).await;
    assert!(uploaded.status.is_success(), "{uploaded:#?}");
    let mut deployment = deployment;
    deployment["strategy"] = uploaded.body["digest"].clone();
    server.call("operator", "POST /deployments", deployment).await
}

/// A workflow that asks a deployment, and ends.
async fn serve(server: &Server, workflow: &str, deployment: &str) {
    let drawn = json!({
        "elements": [
            {"id": "start", "kind": "start"},
            {"id": "ask", "kind": "strategy"},
            {"id": "end", "kind": "end", "disposition": "decided"},
            {"id": "failed", "kind": "end", "disposition": "failed"}
        ],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "ask"},
            {"from": "ask", "outcome": "default", "to": "end"},
            {"from": "ask", "outcome": "error", "to": "failed"}
        ]
    });
    server.expect("designer", &format!("PUT /workflows/{workflow}"), drawn, 201).await;
    let binding = json!({"shares": [{"deployment": deployment, "weight": 1}]});
    let path = format!("PUT /workflows/{workflow}/elements/ask/binding");
    let bound = server.call("operator", &path, binding).await;
    assert!(bound.status.is_success(), "{bound:#?}");
}

/// Submits, waits until it has ended, and answers with how, and with the decision about it.
async fn ask(server: &Server, workflow: &str, body: &str) -> (String, Value) {
    let new = json!({"workflow": workflow, "media_type": "email", "body": body, "sender": "ana@example.com"});
    let made = server.expect("client", "POST /interactions", new, 201).await;
    let id = made["id"].as_str().unwrap().to_owned();
    for _ in 0..1000 {
        let found = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
        if found["state"] == "completed" {
            let path = format!("GET /interactions/{id}/decisions");
            let decisions = server.expect("operator", &path, Value::Null, 200).await;
            return (found["disposition"].as_str().unwrap().to_owned(), decisions["items"][0].clone());
        }
        assert_eq!(found["state"], "routing", "{found:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{id} never ended");
}

/// Replays a deployment on itself; answers with the report.
async fn replay(server: &Server, deployment: &str) -> Value {
    let new = json!({"name": format!("of-{deployment}"), "deployment": deployment, "against": deployment});
    server.expect("operator", "POST /replays", new, 202).await;
    for _ in 0..1000 {
        let path = format!("GET /replays/of-{deployment}");
        let found = server.expect("operator", &path, Value::Null, 200).await;
        if found["state"] == "done" {
            return found["report"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the replay of {deployment} never ended");
}

fn refusal(decision: &Value) -> (&str, &str) {
    let failure = &decision["failure"];
    (failure["code"].as_str().unwrap_or_default(), failure["message"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn strategies_of_1_0_and_of_1_1_serve_in_one_server_and_replay_alike() {
    let server = Server::start().await;
    server.expect("designer", "PUT /calendars/office", json!({"time_zone": "Europe/Berlin"}), 201).await;
    server.expect("operator", "PUT /tables/vips", json!({"entries": {"ana@example.com": "gold"}}), 201).await;
    let settings = json!({"rules": [{"words": ["refund"], "outcome": "billing"}], "vip_table": "vips"});
    let old = deploy(&server, OF_1_0, json!({"name": "old", "settings": settings})).await;
    assert_eq!(old.status.as_u16(), 201, "{old:#?}");
    let new = deploy(&server, &OBEDIENT, json!({"name": "new"})).await;
    assert_eq!(new.status.as_u16(), 201, "{new:#?}");
    serve(&server, "of-old", "old").await;
    serve(&server, "of-new", "new").await;
    let beside = json!({"shares": [{"deployment": "new", "weight": 1}], "shadows": ["old"]});
    server.expect("operator", "PUT /workflows/of-new/elements/ask/binding", beside, 200).await;
    let places = json!([{"workflow": "of-new", "element": "ask", "part": "shadow"},
                        {"workflow": "of-old", "element": "ask", "part": "share"}]);
    let listed = server.expect("operator", "GET /deployments", Value::Null, 200).await;
    let shown = server.expect("operator", "GET /deployments/old", Value::Null, 200).await;
    assert_eq!((&listed["items"][1]["bound_to"], &shown["bound_to"]), (&places, &places), "{listed:#}");

    let (_, decision) = ask(&server, "of-old", "A refund, please").await;
    assert_eq!((&decision["outcome"], &decision["granted"][0]["answer"]), (&json!("billing"), &json!("gold")));
    let (_, decision) = ask(&server, "of-new", "clocks").await;
    assert_eq!(decision["outcome"], "ok", "{decision:#}");
    assert!(decision["reason"].as_str().unwrap().contains("Europe/Berlin +"), "{decision:#}");
    for deployment in ["old", "new"] {
        let report = replay(&server, deployment).await;
        assert_eq!((&report["replayed"], &report["identical"]), (&json!(1), &json!(1)), "{report:#}");
    }
}

#[tokio::test]
async fn a_component_that_imports_more_than_it_is_granted_is_not_deployed() {
    let server = Server::start().await;
    let grants = json!({"imports": ["statistics"], "tables": ["vips"]});
    let refused = deploy(&server, OF_1_0, json!({"name": "a", "grants": grants})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "deployment-import-not-granted"), "{refused:#?}");
    let detail = "the component imports `tables`, which the deployment is not granted (granted: statistics)";
    assert_eq!((&refused.body["detail"], &refused.body["field"]), (&json!(detail), &json!("grants.imports")));

    let misspelt = deploy(&server, OF_1_0, json!({"name": "a", "grants": {"imports": ["table"]}})).await;
    assert_eq!((misspelt.status.as_u16(), misspelt.code()), (422, "invalid"));
    assert!(misspelt.body["detail"].as_str().unwrap().contains("there is no interface `table`"), "{misspelt:#?}");
    let settings = json!({"rules": [], "vip_table": "vips"});
    let odd = json!({"name": "a", "settings": settings, "grants": {"imports": ["*"], "queues": ["Not a queue"]}});
    let odd = deploy(&server, OF_1_0, odd).await;
    assert_eq!((odd.code(), &odd.body["field"]), ("invalid", &json!("grants.queues")), "{odd:#?}");

    let grants = json!({"imports": ["statistics", "tables"], "tables": ["vips"], "queues": []});
    let deployed = deploy(&server, OF_1_0, json!({"name": "a", "settings": settings, "grants": grants})).await;
    assert_eq!(deployed.status.as_u16(), 201, "{deployed:#?}");
    assert_eq!(deployed.body["grants"], grants);
    let free = deploy(&server, OF_1_0, json!({"name": "b", "settings": settings})).await;
    assert_eq!(free.body.get("grants"), None);
}

#[tokio::test]
async fn a_call_that_goes_beyond_its_grants_fails_says_so_and_replays_alike() {
    let server = Server::start().await;
    for table in ["vips", "secrets"] {
        let put = format!("PUT /tables/{table}");
        server.expect("operator", &put, json!({"entries": {"ana@example.com": "gold"}}), 201).await;
    }
    server.expect("operator", "PUT /queues/billing", json!({}), 201).await;
    let grants = json!({"imports": ["*"], "tables": ["vips"], "queues": ["billing"]});
    let deployed = deploy(&server, &OBEDIENT, json!({"name": "held", "grants": grants})).await;
    assert_eq!(deployed.status.as_u16(), 201, "{deployed:#?}");
    serve(&server, "main", "held").await;

    for body in ["lookup vips", "waiting billing", "route-to billing"] {
        let (ended, decision) = ask(&server, "main", body).await;
        assert_eq!((ended.as_str(), &decision["outcome"]), ("decided", &json!("ok")), "{decision:#}");
    }
    for (body, why) in [
        (
            "lookup secrets",
            "it asked for key ana@example.com of table secrets, which the deployment's grants do not name",
        ),
        ("waiting vault", "it asked for statistic waiting of Queue vault, which the deployment's grants do not name"),
        ("route-to vault", "action 1: the queue vault, which the deployment's grants do not name"),
        ("forward vault", "action 1: the queue vault, which the deployment's grants do not name"),
    ] {
        let (ended, decision) = ask(&server, "main", body).await;
        assert_eq!(ended, "failed", "the binding says what happens: {decision:#}");
        let (code, message) = refusal(&decision);
        assert_eq!(code, "refused");
        assert!(message.ends_with(why), "{message}");
        assert_eq!(decision["granted"], json!([]), "nothing of it was answered");
    }
    let report = replay(&server, "held").await;
    assert_eq!((&report["replayed"], &report["identical"]), (&json!(7), &json!(7)), "{report:#}");
}

/// Signs as `signalbox strategy sign` does; answers with the public key and the signature.
fn signed(component: &[u8]) -> (String, String) {
    let (secret, _) = SecretKey::generate().unwrap();
    (secret.public().to_string(), secret.sign(component))
}

#[tokio::test]
async fn an_account_with_a_key_takes_and_deploys_what_that_key_signed_and_nothing_else() {
    let server = Server::start().await;
    let (release, signature) = signed(OF_1_0);
    let put = json!({"public_key": release});
    let before = upload(&server, OF_1_0, Some(&signature)).await;
    assert_eq!((before.status.as_u16(), before.body.get("signed_by")), (201, None), "no key is known yet");
    server.expect("administrator", "PUT /signing-keys/release", put.clone(), 201).await;

    // What came before is not deployed now, for nobody vouches for it.
    let digest = before.body["digest"].clone();
    let settings = json!({"rules": [], "vip_table": "vips"});
    let deployment = |name: &str| json!({"name": name, "strategy": digest, "settings": settings});
    let refused = server.call("operator", "POST /deployments", deployment("a")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "strategy-unsigned"), "{refused:#?}");

    // Unsigned, altered, and signed by a stranger.
    let mut altered = OF_1_0.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    let (_, of_stranger) = signed(OF_1_0);
    for (bytes, signature, code) in [
        (OF_1_0, None, "strategy-unsigned"),
        (&altered, None, "strategy-unsigned"),
        (&altered, Some(&signature), "signature-wrong"),
        (OF_1_0, Some(&of_stranger), "signature-wrong"),
        (OF_1_0, Some(&"short".to_owned()), "header-invalid"),
    ] {
        let refused = upload(&server, bytes, signature.map(String::as_str)).await;
        assert_eq!(refused.code(), code, "{refused:#?}");
    }

    let taken = upload(&server, OF_1_0, Some(&signature)).await;
    assert_eq!((taken.status.as_u16(), &taken.body["signed_by"]["key"]), (200, &json!("release")), "{taken:#?}");
    let path = format!("GET /strategies/{}", digest.as_str().unwrap());
    let shown = server.expect("operator", &path, Value::Null, 200).await;
    assert_eq!(shown["signed_by"], json!({"key": "release", "public_key": release}));
    assert_eq!(upload(&server, OF_1_0, None).await.status.as_u16(), 200, "these bytes are vouched for by now");
    let deployed = server.expect("operator", "POST /deployments", deployment("a"), 201).await;
    assert_eq!(deployed["signed_by"], json!({"key": "release", "public_key": release, "stands": true}));

    // Another key under the same name vouches for nothing that the one before signed.
    let (other, _) = signed(OF_1_0);
    server.expect("administrator", "PUT /signing-keys/release", json!({"public_key": other}), 200).await;
    let refused = server.call("operator", "POST /deployments", deployment("b")).await;
    assert_eq!(refused.code(), "strategy-unsigned");
    let shown = server.expect("operator", "GET /deployments/a", Value::Null, 200).await;
    assert_eq!((&shown["signed_by"]["key"], &shown["signed_by"]["stands"]), (&json!("release"), &json!(false)));

    // With the last key, uploads need no signature any more.
    server.expect("administrator", "DELETE /signing-keys/release", Value::Null, 204).await;
    server.expect("operator", "POST /deployments", deployment("b"), 201).await;
    assert_eq!(upload(&server, OF_1_0, None).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_signing_key_is_put_listed_and_deleted_by_administrators() {
    let server = Server::start().await;
    let (key, _) = signed(b"");
    let put = |key: &str| json!({"public_key": key});
    let refused = server.call("operator", "PUT /signing-keys/release", put(&key)).await;
    assert_eq!(refused.status.as_u16(), 403);
    for wrong in ["", "AAAA", "release.pub"] {
        let refused = server.call("administrator", "PUT /signing-keys/release", put(wrong)).await;
        assert_eq!((refused.code(), &refused.body["field"]), ("invalid", &json!("public_key")), "{refused:#?}");
    }
    let made = server.expect("administrator", "PUT /signing-keys/release", put(&key), 201).await;
    assert_eq!((&made["public_key"], &made["created_by"]), (&json!(key), &json!("administrator")));
    for n in 1..16 {
        server.expect("administrator", &format!("PUT /signing-keys/k{n}"), put(&key), 201).await;
    }
    let full = server.call("administrator", "PUT /signing-keys/k16", put(&key)).await;
    assert_eq!((full.status.as_u16(), full.code()), (409, "full"));
    let listed = server.expect("operator", "GET /signing-keys", Value::Null, 200).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 16);
    server.expect("administrator", "DELETE /signing-keys/release", Value::Null, 204).await;
    let gone = server.call("administrator", "DELETE /signing-keys/release", Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.code()), (404, "signing-key-unknown"));
}

//! Real connections.

use signalbox::http::{State, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::Server;

#[tokio::test]
async fn a_server_that_stops_finishes_what_is_in_flight() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, State::new(server.accounts.clone()), async {
        let _ = stopped.await;
    }));
    let client = reqwest::Client::new();
    let (body, sender) = slow_body();
    let request = client
        .post(format!("http://{address}/v1/accounts/acme/tokens"))
        .bearer_auth(server.token("acme/administrator"))
        .header("content-type", "application/json")
        .body(body);
    let answer = tokio::spawn(request.send());
    sender.send(Ok(r#"{"name": "late","#.into())).await.unwrap();
    // Its head has arrived once another connection's request, sent after it, is answered.
    let health = client.get(format!("http://{address}/healthz")).send().await.unwrap();
    assert_eq!(health.status().as_u16(), 200);

    stop.send(()).unwrap();
    sender.send(Ok(r#" "roles": ["agent"]}"#.into())).await.unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 201);
    serving.await.unwrap();
    assert!(client.get(format!("http://{address}/healthz")).send().await.is_err(), "nobody listens any more");
}

type Chunk = Result<String, std::io::Error>;

fn slow_body() -> (reqwest::Body, tokio::sync::mpsc::Sender<Chunk>) {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Chunk>(4);
    (reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(receiver)), sender)
}

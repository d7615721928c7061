//! The OpenAPI document that is committed is the one that the routes make.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;

use super::Server;

#[test]
fn the_committed_document_is_the_one_that_the_routes_make() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let made = signalbox::http::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "host/openapi.json is not up to date: run this test with UPDATE_OPENAPI=1");
}

#[tokio::test]
async fn the_document_and_a_page_to_read_it_are_served_without_a_token() {
    let server = Server::start().await;
    let document = server.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!(document.status.as_u16(), 200);
    assert!(document.body["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = server.send(Request::get("/docs/").body(Body::empty()).unwrap()).await;
    assert_eq!(page.status.as_u16(), 200);
    assert!(page.body.as_str().unwrap().contains("swagger-ui"));
}

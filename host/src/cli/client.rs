//! Asks a running server over HTTP, and makes errors of what it refuses.
//!
//! Invariant: the token is sent to the server that was named and nowhere else; it is never printed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::header::{
    CONNECTION, ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Upgraded, Url, Version};
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::error::{Error, Fault};
use super::output::text;
use crate::http::{JSON_BYTES_MAX, TABLE_BYTES_MAX};

/// Name of the file in the store's directory that `serve` writes the administrator's token to.
pub(super) const TOKEN_FILE: &str = "administrator.token";

/// Time for most answers.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Items that are asked for at a time.
const PAGE: &str = "200";

/// Time for answers that take compiling or copying.
const TIMEOUT_LONG: Duration = Duration::from_secs(600);

/// Which server, and who asks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Connection {
    /// Address of the server.
    #[arg(long, global = true, value_name = "URL", env = "SIGNALBOX_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The account that is worked in.
    #[arg(long, global = true, value_name = "NAME", env = "SIGNALBOX_ACCOUNT", default_value = "main")]
    account: String,
    /// Bearer token. Best given in the environment, where other users do not see it.
    #[arg(long, global = true, value_name = "TOKEN", env = "SIGNALBOX_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File that holds the token, where none is given. Left out: the one that `serve` wrote, in SIGNALBOX_STORE or in
    /// the usual place of the store.
    #[arg(long, global = true, value_name = "FILE", env = "SIGNALBOX_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

/// Where the store is where nobody says: `$SIGNALBOX_STORE`, else among the user's data.
pub(super) fn store_directory() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SIGNALBOX_STORE")
        .or_else(|| Some(set("XDG_DATA_HOME")?.join("signalbox")))
        .or_else(|| Some(set("HOME")?.join(".local/share/signalbox")))
        .unwrap_or_else(|| PathBuf::from("signalbox-store"))
}

impl Connection {
    /// A client of that server. Nothing is sent yet.
    pub fn client(&self) -> Result<Client, Error> {
        let fault = |why: &str| {
            Error::usage(format!("`{}` is not the address of a server: {why}", self.server))
                .at("--server or SIGNALBOX_SERVER")
                .fix("give it as http://HOST:PORT")
        };
        let base = Url::parse(self.server.trim_end_matches('/')).map_err(|error| fault(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(fault("it begins with neither http:// nor https://"));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none());
        if base.host_str().is_some_and(is_loopback) {
            // A proxy of the environment is for other machines.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| Error::new("the HTTP client cannot start").because(&error))?;
        Ok(Client { http, base, account: self.account.clone(), token: self.token()? })
    }

    fn token(&self) -> Result<Option<String>, Error> {
        if let Some(token) = &self.token {
            return header_safe(token).map(Some);
        }
        match &self.token_file {
            Some(file) => read_token(file).map_err(|error| Error::file("read", file, &error)).map(Some),
            None => Ok(read_token(&store_directory().join(TOKEN_FILE)).ok()),
        }
        .and_then(|token| token.as_deref().map(header_safe).transpose())
    }
}

fn read_token(file: &Path) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}

fn header_safe(token: &str) -> Result<String, Error> {
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::usage("the token is empty or has characters that no token has")
            .at("--token, SIGNALBOX_TOKEN or the token file"));
    }
    Ok(token.to_owned())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a request carries.
pub(super) enum Body<'a> {
    /// Nothing.
    Empty,
    /// A document.
    Json(&'a Value),
    /// A whole table, which may be larger than other documents.
    Table(&'a Value),
    /// Bytes of a type.
    Bytes(&'static str, Vec<u8>),
}

/// A client of one server, in one account.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    account: String,
    token: Option<String>,
}

impl Client {
    /// Reads what is at a path of the account.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Error> {
        self.answer(self.request(Method::GET, &self.in_account(path)?).query(query)).await
    }

    /// Reads a document with its ETag; none where the server answers with this code, that there is no such thing.
    pub async fn get_tagged(&self, path: &[&str], unknown: &str) -> Result<Option<(Value, String)>, Error> {
        match self.answer_with_headers(self.request(Method::GET, &self.in_account(path)?)).await {
            Ok((document, headers)) => {
                let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
                let tag = tag.ok_or_else(|| Error::unreachable(format!("{} gave a document no ETag", self.base)))?;
                Ok(Some((document, tag.to_owned())))
            }
            Err(error) if error.code.as_deref() == Some(unknown) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a document in the place of the one that has this ETag, or, without one, where there is none.
    pub async fn put_tagged(&self, path: &[&str], tag: Option<&str>, document: &Value) -> Result<Value, Error> {
        let (header, tag) = tag.map_or((IF_NONE_MATCH, "*"), |tag| (IF_MATCH, tag));
        let request = self.request(Method::PUT, &self.in_account(path)?).header(header, tag);
        self.answer(with_body(request, Body::Json(document))?).await
    }

    /// Reads all pages of a list.
    pub async fn list(&self, path: &[&str]) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        let mut query = vec![("limit", PAGE.to_owned())];
        loop {
            let page = self.get(path, &query).await?;
            all.extend(page.get("items").and_then(Value::as_array).into_iter().flatten().cloned());
            match page.get("next").and_then(Value::as_str) {
                Some(next) => query = vec![("limit", PAGE.to_owned()), ("cursor", next.to_owned())],
                None => return Ok(all),
            }
        }
    }

    /// Opens a WebSocket at a path of the account.
    pub async fn web_socket(&self, path: &[&str]) -> Result<WebSocketStream<Upgraded>, Error> {
        let request = self.request(Method::GET, &self.in_account(path)?).version(Version::HTTP_11);
        let request = request
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, generate_key());
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.refusal(status, response).await);
        }
        let upgraded = response.upgrade().await.map_err(|error| self.unreachable(&error))?;
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await)
    }

    /// Sends something to a path of the account.
    pub async fn send(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Value, Error> {
        self.answer(with_body(self.request(method, &self.in_account(path)?), body)?).await
    }

    /// As [`send`](Self::send), where the server compiles or copies before it answers.
    pub async fn send_long(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Value, Error> {
        let request = with_body(self.request(method, &self.in_account(path)?), body)?;
        self.answer(request.timeout(TIMEOUT_LONG)).await
    }

    /// Uploads bytes of a type, with one header more where there is one. The server compiles them before it answers.
    pub async fn send_binary(
        &self,
        path: &[&str],
        media_type: &'static str,
        bytes: Vec<u8>,
        header: Option<(&'static str, &str)>,
    ) -> Result<Value, Error> {
        let request = self.request(Method::POST, &self.in_account(path)?).timeout(TIMEOUT_LONG);
        let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        self.answer(with_body(request, Body::Bytes(media_type, bytes))?).await
    }

    /// As [`send`](Self::send), done once however often it is asked with this key. Answers whether it was done before,
    /// too.
    pub async fn send_once(&self, path: &[&str], key: &str, body: &Value) -> Result<(Value, bool), Error> {
        let request = self.request(Method::POST, &self.in_account(path)?).header("idempotency-key", key);
        let (answer, headers) = self.answer_with_headers(with_body(request, Body::Json(body))?).await?;
        Ok((answer, headers.contains_key("idempotency-replayed")))
    }

    /// Sends something to a path outside accounts, such as `v1/backups`.
    pub async fn send_outside(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Value, Error> {
        self.answer(with_body(self.request(method, &self.url(path)?), body)?.timeout(TIMEOUT_LONG)).await
    }

    fn in_account(&self, path: &[&str]) -> Result<Url, Error> {
        let mut whole = vec!["v1", "accounts", &self.account];
        whole.extend(path);
        self.url(&whole)
    }

    /// Segments are escaped, so that a name can never become another path.
    fn url(&self, path: &[&str]) -> Result<Url, Error> {
        if let Some(odd) = path.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(
                Error::usage(format!("`{odd}` is not a name")).fix("names are made of a-z, 0-9, '-', '_' and '.'")
            );
        }
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => return Err(Error::usage("the server's address cannot have a path")),
        }
        Ok(url)
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone()).timeout(TIMEOUT);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Error> {
        Ok(self.answer_with_headers(request).await?.0)
    }

    async fn answer_with_headers(&self, request: RequestBuilder) -> Result<(Value, HeaderMap), Error> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(status, response).await);
        }
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if body.is_empty() {
            return Ok((Value::Null, headers));
        }
        serde_json::from_slice(&body).map(|answer| (answer, headers)).map_err(|error| {
            Error::unreachable(format!("{} answered {status} with something that is not JSON", self.base))
                .because(&error)
                .fix("check that --server is the address of a Signalbox server")
        })
    }

    fn how_to_give_a_token(&self) -> String {
        let ways = format!(
            "give one with --token-file FILE or SIGNALBOX_TOKEN, or say with SIGNALBOX_STORE where the server's store is: \
             `serve` writes an administrator's token to STORE/{TOKEN_FILE}"
        );
        if self.token.is_some() {
            return format!("check the token, which is neither one of this account's nor of `system`'s; {ways}");
        }
        format!("{ways} (there is none in {})", store_directory().join(TOKEN_FILE).display())
    }

    fn unreachable(&self, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            return Error::unreachable(format!("{} did not answer in time", self.base))
                .fix("what was asked may still be done: look before asking again");
        }
        let error = error.to_string_without_url();
        Error::unreachable(format!("no server answers at {}: {error}", self.base))
            .fix("start it with `signalbox serve`, or give its address with --server or SIGNALBOX_SERVER")
    }

    async fn refusal(&self, status: StatusCode, response: Response) -> Error {
        let wait = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.bytes().await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut error = problem_error(status, &problem);
        if status == StatusCode::UNAUTHORIZED {
            error.fix = Some(self.how_to_give_a_token());
        }
        if error.fix.is_none() {
            error.fix = match (status, wait) {
                (_, Some(seconds)) => Some(format!("try again in {seconds} s")),
                (StatusCode::FORBIDDEN, _) => Some("use a token with the role that this takes".into()),
                _ => None,
            };
        }
        error
    }
}

/// What is too large is said here: a server that refuses it may close before it has been sent.
fn with_body(request: RequestBuilder, body: Body<'_>) -> Result<RequestBuilder, Error> {
    let (value, bytes_max) = match body {
        Body::Empty => return Ok(request),
        Body::Bytes(media_type, bytes) => return Ok(request.header("content-type", media_type).body(bytes)),
        Body::Json(value) => (value, JSON_BYTES_MAX),
        Body::Table(value) => (value, TABLE_BYTES_MAX),
    };
    let bytes = serde_json::to_vec(value).map_err(|error| Error::new("this is no JSON").because(&error))?;
    fits("the document", bytes.len(), bytes_max)?;
    Ok(request.header("content-type", "application/json").body(bytes))
}

/// Whether the server takes so many bytes.
pub(super) fn fits(what: &str, bytes: usize, bytes_max: usize) -> Result<(), Error> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Error::new(format!("{what} has {bytes} bytes, and the server takes at most {bytes_max}"))
        .code(Some("body-too-large".into())))
}

/// An error of a problem document (RFC 9457), or of a bare status where there is none.
fn problem_error(status: StatusCode, problem: &Value) -> Error {
    let field = |name: &str| problem.get(name).map(text).filter(|text| !text.is_empty());
    // Line and column are those of the request, which its author has never seen.
    let detail = field("detail").map(|detail| match detail.rfind(" at line ") {
        Some(at) if field("code").is_some_and(|code| code.starts_with("json-")) => detail[..at].to_owned(),
        _ => detail,
    });
    let what = detail.or_else(|| field("title")).unwrap_or_else(|| format!("the server answered {status}"));
    let mut error = if status.is_client_error() { Error::refused(what) } else { Error::unreachable(what) };
    error.code = field("code");
    error.at.extend(field("field"));
    error.faults = Fault::all_in(problem).into();
    // The arguments of this command line stand in its help, not there.
    error.fix = field("what_to_do").filter(|fix| !fix.starts_with("see /docs"));
    error
}

/// The message of a reqwest error without the address, which stands in ours already.
trait WithoutUrl {
    fn to_string_without_url(&self) -> String;
}

impl WithoutUrl for reqwest::Error {
    fn to_string_without_url(&self) -> String {
        let mut innermost: &dyn std::error::Error = self;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        innermost.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn client(server: &str) -> Client {
        let (account, token) = ("main".into(), Some("secret".into()));
        Connection { server: server.into(), account, token, token_file: None }.client().expect("a client")
    }

    #[test]
    fn a_name_cannot_become_another_path() {
        let client = client("http://127.0.0.1:8080");
        let url = client.in_account(&["queues", "a/../b?c"]).expect("an address");
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/v1/accounts/main/queues/a%2F..%2Fb%3Fc");
        assert!(client.in_account(&["queues", ".."]).is_err());
    }

    #[test]
    fn a_server_under_a_path_keeps_it() {
        let url = client("http://example.com/box/").in_account(&["queues"]).expect("an address");
        assert_eq!(url.as_str(), "http://example.com/box/v1/accounts/main/queues");
    }

    #[test]
    fn a_problem_says_what_where_and_what_to_do() {
        let problem = serde_json::json!({
            "status": 422, "title": "Unprocessable", "detail": "the workflow has 1 fault", "code": "workflow-faulty",
            "what_to_do": "put it right", "faults": [{ "element": "start", "code": "connector-missing", "message": "no way out" }],
        });
        let error = problem_error(StatusCode::UNPROCESSABLE_ENTITY, &problem);
        assert_eq!(error.what, "the workflow has 1 fault");
        let faults: Vec<_> = error.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["start: no way out [connector-missing]"]);
        assert_eq!(error.fix.as_deref(), Some("put it right"));
        assert_eq!(error.code.as_deref(), Some("workflow-faulty"));
    }

    #[test]
    fn a_place_in_the_request_is_said_as_the_argument() {
        let problem = serde_json::json!({
            "status": 400, "detail": "a name has 1 to 64 characters at line 1 column 48", "code": "json-invalid",
            "field": "workflow",
        });
        let error = problem_error(StatusCode::BAD_REQUEST, &problem).named(&[("workflow", "--workflow")]);
        assert_eq!(
            (error.what.as_str(), error.at.as_slice()),
            ("a name has 1 to 64 characters", &["--workflow".to_owned()][..])
        );
    }

    #[test]
    fn what_is_too_large_is_not_sent() {
        let document = serde_json::json!({ "body": "x".repeat(JSON_BYTES_MAX) });
        let error = with_body(reqwest::Client::new().get("http://127.0.0.1"), Body::Json(&document)).unwrap_err();
        assert!(error.what.ends_with("at most 4194304"), "{}", error.what);
    }

    #[test]
    fn a_bare_status_is_said_as_it_is() {
        let error = problem_error(StatusCode::BAD_GATEWAY, &Value::Null);
        assert_eq!(error.what, "the server answered 502 Bad Gateway");
    }
}

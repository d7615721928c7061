//! Asks a running server over HTTP, and makes errors of what it refuses.
//!
//! Invariant: the token is sent to the server that was named and nowhere else; it is never printed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use super::error::Error;
use super::output::text;

/// Name of the file in the store's directory that `serve` writes the administrator's token to.
pub(super) const TOKEN_FILE: &str = "administrator.token";

/// Time for most answers.
const TIMEOUT: Duration = Duration::from_secs(60);

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

    /// Sends something to a path of the account.
    pub async fn send(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Value, Error> {
        self.answer(with_body(self.request(method, &self.in_account(path)?), body)).await
    }

    /// As [`send`](Self::send), where the server compiles or copies before it answers.
    pub async fn send_long(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Value, Error> {
        let request = with_body(self.request(method, &self.in_account(path)?), body);
        self.answer(request.timeout(TIMEOUT_LONG)).await
    }

    /// As [`send`](Self::send), done once however often it is asked with this key.
    pub async fn send_once(&self, path: &[&str], key: &str, body: &Value) -> Result<Value, Error> {
        let request = self.request(Method::POST, &self.in_account(path)?).header("idempotency-key", key);
        self.answer(request.json(body)).await
    }

    /// Sends something to a path outside accounts, such as `v1/backups`.
    pub async fn send_outside(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Value, Error> {
        self.answer(with_body(self.request(method, &self.url(path)?), body).timeout(TIMEOUT_LONG)).await
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
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(status, response).await);
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            Error::unreachable(format!("{} answered {status} with something that is not JSON", self.base))
                .because(&error)
                .fix("check that --server is the address of a Signalbox server")
        })
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
        if error.fix.is_none() {
            error.fix = match (status, wait) {
                (_, Some(seconds)) => Some(format!("try again in {seconds} s")),
                (StatusCode::UNAUTHORIZED, _) => Some(if self.token.is_some() {
                    "check the token: it is not one of this account's or of the system's".into()
                } else {
                    format!(
                        "give a token with SIGNALBOX_TOKEN or --token-file; `serve` writes one to STORE/{TOKEN_FILE}"
                    )
                }),
                (StatusCode::FORBIDDEN, _) => Some("use a token with the role that this takes".into()),
                _ => None,
            };
        }
        error
    }
}

fn with_body(request: RequestBuilder, body: Body<'_>) -> RequestBuilder {
    match body {
        Body::Empty => request,
        Body::Json(value) => request.json(value),
        Body::Bytes(media_type, bytes) => request.header("content-type", media_type).body(bytes),
    }
}

/// An error of a problem document (RFC 9457), or of a bare status where there is none.
fn problem_error(status: StatusCode, problem: &Value) -> Error {
    let field = |name: &str| problem.get(name).map(text).filter(|text| !text.is_empty());
    let what = field("detail").or_else(|| field("title")).unwrap_or_else(|| format!("the server answered {status}"));
    let mut error = if status.is_client_error() { Error::refused(what) } else { Error::unreachable(what) };
    error.code = field("code");
    error.at.extend(field("field"));
    for fault in problem.get("faults").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| fault.get(name).map(text).unwrap_or_default();
        let element = Some(part("element")).filter(|element| !element.is_empty()).unwrap_or_else(|| "workflow".into());
        error.at.push(format!("{element}: {} [{}]", part("message"), part("code")));
    }
    error.fix = field("what_to_do");
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
        assert_eq!(error.at, ["start: no way out [connector-missing]"]);
        assert_eq!(error.fix.as_deref(), Some("put it right"));
        assert_eq!(error.code.as_deref(), Some("workflow-faulty"));
    }

    #[test]
    fn a_bare_status_is_said_as_it_is() {
        let error = problem_error(StatusCode::BAD_GATEWAY, &Value::Null);
        assert_eq!(error.what, "the server answered 502 Bad Gateway");
    }
}

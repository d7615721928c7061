//! A client of the HTTP API, as an application writes it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A client with a token, in one account.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    account: String,
}

impl Client {
    /// A client of the server at an address.
    #[must_use]
    pub fn new(url: &str, token: &str, account: &str) -> Self {
        let http = reqwest::Client::builder().tcp_nodelay(true).build().unwrap_or_default();
        Self { http, url: url.to_owned(), token: token.to_owned(), account: account.to_owned() }
    }

    /// The same client, elsewhere: a server that was started again has another port.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// A request below the account's path, not sent yet.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/accounts/{}{path}", self.url, self.account);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Sends a request; answers with status and JSON.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<(StatusCode, Value)> {
        let response = request.send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        let value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
        Ok((status, value))
    }

    async fn must(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let (status, value) = self.send(request).await?;
        if !status.is_success() {
            bail!("{status}: {value}");
        }
        Ok(value)
    }

    /// Reads.
    ///
    /// # Errors
    /// Where the answer is not 2xx.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.must(self.request(Method::GET, path)).await.with_context(|| format!("GET {path}"))
    }

    /// Puts a document.
    ///
    /// # Errors
    /// Where the answer is not 2xx.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.must(self.request(Method::PUT, path).json(body)).await.with_context(|| format!("PUT {path}"))
    }

    /// Posts.
    ///
    /// # Errors
    /// Where the answer is not 2xx.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.must(self.request(Method::POST, path).json(body)).await.with_context(|| format!("POST {path}"))
    }

    /// Uploads a file; answers with its digest.
    ///
    /// # Errors
    /// Where the file cannot be read or the answer is not 2xx.
    pub async fn upload(&self, path: &str, content_type: &str, file: &Path) -> Result<String> {
        let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        let request = self.request(Method::POST, path).header("content-type", content_type).body(bytes);
        let answer = self.must(request).await.with_context(|| format!("POST {path} of {}", file.display()))?;
        Ok(answer["digest"].as_str().context("an upload has a digest")?.to_owned())
    }

    /// Uploads and deploys a component.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn deploy(
        &self,
        name: &str,
        component: &Path,
        settings: &Value,
        assets: &[(&str, &Path)],
    ) -> Result<Value> {
        let strategy = self.upload("/strategies", "application/wasm", component).await?;
        let mut digests = BTreeMap::new();
        for (asset, file) in assets {
            digests.insert(*asset, self.upload("/assets", "application/octet-stream", file).await?);
        }
        let body = json!({"name": name, "strategy": strategy, "settings": settings, "assets": digests});
        self.post("/deployments", &body).await
    }

    /// Binds a deployment to a workflow's element.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn bind(&self, workflow: &str, element: &str, deployment: &str) -> Result<Value> {
        let path = format!("/workflows/{workflow}/elements/{element}/binding");
        self.put(&path, &json!({"shares": [{"deployment": deployment, "weight": 1}]})).await
    }

    /// Submits an interaction; answers with its identifier.
    ///
    /// # Errors
    /// Where it is refused or there is no answer.
    pub async fn submit(&self, body: &Value) -> Result<String> {
        let answer = self.post("/interactions", body).await?;
        Ok(answer["id"].as_str().context("an interaction has an identifier")?.to_owned())
    }

    /// All interactions that a filter lets through, such as `state=queued`.
    ///
    /// # Errors
    /// Where a page cannot be read.
    pub async fn interactions(&self, filter: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/interactions?limit=200&{filter}{cursor}");
            let mut page = self.get(&path).await?;
            if let Some(items) = page["items"].as_array_mut() {
                all.append(items);
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(all),
            }
        }
    }

    /// The values of the metrics whose samples begin so: at least one, whole numbers.
    ///
    /// # Errors
    /// Where there is none, or another number.
    pub async fn metric(&self, sample: &str) -> Result<Vec<u64>> {
        let response = self.http.get(format!("{}/metrics", self.url)).bearer_auth(&self.token).send().await?;
        let text = response.error_for_status()?.text().await?;
        let samples = text.lines().filter(|line| line.starts_with(sample));
        let values = samples.map(|line| line.rsplit(' ').next().unwrap_or_default().parse());
        let values = values.collect::<Result<Vec<u64>, _>>()?;
        ensure!(!values.is_empty(), "no metric is called {sample}: {text}");
        Ok(values)
    }

    /// Waits until no strategy's answer is awaited any more.
    ///
    /// # Errors
    /// Where some still are after `tries` looks.
    pub async fn until_decided(&self, tries: usize) -> Result<()> {
        let sample = format!("signalbox_strategy_calls_waiting{{account=\"{}\"}}", self.account);
        for _ in 0..tries {
            if self.metric(&sample).await? == [0] {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        bail!("after {tries} looks there are still calls that are awaited")
    }
}

//! An agent's session, as an agent's desktop holds it.

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// An open session.
#[derive(Debug)]
pub struct AgentSession {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    asked: u64,
}

impl AgentSession {
    /// Opens a session; answers with it and with how things stand for the agent.
    ///
    /// # Errors
    /// Where the server refuses it or is not there.
    pub async fn open(url: &str, token: &str, agent: &str) -> Result<(Self, Value)> {
        let address = url.replacen("http", "ws", 1);
        let mut request = format!("{address}/v1/accounts/main/agents/{agent}/session").into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let (socket, _) = connect_async(request).await?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_nodelay(true)?;
        }
        let mut session = Self { socket, asked: 0 };
        let first = session.next().await?;
        let state = first.get("agent").with_context(|| format!("a session begins with a state, not {first}"))?.clone();
        Ok((session, state))
    }

    /// The bare connection, for who reads frames in its own way.
    #[must_use]
    pub fn into_socket(self) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        self.socket
    }

    /// The next frame that tells something.
    ///
    /// # Errors
    /// Where the session has ended.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            match self.socket.next().await.context("the session has ended")?? {
                Message::Text(text) => return Ok(serde_json::from_str(text.as_str())?),
                Message::Close(_) => bail!("the session was closed"),
                _ => {}
            }
        }
    }

    /// Asks for something, and does not wait for the answer, which is a frame of its own. Gives its `id`.
    ///
    /// # Errors
    /// Where the session has ended.
    pub async fn ask(&mut self, what: &str, mut fields: Value) -> Result<u64> {
        self.asked += 1;
        fields["id"] = json!(self.asked);
        fields["do"] = json!(what);
        self.socket.send(Message::text(fields.to_string())).await?;
        Ok(self.asked)
    }

    /// Asks for something and waits until it is done. Frames that come before are given to `other`.
    ///
    /// # Errors
    /// Where it is refused, or the session has ended.
    pub async fn must(&mut self, what: &str, fields: Value, mut other: impl FnMut(Value)) -> Result<()> {
        let id = self.ask(what, fields).await?;
        loop {
            let frame = self.next().await?;
            match frame["type"].as_str() {
                Some("done") if frame["id"] == id => return Ok(()),
                Some("problem") if frame["id"] == id => bail!("{what} was refused: {}", frame["problem"]),
                _ => other(frame),
            }
        }
    }
}

/// The identifiers of the offers to an agent that an `update` frame brings.
#[must_use]
pub fn offers_in(frame: &Value, agent: &str) -> Vec<String> {
    let events = frame["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let made = events.iter().filter(|event| event["type"] == "offer.made" && event["offer"]["agent"] == agent);
    made.filter_map(|event| event["offer"]["id"].as_str().map(str::to_owned)).collect()
}

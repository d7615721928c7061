//! A load generator that costs little, for it shares its two cores with the server: plain sockets, one request outstanding
//! on each, answers read by their length only.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How fast requests follow each other.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// The next one as soon as the one before is answered.
    Closed,
    /// So many a second over all connections, as long as the answers keep up.
    PerSecond(f64),
}

/// Durations of requests.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.micros.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all of another.
    pub fn join(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.micros.is_empty()
    }

    /// A quantile between 0 and 1, in milliseconds.
    #[must_use]
    pub fn quantile_ms(&mut self, quantile: f64) -> f64 {
        if self.micros.is_empty() {
            return 0.0;
        }
        self.micros.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let at = ((self.micros.len() - 1) as f64 * quantile) as usize;
        f64::from(self.micros[at]) / 1000.0
    }
}

/// One connection with one request outstanding at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads the answer; gives its status.
    ///
    /// # Errors
    /// Where the connection ends.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let length = content_length(&self.buffer[..end]);
                if self.buffer.len() >= end + 4 + length {
                    let status = self.buffer.get(9..12).and_then(|s| std::str::from_utf8(s).ok());
                    return status.and_then(|s| s.parse().ok()).context("a status");
                }
            }
        }
    }

    /// The body of the last answer.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        find(&self.buffer, b"\r\n\r\n").map_or(&[], |end| &self.buffer[end + 4..])
    }
}

/// The bytes of a `POST` of a JSON body with a token.
#[must_use]
pub fn post_bytes(url: &str, token: &str, path: &str, body: &str) -> Vec<u8> {
    let address = address_of(url);
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The bytes of a `GET` with a token.
#[must_use]
pub fn get_bytes(url: &str, token: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n", address_of(url)).into_bytes()
}

/// Host and port of a server's address.
#[must_use]
pub fn address_of(url: &str) -> &str {
    url.trim_start_matches("http://")
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

/// Requests to one path of a server, made once as bytes.
#[derive(Debug, Clone)]
pub struct RawClient {
    address: String,
    request: Vec<u8>,
}

impl RawClient {
    /// A `POST` of a JSON body with a token.
    #[must_use]
    pub fn post(url: &str, token: &str, path: &str, body: &str) -> Self {
        Self { address: address_of(url).to_owned(), request: post_bytes(url, token, path, body) }
    }

    /// Sends the request so many times, as fast as it is answered.
    ///
    /// # Errors
    /// Where a connection fails, or an answer is not 201.
    pub async fn fill(&self, connections: usize, count: usize) -> Result<()> {
        let mut tasks = Vec::new();
        for n in 0..connections {
            let client = self.clone();
            let share = count / connections + usize::from(n < count % connections);
            tasks.push(tokio::spawn(async move {
                let mut connection = Connection::open(&client.address).await?;
                for _ in 0..share {
                    let status = connection.exchange(&client.request).await?;
                    anyhow::ensure!(status == 201, "an answer was {status}");
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(())
    }

    /// Sends the request on so many connections for a while. Gives the latencies of those answered with 201, and how many
    /// were answered otherwise.
    ///
    /// # Errors
    /// Where a connection fails.
    pub async fn run(&self, connections: usize, time: Duration, pace: Pace) -> Result<(Latencies, usize)> {
        let began = Instant::now();
        let mut tasks = Vec::new();
        for n in 0..connections {
            let client = self.clone();
            tasks.push(tokio::spawn(async move {
                let mut connection = Connection::open(&client.address).await?;
                let (mut latencies, mut refused) = (Latencies::default(), 0);
                let mut sent = 0_u32;
                loop {
                    #[expect(clippy::cast_precision_loss, reason = "a few connections")]
                    if let Pace::PerSecond(rate) = pace {
                        let each = connections as f64 / rate;
                        let offset = each * n as f64 / connections as f64;
                        let due = began + Duration::from_secs_f64(offset + each * f64::from(sent));
                        tokio::time::sleep_until(due.into()).await;
                    }
                    if began.elapsed() >= time {
                        return anyhow::Ok((latencies, refused));
                    }
                    let at = Instant::now();
                    match connection.exchange(&client.request).await? {
                        201 => latencies.add(at.elapsed()),
                        _ => refused += 1,
                    }
                    sent += 1;
                }
            }));
        }
        let (mut all, mut refused) = (Latencies::default(), 0);
        for task in tasks {
            let (latencies, not) = task.await??;
            all.join(latencies);
            refused += not;
        }
        Ok((all, refused))
    }
}

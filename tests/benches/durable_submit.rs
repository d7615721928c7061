//! Durable submits over HTTP beside raw synced puts of RocksDB from as many threads, and beside Redis with
//! `appendfsync always`, in one run: three rounds in turn, the median of each.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signalbox_tests::{Pace, Report, Server, put_desk, submit_to_desk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: [usize; 3] = [1, 16, 64];
const BARS: [f64; 3] = [0.6, 0.9, 1.0];
const ROUNDS: usize = 3;
const TIME: Duration = Duration::from_secs(3);

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    put_desk(&server.client()).await?;
    let client = submit_to_desk(&server);
    let redis = Redis::start(directory.path()).await?;
    if redis.is_none() {
        println!("redis-server is not installed: its rows are left out");
    }

    let mut report =
        Report::new("256-byte bodies, one request outstanding per connection, load generator on the same cores");
    for (connections, bar) in CONNECTIONS.into_iter().zip(BARS) {
        let (mut raw, mut ours, mut theirs, mut p99) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let path = directory.path().join(format!("raw-{connections}-{round}"));
            raw.push(tokio::task::spawn_blocking(move || raw_puts(&path, connections)).await??);
            let at = Instant::now();
            let (mut latencies, refused) = client.run(connections, TIME, Pace::Closed).await?;
            anyhow::ensure!(refused == 0, "{refused} submits were refused");
            ours.push(rate(latencies.len(), at.elapsed()));
            p99.push(latencies.quantile_ms(0.99));
            if let Some(redis) = &redis {
                theirs.push(redis.run(connections).await?);
            }
        }
        let (raw, ours) = (median(&mut raw), median(&mut ours));
        report.at_least(&format!("submits against raw puts, {connections} connections"), ours / raw, "ratio", bar);
        report.figure(&format!("submits, {connections} connections"), ours, "1/s");
        report.figure(&format!("submit p99, {connections} connections"), median(&mut p99), "ms");
        report.figure(&format!("raw RocksDB puts, {connections} threads"), raw, "1/s");
        if redis.is_some() {
            let theirs = median(&mut theirs);
            report.figure(&format!("Redis XADD, {connections} connections"), theirs, "1/s");
            if connections > 1 {
                report.at_least(
                    &format!("submits against Redis, {connections} connections"),
                    ours / theirs,
                    "ratio",
                    1.0,
                );
            }
        }
    }
    report.write()
}

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// One put with a sync after the other, from each thread.
fn raw_puts(path: &std::path::Path, threads: usize) -> Result<f64> {
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    let db = rocksdb::DB::open(&options, path)?;
    let began = Instant::now();
    let count = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let db = &db;
                scope.spawn(move || {
                    let mut write = rocksdb::WriteOptions::default();
                    write.set_sync(true);
                    let value = [b'x'; 256];
                    let mut n = 0_usize;
                    while began.elapsed() < TIME {
                        db.put_opt(format!("{thread:03}{n:012}"), value, &write)?;
                        n += 1;
                    }
                    anyhow::Ok(n)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(0))).sum::<Result<usize>>()
    })?;
    Ok(rate(count, began.elapsed()))
}

/// A Redis server that syncs every command.
struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    async fn start(directory: &std::path::Path) -> Result<Option<Self>> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let spawned = Command::new("redis-server")
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--bind", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .arg("--dir")
            .arg(directory)
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = spawned else { return Ok(None) };
        let redis = Self { child, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Some(redis));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("Redis does not listen")
    }

    async fn run(&self, connections: usize) -> Result<f64> {
        let body = "x".repeat(256);
        let command = format!("*5\r\n$4\r\nXADD\r\n$1\r\ns\r\n$1\r\n*\r\n$1\r\nb\r\n$256\r\n{body}\r\n");
        let began = Instant::now();
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let (command, port) = (command.clone(), self.port);
            tasks.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.set_nodelay(true)?;
                let mut buffer = Vec::with_capacity(256);
                let mut n = 0_usize;
                while began.elapsed() < TIME {
                    stream.write_all(command.as_bytes()).await?;
                    buffer.clear();
                    // `$LENGTH CRLF id CRLF`
                    while buffer.iter().filter(|byte| **byte == b'\n').count() < 2 {
                        anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "Redis closed the connection");
                    }
                    anyhow::ensure!(buffer.first() == Some(&b'$'), "Redis refused");
                    n += 1;
                }
                anyhow::Ok(n)
            }));
        }
        let mut count = 0;
        for task in tasks {
            count += task.await.context("a task")??;
        }
        Ok(rate(count, began.elapsed()))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

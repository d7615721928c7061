//! Asks applications outside over HTTP, for `call` elements. One attempt at a time; when to try again is the engine's
//! decision.
//!
//! Only the address that an operator put is ever contacted:
//! - No redirect is followed; a 3xx is a failure that says where it led.
//! - A name is looked up for each connection, and addresses that are private, loopback, link-local or otherwise not for
//!   the public are left out of what is found, so that whoever keeps the name cannot lead inside. Unless the operator
//!   said so: by an address that is such a one itself, by `localhost`, or by `private_network`.
//! - No proxy out of the environment is used, for it would look the name up elsewhere.
//!
//! Bounds: time from the look-up to the last byte, and bytes of the answer. How many are asked at a time is the lane's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url, redirect};
use signalbox_engine::{EndpointFailure, EndpointReply, EndpointRequest};
use tokio::runtime::Handle;

use super::{chain, cut, signature};

/// Bytes of an answer that is no 2xx: enough for a person to see what it said.
const REFUSAL_BYTES_MAX: usize = 1024;
/// Answers above this are read away from the threads that serve requests.
const BLOCKING_BYTES: usize = 64 << 10;
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one host that are kept though nobody uses them.
const IDLE_MAX: usize = 8;

/// Asks applications outside.
#[derive(Debug)]
pub(super) struct Endpoints {
    /// Looks names up, and finds public addresses only.
    public: Client,
    /// Contacts any address.
    anywhere: Client,
    runtime: Handle,
}

impl Endpoints {
    pub(super) fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        let client = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_MAX)
                .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
        };
        let public = client().dns_resolver(std::sync::Arc::new(PublicOnly)).build()?;
        Ok(Self { public, anywhere: client().build()?, runtime })
    }

    pub(super) fn ask(
        &self,
        request: EndpointRequest,
        done: impl FnOnce(Result<EndpointReply, EndpointFailure>) + Send + 'static,
    ) {
        let (public, anywhere) = (self.public.clone(), self.anywhere.clone());
        self.runtime.spawn(async move {
            let timeout_ms = request.endpoint.timeout_ms;
            let answer =
                tokio::time::timeout(Duration::from_millis(timeout_ms), ask(&public, &anywhere, request)).await;
            done(answer.unwrap_or(Err(EndpointFailure::TimedOut { timeout_ms })));
        });
    }
}

async fn ask(public: &Client, anywhere: &Client, request: EndpointRequest) -> Result<EndpointReply, EndpointFailure> {
    let endpoint = &request.endpoint;
    let url = Url::parse(&endpoint.url).map_err(|e| EndpointFailure::Unreachable(format!("its address: {e}")))?;
    let client = if endpoint.private_network || is_meant_to_be_private(&url) { anywhere } else { public };
    let sent = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json")
        .header("idempotency-key", &request.idempotency_key)
        .header("signalbox-signature", signature(&endpoint.secret, request.body.as_bytes()))
        .body(request.body.clone())
        .send();
    let mut response = sent.await.map_err(|error| failure(&error))?;
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = if response.status().is_success() {
        let bytes_max = usize::try_from(endpoint.response_bytes_max).unwrap_or(usize::MAX);
        match read(&mut response, bytes_max).await? {
            (body, true) => body,
            (_, false) => {
                return Err(EndpointFailure::Unusable(format!("it has more than {bytes_max} bytes")));
            }
        }
    } else {
        read(&mut response, REFUSAL_BYTES_MAX).await?.0
    };
    if body.len() <= BLOCKING_BYTES {
        return request.read(status, location.as_deref(), &body);
    }
    let reading = tokio::task::spawn_blocking(move || request.read(status, location.as_deref(), &body)).await;
    reading.unwrap_or_else(|error| Err(EndpointFailure::Unusable(error.to_string())))
}

/// The beginning of an answer, and whether that is all of it.
async fn read(response: &mut Response, bytes_max: usize) -> Result<(Vec<u8>, bool), EndpointFailure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

fn failure(error: &reqwest::Error) -> EndpointFailure {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(private) = cause.downcast_ref::<PrivateAddress>() {
            return EndpointFailure::Forbidden(private.to_string());
        }
        source = cause.source();
    }
    EndpointFailure::Unreachable(cut(chain(error)))
}

/// Whether an operator put the address knowing that it is not for the public.
fn is_meant_to_be_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => !is_public(address),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// A name leads to addresses inside only.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` leads to a private address: put `private_network` on the endpoint where that is meant")]
struct PrivateAddress(String);

/// Looks names up, and finds public addresses only.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (public, private): (Vec<SocketAddr>, Vec<SocketAddr>) = found.partition(|found| is_public(found.ip()));
            if public.is_empty() && !private.is_empty() {
                return Err(PrivateAddress(name.as_str().to_owned()).into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is of the public internet (IANA's registries of special-purpose addresses, RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 224;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(address) = address.to_ipv4_mapped() {
        return is_public_v4(address);
    }
    let [a, b, c, _, _, _, g, h] = address.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b) {
        // Translated to IPv4 by a gateway (RFC 6052), or carried over it (RFC 3056).
        (0x64, 0xff9b) => embedded(g, h),
        (0x2002, _) => embedded(b, c),
        (0x2001, 0 | 0xdb8) => false,
        // What is not handed out for use on the internet.
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let public =
            ["1.1.1.1", "100.63.0.1", "172.15.0.1", "172.32.0.1", "198.17.0.1", "2606:4700::1111", "64:ff9b::101:101"];
        let private = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_that_is_private_itself_was_meant() {
        let meant =
            ["http://127.0.0.1:8080/x", "http://[::1]/", "http://localhost:1", "http://10.0.0.1", "http://2130706433/"];
        for url in meant {
            assert!(is_meant_to_be_private(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://1.1.1.1/", "https://crm.example/", "http://localhost.example/", "http://[2606:4700::1]/"] {
            assert!(!is_meant_to_be_private(&Url::parse(url).unwrap()), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_finds_nothing() {
        let found = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(found.err().unwrap().downcast_ref::<PrivateAddress>().is_some());
    }
}

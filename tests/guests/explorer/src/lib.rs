//! A strategy that imports all of WASI and reaches for what is behind it, as the interaction's body tells it to.
//! Off Wasm there is nothing of it.
#![cfg(target_family = "wasm")]

#[allow(missing_docs, reason = "the documentation is in the WIT package")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "strategy" });
    use super::Explorer;
    export!(Explorer);
}

use bindings::Guest;
use bindings::signalbox::strategy::types::{Asset, Decision, Failure, Manifest, Outcome, Request};
use wasip2::{cli, clocks, filesystem, io, random, sockets};

struct Explorer;

impl Guest for Explorer {
    fn describe() -> Manifest {
        Manifest {
            name: "explorer".into(),
            version: "1.0.0".into(),
            description: "Looks for what is outside.".into(),
            outcomes: vec![Outcome { name: "ok".into(), description: String::new() }],
            settings_schema: r#"{"type": "object"}"#.into(),
            assets: Vec::new(),
        }
    }

    fn configure(_: String, _: Vec<Asset>) -> Result<(), String> {
        Ok(())
    }

    fn route(request: Request) -> Result<Decision, Failure> {
        let reason = match request.interaction.body.as_str() {
            "look" => look(),
            "tcp" => {
                format!("{:?}", sockets::tcp_create_socket::create_tcp_socket(sockets::network::IpAddressFamily::Ipv4))
            }
            "udp" => {
                format!("{:?}", sockets::udp_create_socket::create_udp_socket(sockets::network::IpAddressFamily::Ipv6))
            }
            "resolve" => {
                let network = sockets::instance_network::instance_network();
                format!("{:?}", sockets::ip_name_lookup::resolve_addresses(&network, "example.com"))
            }
            "sleep" => {
                clocks::monotonic_clock::subscribe_duration(3_600_000_000_000).block();
                "slept".into()
            }
            "poll" => {
                let pollable = clocks::monotonic_clock::subscribe_instant(u64::MAX);
                format!("{:?}", io::poll::poll(&[&pollable]))
            }
            "read" => format!("{:?}", cli::stdin::get_stdin().blocking_read(1 << 30)),
            "random" => format!("{}", random::random::get_random_bytes(u64::MAX).len()),
            "exit" => {
                cli::exit::exit(Err(()));
                String::new()
            }
            _ => String::new(),
        };
        Ok(Decision { outcome: "ok".into(), actions: Vec::new(), reason })
    }
}

/// All that can be looked at.
fn look() -> String {
    format!(
        "environment {:?}, arguments {:?}, directory {:?}, files {}, terminal {}, insecure {}",
        cli::environment::get_environment(),
        cli::environment::get_arguments(),
        cli::environment::initial_cwd(),
        filesystem::preopens::get_directories().iter().map(opened).collect::<Vec<_>>().len(),
        cli::terminal_stdin::get_terminal_stdin().is_some(),
        random::insecure::get_insecure_random_bytes(8).len()
            + usize::from(random::insecure_seed::insecure_seed().0 == 0),
    )
}

/// What a file system would be asked.
fn opened((directory, name): &(filesystem::types::Descriptor, String)) -> bool {
    use filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
    let opened = directory.open_at(PathFlags::SYMLINK_FOLLOW, name, OpenFlags::CREATE, DescriptorFlags::WRITE);
    opened.is_ok_and(|file| file.write(b"here", 0).is_ok())
}

//! Installs what building needs and is not there, or says exactly what to install and stops.
//!
//! Downloads nothing but by the system's package manager and by rustup, and only what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{self, succeeds};

/// What strategies are compiled to.
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Checks everything, installing as it goes.
pub fn run() -> Result<()> {
    compilers()?;
    libclang()?;
    wasm_target()
}

fn compilers() -> Result<()> {
    for (variable, program) in [("CC", "cc"), ("CXX", "c++")] {
        let program = std::env::var_os(variable).unwrap_or_else(|| program.into());
        if !succeeds(Command::new(&program).arg("--version")) {
            bail!(
                "no C and C++ compiler: `{}` does not run. RocksDB needs both.\n  \
                 Debian, Ubuntu: apt-get install build-essential\n  Fedora: dnf install gcc-c++\n  \
                 Arch: pacman -S base-devel\n  macOS: xcode-select --install",
                program.to_string_lossy()
            );
        }
    }
    Ok(())
}

/// RocksDB's bindings are made with libclang and the headers that come with it.
fn libclang() -> Result<()> {
    if has_libclang() {
        return Ok(());
    }
    eprintln!("libclang is missing: RocksDB's bindings are made with it");
    if !is_debian() {
        bail!(
            "install libclang, then run this again:\n  Fedora: dnf install clang-devel\n  Arch: pacman -S clang\n  \
             Alpine: apk add clang-dev\n  openSUSE: zypper install clang-devel\n  \
             macOS: brew install llvm, and set LIBCLANG_PATH=$(brew --prefix llvm)/lib\n  \
             elsewhere: install LLVM, and set LIBCLANG_PATH to the folder of libclang.so"
        );
    }
    let install = ["install", "--yes", "--no-install-recommends", "libclang-dev"];
    // The lists of packages may be old or not there at all.
    if cargo::run(&mut apt_get(&install)?).is_err() {
        cargo::run(&mut apt_get(&["update"])?)?;
        cargo::run(&mut apt_get(&install)?)?;
    }
    if !has_libclang() {
        bail!(
            "libclang-dev is installed and libclang is still not found: set LIBCLANG_PATH to the folder of libclang.so"
        );
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Result<Command> {
    let is_root = cargo::output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = Command::new(if is_root { "apt-get" } else { "sudo" });
    if !is_root {
        if !succeeds(Command::new("sudo").arg("--version")) {
            bail!("this needs root, and there is no sudo: run `apt-get {}` as root", arguments.join(" "));
        }
        command.arg("apt-get");
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn is_debian() -> bool {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let says = |name: &str| {
        release.lines().any(|line| {
            let value = line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")).unwrap_or_default();
            value.trim_matches('"').split(' ').any(|word| word == name)
        })
    };
    (says("debian") || says("ubuntu")) && Path::new("/usr/bin/apt-get").exists()
}

/// Looks where clang-sys looks, and for the headers beside it.
fn has_libclang() -> bool {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return Path::new(&path).exists();
    }
    if cfg!(target_os = "macos") {
        return Path::new("/Library/Developer/CommandLineTools/usr/lib/libclang.dylib").exists()
            || Path::new("/Applications/Xcode.app").exists();
    }
    let mut folders: Vec<PathBuf> =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"].map(PathBuf::from).into();
    for parent in ["/usr/lib", "/usr/lib64", "/usr/local"] {
        for entry in entries(Path::new(parent)) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with("llvm") {
                folders.extend([entry.join("lib"), entry.join("lib64")]);
            } else if name.ends_with("-linux-gnu") {
                folders.push(entry);
            }
        }
    }
    let is_library = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let named = |after: &str| name.strip_prefix("libclang").is_some_and(|rest| rest.starts_with(after));
        (named(".so") || named("-")) && name.contains(".so") && !name.starts_with("libclang-cpp")
    };
    let has_library = folders.iter().any(|folder| entries(folder).iter().any(is_library));
    let has_headers = folders
        .iter()
        .any(|folder| entries(&folder.join("clang")).iter().any(|version| version.join("include/stddef.h").exists()));
    has_library && has_headers
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// `rust-toolchain.toml` names the target, and where rustup may not install by itself nobody has read it.
fn wasm_target() -> Result<()> {
    if has_wasm_target()? {
        return Ok(());
    }
    eprintln!("the target {WASM_TARGET} is missing: strategies are compiled to it");
    let mut rustup = Command::new("rustup");
    rustup.current_dir(cargo::root()).args(["target", "add", WASM_TARGET]);
    cargo::run(&mut rustup).with_context(|| {
        format!(
            "install Rust's standard library for {WASM_TARGET}: with rustup by `rustup target add {WASM_TARGET}`; \
             with a Rust of the system by its package for that target"
        )
    })?;
    if !has_wasm_target()? {
        bail!("rustup added {WASM_TARGET} to another toolchain than `rustc` is of: check `rustup show`");
    }
    Ok(())
}

fn has_wasm_target() -> Result<bool> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(cargo::root()).args(["--print", "target-libdir", "--target", WASM_TARGET]);
    let folder = cargo::output(&mut rustc)?;
    Ok(!entries(Path::new(folder.trim())).is_empty())
}

//! What tests and benchmarks need beside Rust.

use anyhow::{Result, bail};

use crate::step::{command, is_installed, run};

/// A program, and the package of Debian and Ubuntu that has it.
pub(crate) struct Needed {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// For `cargo xtask test`.
pub(crate) const TESTS: &[Needed] = &[
    Needed { program: "git", package: "git" },
    Needed { program: "strace", package: "strace" },
    Needed { program: "setsid", package: "util-linux" },
    Needed { program: "prlimit", package: "util-linux" },
    Needed { program: "faketime", package: "faketime" },
    Needed { program: "slowhttptest", package: "slowhttptest" },
    Needed { program: "ps", package: "procps" },
    Needed { program: "node", package: "nodejs" },
    Needed { program: "python3", package: "python3" },
    Needed { program: "ip", package: "iproute2" },
    Needed { program: "nft", package: "nftables" },
    Needed { program: "bash", package: "bash" },
    Needed { program: "curl", package: "curl" },
];

/// For the fuzz targets: libFuzzer is C++.
pub(crate) const FUZZ: &[Needed] = &[Needed { program: "c++", package: "g++" }];

/// For `cargo xtask bench`.
pub(crate) const BENCH: &[Needed] = &[
    Needed { program: "haproxy", package: "haproxy" },
    Needed { program: "nginx", package: "nginx" },
    Needed { program: "taskset", package: "util-linux" },
];

/// Installs what is missing, or says what is.
pub(crate) fn install(needed: &[Needed]) -> Result<()> {
    let is_missing =
        |needed: &&Needed| !is_installed(needed.program) && !is_installed_in_sbin(needed.program);
    let packages: Vec<_> = needed.iter().filter(is_missing).map(|needed| needed.package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    apt_install(&packages)
}

/// Installs packages of Debian, or says which are needed.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !is_installed("apt-get") {
        bail!("please install: {names} (names as in Debian)");
    }
    let sudo: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
    let apt = |args: &[&str]| {
        let words = [sudo, &["apt-get", "-q"], args].concat();
        let mut apt = command(words[0], &words[1..]);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        run(apt)
    };
    apt(&["update"])
        .and_then(|()| apt(&[&["install", "-y", "--no-install-recommends"], packages].concat()))
        .map_err(|error| error.context(format!("please install: {names}")))
}

/// Debian keeps servers where only root's PATH leads.
fn is_installed_in_sbin(program: &str) -> bool {
    std::path::Path::new("/usr/sbin").join(program).is_file()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

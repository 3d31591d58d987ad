//! Is the library there, in a version whose calls are those that `src/ffi.rs` declares? Else the crate is built without
//! it, and says so in one line.

use std::path::PathBuf;

#[path = "src/versions.rs"]
mod versions;
use versions::VERSIONS;

fn version() -> Result<u32, String> {
    let roots = std::env::var_os("IPSEC_MB_INCLUDE").map(PathBuf::from);
    let mut headers = roots.into_iter().chain(["/usr/include".into(), "/usr/local/include".into()]);
    let text = headers
        .find_map(|dir| std::fs::read_to_string(dir.join("intel-ipsec-mb.h")).ok())
        .ok_or("libipsec-mb-dev is not installed (lab/packages.sh mb)")?;
    let number = text.lines().find_map(|l| l.strip_prefix("#define IMB_VERSION_NUM 0x"));
    let number = number.and_then(|n| u32::from_str_radix(n.trim(), 16).ok());
    number.ok_or_else(|| "intel-ipsec-mb.h has no IMB_VERSION_NUM".into())
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/versions.rs");
    println!("cargo::rerun-if-changed=/usr/include/intel-ipsec-mb.h");
    println!("cargo::rerun-if-env-changed=IPSEC_MB_INCLUDE");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let found = if arch == "x86_64" && os == "linux" { version() } else { Err(format!("not for {arch} on {os}")) };
    match found {
        Ok(v) if VERSIONS.contains(&v) => {
            println!("cargo::rustc-link-lib=IPSec_MB");
            println!("cargo::rustc-cfg=ipsec_mb");
        }
        Ok(v) => println!("cargo::warning=built without ipsec-mb: version {v:#x} has other calls than 1.1 to 1.5"),
        Err(why) => println!("cargo::warning=built without ipsec-mb: {why}"),
    }
}

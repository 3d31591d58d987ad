//! The name that programs remember the shared library by: it changes when the ABI's major number does.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let major = "1";
    match std::env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "freebsd" | "android") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libravelin.so.{major}");
        }
        Ok("macos") => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libravelin.{major}.dylib"),
        _ => {}
    }
}

//! The web client is built by its own tools into `web/dist` and embedded from there. A checkout where that has not been done
//! must build all the same: then a page is embedded that says how to do it.

use std::path::Path;
use std::{fs, io};

const PLACEHOLDER: &str = include_str!("src/placeholder.html");

fn main() -> io::Result<()> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    fs::create_dir_all(&dist)?;
    let index = dist.join("index.html");
    if !index.exists() {
        fs::write(&index, PLACEHOLDER)?;
    }
    Ok(())
}

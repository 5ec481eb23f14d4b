//! The program linked as the released one is: it needs no file of the system.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program that was just built, with a C library inside. All of it is compiled already; only the linking is new, and
/// takes seconds. `KEYLENDER_PROGRAM` names another one, such as a release to be looked at before it goes out.
pub fn static_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| named().unwrap_or_else(link))
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
fn named() -> Option<PathBuf> {
    std::env::var_os("KEYLENDER_PROGRAM").map(PathBuf::from)
}

fn link() -> PathBuf {
    let dependencies = Path::new(env!("CARGO_BIN_EXE_keylender")).with_file_name("deps");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keylender-static-{}", std::process::id()));
    let mut rustc = Command::new("rustc");
    rustc.current_dir(env!("CARGO_MANIFEST_DIR")).args(["--edition", "2024", "--crate-name", "keylender_static"]);
    rustc.arg("src/main.rs").arg("-o").arg(&place);
    rustc.arg("--extern").arg(format!("keylender={}", library(&dependencies).display()));
    rustc.arg("-L").arg(format!("dependency={}", dependencies.display()));
    // As `packaging/keylender.spec` has it.
    rustc.args(["-C", "target-feature=+crt-static", "-C", "relocation-model=static", "-C", "strip=symbols"]);
    let output = rustc.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // One name for all runs, so that they do not pile up.
    let name = place.with_file_name("keylender-static");
    std::fs::rename(place, &name).unwrap();
    name
}

/// The library that was built last. Those of other builds lie beside it.
fn library(dependencies: &Path) -> PathBuf {
    let entries = std::fs::read_dir(dependencies).unwrap().map(|entry| entry.unwrap());
    let libraries = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        name.starts_with("libkeylender-") && name.ends_with(".rlib")
    });
    libraries.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap()).unwrap().path()
}

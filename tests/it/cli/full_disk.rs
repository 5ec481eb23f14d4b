//! A disk that is full or read-only, on a real file system of a few megabytes that a mount namespace of our own has.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::{BINARY, Home};
use crate::wire::PATIENCE;

/// Bytes of the file system: the reserve of the store, and some room above it.
const SIZE: &str = "48m";

/// An appliance whose data directory is a file system of its own.
struct Small {
    child: Child,
    /// The data directory, as seen from outside of the namespace.
    data: PathBuf,
    home: Home,
}

impl Small {
    fn start() -> Self {
        let home = Home::new();
        let data = home.data_dir();
        fs::create_dir(&data).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={SIZE},mode=700 none \"$1\" && exec {BINARY} serve --port 0 --config \"$2\""
        );
        let config = home.write_settings("");
        let mut command = unshared(&script);
        command.arg(&data).arg(config).current_dir(home.dir.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let data = PathBuf::from(format!("/proc/{}/root{}", child.id(), data.display()));
        let small = Self { child, data, home };
        small.wait_for("answers", |small| small.status("/__lbheartbeat__") == Some(200));
        small
    }

    /// The status of a request over the control socket.
    fn status(&self, path: &str) -> Option<u16> {
        use std::io::{Read, Write};
        use std::os::unix::net::UnixStream;
        let mut stream = UnixStream::connect(self.data.join("control.sock")).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.get(9..12)?.parse().ok()
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "it {what}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Makes a client by the command line, inside of the namespace.
    fn makes_client(&self, name: &str) -> Result<(), String> {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.child.id().to_string(), "-m"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.args([BINARY, "client", "create", name, "--scope", "a", "--config"]);
        let output = command.arg(self.home.dir.path().join("keylender.conf")).current_dir(self.home.dir.path());
        let output = output.arg("--data-dir").arg(self.home.data_dir()).output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }
}

/// A script in a mount namespace of its own; arguments follow. As root that needs no user namespace; a user has one made.
fn unshared(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(if rustix::process::geteuid().is_root() { &["-m"][..] } else { &["-r", "-m"] });
    command.args(["sh", "-c", script, "sh"]);
    command
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_full_disk_refuses_changes_and_goes_on_by_itself_when_there_is_room() {
    let small = Small::start();
    small.makes_client("before").unwrap();
    small.wait_for("is well but for the broker", |small| small.status("/metrics") == Some(200));

    let fill = small.data.join("fill");
    fs::write(&fill, vec![1; 20 << 20]).unwrap();
    let refused = small.makes_client("meanwhile").unwrap_err();
    assert!(refused.contains("the store cannot be written"), "{refused}");
    assert_eq!(small.status("/__heartbeat__"), Some(503));
    assert_eq!(small.status("/__lbheartbeat__"), Some(200), "it is up");

    fs::remove_file(&fill).unwrap();
    small.makes_client("after").unwrap();
}

#[test]
fn a_disk_that_fills_up_below_the_reserve_breaks_nothing() {
    let small = Small::start();
    small.makes_client("before").unwrap();
    // To the last byte, as another program would.
    let fill = small.data.join("fill");
    let mut len = 64 << 20;
    while len > 512 {
        let more = vec![1; len];
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&fill).unwrap();
        if std::io::Write::write_all(&mut file, &more).is_err() {
            len /= 2;
        }
    }
    small.makes_client("meanwhile").unwrap_err();
    fs::remove_file(&fill).unwrap();
    small.makes_client("after").unwrap();
}

#[test]
fn a_read_only_disk_is_named_and_works_when_it_is_writable_again() {
    // A disk does not become read-only under a file that is open for writing but by its own fault, which the stories about
    // injected faults have. So this is about the next start.
    let home = Home::new();
    let data = home.data_dir();
    fs::create_dir(&data).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={SIZE},mode=700 none \"$1\" && {BINARY} client create a --scope a --config \"$2\" && \
         mount -o remount,ro \"$1\" && ! {BINARY} client create b --scope a --config \"$2\" && \
         mount -o remount,rw \"$1\" && {BINARY} client create c --scope a --config \"$2\""
    );
    let mut command = unshared(&script);
    let output = command.arg(&data).arg(home.write_settings("")).current_dir(home.dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("keylender: the store lies on a read-only file system: "), "{said}");
}

//! A host of its own below a directory: a shell, the doubles of `system/`, processes and mounts that nobody else sees.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// Its first process: takes in those whose parents ended, as an init does.
const INIT: &str = r#"mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && echo ready && exec busybox sh -c 'while sleep 1; do :; done'"#;

/// What a command came to.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Said {
    /// Runs a command; standard output comes before the errors.
    pub fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self { code: output.status.code().expect("it ended by itself"), text: text.concat() }
    }

    /// Of a command that must work.
    pub fn well(self) -> String {
        assert_eq!(self.code, 0, "{}", self.text);
        self.text
    }
}

pub struct Host {
    dir: TempDir,
    /// The program whose end ends all processes of the host.
    keeper: Child,
}

impl Host {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = dir.path();
        for folder in [
            "bin",
            "sbin",
            "dev",
            "proc",
            "tmp",
            "usr/bin",
            "usr/sbin",
            "etc/rc.d/init.d",
            "etc/rc.d/rc3.d",
            "var/run",
            "var/lock/subsys",
            "var/log",
            "var/lib",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink("rc.d/init.d", root.join("etc/init.d")).unwrap();
        fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n").unwrap();
        fs::write(root.join("etc/group"), "root:x:0:\n").unwrap();
        let system = Path::new(TOP).join("tests/program/package/system");
        for (file, place) in [
            ("functions", "etc/rc.d/init.d"),
            ("chkconfig", "sbin"),
            ("service", "sbin"),
            ("useradd", "usr/sbin"),
            ("groupadd", "usr/sbin"),
            ("getent", "usr/bin"),
        ] {
            let place = root.join(place).join(file);
            fs::copy(system.join(file), &place).unwrap();
            fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let busybox =
            ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox"].into_iter().find(|path| Path::new(path).exists());
        fs::copy(busybox.expect("scripts/test installs busybox"), root.join("bin/busybox")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--kill-child"]);
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user", "--map-auto"]);
        }
        unshare.args(["sh", "-c", INIT]).arg(root).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = unshare.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "a host has its own processes and mounts");
        let host = Self { dir, keeper };
        host.run(&["/bin/busybox", "--install", "-s", "/bin"]).well();
        host
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// A command that sees this host's processes, and the files of all.
    pub fn outside(&self, program: &str) -> Command {
        let keeper = self.keeper.id();
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--pid", "--target", children.trim()]);
        if !rustix::process::geteuid().is_root() {
            command.arg("--user");
        }
        command.arg(program);
        command
    }

    /// A command of this host.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let mut command = self.outside("chroot");
        command.arg(self.root()).args(arguments).env_clear().env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin");
        Said::of(&mut command)
    }

    /// A line for its shell.
    pub fn shell(&self, line: &str) -> Said {
        self.run(&["/bin/sh", "-c", line])
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

//! The built program as an operator runs it: a file of settings, the server, and commands.

use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_keylender");

/// A directory with settings and data, and the program that works in it.
pub struct Program {
    pub dir: TempDir,
}

impl Program {
    /// With these settings, in which `@DIR@` is its directory, and a port of its own.
    pub fn new(settings: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data").display().to_string();
        let own = [("DATA_DIR", data), ("PORT", "0".to_owned())];
        let lines: String = own.iter().chain(settings).map(|(name, value)| format!("{name}={value}\n")).collect();
        let lines = lines.replace("@DIR@", &dir.path().display().to_string());
        std::fs::write(dir.path().join("keylender.conf"), lines).unwrap();
        Self { dir }
    }

    /// Starts the appliance; no file of it gets longer than `blocks` of 512 bytes.
    pub async fn serve(&self, blocks: &str) -> Child {
        // A limit that is reached would end the program if the signal were not ignored, and not be an error.
        let script = r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#;
        let mut serve = Command::new("/bin/sh");
        serve.args(["-c", script, blocks, PROGRAM, "serve", "--config"]).arg(self.dir.path().join("keylender.conf"));
        let mut serve = serve.env_clear().stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut log = BufReader::new(serve.stdout.take().unwrap()).lines();
        while !log.next_line().await.unwrap().expect("it says where it listens").contains("listens on ") {}
        // It may say more, and must not wait for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        serve
    }

    /// Exit code and output of a command.
    pub async fn keylender(&self, command: &str) -> (i32, String) {
        let mut program = Command::new(PROGRAM);
        program.args(command.split(' ')).arg("--config").arg(self.dir.path().join("keylender.conf"));
        let output = program.env_clear().output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    /// The output of a command that works.
    pub async fn well(&self, command: &str) -> String {
        let (code, printed) = self.keylender(command).await;
        assert_eq!(code, 0, "{command}: {printed}");
        printed
    }
}

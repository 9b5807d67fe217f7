//! Who takes part, and what each needs installed.

use crate::cases::{Case, Ours};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Python's clients, pinned so that two runs compare the same thing.
const PYTHON_PACKAGES: [&str; 2] = ["aiohttp==3.14.5", "httpx==0.28.1"];

/// Programs that set-up made or found.
pub(crate) struct Programs {
    here: PathBuf,
    own: PathBuf,
    python: PathBuf,
    go: PathBuf,
}

/// A client that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    OursDns,
    OursSystem,
    Curl,
    Go,
    Node,
    Asyncio,
    Aiohttp,
    Httpx,
    HyperUtil,
    Reqwest,
}

impl Client {
    pub(crate) const ALL: [Self; 10] = [
        Self::OursDns,
        Self::OursSystem,
        Self::Curl,
        Self::Go,
        Self::Node,
        Self::Asyncio,
        Self::Aiohttp,
        Self::Httpx,
        Self::HyperUtil,
        Self::Reqwest,
    ];

    /// The column's heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OursDns => "twinstack dns",
            Self::OursSystem => "twinstack system",
            Self::Curl => "curl",
            Self::Go => "Go",
            Self::Node => "Node",
            Self::Asyncio => "asyncio",
            Self::Aiohttp => "aiohttp",
            Self::Httpx => "httpx",
            Self::HyperUtil => "hyper-util",
            Self::Reqwest => "reqwest",
        }
    }

    /// Its host in the world.
    pub(crate) fn host(self) -> String {
        format!("client-{}", self.title().replace(' ', "-").to_lowercase())
    }

    /// Whether it is one of ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::OursDns | Self::OursSystem)
    }

    /// The command that dials `case`; `None` where the client has nothing to show.
    pub(crate) fn command(self, case: &Case, programs: &Programs) -> Option<Vec<String>> {
        if !self.is_ours() && !case.has_peers() {
            return None;
        }
        let name = format!("{}.bench.test", case.name);
        let port = case.port().to_string();
        let peer = |script: &str| {
            programs
                .here
                .join("peers")
                .join(script)
                .display()
                .to_string()
        };
        let words = match self {
            Self::OursDns | Self::OursSystem => {
                let resolver = if self == Self::OursDns {
                    "dns"
                } else {
                    "system"
                };
                let mut words = vec![programs.program("ours"), resolver.to_owned(), name, port];
                if case.tls() {
                    words.push("--tls".to_owned());
                }
                match case.ours {
                    Ours::Defaults => {}
                    Ours::AttemptDelay(delay) => {
                        words.push(format!("--attempt-delay={}", delay.as_millis()))
                    }
                    Ours::WithHistory => words.push("--twice".to_owned()),
                }
                words
            }
            Self::Curl => {
                let scheme = if case.tls() { "https" } else { "http" };
                let done = r#"{"ok": true, "total": %{time_total}, "connected": %{time_connect}, "secured": %{time_appconnect}}"#;
                let mut words: Vec<String> = ["curl", "-s", "-o", "/dev/null", "-w"]
                    .map(str::to_owned)
                    .to_vec();
                words.extend([format!("{done}\n"), format!("{scheme}://{name}:{port}/")]);
                words
            }
            Self::Go => {
                let mut words = vec![programs.go.display().to_string(), "-limit=1m".to_owned()];
                if case.tls() {
                    words.push("-tls".to_owned());
                }
                words.extend([name, port]);
                words
            }
            Self::Node => with_tls(vec!["node".to_owned(), peer("dial.mjs"), name, port], case),
            Self::Asyncio | Self::Aiohttp | Self::Httpx => {
                let python = programs.python.display().to_string();
                with_tls(
                    vec![python, peer("dial.py"), self.title().to_owned(), name, port],
                    case,
                )
            }
            // Plain connectors: TLS is put on top of them once they have chosen.
            Self::HyperUtil | Self::Reqwest if case.tls() => return None,
            Self::HyperUtil | Self::Reqwest => {
                vec![
                    programs.program("peer"),
                    self.title().to_owned(),
                    name,
                    port,
                ]
            }
        };
        Some(words)
    }
}

fn with_tls(mut words: Vec<String>, case: &Case) -> Vec<String> {
    if case.tls() {
        words.push("tls".to_owned());
    }
    words
}

impl Programs {
    /// Installs the peers' libraries under `target/`, from the ordinary package sources.
    pub(crate) fn set_up() -> Result<Self> {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let target = here.join("target");
        let own = std::env::current_exe().context("finding this program")?;
        let own = own
            .parent()
            .context("finding this program's directory")?
            .to_owned();
        let venv = target.join("venv");
        let python = venv.join("bin/python");
        if !python.exists() {
            done(
                Command::new("python3").args(["-m", "venv"]).arg(&venv),
                "python3-venv",
            )?;
        }
        done(
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args(PYTHON_PACKAGES),
            "PyPI",
        )?;
        let go = target.join("dial-go");
        let build = Command::new("go")
            .env("CGO_ENABLED", "0")
            .arg("build")
            .arg("-o")
            .arg(&go)
            .arg(here.join("peers/dial.go"))
            .status();
        match build {
            Ok(status) if status.success() => {}
            _ => bail!("building the Go peer: `go build` failed; install Go (Debian: golang-go)"),
        }
        for program in ["curl", "node"] {
            done(
                Command::new(program).arg("--version"),
                &format!("{program} (Debian: {program}js)").replace("curljs", "curl"),
            )?;
        }
        Ok(Self {
            here,
            own,
            python,
            go,
        })
    }

    /// One of this package's own programs.
    pub(crate) fn program(&self, name: &str) -> String {
        self.own.join(name).display().to_string()
    }

    /// The interpreter with the peers' packages.
    pub(crate) fn python(&self) -> &Path {
        &self.python
    }

    /// The directory of this package.
    pub(crate) fn here(&self) -> &Path {
        &self.here
    }

    /// `twinstack` itself, built beside this package; for `run`.
    pub(crate) fn twinstack(&self) -> Result<PathBuf> {
        let root = self.here.parent().context("finding the repository")?;
        let status = Command::new(env!("CARGO"))
            .current_dir(root)
            .args([
                "build",
                "--release",
                "--locked",
                "--quiet",
                "--bin",
                "twinstack",
            ])
            .status()
            .context("running cargo")?;
        if !status.success() {
            bail!("building `twinstack` failed");
        }
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(target.join("release/twinstack"))
    }
}

fn done(command: &mut Command, needs: &str) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}; needs {needs}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed; needs {needs}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

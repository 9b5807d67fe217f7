//! The command line: what can be said, and in which words wrong usage is refused.
//!
//! Everything that can be judged without looking at the network is judged here, so that a typing error costs no
//! waiting: ports, durations, addresses, URLs, the client's command.

mod value;

use crate::environment::ColourChoice;
use clap::{Args, Parser, Subcommand};
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use twinstack_check::options::{Profile, Target};

pub(crate) use value::{dns_server, duration, targets_in_file};

/// The exit statuses, as the help and the manual show them.
pub(crate) const EXIT_STATUSES: &[(&str, &str)] = &[
    ("0", "fine"),
    ("1", "problems were found, or the name does not exist"),
    (
        "2",
        "could not look: no network, no permission, no resolver answered",
    ),
    ("64", "wrong usage"),
    (
        "125",
        "`lab run` and `run`: they themselves failed; any other status is the command's own",
    ),
];

/// Makes services that speak IPv4 and IPv6 reliable.
#[derive(Debug, Parser)]
#[command(name = "twinstack", version, after_help = exit_statuses(EXIT_STATUSES))]
#[command(max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// When to use colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColourChoice,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Is this service ready for dual stack?
    ///
    /// Asks the DNS, connects to every address of both families on every port, compares what the families give, times a
    /// client's fallback, and says what is broken, why, and how to mend it.
    Check(Box<CheckArguments>),
    /// Broken networks on one machine, without root
    ///
    /// Builds a world of hosts, networks, name servers and services out of namespaces, runs a command in it, and takes
    /// it down again, whatever happens.
    Lab(Box<crate::lab::LabArguments>),
    /// Connects with Happy Eyeballs and shows the race
    ///
    /// Every question, attempt, delay and cause, and who won: a lane each, on one scale of time.
    Connect(Box<crate::connect::ConnectArguments>),
    /// Happy Eyeballs for programs that can be given a proxy: SOCKS5, HTTP CONNECT, plain forwards
    ///
    /// Names are resolved and dialled by the proxy, so that a broken IPv6 path costs the program behind it a quarter of a
    /// second at most. Runs until SIGINT or SIGTERM.
    Proxy(Box<crate::proxy::ProxyArguments>),
    /// Happy Eyeballs for one program that is not changed
    ///
    /// Connections that stay unanswered over IPv6 are given up in time for the program to go on to its next address, and
    /// are remembered. Works for static programs, Go and Java too, as an ordinary user. The program's exit status,
    /// signals, terminal and standard streams pass through; 125 means that `run` itself failed, 126 that the command cannot
    /// be executed, 127 that it was not found.
    Run(crate::run::RunArguments),
    /// What a finding means, how to prove it, how to mend it
    Explain(ExplainArguments),
    /// Prints the completions of a shell
    ///
    /// For bash: `twinstack completions bash > ~/.local/share/bash-completion/completions/twinstack`
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, of a command if one is named
    ///
    /// To read it: `twinstack man check | man -l -`
    Man {
        /// A command, such as `check` or `lab run`
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// What `check` can be told.
#[derive(Args, Debug)]
#[command(after_help = exit_statuses(&EXIT_STATUSES[..4]))]
#[group(skip)]
pub(crate) struct CheckArguments {
    /// Names, addresses, `host:port` or URLs
    #[arg(value_name = "TARGET", required_unless_present = "targets", value_parser = value::target)]
    pub(crate) target: Vec<Target>,
    /// A file of targets, one a line, `#` begins a comment; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) targets: Option<PathBuf>,
    /// What kind of service it is
    #[arg(long, value_enum, default_value = "web")]
    pub(crate) profile: ProfileName,
    /// A TCP port to connect to, instead of the profile's; repeatable
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,
    /// An address that the AAAA set is meant to have; repeatable, then name all of them
    #[arg(long, value_name = "ADDR")]
    pub(crate) expect_v6: Vec<Ipv6Addr>,
    /// The name that every PTR is meant to have
    #[arg(long, value_name = "NAME", value_parser = value::name)]
    pub(crate) expect_ptr: Option<String>,
    /// The name is meant to have no AAAA
    #[arg(long, conflicts_with = "expect_v6")]
    pub(crate) allow_v4_only: bool,
    /// A resolver to ask instead of the system's; repeatable, all answers are compared
    ///
    /// The hosts file and the search list of this machine are then not used either.
    #[arg(long, value_name = "SERVER[:PORT]", value_parser = value::dns_server)]
    pub(crate) dns: Vec<SocketAddr>,
    /// A DNS-over-HTTPS resolver to ask as well; repeatable
    ///
    /// It is asked beside the system's resolvers, or beside those of `--dns`, and the answers are compared.
    #[arg(long, value_name = "URL", value_parser = value::doh_url)]
    pub(crate) doh: Vec<String>,
    /// Run the same checks on another machine too, by `ssh HOST twinstack check`; repeatable
    ///
    /// `--local` then applies there and not here.
    #[arg(long, value_name = "HOST", value_parser = value::ssh_host)]
    pub(crate) via: Vec<String>,
    /// How to reach the machines of `--via`, instead of ssh: `kubectl exec {host} -- twinstack {arguments}`
    ///
    /// `{command}` stands for the whole command as one word, quoted for a shell; `{arguments}` for twinstack's arguments as
    /// words of their own. It is stopped after 30 s and six times `--timeout`, or when it prints more than 8 MiB.
    #[arg(long, value_name = "CMD", requires = "via", value_parser = value::via_command)]
    pub(crate) via_command: Option<CommandLine>,
    /// We are on the server: look at listeners, firewall, sysctls and neighbours too
    #[arg(long)]
    pub(crate) local: bool,
    /// A client command to time, instead of the built-in one; `{url}`, `{host}` and `{port}` are replaced
    #[arg(long, value_name = "CMD", value_parser = value::command_line)]
    pub(crate) client: Option<CommandLine>,
    /// The longest that one attempt may take: `5s`, `800ms`, or seconds
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = value::timeout)]
    pub(crate) timeout: Duration,
    /// The longest AAAA and negative TTL that still allow a quick way back: `1h`, `300s`
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = value::duration)]
    pub(crate) max_ttl: Duration,
    /// How to print the report
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
}

/// What `explain` can be told.
#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// A finding's code, such as `reach.fw-drop`; all codes if left out
    pub(crate) code: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine(pub(crate) Vec<String>);

/// Text for people or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    #[default]
    Human,
    /// JSON, as the schemas describe it
    Json,
}

/// The forms of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    /// Text for people
    #[default]
    Human,
    /// JSON: one report, or a list for several targets
    Json,
    /// JUnit XML for build servers
    Junit,
}

/// [`Profile`] in the words of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProfileName {
    /// HTTP on 80, HTTPS and QUIC on 443
    Web,
    /// A mail domain: MX, SPF, SMTP on 25
    Mail,
    /// Only TCP on the given ports
    Tcp,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Web => Self::Web,
            ProfileName::Mail => Self::Mail,
            ProfileName::Tcp => Self::Tcp,
        }
    }
}

fn exit_statuses(statuses: &[(&str, &str)]) -> String {
    statuses
        .iter()
        .fold("Exit status:".to_owned(), |text, (status, meaning)| {
            format!("{text}\n  {status:<4} {meaning}")
        })
}

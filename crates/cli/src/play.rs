//! `twinstack lab play`: an incident as a story, every line of it measured there and then.
//!
//! [`director`] makes things happen in a lab and measures them; what happened is a [`story::Story`], a plain value;
//! [`text`], the JSON and [`page`] are three renderings of it. [`packets`] computes the numbers a second time from the
//! recording. Stand-ins that later parts replace: the clients ([`crate::lab_client`]), and the changes to PTR and AAAA,
//! which are made by replacing parts of the running world.

mod agreement;
mod audience;
mod cast;
mod director;
mod packets;
mod page;
mod programs;
mod stage;
mod story;
mod text;

use crate::arguments::Format;
use crate::environment::Environment;
use crate::recording::Recording;
use crate::report_file::ReportFile;
use anyhow::Context as _;
use audience::Audience;
use clap::Args;
use std::path::PathBuf;
use twinstack_lab::world::{LoadOptions, World};

/// What `lab play` can be told.
#[derive(Debug, Args)]
pub(crate) struct PlayArguments {
    /// Which incident
    #[arg(value_enum)]
    replay: Replay,
    /// Also writes the story as a page with the timeline drawn
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keeps the recording of every packet (pcapng, for Wireshark and tshark)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Plays the same without the faults, for comparison
    #[arg(long)]
    without_fault: bool,
    /// How to tell it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Replay {
    /// An AAAA record that took a site away from some of its users
    #[value(name = "so-2017")]
    So2017,
}

impl Replay {
    const fn name(self) -> &'static str {
        match self {
            Self::So2017 => "so-2017",
        }
    }

    /// The world in which everything is mended that the site itself can mend.
    const fn mended(self) -> &'static str {
        match self {
            Self::So2017 => "so-2017-mended",
        }
    }
}

/// Plays, tells, writes the page, and returns the exit status.
pub(crate) fn run(
    arguments: &PlayArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    // Everything that can be refused is refused before anybody has to wait.
    let mut report = arguments
        .report
        .as_deref()
        .map(ReportFile::open)
        .transpose()?;
    let recording = Recording::create(arguments.trace.as_deref())?;
    let name = arguments.replay.name();
    let load = |name: &str, without_fault| {
        let options = LoadOptions {
            without_fault,
            ..LoadOptions::default()
        };
        World::load_with(name, &options).with_context(|| format!("reading the world `{name}`"))
    };
    let world = load(name, arguments.without_fault)?;
    let mut script = director::Script {
        replay: name.to_owned(),
        with_fault: !arguments.without_fault,
        cast: cast::of(&world),
        world,
        mended: load(arguments.replay.mended(), false)?,
    };
    cast::add_hosts(&mut script.world, &script.cast)?;
    for world in [&mut script.world, &mut script.mended] {
        cast::shorten_ttls(world, director::TTL_SECONDS);
    }
    let human = arguments.format == Format::Human;
    let story = {
        let mut audience = Audience::new(environment, human);
        let story = director::play(&script, &recording, &mut audience)?;
        audience.end(&story)?;
        story
    };
    if arguments.format == Format::Json {
        let text = serde_json::to_string_pretty(&story).context("writing the story as JSON")?;
        environment.stdout.print(&format!("{text}\n"))?;
    }
    if let Some(report) = &mut report {
        report.write(&page::render(&story))?;
        if human {
            let written = format!(
                "\n   The whole story as a page: {}\n",
                report.path.display()
            );
            environment.stdout.print(&written)?;
        }
    }
    Ok(0)
}

//! Worlds: what a lab is built from.
//!
//! A world file is YAML; `docs/worlds.md` explains the format and `schema/world-1.json` lets editors complete it.
//! [`World::load`] and [`World::parse`] read one, lay it over what it extends, look every name up and check every
//! value; what comes out ([`model`]) needs no further checks. All problems of a file are reported, each with its line.
//!
//! Nothing here starts anything, and no bytes of a file make it panic.

#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

mod diagnose;
mod file;
mod keys;
mod merge;
pub mod model;
mod read;
mod resolve;
mod scalar;
mod schema;
mod shipped;

pub use diagnose::Problem;
pub use model::World;
pub use schema::schema;
pub use shipped::Shipped;

use diagnose::Problems;
use merge::{Layer, Loader};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use twinstack_finding::Place;

/// How a world is read; the default is as it stands in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Leaves out the `fault:` sections: the world is healthy, `check` is called as before, and nothing is expected.
    pub without_fault: bool,
    /// Shipped worlds whose faults are laid over this one too. Expected codes and arguments of `check` are united.
    pub also_fault_of: Vec<String>,
    /// The finding codes that exist; another one in `expect` or `near-miss-of` is refused. Who calls knows its checker,
    /// the lab does not; empty: every well-formed code is taken.
    pub known_codes: Vec<String>,
}

impl World {
    /// The worlds that come with the lab.
    pub fn shipped() -> impl Iterator<Item = &'static Shipped> {
        Shipped::all()
    }

    /// A shipped world, or the file at a path (with a `/`, or ending in `.yaml`).
    pub fn load(name_or_path: &str) -> Result<Self, WorldError> {
        Self::load_with(name_or_path, &LoadOptions::default())
    }

    /// The same, changed a little.
    pub fn load_with(name_or_path: &str, options: &LoadOptions) -> Result<Self, WorldError> {
        let mut problems = Problems::default();
        let mut loader = Loader {
            problems: &mut problems,
            files: true,
        };
        let (chain, name) = if merge::is_path(name_or_path) {
            let path = Path::new(name_or_path);
            let text = merge::read_file(path).map_err(|source| WorldError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
            (loader.text(&text, name_or_path), stem(path))
        } else if let Some(world) = Shipped::named(name_or_path) {
            (loader.shipped(world), world.name().to_owned())
        } else {
            return Err(unknown(name_or_path));
        };
        finish(chain, name, options, problems)
    }

    /// A world from the text of a file. The name of the file appears in errors, paths in `extends` start from its
    /// folder, and the world has its name unless the text says otherwise.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, WorldError> {
        let mut problems = Problems::default();
        let mut loader = Loader {
            problems: &mut problems,
            files: true,
        };
        let chain = loader.text(text, file_name);
        let name = stem(Path::new(file_name));
        finish(chain, name, &LoadOptions::default(), problems)
    }

    /// The same without touching any file: `extends` may only name shipped worlds. For fuzzing, and for texts that
    /// come from somebody else.
    pub fn parse_alone(text: &str, file_name: &str) -> Result<Self, WorldError> {
        let mut problems = Problems::default();
        let mut loader = Loader {
            problems: &mut problems,
            files: false,
        };
        let chain = loader.text(text, file_name);
        let name = stem(Path::new(file_name));
        finish(chain, name, &LoadOptions::default(), problems)
    }
}

fn finish(
    chain: Option<Vec<Layer>>,
    name: String,
    options: &LoadOptions,
    mut problems: Problems,
) -> Result<World, WorldError> {
    let mut others = Vec::new();
    for other in &options.also_fault_of {
        let world = Shipped::named(other).ok_or_else(|| unknown(other))?;
        let mut loader = Loader {
            problems: &mut problems,
            files: false,
        };
        others.extend(loader.shipped(world));
    }
    let world = chain.and_then(|chain| resolve::world(chain, others, name, options, &mut problems));
    match world {
        Some(world) if problems.is_empty() => Ok(world),
        _ => Err(WorldError::Invalid {
            problems: problems.into_problems(),
        }),
    }
}

fn unknown(name: &str) -> WorldError {
    WorldError::Unknown {
        name: name.to_owned(),
        nearest: Shipped::nearest(name),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// Why there is no world.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorldError {
    /// No shipped world has this name, and it is no path.
    Unknown {
        /// What was asked for.
        name: String,
        /// The shipped world with the most similar name.
        nearest: Option<&'static str>,
    },
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the file, or in one that it extends, is wrong.
    Invalid {
        /// What, in the order of the files; at least one.
        problems: Vec<Problem>,
    },
}

impl WorldError {
    /// The problems inside files.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid { problems } => problems,
            Self::Unknown { .. } | Self::Unreadable { .. } => &[],
        }
    }

    /// The places inside files, one for each problem.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.problems().iter().map(|problem| &problem.place)
    }

    /// The text for people: several lines, each problem with its line of the file underlined.
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Unknown { name, nearest } => {
                let hint = nearest.map_or_else(
                    || "`twinstack lab worlds` lists them, and a file is written with its ending: `./my.yaml`".to_owned(),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                format!("no world is called `{name}`: {hint}")
            }
            Self::Unreadable { path, source } => {
                format!("cannot read `{}`: {source}", path.display())
            }
            Self::Invalid { problems } => problems
                .iter()
                .map(|problem| problem.render(colour))
                .collect::<Vec<_>>()
                .join("\n\n"),
        }
    }
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for WorldError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Unknown { .. } | Self::Invalid { .. } => None,
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may end so")]
mod tests;

//! Which files make up a world, and how they are laid over each other.
//!
//! Lowest first: the extended files from the root of the chain, the file itself, then the faults of all of them in the
//! same order. Maps merge key by key, filters and DNS rules of an upper layer come before those of a lower one (the
//! first match decides), any other list or value is replaced, and `~` removes. Zones are kept layer by layer, because
//! taking a record out has to happen after the lower layers put it in.

use super::diagnose::{At, Problems, SourceId};
use super::file::{self, Node, Value};
use super::keys::{FAULT, WORLD};
use super::read::Reader;
use super::shipped::Shipped;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A longer chain of `extends` is an accident.
const LONGEST_CHAIN: usize = 8;

/// The sections that hold what a world is made of; the others say what it is for.
const SECTIONS: [&str; 6] = ["networks", "hosts", "links", "filters", "zones", "dns"];

/// One file of a chain, its fault apart.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) root: Node,
    pub(super) fault: Option<Node>,
    identity: Identity,
}

/// What makes two files the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    Shipped(&'static str),
    Path(PathBuf),
}

/// All layers in one tree.
#[derive(Debug)]
pub(super) struct Merged {
    /// Everything but the zones.
    pub(super) tree: Node,
    /// The `zones` sections, lowest layer first.
    pub(super) zones: Vec<Node>,
}

/// Reads a file and what it extends, the root of the chain first.
pub(super) struct Loader<'p> {
    pub(super) problems: &'p mut Problems,
    /// Whether `extends` may name files; the shipped worlds are always there.
    pub(super) files: bool,
}

impl Loader<'_> {
    /// The chain of a shipped world.
    pub(super) fn shipped(&mut self, world: &'static Shipped) -> Option<Vec<Layer>> {
        let file = format!("{}.yaml", world.name());
        self.chain(world.text(), &file, Identity::Shipped(world.name()))
    }

    /// The chain of a text that came from the file of this name, or would have.
    pub(super) fn text(&mut self, text: &str, file: &str) -> Option<Vec<Layer>> {
        let path = Path::new(file);
        let identity = if self.files {
            path.canonicalize().unwrap_or_else(|_| path.to_owned())
        } else {
            path.to_owned()
        };
        self.chain(text, file, Identity::Path(identity))
    }

    fn chain(&mut self, text: &str, file: &str, identity: Identity) -> Option<Vec<Layer>> {
        let mut layers = Vec::new();
        let mut next = Some((text.to_owned(), file.to_owned(), identity));
        while let Some((text, file, identity)) = next {
            let source = self.problems.source(&file, &text);
            let (layer, extends) = self.layer(&text, source, identity)?;
            layers.push(layer);
            next = match extends {
                Some((wanted, at)) => Some(self.extended(&wanted, at, &layers)?),
                None => None,
            };
        }
        layers.reverse();
        Some(layers)
    }

    /// One file: its keys compared with the table, what it extends and its fault taken out.
    fn layer(
        &mut self,
        text: &str,
        source: SourceId,
        identity: Identity,
    ) -> Option<(Layer, Option<(String, At)>)> {
        let mut root = file::read(text, source, self.problems)?;
        if matches!(root.value, Value::Null) {
            let hint = "a world starts with `version: 1`";
            self.problems
                .add_with_hint(root.at, "this file is empty", hint);
            return None;
        }
        let mut reader = Reader {
            problems: self.problems,
        };
        if !matches!(root.value, Value::Map(_)) {
            reader.fields(&root, &WORLD);
            return None;
        }
        // Another version has other keys, and to complain about each would hide the reason.
        let unchecked = reader.fields_again(&root, &WORLD);
        if unchecked.get("version").is_none() {
            reader.problems.add_with_hint(
                root.at,
                "this file does not say which version of the format it is in",
                "start it with `version: 1`",
            );
        } else {
            reader.number::<u64>(&unchecked, "version")?;
        }
        let fields = reader.fields(&root, &WORLD);
        let extends = fields
            .get("extends")
            .and_then(|node| Some((reader.text(node)?.to_owned(), node.at)));
        let fault = root
            .take("fault")
            .map(|entry| entry.value)
            .filter(|fault| !matches!(fault.value, Value::Null));
        if let Some(fault) = &fault {
            reader.fields(fault, &FAULT);
        }
        let layer = Layer {
            root,
            fault,
            identity,
        };
        Some((layer, extends))
    }

    /// Text, name and identity of what `extends` names.
    fn extended(
        &mut self,
        wanted: &str,
        at: At,
        layers: &[Layer],
    ) -> Option<(String, String, Identity)> {
        if layers.len() >= LONGEST_CHAIN {
            self.problems.add(
                at,
                format!("more than {LONGEST_CHAIN} files extend each other here"),
            );
            return None;
        }
        let (text, file, identity) = if is_path(wanted) {
            let (text, path) = self.read_beside(wanted, at)?;
            let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
            (text, path.display().to_string(), Identity::Path(identity))
        } else if let Some(world) = Shipped::named(wanted) {
            let file = format!("{wanted}.yaml");
            (
                world.text().to_owned(),
                file,
                Identity::Shipped(world.name()),
            )
        } else {
            let hint = Shipped::nearest(wanted).map_or_else(
                || "a file is written with its ending: `./my-base.yaml`".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            self.problems
                .add_with_hint(at, format!("no shipped world is called `{wanted}`"), hint);
            return None;
        };
        if let Some(first) = layers.iter().position(|layer| layer.identity == identity) {
            let mut names: Vec<_> = layers
                .iter()
                .skip(first)
                .map(|layer| self.problems.source_name(layer.root.at.source).to_owned())
                .collect();
            names.push(file);
            self.problems.add(
                at,
                format!("a world cannot extend itself: {}", names.join(" -> ")),
            );
            return None;
        }
        Some((text, file, identity))
    }

    /// Reads a path that stands in a file, relative to that file.
    fn read_beside(&mut self, wanted: &str, at: At) -> Option<(String, PathBuf)> {
        if !self.files {
            let message = format!("`{wanted}` cannot be read here");
            let hint = "only shipped worlds can be extended by a text without a file";
            self.problems.add_with_hint(at, message, hint);
            return None;
        }
        let beside = Path::new(self.problems.source_name(at.source)).parent();
        let path = beside.map_or_else(|| PathBuf::from(wanted), |folder| folder.join(wanted));
        match read_file(&path) {
            Ok(text) => Some((text, path)),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", path.display());
                self.problems.add(at, message);
                None
            }
        }
    }
}

/// Whether a user means a file: it has a folder or the ending of one.
pub(super) fn is_path(wanted: &str) -> bool {
    let yaml = Path::new(wanted).extension().is_some_and(|ending| {
        ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
    });
    yaml || wanted.contains('/')
}

/// Reads a regular file, one byte more than a world may have at most: the length is judged with the rest.
pub(super) fn read_file(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let limit = u64::try_from(file::LONGEST_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > file::LONGEST_FILE {
        // The cut may be inside a character; what is there is refused for its length anyway.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not UTF-8 at byte {at}"),
        )
    })
}

/// Lays the chain over each other, then the faults, if wanted, then those of other chains.
pub(super) fn merge(chain: Vec<Layer>, with_fault: bool, others: Vec<Vec<Layer>>) -> Merged {
    let mut faults = Vec::new();
    let mut lowers = Vec::new();
    for layer in chain {
        faults.extend(layer.fault.filter(|_| with_fault));
        lowers.push(layer.root);
    }
    faults.extend(others.into_iter().flatten().filter_map(|layer| layer.fault));

    let mut tree = Node {
        at: lowers.last().map_or_else(At::nowhere, |root| root.at),
        value: Value::Map(Vec::new()),
    };
    let mut zones = Vec::new();
    for mut layer in lowers.into_iter().chain(faults) {
        zones.extend(layer.take("zones").map(|entry| entry.value));
        overlay(&mut tree, layer, true);
    }
    Merged { tree, zones }
}

/// Whether a file of another chain changes more than its fault: then it is more than a fault on the same base.
pub(super) fn own_sections<'l>(other: &'l [Layer], chain: &[Layer]) -> Option<(&'l str, At)> {
    other
        .iter()
        .filter(|layer| !chain.iter().any(|own| own.identity == layer.identity))
        .find_map(|layer| {
            SECTIONS
                .into_iter()
                .find_map(|name| layer.root.entry(name))
                .map(|entry| (entry.key.as_str(), entry.key_at))
        })
}

fn overlay(lower: &mut Node, upper: Node, top: bool) {
    let Value::Map(below) = &mut lower.value else {
        *lower = upper;
        return;
    };
    let Value::Map(above) = upper.value else {
        *lower = upper;
        return;
    };
    for entry in above {
        let Some(existing) = below.iter_mut().find(|e| e.key == entry.key) else {
            below.push(entry);
            continue;
        };
        existing.key_at = entry.key_at;
        let in_front = top && (entry.key == "filters" || entry.key == "dns");
        match (&mut existing.value.value, entry.value.value) {
            (Value::List(old), Value::List(mut new)) if in_front => {
                new.append(old);
                *old = new;
            }
            (_, value) => {
                let upper = Node {
                    at: entry.value.at,
                    value,
                };
                overlay(&mut existing.value, upper, false);
            }
        }
    }
}

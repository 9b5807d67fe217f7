//! The shipped worlds as a set.

use super::*;
use crate::world::model::{ServiceKind, Stall};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names_in(folder: PathBuf) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| stem(&path))
        .collect()
}

#[test]
fn every_file_is_shipped_once() {
    let shipped = |near| {
        let worlds = World::shipped().filter(move |world| world.is_near_miss() == near);
        worlds
            .map(|world| world.name().to_owned())
            .collect::<Vec<_>>()
    };
    for (near, files) in [(false, "worlds"), (true, "worlds/near")] {
        let names = shipped(near);
        let set: BTreeSet<_> = names.iter().cloned().collect();
        assert_eq!(set.len(), names.len(), "no name twice");
        assert_eq!(set, names_in(folder(files)));
    }
    let main: BTreeSet<_> = shipped(false).into_iter().collect();
    let near: BTreeSet<_> = shipped(true).into_iter().collect();
    assert!(main.is_disjoint(&near), "one name, one world");
}

#[test]
fn every_shipped_world_can_be_read_and_says_what_it_is() {
    for shipped in World::shipped() {
        let world = loaded(shipped.name());
        let name = shipped.name();
        assert_eq!(world.name, name);
        assert_eq!(world.summary, shipped.summary(), "{name}");
        assert!(
            (20..=120).contains(&world.summary.chars().count()),
            "{name}"
        );
        assert_eq!(
            shipped.is_near_miss(),
            !world.near_miss_of.is_empty(),
            "{name}"
        );
        let both = world
            .near_miss_of
            .iter()
            .find(|code| world.expect.contains(code));
        assert_eq!(both, None, "{name}");
    }
}

#[test]
fn every_code_has_a_world_that_raises_it_and_a_near_miss() {
    let pages = names_of_codes();
    let mut raised = BTreeSet::new();
    let mut missed = BTreeSet::new();
    for shipped in World::shipped() {
        let world = loaded(shipped.name());
        raised.extend(world.expect.iter().map(ToString::to_string));
        missed.extend(world.near_miss_of.iter().map(ToString::to_string));
    }
    assert_eq!(raised, pages);
    assert_eq!(missed, pages);
}

/// The codes, from their pages: the table itself is in a crate above this one.
fn names_of_codes() -> BTreeSet<String> {
    fs::read_dir(folder("../../docs/findings"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .map(|path| stem(&path))
        .filter(|name| name.contains('.'))
        .collect()
}

#[test]
fn only_worlds_that_say_so_need_programs() {
    for shipped in World::shipped() {
        let world = loaded(shipped.name());
        let mut programs: BTreeSet<&str> = BTreeSet::new();
        for host in &world.hosts {
            let commands = host.services.iter().filter_map(|s| s.exec.as_ref());
            programs.extend(commands.filter_map(|exec| Some(exec.command.first()?.as_str())));
            programs.extend(
                host.setup
                    .iter()
                    .filter_map(|words| Some(words.first()?.as_str())),
            );
        }
        programs.extend(
            world
                .check
                .arguments
                .iter()
                .filter_map(|argument| argument.starts_with("curl ").then_some("curl")),
        );
        // A Debian system without these two would not be one.
        programs.remove("sh");
        programs.remove("bash");
        // What a shell starts cannot be seen here, so a world may say more than this finds.
        for program in programs {
            assert!(
                world.needs.iter().any(|need| need == program),
                "{}",
                shipped.name()
            );
        }
        let said = |need: &String| shipped.summary().contains(need.as_str());
        assert!(world.needs.iter().all(said), "{}", shipped.name());
    }
}

#[test]
fn the_service_is_www_on_80_and_443_everywhere() {
    let bare = [
        "port-80-closed-on-both",
        "bind-nginx",
        "bind-nginx-incident",
    ];
    for shipped in World::shipped().filter(|world| !bare.contains(&world.name())) {
        let world = loaded(shipped.name());
        let www = world
            .hosts
            .iter()
            .find(|host| host.name == "www")
            .expect("www");
        let ports: Vec<_> = www
            .services
            .iter()
            .filter(|s| matches!(s.kind, ServiceKind::Http | ServiceKind::Https))
            .map(|service| service.port)
            .collect();
        assert_eq!(ports, [80, 443], "{}", shipped.name());
        let web = www
            .services
            .iter()
            .filter(|s| matches!(s.port, 80 | 443) && !s.v4.pages.is_empty());
        if shipped.name() != "redirect-on-both" {
            for service in web {
                assert!(service.v4.pages["/"].size >= 20_000, "{}", shipped.name());
            }
        }
        assert!(
            www.services
                .iter()
                .all(|s| s.v4.stall != Some(Stall::Handshake)),
            "{}: IPv4 works",
            shipped.name()
        );
    }
}

#[test]
fn the_bind_files_say_what_the_built_in_zones_say() {
    for name in ["bind-nginx", "bind-nginx-incident"] {
        let world = loaded(name);
        let ns1 = world
            .hosts
            .iter()
            .find(|host| host.name == "ns1")
            .expect("ns1");
        let named = ns1
            .services
            .iter()
            .find_map(|s| s.exec.as_ref())
            .expect("named");
        let files = [
            ("lab.test.", "lab.test"),
            ("100.51.198.in-addr.arpa.", "reverse4"),
            ("0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa.", "reverse6"),
        ];
        for (apex, file) in files {
            let origin = twinstack_dns::Name::parse(apex).unwrap();
            let ttl = twinstack_dns::Ttl::from_secs(300);
            let in_file: BTreeSet<String> = named.files[file]
                .lines()
                .filter(|line| !line.starts_with('$'))
                .map(|line| {
                    let record = twinstack_dns::parse_record_line(line, &origin, ttl).unwrap();
                    format!("{:#} {} {}", record.owner, record.rtype(), record.data)
                })
                .collect();
            let zone = world
                .zones
                .iter()
                .find(|zone| zone.apex == apex)
                .expect(apex);
            let built_in: BTreeSet<String> = zone
                .records
                .iter()
                .filter(|record| !record.owner.starts_with("big."))
                .map(|record| format!("{} {} {}", record.owner, record.rtype, record.rdata))
                .collect();
            assert_eq!(in_file, built_in, "{name} {apex}");
        }
    }
}

#[test]
fn every_shipped_world_fits_the_schema() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    for shipped in World::shipped() {
        let file: Value = serde_saphyr::from_str(shipped.text()).unwrap();
        let misfits = misfits(&file, &schema, &schema, shipped.name());
        assert_eq!(misfits, Vec::<String>::new());
    }
    let wrong =
        json!({ "version": 2, "nmae": "x", "links": { "office": { "loss": 5, "mtu": "big" } } });
    let found = misfits(&wrong, &schema, &schema, "");
    assert_eq!(
        found,
        ["/links/office", "/nmae", "/version"],
        "the checker below can say no"
    );
}

/// Where a value does not fit: as much of JSON Schema as the schema uses, except for patterns.
fn misfits(value: &Value, schema: &Value, root: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect(name);
        return misfits(value, target, root, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices
            .iter()
            .any(|choice| misfits(value, choice, root, at).is_empty());
        return if fits { vec![] } else { vec![at.to_owned()] };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) {
            vec![]
        } else {
            vec![at.to_owned()]
        };
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => panic!("{at}: no type in {schema}"),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() && types.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let number = value.as_f64();
    let outside = number.is_some_and(|number| {
        schema["minimum"]
            .as_f64()
            .is_some_and(|least| number < least)
            || schema["maximum"].as_f64().is_some_and(|most| number > most)
    });
    if !types.contains(&is) || outside {
        return vec![at.to_owned()];
    }
    match value {
        Value::Array(items) => items
            .iter()
            .flat_map(|item| misfits(item, &schema["items"], root, at))
            .collect(),
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(key, value)| {
                let at = format!("{at}/{key}");
                match (&schema["properties"][key], &schema["additionalProperties"]) {
                    (Value::Null, Value::Bool(false)) => vec![at],
                    (Value::Null, others) => misfits(value, others, root, &at),
                    (known, _) => misfits(value, known, root, &at),
                }
            })
            .collect(),
        _ => vec![],
    }
}

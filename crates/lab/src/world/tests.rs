use super::model::{Family, ServiceKind};
use super::*;
use std::collections::BTreeSet;
use twinstack_finding::Code;

fn loaded(name: &str) -> World {
    World::load(name).unwrap_or_else(|error| panic!("{name}:\n{error}"))
}

fn without_fault(name: &str) -> World {
    let options = LoadOptions {
        without_fault: true,
        ..LoadOptions::default()
    };
    World::load_with(name, &options).unwrap_or_else(|error| panic!("{name}:\n{error}"))
}

#[test]
fn every_shipped_world_can_be_read() {
    for shipped in World::shipped() {
        let world = loaded(shipped.name());
        assert_eq!(world.name, shipped.name());
        assert_eq!(world.summary, shipped.summary(), "{}", shipped.name());
        assert!(
            (20..=120).contains(&world.summary.len()),
            "{}",
            world.summary
        );
        assert_eq!(
            shipped.is_near_miss(),
            !world.near_miss_of.is_empty(),
            "{}",
            shipped.name()
        );
        let both = world
            .near_miss_of
            .iter()
            .find(|code| world.expect.contains(code));
        assert_eq!(both, None, "{}", shipped.name());
    }
}

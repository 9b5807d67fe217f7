//! What a line does: the general first, then what holds for a family, then for a direction, then for both.

use crate::world::file::Node;
use crate::world::keys::{DIRECTION, FAMILY_LINK};
use crate::world::model::{Direction, Impairment, Link};
use crate::world::read::{Fields, Reader};
use crate::world::scalar;

/// RFC 8200 section 5: every IPv6 link carries packets of this size.
const LEAST_V6_MTU: u16 = 1280;

pub(super) fn link(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Link {
    let both = direction(reader, fields, &Direction::default());
    let up = reader.sub(fields, "up", &DIRECTION);
    let down = reader.sub(fields, "down", &DIRECTION);
    Link {
        up: direction(reader, &up, &both),
        down: direction(reader, &down, &both),
    }
}

/// The keys of a link or of one direction of it, on top of what holds already.
fn direction(reader: &mut Reader<'_>, fields: &Fields<'_>, below: &Direction) -> Direction {
    let mut direction = below.clone();
    if let Some(rate) = fields
        .get("rate")
        .and_then(|node| reader.scalar(node, scalar::rate))
    {
        direction.rate = Some(rate);
    }
    let general = Change::read(reader, fields);
    general.apply(&mut direction.v4);
    general.apply(&mut direction.v6);
    let v4 = reader.sub(fields, "v4", &FAMILY_LINK);
    Change::read(reader, &v4).apply(&mut direction.v4);
    let v6 = reader.sub(fields, "v6", &FAMILY_LINK);
    let narrow = Change::read(reader, &v6);
    let too_small = |mtu: Option<u16>| mtu.is_some_and(|mtu| mtu < LEAST_V6_MTU);
    if too_small(general.mtu) && narrow.mtu.is_none() {
        small_mtu(reader, fields.get("mtu"));
    }
    if too_small(narrow.mtu) {
        small_mtu(reader, v6.get("mtu"));
    }
    narrow.apply(&mut direction.v6);
    direction
}

fn small_mtu(reader: &mut Reader<'_>, node: Option<&Node>) {
    if let Some(node) = node {
        reader.problems.add_with_hint(
            node.at,
            "this is too little for IPv6",
            "IPv6 needs at least 1280; a smaller one may stand under `v4`",
        );
    }
}

/// What a section says; what it does not say stays as it was.
struct Change {
    delay: Option<std::time::Duration>,
    jitter: Option<std::time::Duration>,
    loss: Option<f64>,
    duplicate: Option<f64>,
    reorder: Option<f64>,
    mtu: Option<u16>,
}

impl Change {
    fn read(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Self {
        let mut ratio = |key| {
            fields
                .get(key)
                .and_then(|node| reader.scalar(node, scalar::ratio))
        };
        Self {
            loss: ratio("loss"),
            duplicate: ratio("duplicate"),
            reorder: ratio("reorder"),
            delay: reader.duration(fields.get("delay")),
            jitter: reader.duration(fields.get("jitter")),
            mtu: reader.number(fields, "mtu"),
        }
    }

    fn apply(&self, impairment: &mut Impairment) {
        impairment.delay = self.delay.unwrap_or(impairment.delay);
        impairment.jitter = self.jitter.unwrap_or(impairment.jitter);
        impairment.loss = self.loss.unwrap_or(impairment.loss);
        impairment.duplicate = self.duplicate.unwrap_or(impairment.duplicate);
        impairment.reorder = self.reorder.unwrap_or(impairment.reorder);
        impairment.mtu = self.mtu.or(impairment.mtu);
    }
}

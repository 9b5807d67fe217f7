//! Switches: frames between the hosts of one network, and who has which address there.

use super::{PortId, PortState, Switchboard};
use crate::emulator::GATEWAY_MAC;
use crate::emulator::bytes::array_at;
use crate::emulator::frame::Frame;
use crate::emulator::neighbour::{self, Question};
use crate::emulator::packet::Mac;
use crate::world::model::NetworkId;
use std::net::IpAddr;

/// The owner of duplicate addresses: somebody whom nobody will ever find.
const IMPOSTOR_MAC: Mac = [0x02, 0x74, 0x73, 0xff, 0xff, 0xfe];

impl Switchboard {
    /// Answers neighbour talk at once, past all lines: it is the emulator's own plumbing, not what a world is about.
    pub(super) fn handle_question(&mut self, port: PortId, question: Question, frame: Frame) {
        let PortState {
            network,
            dad_failed,
            ..
        } = &self.ports[port.0];
        let answer = match question {
            Question::Who { target, asker, mac } => match self.owner(*network, target) {
                None => return self.switch_at_once(port, frame),
                Some((owner, _)) if owner == self.ports[port.0].mac => None,
                Some((owner, is_router)) => {
                    neighbour::answer(&mut self.pool, target, owner, asker, mac, is_router)
                }
            },
            Question::Duplicate {
                target: IpAddr::V6(target),
            } if dad_failed.contains(&target) => {
                neighbour::conflict(&mut self.pool, target, IMPOSTOR_MAC)
            }
            Question::Duplicate { .. } => None,
            Question::Other => return self.switch_at_once(port, frame),
        };
        self.pool.recycle(frame.data);
        if let Some(answer) = answer {
            self.deliver(port, answer, 0);
        }
    }

    /// Who has an address in a network, and whether that is the router.
    fn owner(&self, network: NetworkId, address: IpAddr) -> Option<(Mac, bool)> {
        let segment = &self.segments[network.0];
        if segment.is_router(address) || segment.is_translator(address) {
            return Some((GATEWAY_MAC, true));
        }
        let port = segment.owners.get(&address)?;
        Some((self.ports[port.0].mac, false))
    }

    /// Switches a frame that passes no line.
    pub(super) fn switch_at_once(&mut self, from: PortId, frame: Frame) {
        self.switch(from, frame, |board, port, frame| {
            board.deliver(port, frame, 0);
        });
    }

    /// Gives a frame to the host whose it is, or copies to all others for group addresses and unknown ones.
    pub(super) fn switch(
        &mut self,
        from: PortId,
        frame: Frame,
        mut give: impl FnMut(&mut Self, PortId, Frame),
    ) {
        let to = array_at::<6>(&frame.data, 0).unwrap_or(GATEWAY_MAC);
        let network = self.ports[from.0].network.0;
        let mut ports = self.segments[network].ports.iter().copied();
        match ports.find(|port| self.ports[port.0].mac == to) {
            Some(port) if port != from => return give(self, port, frame),
            None if to != GATEWAY_MAC => {
                for index in 0..self.segments[network].ports.len() {
                    let port = self.segments[network].ports[index];
                    if port != from
                        && let Some(copy) = self.copy(&frame)
                    {
                        give(self, port, copy);
                    }
                }
            }
            _ => {}
        }
        self.pool.recycle(frame.data);
    }
}

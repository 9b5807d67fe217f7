//! Puts fragmented echo messages together: the ICMPv6 checksum covers the length of the whole message, so that no
//! fragment of one can be translated before the last is there. Other fragments need none of this.

use crate::emulator::bytes::{put, put_u16, u8_at};
use crate::emulator::checksum;
use crate::emulator::frame::{ETHERNET, Frame, Offload, Pool};
use crate::emulator::packet::{IPV6, Packet, protocol};
use crate::world::model::Family;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Messages that wait for more fragments; the oldest goes first.
const MOST_MESSAGES: usize = 16;
/// Fragments of one message; 64 KB in pieces of 1280 bytes are 54.
const MOST_FRAGMENTS: usize = 128;

/// Messages of which some fragments are here.
#[derive(Debug, Default)]
pub(crate) struct Gatherer(VecDeque<Message>);

#[derive(Debug)]
struct Message {
    name: (IpAddr, IpAddr, u32),
    fragments: Vec<Packet>,
}

impl Gatherer {
    /// Whether a packet is a fragment that has to wait for others.
    pub(crate) fn wants(packet: &Packet) -> bool {
        let number = packet.headers.protocol;
        packet.headers.fragment.is_some()
            && matches!(number, protocol::ICMP | protocol::ICMPV6)
            && !packet.is_icmp_error()
    }

    /// Takes a fragment; gives the whole message with the last one.
    pub(crate) fn gather(&mut self, pool: &mut Pool, packet: Packet) -> Option<Packet> {
        let headers = &packet.headers;
        let name = (headers.source, headers.destination, headers.fragment?.id);
        let known = self.0.iter().position(|message| message.name == name);
        let index = known.unwrap_or_else(|| {
            if self.0.len() >= MOST_MESSAGES {
                self.0.pop_front();
            }
            self.0.push_back(Message {
                name,
                fragments: Vec::new(),
            });
            self.0.len() - 1
        });
        let message = self.0.get_mut(index)?;
        message.fragments.push(packet);
        if message.fragments.len() > MOST_FRAGMENTS {
            self.0.remove(index);
            return None;
        }
        message.sort_if_complete()?;
        let message = self.0.remove(index)?;
        let whole = message.join(pool);
        for fragment in message.fragments {
            pool.recycle(fragment.frame.data);
        }
        whole
    }
}

impl Message {
    /// Puts the fragments in order; `None` while some are missing.
    fn sort_if_complete(&mut self) -> Option<()> {
        let place = |packet: &Packet| packet.headers.fragment.map(|fragment| fragment.offset);
        self.fragments.sort_by_key(place);
        let mut end = 0;
        for packet in &self.fragments {
            let fragment = packet.headers.fragment?;
            let length = packet
                .frame
                .data
                .len()
                .checked_sub(packet.headers.transport)?;
            if usize::from(fragment.offset) != end {
                return None;
            }
            end += length;
        }
        let is_ended = self
            .fragments
            .last()?
            .headers
            .fragment
            .is_some_and(|last| !last.more);
        is_ended.then_some(())
    }

    /// The whole message, from fragments in order.
    fn join(&self, pool: &mut Pool) -> Option<Packet> {
        let first = self.fragments.first()?;
        let data = &first.frame.data;
        let header = match first.headers.family {
            Family::V4 => usize::from(u8_at(data, ETHERNET)? & 15) * 4,
            Family::V6 => IPV6,
        };
        let payload = |packet: &Packet| packet.frame.data.len() - packet.headers.transport;
        let length: usize = self.fragments.iter().map(payload).sum();
        let mut whole = pool.sized(ETHERNET + header + length)?;
        put(&mut whole, 0, data.get(..ETHERNET + header)?)?;
        let mut at = ETHERNET + header;
        for fragment in &self.fragments {
            let piece = fragment.frame.data.get(fragment.headers.transport..)?;
            put(&mut whole, at, piece)?;
            at += piece.len();
        }
        match first.headers.family {
            Family::V4 => {
                put_u16(
                    &mut whole,
                    ETHERNET + 2,
                    u16::try_from(header + length).ok()?,
                )?;
                put_u16(&mut whole, ETHERNET + 6, 0)?;
                checksum::write_v4_header(&mut whole, ETHERNET, header)?;
            }
            Family::V6 => {
                put_u16(&mut whole, ETHERNET + 4, u16::try_from(length).ok()?)?;
                put(&mut whole, ETHERNET + 6, &[first.headers.protocol])?;
            }
        }
        Packet::new(Frame {
            data: whole,
            offload: Offload::default(),
        })
        .ok()
    }
}

//! What a timeline shows, before anything is drawn.

use std::net::IpAddr;
use twinstack_lab::world::model::Family;

/// One visit on a time axis; seconds from its start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lane {
    /// The client.
    pub(crate) client: String,
    /// The lookup of the name; one beneath another if there are several.
    pub(crate) lookups: Vec<Lookup>,
    /// The attempts to connect.
    pub(crate) bars: Vec<Bar>,
    /// The first byte of the response.
    pub(crate) first_byte: Option<f64>,
    /// When it was over.
    pub(crate) end: f64,
    /// `0.031 s, IPv6`.
    pub(crate) result: String,
    /// Good enough for a user.
    pub(crate) well: bool,
    /// The whole visit in a sentence, for those who do not see the drawing.
    pub(crate) description: String,
}

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lookup {
    /// `AAAA`; empty for the lookup as a whole.
    pub(crate) label: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Nobody answered.
    pub(crate) lost: bool,
}

/// One attempt to connect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) address: IpAddr,
    pub(crate) family: Family,
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// It opened the connection.
    pub(crate) connected: bool,
    /// How it ended otherwise.
    pub(crate) failure: Option<&'static str>,
    /// When the kernel sent the SYN once more.
    pub(crate) repeats: Vec<f64>,
}

impl Lane {
    /// The attempts in rows: one goes beneath another only while both are under way.
    pub(crate) fn rows(&self) -> Vec<Vec<&Bar>> {
        let mut rows: Vec<Vec<&Bar>> = Vec::new();
        for bar in &self.bars {
            match rows
                .iter_mut()
                .find(|row| row.last().is_some_and(|last| last.to <= bar.from))
            {
                Some(row) => row.push(bar),
                None => rows.push(vec![bar]),
            }
        }
        rows
    }
}

//! Which endpoint goes before which, and why (C).

use crate::rfc6724::Rule;

/// Why an endpoint stands where it stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its place in the complete list, from 1, as the list was when it started. Addresses that came late, or left,
    /// shift it.
    pub position: u32,
    /// The priority of its service (C3); `None` when it belongs to no service record (C5).
    pub priority: Option<u16>,
    /// What decided its place among the endpoints of its service.
    pub place: Place,
}

/// What decided the place of an endpoint among those of the same service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// There is no other.
    Only,
    /// The order of RFC 6724: this rule separates it from its neighbour in the sorted list.
    Sorted(Rule),
    /// It was the turn of its family (C11).
    FamilyTurn,
    /// It was the turn of its protocol (C2).
    ProtocolTurn,
}

//! twinstack-dial in other people's clients. Each module is one example; each runs in a test against a server of its own,
//! with an IPv6 address that swallows every packet.

pub mod hyper;
pub mod postgres;
pub mod reqwest;
pub mod tonic;

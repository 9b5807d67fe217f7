//! Ids that cannot be guessed.

use std::hash::{BuildHasher, RandomState};

/// An id from the cryptographic random numbers of the TLS library.
pub(super) fn id() -> u16 {
    let mut octets = [0; 2];
    let filled = rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut octets);
    if filled.is_err() {
        // The system gives no random numbers: the hasher's keys, taken from it earlier, are the next best.
        let [one, two, ..] = RandomState::new().hash_one(0_u8).to_ne_bytes();
        octets = [one, two];
    }
    u16::from_ne_bytes(octets)
}

//! Chance that can be repeated: everything random comes from the seed of the race.

/// SplitMix64: one step of it spreads any change of `value` over all bits.
pub(crate) const fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A number for `text` that depends on the seed. No state: the order in which numbers are drawn cannot matter.
pub(crate) fn draw(seed: u64, text: &[u8], extra: u64) -> u64 {
    let mut value = mix(seed ^ mix(extra));
    for chunk in text.chunks(8) {
        let mut bytes = [0; 8];
        for (byte, &from) in bytes.iter_mut().zip(chunk) {
            *byte = from;
        }
        value = mix(value ^ u64::from_le_bytes(bytes));
    }
    mix(value ^ mix(text.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first two numbers of the reference implementation for seed 0.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn draws_differ_by_seed_text_and_extra() {
        let draws = [
            draw(1, b"a", 0),
            draw(2, b"a", 0),
            draw(1, b"b", 0),
            draw(1, b"a", 1),
            draw(1, b"a\0", 0),
        ];
        for (index, one) in draws.iter().enumerate() {
            assert!(!draws[..index].contains(one));
        }
    }
}

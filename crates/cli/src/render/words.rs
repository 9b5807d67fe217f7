//! Words and numbers that every rendering spells the same way.

use twinstack_lab::world::model::Family;

/// A time for people: to the millisecond, and coarser when it is long.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.3} s")
    } else {
        format!("{seconds:.2} s")
    }
}

/// The word of a family.
pub(crate) const fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

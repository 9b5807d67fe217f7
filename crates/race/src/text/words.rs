//! How numbers and lists are written.

use crate::endpoint::Ech;
use core::fmt::{self, Display};
use core::time::Duration;

/// Milliseconds with as many decimals as are needed.
pub(super) struct Millis(pub(super) Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write_decimal(f, nanos / 1_000_000, nanos % 1_000_000, 6)
    }
}

/// Seconds with as many decimals as are needed.
pub(super) struct Seconds(pub(super) Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(
            f,
            u128::from(self.0.as_secs()),
            u128::from(self.0.subsec_nanos()),
            9,
        )
    }
}

fn write_decimal(
    f: &mut fmt::Formatter<'_>,
    whole: u128,
    fraction: u128,
    digits: usize,
) -> fmt::Result {
    write!(f, "{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    let (mut fraction, mut digits) = (fraction, digits);
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    write!(f, ".{fraction:0digits$}")
}

/// Things with commas between them.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// An ECH configuration in hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a Ech);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

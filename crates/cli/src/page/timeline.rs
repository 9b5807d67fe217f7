//! Lanes drawn as SVG. Horizontal positions are percentages, so a drawing is as wide as the screen lets it be and its
//! letters keep their size.

use super::lane::{Bar, Lane, Lookup};
use super::markup::Escaped;
use crate::render::words::{family_word, seconds};
use std::fmt::Write as _;
use twinstack_lab::world::model::Family;

/// Height of one attempt and the space around it, in CSS pixels.
const BAR: u32 = 12;
const GAP: u32 = 4;
const EDGE: u32 = 8;

/// What a figure shows: from 0 to `end` seconds, with a line at every `step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) end: f64,
    pub(crate) step: f64,
}

impl Axis {
    /// The smallest round axis that shows everything up to `longest`, with four to eight lines.
    pub(crate) fn to(longest: f64) -> Self {
        let mut step = 0.01;
        // 1, 2, 5, 10, 20, 50 ...: at most 8 steps.
        for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(24) {
            if longest <= step * 8.02 {
                break;
            }
            step *= factor;
        }
        // A hair more than the last line does not earn another step: whoever gives up at 20 s does so a moment later.
        Self {
            end: (longest / step - 0.02).ceil().max(1.0) * step,
            step,
        }
    }

    fn percent(self, at: f64) -> f64 {
        (at / self.end * 100.0).clamp(0.0, 100.0)
    }

    fn lines(self) -> impl Iterator<Item = f64> {
        std::iter::successors(Some(0.0), move |at| Some(at + self.step))
            .take_while(move |at| *at <= self.end * 1.001)
    }

    /// The scale below (or above) a group of lanes.
    pub(crate) fn draw(self) -> String {
        let mut svg = "<svg class=\"axis\" height=\"22\" aria-hidden=\"true\">".to_owned();
        let last = self.lines().count().saturating_sub(1);
        for (number, at) in self.lines().enumerate() {
            let anchor = match number {
                0 => "start",
                number if number == last => "end",
                _ => "middle",
            };
            let x = self.percent(at);
            // Every other number is left out on narrow screens.
            let class = if number % 2 == 1 && number != last {
                " class=\"odd\""
            } else {
                ""
            };
            let text = self.label(at);
            put(
                &mut svg,
                format_args!(
                    "<text x=\"{x:.2}%\" y=\"15\" text-anchor=\"{anchor}\"{class}>{text}</text>"
                ),
            );
        }
        svg.push_str("</svg>");
        svg
    }

    fn label(self, at: f64) -> String {
        if at == 0.0 {
            "0".to_owned()
        } else if self.end <= 2.0 {
            format!("{:.0} ms", at * 1000.0)
        } else if self.step < 1.0 {
            format!("{at:.1} s")
        } else {
            format!("{at:.0} s")
        }
    }
}

/// One lane. `id` is unique on the page.
pub(crate) fn draw(lane: &Lane, axis: Axis, id: &str, title: &str) -> String {
    // A single lookup shares its row with the attempts after it.
    let apart = if lane.lookups.len() > 1 {
        u32::try_from(lane.lookups.len()).unwrap_or(0)
    } else {
        0
    };
    let rows = apart + u32::try_from(lane.rows().len()).unwrap_or(0);
    let rows = rows.max(1);
    let height = rows * BAR + (rows - 1) * GAP + 2 * EDGE;
    let mut svg = String::new();
    put(
        &mut svg,
        format_args!(
            "<svg class=\"lane\" height=\"{height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            Escaped(title),
            Escaped(&lane.description)
        ),
    );
    for at in axis.lines() {
        let x = axis.percent(at);
        put(
            &mut svg,
            format_args!(
                "<line class=\"grid\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"0\" y2=\"100%\"/>"
            ),
        );
    }
    for (row, looked_up) in lane.lookups.iter().enumerate() {
        let y = EDGE + u32::try_from(row).unwrap_or(0) * (BAR + GAP);
        lookup(&mut svg, axis, looked_up, y);
    }
    for (row, bars) in lane.rows().into_iter().enumerate() {
        let y = EDGE + (apart + u32::try_from(row).unwrap_or(0)) * (BAR + GAP);
        for bar in bars {
            attempt(&mut svg, axis, lane, bar, y);
        }
    }
    if let Some(at) = lane.first_byte
        && at <= axis.end
    {
        let x = axis.percent(at);
        put(
            &mut svg,
            format_args!(
                "<g class=\"byte\"><title>first byte after {}</title>\
                 <line x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"0\" y2=\"100%\"/>\
                 <svg x=\"{x:.3}%\" y=\"0\" width=\"1\" height=\"1\" overflow=\"visible\"><path d=\"M-5 0H5L0 7Z\"/></svg></g>",
                seconds(at)
            ),
        );
    }
    if lane.end > axis.end * 1.01 {
        let middle = EDGE + BAR / 2;
        put(
            &mut svg,
            format_args!(
                "<svg x=\"100%\" y=\"{middle}\" width=\"1\" height=\"1\" overflow=\"visible\" class=\"on\">\
                 <path d=\"M-14 -8H-9L-1 0L-9 8H-14L-6 0Z\"/></svg>"
            ),
        );
    }
    svg.push_str("</svg>");
    svg
}

fn lookup(svg: &mut String, axis: Axis, lookup: &Lookup, y: u32) {
    let name = if lookup.label.is_empty() {
        "DNS"
    } else {
        lookup.label
    };
    let (class, title) = if lookup.lost {
        (
            "dns lost",
            format!("{name}, no answer for {}", seconds(lookup.to - lookup.from)),
        )
    } else {
        (
            "dns",
            format!("{name}, {}", seconds(lookup.to - lookup.from)),
        )
    };
    rect(svg, axis, class, (lookup.from, lookup.to), y, &title);
    if lookup.label.is_empty() {
        return;
    }
    // Beside the bar, or on its end when there is no room.
    let (at, middle) = (axis.percent(lookup.to), y + BAR - 2);
    let (class, anchor, shift) = if at > 85.0 {
        ("on-bar", "end", -4)
    } else {
        ("beside", "start", 4)
    };
    put(
        svg,
        format_args!(
            "<svg x=\"{at:.3}%\" y=\"{middle}\" width=\"1\" height=\"1\" overflow=\"visible\">\
             <text class=\"{class}\" x=\"{shift}\" text-anchor=\"{anchor}\">{name}</text></svg>"
        ),
    );
}

fn attempt(svg: &mut String, axis: Axis, lane: &Lane, bar: &Bar, y: u32) {
    let family = match bar.family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    };
    let ended = bar.failure.unwrap_or("connected");
    let title = format!(
        "{} to {}: {ended}, {} to {}",
        family_word(bar.family),
        bar.address,
        seconds(bar.from),
        seconds(bar.to)
    );
    if bar.connected {
        rect(svg, axis, family, (bar.from, bar.to), y, &title);
        if let Some(at) = lane.first_byte.filter(|at| *at > bar.to) {
            let title = format!("request and answer, {} to {}", seconds(bar.to), seconds(at));
            rect(
                svg,
                axis,
                &format!("{family} open"),
                (bar.to, at),
                y,
                &title,
            );
        }
        return;
    }
    rect(
        svg,
        axis,
        &format!("{family} lost"),
        (bar.from, bar.to),
        y,
        &title,
    );
    for at in &bar.repeats {
        let x = axis.percent(*at);
        if *at <= axis.end {
            put(
                svg,
                format_args!(
                    "<svg x=\"{x:.3}%\" y=\"{y}\" width=\"1\" height=\"1\" overflow=\"visible\" class=\"repeat\"><title>SYN sent again \
                     at {}</title><path d=\"M-3.5 -5H3.5L0 0Z\"/></svg>",
                    seconds(*at)
                ),
            );
        }
    }
    // No cross on what is too short to be seen.
    if bar.to <= axis.end * 1.01 && axis.percent(bar.to) - axis.percent(bar.from) > 2.5 {
        let x = axis.percent(bar.to);
        let middle = y + BAR / 2;
        put(
            svg,
            format_args!(
                "<svg x=\"{x:.3}%\" y=\"{middle}\" width=\"1\" height=\"1\" overflow=\"visible\" class=\"stop\">\
                 <path d=\"M-4 -4L4 4M-4 4L4 -4\"/></svg>"
            ),
        );
    }
}

fn rect(svg: &mut String, axis: Axis, class: &str, (from, to): (f64, f64), y: u32, title: &str) {
    let x = axis.percent(from);
    if from > axis.end {
        return;
    }
    let width = axis.percent(to) - x;
    put(
        svg,
        format_args!(
            "<rect class=\"{class}\" x=\"{x:.3}%\" y=\"{y}\" width=\"{width:.3}%\" height=\"{BAR}\">\
             <title>{}</title></rect>",
            Escaped(title)
        ),
    );
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_round_and_holds_everything() {
        let check = |longest: f64, end: f64, lines: usize| {
            let axis = Axis::to(longest);
            assert!((axis.end - end).abs() < 1e-9, "{longest}: {axis:?}");
            assert_eq!(axis.lines().count(), lines, "{longest}: {axis:?}");
        };
        check(20.0, 20.0, 5);
        check(20.02, 20.0, 5);
        check(21.0, 25.0, 6);
        check(0.291, 0.3, 7);
        check(0.031, 0.04, 5);
        check(0.0, 0.01, 2);
        check(15.5, 16.0, 9);
    }
}

use super::super::story::samples;
use super::*;
use crate::render::text::paint;
use crate::tests::snapshot;

/// All parts of the story in their order.
fn whole(story: &Story, columns: usize) -> Vec<Line> {
    let rows: Vec<(String, String)> = story
        .before
        .runs
        .iter()
        .map(|run| (run.network.clone(), run.client.clone()))
        .collect();
    let mut lines = opening(story.with_fault, columns);
    lines.extend(act(1, "An AAAA record is published"));
    lines.extend(published(&story.before.published, columns));
    lines.extend(act(2, "Everybody visits the site"));
    lines.extend(cast(&story.networks, &story.clients, columns));
    lines.extend([Line::default(), head(&rows)]);
    lines.extend(story.before.runs.iter().map(|run| row(run, &rows)));
    lines.extend(act(3, "What `twinstack check` finds"));
    lines.extend(story.before.checks.iter().flat_map(|it| check(it, columns)));
    lines.extend(vantages(&story.before, columns));
    lines.extend(act(4, "The mend, one change at a time"));
    for it in &story.mends {
        lines.extend(mend(
            it,
            "www.lab.test",
            story.before.run("cafe", "legacy"),
            columns,
        ));
        lines.push(Line::default());
    }
    lines.extend(act(5, "Everybody visits the site again"));
    lines.extend(comparison(&story.before, &story.after));
    lines.extend(ending(story, columns));
    lines
}

#[test]
fn the_story_looks_like_this() {
    let story = samples::story();
    for (columns, colour) in [(60, false), (80, false), (80, true)] {
        let suffix = if colour { "-colour" } else { "" };
        snapshot::check(
            &format!("play-{columns}{suffix}.txt"),
            &paint(&whole(&story, columns), colour),
        );
    }
}

#[test]
fn no_line_is_wider_than_eighty_columns() {
    let mut story = samples::story();
    story.before.runs.push(samples::hanging("cafe", "curl"));
    for line in whole(&story, 80) {
        assert!(line.width() <= 80, "{}", line.paint(false));
    }
}

#[test]
fn times_have_three_figures_or_more() {
    let check = |time: f64, text: &str| assert_eq!(seconds(time), text);
    check(0.0, "0.000 s");
    check(0.0314, "0.031 s");
    check(9.9994, "9.999 s");
    check(20.004, "20.00 s");
}

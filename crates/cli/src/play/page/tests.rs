use super::super::story::samples;
use super::lane::lane;
use super::*;
use crate::page::proof;
use crate::page::timeline::draw;

#[test]
fn the_page_stands_by_itself() {
    let page = render(&samples::story());
    assert!(!page.contains("https://"));
    proof::needs_nothing_from_elsewhere(&page);
    proof::every_tag_closes(&page);
    proof::ids_are_unique_and_every_reference_has_its_target(&page);
}

#[test]
fn names_from_the_network_are_escaped() {
    let mut story = samples::story();
    story.before.published.reverse[0].names = vec!["<b>evil</b>".into()];
    let page = render(&story);
    assert!(page.contains("&lt;b&gt;evil") && !page.contains("<b>evil"));
}

#[test]
fn without_a_wait_there_is_no_figure_of_one() {
    let mut story = samples::story();
    assert!(render(&story).contains("One visitor waits"));
    story.before.runs = story.after.runs.clone();
    let page = render(&story);
    assert!(!page.contains("visitor waits"), "{page}");
    assert!(page.contains("All visits before the mend"));
}

#[test]
fn the_hanging_attempt_fills_the_long_figure_and_runs_out_of_the_short_one() {
    let lane = lane(&samples::hanging("cafe", "legacy"));
    let long = draw(
        &lane,
        Axis {
            end: 20.0,
            step: 5.0,
        },
        "a",
        "cafe, legacy",
    );
    assert!(
        long.contains("class=\"v6 lost\"") && long.contains("class=\"stop\""),
        "{long}"
    );
    assert_eq!(long.matches("class=\"repeat\"").count(), 4, "{long}");
    let short = draw(
        &lane,
        Axis {
            end: 0.4,
            step: 0.05,
        },
        "b",
        "cafe, legacy",
    );
    assert!(
        short.contains("class=\"on\"") && !short.contains("class=\"stop\""),
        "{short}"
    );
}

#[test]
fn drawings_say_in_words_what_they_show() {
    let lane = lane(&samples::fallback("cafe", "modern"));
    let svg = draw(&lane, Axis::to(0.3), "x", "cafe, modern");
    assert!(svg.contains("aria-labelledby=\"x-t x-d\""), "{svg}");
    assert!(
        svg.contains("<title id=\"x-t\">cafe, modern</title><desc id=\"x-d\">name looked up"),
        "{svg}"
    );
}

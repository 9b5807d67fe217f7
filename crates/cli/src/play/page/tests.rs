use super::super::story::samples;
use super::*;

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = render(&samples::story());
    for outside in [
        "<script", "<link", "src=", "@import", "https://", "//cdn", "<iframe", "<img",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The only URLs inside are references to the page's own patterns.
    assert!(page.matches("url(").count() == page.matches("url(#lost-").count());
}

#[test]
fn every_tag_that_opens_closes() {
    let page = render(&samples::story());
    for tag in [
        "svg", "g", "figure", "div", "section", "table", "tbody", "tr", "td", "li", "ul", "ol",
        "details", "p", "code", "main", "body", "html",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(
            opened,
            page.matches(&format!("</{tag}>")).count(),
            "<{tag}>"
        );
    }
}

#[test]
fn ids_are_unique_and_every_reference_has_its_target() {
    let page = render(&samples::story());
    let ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len());
    for labels in page
        .split("aria-labelledby=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
    {
        assert!(
            labels.split(' ').all(|label| unique.contains(&label)),
            "{labels}"
        );
    }
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

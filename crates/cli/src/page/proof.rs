//! What tests prove of every page.

/// It takes nothing from elsewhere.
pub(crate) fn needs_nothing_from_elsewhere(page: &str) {
    for outside in [
        "<script",
        "<link",
        "src=",
        "@import",
        "//cdn",
        "<iframe",
        "<img",
        "href=\"http",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    // The only URLs inside are references to the page's own patterns.
    assert_eq!(
        page.matches("url(").count(),
        page.matches("url(#lost-").count()
    );
}

/// What opens closes.
pub(crate) fn every_tag_closes(page: &str) {
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

/// No id is there twice, and no reference leads nowhere.
pub(crate) fn ids_are_unique_and_every_reference_has_its_target(page: &str) {
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

use super::*;
use crate::page::proof;

#[test]
fn https_in_the_command_means_the_port_with_tls() {
    let port = |word: &str| usual_port(&["curl".to_owned(), word.to_owned()]);
    assert_eq!(port("https://{host}/"), 443);
    assert_eq!(port("http://{host}:{port}/"), 80);
}

#[test]
fn a_run_is_neither_too_short_nor_too_long_to_tell() {
    assert_eq!(limit("5s"), Ok(Duration::from_secs(5)));
    for bad in ["500ms", "3m", "soon"] {
        assert!(limit(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_json_is_what_the_schema_describes() {
    let text = serde_json::to_string(&sample::report().json()).unwrap();
    crate::tests::schema::check("eyeballs-1.json", &text);
}

#[test]
fn the_page_stands_by_itself_and_draws_every_world() {
    let report = sample::report();
    let page = page::render(&report);
    proof::needs_nothing_from_elsewhere(&page);
    proof::every_tag_closes(&page);
    proof::ids_are_unique_and_every_reference_has_its_target(&page);
    for (run, _) in report.worlds() {
        let heading = format!("<code>{}</code>", run.scenario.id);
        assert!(page.contains(&heading), "{}", run.scenario.id);
    }
}

#[test]
fn what_the_program_says_becomes_neither_markup_nor_a_control() {
    let mut report = sample::report();
    report.complaint = Some("ends with status 1: <b>\u{1b}[2J".to_owned());
    let page = page::render(&report);
    assert!(page.contains("&lt;b&gt;\u{fffd}[2J"), "{page}");
    let text = paint(&text::lines(&report, 100), false);
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn the_text_keeps_within_its_columns() {
    for columns in [60, 80, 100, 120] {
        for line in text::lines(&sample::report(), columns) {
            assert!(line.width() <= columns, "{columns}: {}", line.paint(false));
        }
    }
}

#[test]
fn words_with_blanks_are_quoted_and_placeholders_are_not() {
    let line = sample::report().command_line();
    assert_eq!(line, "curl -s https://{host}/ 'a word'");
}

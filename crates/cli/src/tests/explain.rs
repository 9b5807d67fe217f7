//! `twinstack explain`.

use super::{Setup, run, snapshot};

#[test]
fn pages_and_the_list_read_well_at_every_width_with_and_without_colour() {
    for width in [40, 80, 100] {
        for (terminal, ending) in [(false, ""), (true, "-colour")] {
            let setup = Setup {
                width,
                terminal,
                ..Setup::default()
            };
            let page = setup.run(&["explain", "host.not-listening-v6"]);
            assert_eq!((page.status, page.stderr.as_str()), (0, ""));
            snapshot::check(&format!("explain-page-{width}{ending}.txt"), &page.stdout);
            let list = setup.run(&["explain"]);
            snapshot::check(&format!("explain-list-{width}{ending}.txt"), &list.stdout);
        }
    }
}

#[test]
fn every_code_has_its_page() {
    for info in twinstack_check::codes::all_codes() {
        let page = run(&["explain", info.code]);
        assert_eq!(page.status, 0, "{}", info.code);
        assert!(
            page.stdout
                .starts_with(&format!("{}: {}", info.code, info.title)),
            "{}",
            page.stdout
        );
        assert!(page.stdout.contains("\nHow to mend it\n"), "{}", info.code);
    }
}

#[test]
fn slug_and_catalogue_number_find_the_page_too() {
    let page = run(&["explain", "reach.fw-drop"]).stdout;
    assert_eq!(run(&["explain", "fw-drop"]).stdout, page);
    assert_eq!(run(&["explain", "r202"]).stdout, page);
}

#[test]
fn an_unknown_code_is_a_problem_with_a_suggestion() {
    let check = |code: &str, expected: &str| {
        let outcome = run(&["explain", code]);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
        assert_eq!(outcome.stderr, expected);
    };
    check(
        "reach.fw-dorp",
        "error: there is no finding code `reach.fw-dorp`; did you mean `reach.fw-drop`?\n",
    );
    check(
        "x",
        "error: there is no finding code `x`; `twinstack explain` lists all codes\n",
    );
    check(
        "\x1b[2J",
        "error: there is no finding code `\u{fffd}[2J`; `twinstack explain` lists all codes\n",
    );
}

#[test]
fn the_index_of_the_pages_lists_every_code_as_its_table_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/findings/README.md");
    let index = std::fs::read_to_string(path).unwrap();
    let listed: Vec<&str> = index
        .lines()
        .filter(|line| line.starts_with("| ["))
        .collect();
    let expected: Vec<String> = twinstack_check::codes::all_codes()
        .iter()
        .map(|info| {
            let number = info.catalogue.unwrap_or("-");
            format!(
                "| [{0}]({0}.md) | {1} | {number} | {2} |",
                info.code, info.severity, info.title
            )
        })
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn every_world_that_a_page_names_is_shipped() {
    let shipped: Vec<String> = twinstack_lab::world::World::shipped()
        .map(|world| world.name().to_owned())
        .collect();
    for info in twinstack_check::codes::all_codes() {
        for line in info
            .page
            .lines()
            .filter_map(|line| line.split_once("twinstack lab run "))
        {
            let name = line.1.split_whitespace().next().unwrap();
            assert!(shipped.iter().any(|it| it == name), "{}: {name}", info.code);
        }
    }
}

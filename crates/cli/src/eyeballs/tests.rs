use super::*;

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

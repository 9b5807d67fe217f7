use super::*;

#[tokio::test]
async fn both_families_of_a_literal_and_the_error_of_the_other() {
    // getaddrinfo reads literals without asking anybody, so this needs no network.
    let resolver = SystemResolver::new();
    let found = resolver
        .look_up("192.0.2.1", Family::V4, false)
        .unwrap()
        .await;
    let addresses = found.as_ref().as_ref().unwrap();
    assert_eq!(addresses.v4, [Ipv4Addr::new(192, 0, 2, 1)]);
    assert_eq!(addresses.v6, []);
    let found = resolver
        .look_up("192.0.2.1", Family::V6, false)
        .unwrap()
        .await;
    assert!(matches!(
        found.as_ref(),
        Err(LookupError::NoData | LookupError::NoName)
    ));
    let found = resolver
        .look_up("2001:db8::1", Family::V6, false)
        .unwrap()
        .await;
    let addresses = found.as_ref().as_ref().unwrap();
    assert_eq!(addresses.v6.len(), 1);
}

#[tokio::test]
async fn a_scope_survives() {
    let resolver = SystemResolver::new();
    let found = resolver
        .look_up("fe80::1%lo", Family::V6, false)
        .unwrap()
        .await;
    let addresses = found.as_ref().as_ref().unwrap();
    assert_ne!(addresses.v6[0].scope_id(), 0);
}

#[tokio::test]
async fn a_name_with_a_zero_is_refused() {
    let resolver = SystemResolver::new();
    let found = resolver.look_up("a\0b", Family::V4, false).unwrap().await;
    assert!(matches!(found.as_ref(), Err(LookupError::BadName)));
}

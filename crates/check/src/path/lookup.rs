//! How the names of sub-resources become addresses: a function that the caller passes in, so that they are asked of
//! the same resolver as the target, and so that tests need none.

use super::Family;
use futures_util::future::BoxFuture;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

type Function =
    dyn Fn(String, Family) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> + Send + Sync;

/// Resolves a name for one family. An empty answer means that the name has no address of that family; an error
/// says in words why the question could not be answered.
#[derive(Clone)]
pub(crate) struct Lookup(Arc<Function>);

impl Lookup {
    pub(crate) fn new<F>(function: F) -> Self
    where
        F: Fn(String, Family) -> BoxFuture<'static, Result<Vec<IpAddr>, String>>
            + Send
            + Sync
            + 'static,
    {
        Self(Arc::new(function))
    }

    pub(super) async fn ask(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, String> {
        if let Ok(address) = name.parse::<IpAddr>() {
            let fits = Family::of(address) == family;
            return Ok(if fits { vec![address] } else { Vec::new() });
        }
        (self.0)(name.to_owned(), family).await
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

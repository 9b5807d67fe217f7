//! In the place of `tokio::net::TcpStream::connect`.

use crate::target::ToTarget;
use std::io;
use std::sync::OnceLock;
use tokio::net::TcpStream;

/// The dialer behind the free functions.
pub(crate) fn shared() -> &'static crate::Dialer {
    static SHARED: OnceLock<crate::Dialer> = OnceLock::new();
    SHARED.get_or_init(crate::Dialer::new)
}

/// Connects over TCP: write `twinstack_dial::tcp::connect(...)` where it said `tokio::net::TcpStream::connect(...)`.
///
/// The error has a [`DialError`](crate::DialError) inside, which lists everything that was tried.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let port = listener.local_addr()?.port();
/// let stream: tokio::net::TcpStream = twinstack_dial::tcp::connect(("localhost", port)).await?;
/// # drop(stream);
/// # Ok(())
/// # }
/// ```
pub async fn connect(target: impl ToTarget) -> io::Result<TcpStream> {
    Ok(shared().connect(target).await?.stream)
}

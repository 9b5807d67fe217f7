//! A resolver that does as it is told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use twinstack_dial::{Family, Resolver};

/// What the resolver says to every name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    v4: Told<Ipv4Addr>,
    v6: Told<Ipv6Addr>,
}

#[derive(Clone, Debug)]
enum Told<A> {
    Addresses(Vec<A>),
    NoName,
    Never,
}

impl<A> Default for Told<A> {
    fn default() -> Self {
        Self::Addresses(Vec::new())
    }
}

impl<A: Copy + Into<IpAddr>> Told<A> {
    fn tell(&self) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::Addresses(addresses) => Ok(addresses.iter().copied().map(Into::into).collect()),
            Self::NoName => Err(io::ErrorKind::NotFound.into()),
            Self::Never => {
                // As long as the C library's own patience.
                std::thread::sleep(Duration::from_secs(10));
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}

impl Answers {
    pub(crate) fn v4(mut self, addresses: &[Ipv4Addr]) -> Self {
        self.v4 = Told::Addresses(addresses.to_vec());
        self
    }

    pub(crate) fn v6(mut self, addresses: &[Ipv6Addr]) -> Self {
        self.v6 = Told::Addresses(addresses.to_vec());
        self
    }

    pub(crate) fn never(mut self, family: Family) -> Self {
        match family {
            Family::V4 => self.v4 = Told::Never,
            Family::V6 => self.v6 = Told::Never,
        }
        self
    }

    pub(crate) fn no_name(mut self, family: Family) -> Self {
        match family {
            Family::V4 => self.v4 = Told::NoName,
            Family::V6 => self.v6 = Told::NoName,
        }
        self
    }

    fn tell(&self, family: Family) -> io::Result<Vec<IpAddr>> {
        match family {
            Family::V4 => self.v4.tell(),
            Family::V6 => self.v6.tell(),
        }
    }

    pub(crate) fn resolver(&self) -> Resolver {
        let answers = self.clone();
        Resolver::blocking(move |_, family| answers.tell(family))
    }
}

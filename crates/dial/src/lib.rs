//! Connect by name over IPv6 and IPv4, whatever the network does.

mod resolver;

//! DNS over TCP: messages with their lengths, on connections that never wait.

use super::super::super::kernel::Poller;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// A program that asks this server.
    Program {
        /// Which process.
        process: u32,
        /// Whom it meant to ask.
        server: SocketAddr,
    },
    /// A server.
    Server,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    token: u64,
    pub(super) role: Role,
    arrived: Vec<u8>,
    leaving: Vec<u8>,
}

impl Stream {
    /// A connection that is up, or is being set up.
    pub(super) fn new(
        socket: TcpStream,
        token: u64,
        role: Role,
        poller: &Poller,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        match role {
            Role::Program { .. } => poller.add_reader(socket.as_fd(), token)?,
            Role::Server => poller.add_connecting(socket.as_fd(), token)?,
        }
        Ok(Self {
            socket,
            token,
            role,
            arrived: Vec::new(),
            leaving: Vec::new(),
        })
    }

    /// Sends a message, now or when there is room.
    pub(super) fn send(&mut self, message: &[u8], poller: &Poller) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        self.leaving.extend(length.to_be_bytes());
        self.leaving.extend(message);
        match self.role {
            Role::Program { .. } => self.flush(poller),
            // When the connection is up.
            Role::Server => Ok(()),
        }
    }

    /// Something can be read or written: gives the messages that are complete.
    ///
    /// # Errors
    ///
    /// When the other end has closed or broken the connection.
    pub(super) fn handle_ready(&mut self, poller: &Poller) -> io::Result<Vec<Vec<u8>>> {
        self.flush(poller)?;
        let mut buffer = [0_u8; 4096];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.arrived.extend(buffer.iter().take(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // More than one message can be: the rest waits in the kernel until this one is dealt with.
            if self.arrived.len() > usize::from(u16::MAX) + 2 {
                break;
            }
        }
        let mut messages = Vec::new();
        while let Some((length, rest)) = self.arrived.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let Some(message) = rest.get(..length) else {
                break;
            };
            messages.push(message.to_vec());
            self.arrived.drain(..length + 2);
        }
        Ok(messages)
    }

    fn flush(&mut self, poller: &Poller) -> io::Result<()> {
        while !self.leaving.is_empty() {
            match self.socket.write(&self.leaving) {
                Ok(length) => {
                    self.leaving.drain(..length);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return poller.again(self.socket.as_fd(), self.token);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        poller.now_reads(self.socket.as_fd(), self.token)
    }
}

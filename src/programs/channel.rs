//! One end of a stream of messages that waits for nobody: what has come so far, and what is still to be sent.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A message has at most so many bytes: more than all programs of a lab take, with the texts of their files.
const LONGEST: usize = 256 << 20;

/// So many bytes are read before others have their turn.
const AT_ONCE: usize = 1 << 20;

/// One end of a stream.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    came: Vec<u8>,
    to_send: Vec<u8>,
    /// Whether nothing more will come.
    pub(super) is_closed: bool,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        // Where this fails, the stream waits; none of its kind refuses.
        let _ = stream.set_nonblocking(true);
        Self { stream, came: Vec::new(), to_send: Vec::new(), is_closed: false }
    }

    /// Reads what has come, and gives the messages in it. What is no message, or too long, closes the channel.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> Vec<T> {
        let mut buffer = [0; 16 << 10];
        let mut read = 0;
        while read < AT_ONCE && !self.is_closed {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.is_closed = true,
                Ok(len) => {
                    read += len;
                    self.came.extend_from_slice(buffer.get(..len).unwrap_or_default());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_closed = true,
            }
        }
        let mut messages = Vec::new();
        while let Some(end) = self.came.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.came.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(message) => messages.push(message),
                Err(_) => self.is_closed = true,
            }
        }
        self.is_closed |= self.came.len() > LONGEST;
        messages
    }

    /// Sends a message: as much of it as the other end takes now, and the rest later.
    pub(super) fn send(&mut self, message: &impl Serialize) {
        // Their keys are strings, so this cannot fail.
        self.to_send.extend(serde_json::to_vec(message).unwrap_or_default());
        self.to_send.push(b'\n');
        self.flush();
    }

    /// Sends what is left. An end that does not read is closed once too much waits for it.
    pub(super) fn flush(&mut self) {
        while !self.to_send.is_empty() {
            match self.stream.write(&self.to_send) {
                Ok(len) => drop(self.to_send.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What has come before is still to be read, and then its end.
                Err(_) => self.to_send.clear(),
            }
        }
        self.is_closed |= self.to_send.len() > LONGEST;
    }

    /// Whether there is something to send.
    pub(super) fn wants_to_send(&self) -> bool {
        !self.to_send.is_empty()
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

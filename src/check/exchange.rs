//! What the two ends of a TCP connection say to each other: the token, and, where the check gives a size, so much data
//! that one full-size segment goes each way. More at once would travel as one large packet, which the kernel cuts only
//! where it leaves the machine (GSO), and which no link is too small for.

use std::io;
use std::os::fd::AsFd;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::registry::Token;
use crate::kernel::packet_size::{Fragments, segment, set_fragments};
use crate::lab::{Family, PacketSize};

/// What the data begins with: its length, and whether its packets must not be fragmented.
const HEAD: usize = 5;

/// Sends the token and waits until it comes back, which it does only if nslab is at the other end.
pub(super) async fn greet(stream: &mut TcpStream, token: Token) -> io::Result<()> {
    let mut bytes = token.to_bytes();
    stream.write_all(&bytes).await?;
    stream.read_exact(&mut bytes).await.map(drop)
}

/// Sends a full segment, and waits until one comes back.
pub(super) async fn send_data(stream: &mut TcpStream, size: PacketSize) -> io::Result<()> {
    write(stream, size.dont_fragment).await?;
    read(stream).await.map(drop)
}

/// The other end: answers a full segment with one.
pub(super) async fn return_data(stream: &mut TcpStream) -> io::Result<()> {
    let dont_fragment = read(stream).await?;
    if !dont_fragment {
        let family = Family::of(stream.peer_addr()?.ip().to_canonical());
        set_fragments(&stream.as_fd().try_clone_to_owned()?, family, Fragments::Allowed)?;
    }
    write(stream, dont_fragment).await
}

async fn write(stream: &mut TcpStream, dont_fragment: bool) -> io::Result<()> {
    let length = segment(stream)?.min(PacketSize::MOST.into());
    let mut data = length.to_be_bytes().to_vec();
    data.push(dont_fragment.into());
    data.resize(HEAD.max(length as usize), 0);
    stream.write_all(&data).await
}

/// Reads all of it; whether its packets must not be fragmented.
async fn read(stream: &mut TcpStream) -> io::Result<bool> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let [first, second, third, fourth, dont_fragment] = head;
    let length = u32::from_be_bytes([first, second, third, fourth]).min(PacketSize::MOST.into()) as usize;
    let mut rest = vec![0; length.saturating_sub(HEAD)];
    stream.read_exact(&mut rest).await?;
    Ok(dont_fragment != 0)
}

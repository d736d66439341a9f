//! TCP: one line that says who answers, and after that whatever comes goes back.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::named::Named;

/// A connection over which nothing goes for so long is closed, in either direction.
const SILENCE: Duration = Duration::from_secs(300);

/// Serves a connection until its end.
pub(super) async fn converse(named: Rc<Named>, mut stream: TcpStream) {
    // What goes wrong on a connection is its end.
    let _ = echo(&named, &mut stream).await;
}

async fn echo(named: &Named, stream: &mut TcpStream) -> io::Result<()> {
    let (from, at) = (stream.peer_addr()?, stream.local_addr()?);
    named.tell(from, at, "");
    let introduction = format!("{} to {from}\n", named.introduction(at));
    stream.write_all(introduction.as_bytes()).await?;
    let mut buffer = [0; 4096];
    loop {
        let length = timeout(SILENCE, stream.read(&mut buffer)).await??;
        if length == 0 {
            return Ok(());
        }
        timeout(SILENCE, stream.write_all(buffer.get(..length).unwrap_or_default())).await??;
    }
}

//! The connections of a server: many at once, but not without a limit.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// So many connections a server has at once; those after that wait in the kernel's queue.
const AT_ONCE: usize = 512;

/// How long to wait where a connection cannot be taken: there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// Has each connection served, until the runtime ends.
pub(super) async fn accept<Conversation>(listener: TcpListener, serve: impl Fn(TcpStream) -> Conversation)
where
    Conversation: Future<Output = ()> + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let conversation = serve(stream);
                spawn_local(async move {
                    conversation.await;
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

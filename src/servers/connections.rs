//! The connections of a server: many at once, but not without a limit, and one client does not take all places.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// So many connections a server has at once; those after that wait in the kernel's queue.
const AT_ONCE: usize = 512;

/// So many of them may come from one address; further ones are closed at once.
const FROM_ONE: usize = 256;

/// How long to wait where a connection cannot be taken: there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// Has each connection served, until the runtime ends.
pub(super) async fn accept<Conversation>(listener: TcpListener, serve: impl Fn(TcpStream) -> Conversation)
where
    Conversation: Future<Output = ()> + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let peers = Rc::new(RefCell::new(HashMap::new()));
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                let from = from.ip();
                let count = peers.borrow().get(&from).copied().unwrap_or_default();
                if count >= FROM_ONE {
                    continue;
                }
                peers.borrow_mut().insert(from, count + 1);
                let (conversation, peers) = (serve(stream), peers.clone());
                spawn_local(async move {
                    conversation.await;
                    leave(&peers, from);
                    drop(place);
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// A connection of an address is gone.
fn leave(peers: &RefCell<HashMap<IpAddr, usize>>, from: IpAddr) {
    let mut peers = peers.borrow_mut();
    if let Some(count) = peers.get_mut(&from) {
        *count -= 1;
        if *count == 0 {
            peers.remove(&from);
        }
    }
}

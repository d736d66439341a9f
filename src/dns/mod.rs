//! What a name server answers: a query and zones in, an answer out.
//!
//! `query` reads what was asked, `lookup` finds it in `zones`, `reply` writes the answer, and `answer` is all of that.
//! `cluster` makes the zones of a Kubernetes cluster, and `corefile` shows what a server knows, also to CoreDNS. Pure
//! functions: nothing here knows sockets, files, the kernel, or how a topology file is spelled. The wire format is that
//! of the library `domain`.

mod answer;
mod cluster;
mod corefile;
mod lookup;
mod query;
mod reply;
mod zones;

pub use answer::{Answer, answer, complete, summary};
pub use cluster::{Cluster, ClusterEndpoint, ClusterPort, ClusterService, PodNames, ServiceKind};
pub use corefile::{corefile, records};
pub use query::Transport;
pub use zones::Zones;

//! A server with the name of its namespace.

use crate::lab::{NsName, Server};

/// A server with the name of its namespace, which is what it calls itself.
pub(super) struct Named {
    pub(super) ns: NsName,
    pub(super) server: Server,
}

//! What an ingress controller does: which request goes to which service, in the words of nginx.
//!
//! `host` and `path` say which hosts, paths and rewrites there can be; `site` is what is asked of one host, `locations`
//! what that is in nginx, and `configuration` writes all of it down, as ingress-nginx does. Pure functions: nothing
//! here knows files, programs, the kernel, or how a topology file is spelled. Whatever a user has written gets into the
//! configuration only as a [`Host`], a [`Path`] or a [`Rewrite`], which have nothing in them that nginx would act on,
//! or as a name of Kubernetes.

mod configuration;
mod host;
mod locations;
mod path;
mod site;

pub use configuration::{CONFIGURATION, Controller, DEFAULT_CERTIFICATE};
pub use host::Host;
pub use path::{Path, PathType, Rewrite};
pub use site::{Backend, Rule, Site};

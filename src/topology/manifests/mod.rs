//! Manifests of Kubernetes: files that a cluster names, whose pods, services, policies and ingresses become its own.
//!
//! `files` reads them into `object`s; `workloads` makes pods of these and `placement` chooses their nodes, `services`,
//! `policies` and `ingress` put the rest into the words of the cluster, whose reader finds the faults in them. `fields`
//! says what is asked of an object's keys, `values` what Kubernetes asks of the rest. Every piece keeps its place in
//! its manifest. What is made here is what an author could have written under `cluster`: nothing behind it knows of
//! manifests.

mod fields;
mod files;
mod ingress;
mod keys;
mod object;
mod placement;
mod policies;
mod services;
mod values;
mod workloads;

use std::path::Path;

use super::diagnostics::Collector;
use super::schema::Cluster;

/// Reads the manifests that a cluster names, in its folder, and adds what is in them to the cluster.
pub(super) fn read(cluster: &mut Cluster, folder: Option<&Path>, found: &mut Collector<'_>) {
    if cluster.kubernetes.is_empty() {
        return;
    }
    let documents = files::read(&cluster.kubernetes, folder, found);
    let objects = object::objects(&documents, found);
    values::check(&objects, found);
    policies::add(&objects, cluster, found);
    services::add(&objects, cluster, found);
    ingress::add(&objects, cluster, found);
    let pods = workloads::pods(&objects, cluster, found);
    placement::place(pods, cluster, found);
}

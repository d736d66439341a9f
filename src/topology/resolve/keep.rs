//! What programs add and the lab leaves alone.

use super::net::ResolvedNamespace;
use crate::lab::Keep;
use crate::topology::schema::KeptAddress;

pub fn resolve(namespace: &ResolvedNamespace<'_>) -> Keep {
    let written = namespace.written.keep.iter().flat_map(|keep| &keep.0);
    let mut keep = Keep::default();
    for entry in written {
        keep.routes.extend(entry.routes.iter().flat_map(|routes| &routes.0).map(|route| route.value.0));
        for address in entry.addresses.iter().flat_map(|addresses| &addresses.0) {
            match address.value {
                KeptAddress::By(protocol) => keep.addresses_by.insert(protocol),
                KeptAddress::In(subnet) => keep.addresses_in.insert(subnet),
            };
        }
    }
    keep
}

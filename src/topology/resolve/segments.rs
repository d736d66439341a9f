//! Segments: what one broadcast reaches through cables, bridges and VXLANs. And the loops in which it would never end.

use std::collections::HashMap;

use super::cables::{CableEnd, Cables};
use super::devices::{Place, Placed};
use super::net::{Interface, Space};
use super::vxlans::Ends;
use crate::lab::LinkKind;
use crate::topology::fault::{Fault, Found};
use crate::topology::written::Device;

/// Gives every interface the number of its segment.
pub fn number(spaces: &mut [Space<'_>], cables: &Cables<'_>, devices: &[Placed<'_>], found: &mut Found<'_>) {
    let mut first = Vec::with_capacity(spaces.len());
    let mut count = 0;
    for space in spaces.iter() {
        first.push(count);
        count += space.interfaces.len();
    }
    let id = |end: &CableEnd| Some(first.get(end.space)? + spaces.get(end.space)?.by_name.get(&end.name)?);
    let mut segments = Sets::new(count);
    for cable in &cables.list {
        let [a, b] = &cable.ends;
        if let (Some(a), Some(b)) = (id(a), id(b)) {
            segments.join(a, b);
        }
    }
    let number = |(space, at): Place| first.get(space).map_or(at, |first| first + at);
    let ends = Ends::new(spaces, number);
    for (space, first) in spaces.iter().zip(&first) {
        for (at, interface) in space.interfaces.iter().enumerate() {
            if let Some(bridge) = interface.link.master.as_ref().and_then(|bridge| space.by_name.get(bridge)) {
                segments.join(first + at, first + bridge);
            }
        }
    }
    for placed in devices {
        if let Device::Vxlan(written) = placed.written {
            ends.of(written).for_each(|end| {
                segments.join(number(placed.at), end);
            });
        }
    }
    join_devices(devices, number, &mut segments);
    for (space, first) in spaces.iter_mut().zip(&first) {
        for (at, interface) in space.interfaces.iter_mut().enumerate() {
            interface.segment = segments.find(first + at);
        }
    }
    loops(spaces, cables, &first, count, found);
}

/// Macvlans and ipvlans are on their parent's segment; VLANs of one number upon one segment are one of their own.
fn join_devices(devices: &[Placed<'_>], number: impl Fn(Place) -> usize, segments: &mut Sets) {
    let mut vlans = HashMap::new();
    for Placed { at, under, written, .. } in devices {
        let (own, Some(under)) = (number(*at), under.map(&number)) else { continue };
        match written {
            Device::Macvlan(_) | Device::Ipvlan(_) => {
                segments.join(own, under);
            }
            Device::Vlan(vlan) => {
                let first = *vlans.entry((segments.find(under), vlan.id.value.0)).or_insert(own);
                segments.join(own, first);
            }
            Device::Vxlan(_) | Device::Ipip(_) | Device::Dummy(_) => {}
        }
    }
}

/// A loop of bridges sends every broadcast round for ever. One bridge with STP in it is enough to open it: the others
/// pass its messages on, so it sees them come back.
fn loops(spaces: &[Space<'_>], cables: &Cables<'_>, first: &[usize], count: usize, found: &mut Found<'_>) {
    let mut connected = Sets::new(count);
    for cable in &cables.list {
        let [a, b] = cable.ends.each_ref().map(|end| plain_bridge(spaces, first, end));
        let (Some(a), Some(b)) = (a, b) else { continue };
        if !connected.join(a, b) {
            let message = "this link closes a loop of bridges, in which broadcasts would circle for ever";
            let help = "take it out, or set `stp: true` on a bridge of the loop".to_owned();
            if let Some(end) = cable.ends.first() {
                found.add(Fault::new(end.span, message).help(help));
            }
        }
    }
}

/// The number of the bridge without STP that the end of a link is plugged into.
fn plain_bridge(spaces: &[Space<'_>], first: &[usize], end: &CableEnd) -> Option<usize> {
    let space = spaces.get(end.space)?;
    let master = space.interface(&end.name)?.link.master.as_ref()?;
    let at = *space.by_name.get(master)?;
    let Interface { link, .. } = space.interfaces.get(at)?;
    match &link.kind {
        LinkKind::Bridge(options) if !options.stp => Some(first.get(end.space)? + at),
        _ => None,
    }
}

/// Disjoint sets of numbers.
struct Sets {
    parent: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    /// The number that stands for a set.
    fn find(&mut self, mut member: usize) -> usize {
        while let Some(&parent) = self.parent.get(member)
            && parent != member
        {
            let grandparent = self.parent.get(parent).copied().unwrap_or(parent);
            if let Some(parent) = self.parent.get_mut(member) {
                *parent = grandparent;
            }
            member = grandparent;
        }
        member
    }

    /// Makes two sets one; false if they are already.
    fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if let Some(parent) = self.parent.get_mut(a) {
            *parent = b;
        }
        a != b
    }
}

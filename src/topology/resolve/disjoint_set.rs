//! Disjoint sets of numbers: what is connected with what.

/// Disjoint sets of numbers.
#[derive(Clone)]
pub struct DisjointSet {
    parent: Vec<usize>,
}

impl DisjointSet {
    pub fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    /// One more number, in a set of its own.
    pub fn add(&mut self) -> usize {
        self.parent.push(self.parent.len());
        self.parent.len() - 1
    }

    /// The number that represents a set.
    pub fn find(&mut self, mut member: usize) -> usize {
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
    pub fn join(&mut self, a: usize, b: usize) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if let Some(parent) = self.parent.get_mut(a) {
            *parent = b;
        }
        a != b
    }
}

//! Conditions and targets that rules of services need: marks, chance, and who has been here before.

use std::fmt;

use serde::{Serialize, Serializer};

use super::names::ChainName;

/// Some bits of a packet's firewall mark. As a condition: those of the mask are as in the value. As a target: those of
/// the mask are cleared, and then those of the value turned over (`--set-xmark`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct MarkBits {
    /// The bits themselves.
    pub value: u32,
    /// Which bits.
    pub mask: u32,
}

impl MarkBits {
    /// Whether a packet's mark has them.
    pub fn are_in(self, mark: u32) -> bool {
        mark & self.mask == self.value
    }

    /// What they make of a packet's mark.
    pub fn applied_to(self, mark: u32) -> u32 {
        (mark & !self.mask) ^ self.value
    }
}

/// How likely a rule is asked at all, in units of 1/2³¹ as the kernel has it (`xt_statistic_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Probability(pub u32);

/// A list of source addresses, by its name; the kernel keeps when each was there last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recent {
    /// Puts the source on the list; always met.
    Set(ChainName),
    /// The source was put on the list in the last so many seconds; older entries go.
    Within {
        /// The list, named after a chain.
        list: ChainName,
        /// How long, in seconds.
        seconds: u32,
    },
}

impl Probability {
    const ONE: f64 = 2_147_483_648.0;

    /// One in so many, as precisely as kube-proxy writes it down: with ten decimals.
    pub fn one_in(count: usize) -> Option<Self> {
        format!("{:.10}", 1.0 / count as f64).parse().ok().and_then(Self::of)
    }

    /// From a number of 0 to 1.
    pub fn of(part: f64) -> Option<Self> {
        (0.0..=1.0).contains(&part).then(|| Self((part * Self::ONE).round() as u32))
    }
}

/// As `iptables-save` prints it.
impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.11}", f64::from(self.0) / Self::ONE)
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_those_that_iptables_prints() {
        for (count, text) in [(2, "0.50000000000"), (3, "0.33333333349"), (1, "1.00000000000")] {
            let part = Probability::one_in(count).expect("a part");
            assert_eq!(part.to_string(), text);
            assert_eq!(Probability::of(text.parse().unwrap()), Some(part));
        }
        assert_eq!(Probability::of(1.5), None);
    }
}

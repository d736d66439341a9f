//! How evenly connections come to the endpoints of a service, where each is as likely as any other.

use std::ops::RangeInclusive;

/// How likely it may be that a service which is right is taken for one that is not: once in a million pairs.
const FALSE_ALARM: f64 = 1e-6;

/// The least and the most connections of so many that an endpoint of so many gets, unless something is wrong: that of a
/// binomial distribution, with the chance of a false alarm shared by both sides of all endpoints.
pub fn fair_share(connections: u32, endpoints: usize) -> RangeInclusive<u32> {
    if endpoints < 2 {
        return connections..=connections;
    }
    let allowed = FALSE_ALARM / (2.0 * endpoints as f64);
    let part = 1.0 / endpoints as f64;
    let odds = (part / (1.0 - part)).ln();
    // The logarithm of how likely each number is, from that of the number before.
    let mut likely = Vec::with_capacity(connections as usize + 1);
    let mut last = f64::from(connections) * (1.0 - part).ln();
    for number in 0..=connections {
        likely.push(last.exp());
        last += (f64::from(connections - number) / f64::from(number + 1)).ln() + odds;
    }
    let beyond = |numbers: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        let fits = |chance: &&f64| {
            sum += **chance;
            sum <= allowed
        };
        u32::try_from(numbers.take_while(fits).count()).unwrap_or(connections)
    };
    let (least, most) = (beyond(&mut likely.iter()), connections - beyond(&mut likely.iter().rev()));
    least..=most
}

/// How many connections it takes until an endpoint of so many that gets none is no chance.
pub fn enough_connections(endpoints: usize) -> u32 {
    if endpoints < 2 {
        return 1;
    }
    let enough = |connections: &u32| *fair_share(*connections, endpoints).start() > 0;
    // Of each endpoint: (1 - 1/n)^connections.
    let allowed = FALSE_ALARM / (2.0 * endpoints as f64);
    let about = allowed.ln() / (1.0 - 1.0 / endpoints as f64).ln();
    (about as u32..).find(enough).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fair_is_within_the_bounds() {
        assert_eq!(fair_share(100, 1), 100..=100);
        for (connections, endpoints) in [(100, 2), (400, 3), (1000, 10), (10_000, 50)] {
            let share = fair_share(connections, endpoints);
            let mean = connections as usize / endpoints;
            assert!(share.contains(&(mean as u32)), "{connections}, {endpoints}: {share:?}");
            // Five to six times the standard deviation: normal distributions have one in a million beyond 4.9.
            let deviation = (mean as f64 * (1.0 - 1.0 / endpoints as f64)).sqrt();
            let width = f64::from(share.end() - share.start()) / 2.0 / deviation;
            assert!((4.4..=7.0).contains(&width), "{connections}, {endpoints}: {share:?}, {width}");
        }
    }

    #[test]
    fn with_fewer_connections_an_endpoint_may_be_missed() {
        for endpoints in 1..20 {
            let enough = enough_connections(endpoints);
            assert!(*fair_share(enough, endpoints).start() > 0);
            assert!(enough <= 1 || *fair_share(enough - 1, endpoints).start() == 0, "{endpoints}: {enough}");
        }
        assert_eq!(enough_connections(2), 22);
    }
}

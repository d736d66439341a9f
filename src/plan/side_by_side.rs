//! Two sorted maps, walked through together: to look each key of one up in the other takes longer, where there are
//! thousands.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A key of either of two maps, and what each has of it.
pub(super) type Pair<'a, K, A, B> = (&'a K, Option<&'a A>, Option<&'a B>);

/// Every key of two maps, in order.
pub(super) fn side_by_side<'a, K: Ord, A, B>(
    a: &'a BTreeMap<K, A>,
    b: &'a BTreeMap<K, B>,
) -> impl Iterator<Item = Pair<'a, K, A, B>> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (a.peek(), b.peek()) {
            (Some((first, _)), Some((second, _))) => first.cmp(second),
            (_, None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let from_a = if order.is_le() { a.next() } else { None };
        let from_b = if order.is_ge() { b.next() } else { None };
        let key = from_a.map(|(key, _)| key).or(from_b.map(|(key, _)| key))?;
        Some((key, from_a.map(|(_, value)| value), from_b.map(|(_, value)| value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_key_comes_once_with_what_both_have(
            a: BTreeMap<u8, u8>,
            b: BTreeMap<u8, u8>,
        ) {
            let keys: std::collections::BTreeSet<&u8> = a.keys().chain(b.keys()).collect();
            let looked_up: Vec<_> = keys.into_iter().map(|key| (key, a.get(key), b.get(key))).collect();
            proptest::prop_assert_eq!(side_by_side(&a, &b).collect::<Vec<_>>(), looked_up);
        }
    }
}

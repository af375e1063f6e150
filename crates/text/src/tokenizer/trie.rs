//! A tree of keys by their bytes, to find all keys that begin at a place of a text.

/// No value.
const NONE: u32 = u32::MAX;

struct Node {
    /// Where the children begin, which are sorted by label.
    first: u32,
    count: u16,
    label: u8,
    value: u32,
}

/// Keys and their values.
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The nodes of single bytes, 0 for none: most searches end there or begin with a node of many children.
    first: Box<[u32; 256]>,
}

impl Trie {
    /// Of keys that are not empty, each with a value below `u32::MAX`; of equal keys the smallest value counts.
    pub(super) fn new(mut keys: Vec<(&[u8], u32)>) -> Self {
        keys.sort_unstable();
        keys.dedup_by_key(|(key, _)| *key);
        let node = |label, value| Node { first: 0, count: 0, label, value };
        let mut nodes = vec![node(0, NONE)];
        // The keys below each node, and how many of their bytes lie above it.
        let mut below = vec![(0u32, keys.len() as u32, 0u32)];
        let mut index = 0;
        while index < nodes.len() {
            let (start, end, depth) = below[index];
            let (mut start, end, depth) = (start as usize, end as usize, depth as usize);
            if let Some((key, value)) = keys.get(start).filter(|(key, _)| start < end && key.len() == depth) {
                if !key.is_empty() {
                    nodes[index].value = *value;
                }
                start += 1;
            }
            nodes[index].first = nodes.len() as u32;
            while start < end {
                let label = keys[start].0[depth];
                let same = keys[start..end].partition_point(|(key, _)| key[depth] == label);
                nodes.push(node(label, NONE));
                below.push((start as u32, (start + same) as u32, depth as u32 + 1));
                nodes[index].count += 1;
                start += same;
            }
            index += 1;
        }
        let mut first = Box::new([0; 256]);
        for (place, node) in (1..).zip(&nodes[1..]).take(usize::from(nodes[0].count)) {
            first[usize::from(node.label)] = place;
        }
        Self { nodes, first }
    }

    #[inline]
    fn child(&self, node: usize, label: u8) -> Option<usize> {
        if node == 0 {
            return Some(self.first[usize::from(label)] as usize).filter(|&child| child > 0);
        }
        let Node { first, count, .. } = self.nodes[node];
        let children = &self.nodes[first as usize..first as usize + usize::from(count)];
        children.binary_search_by_key(&label, |child| child.label).ok().map(|place| first as usize + place)
    }

    /// Calls `found` with length and value of each key that `text` begins with, from short to long.
    #[inline]
    pub(super) fn each_prefix(&self, text: &[u8], mut found: impl FnMut(usize, u32)) {
        let mut node = 0;
        for (index, &byte) in text.iter().enumerate() {
            let Some(next) = self.child(node, byte) else { return };
            node = next;
            if self.nodes[node].value != NONE {
                found(index + 1, self.nodes[node].value);
            }
        }
    }

    /// The longest key that `text` begins with, and its value.
    pub(super) fn longest_prefix(&self, text: &[u8]) -> Option<(usize, u32)> {
        let mut longest = None;
        self.each_prefix(text, |length, value| longest = Some((length, value)));
        longest
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<u32> {
        let mut node = 0;
        for &byte in key {
            node = self.child(node, byte)?;
        }
        Some(self.nodes[node].value).filter(|&value| value != NONE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Trie;

    proptest! {
        #[test]
        fn all_keys_that_a_text_begins_with_are_found(
            keys in prop::collection::vec("[ab\u{e9}]{1,4}", 0..12), text in "[ab\u{e9}]{0,6}",
        ) {
            let trie = Trie::new(keys.iter().map(String::as_bytes).zip(0..).collect());
            let mut found = Vec::new();
            trie.each_prefix(text.as_bytes(), |length, value| found.push((length, value)));
            let mut expected: Vec<(usize, u32)> = keys
                .iter()
                .enumerate()
                .filter(|(index, key)| text.starts_with(key.as_str()) && !keys[..*index].contains(key))
                .map(|(index, key)| (key.len(), index as u32))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(trie.longest_prefix(text.as_bytes()), expected.last().copied());
            prop_assert_eq!(trie.get(text.as_bytes()), expected.last().filter(|(length, _)| *length == text.len()).map(|last| last.1));
            prop_assert_eq!(found, expected);
        }
    }
}

//! When the tensors of a graph are read for the last time.

use super::Node;

/// For each node the tensors that no later node reads and that are no outputs; and which of so many tensors are read at all.
pub(super) fn last_uses<'a>(
    nodes: impl DoubleEndedIterator<Item = &'a Node>,
    outputs: &[usize],
    tensors: usize,
) -> (Vec<Vec<usize>>, Vec<bool>) {
    let mut read = vec![false; tensors];
    outputs.iter().for_each(|&output| read[output] = true);
    let mut last = |node: &Node| {
        let inputs = node.inputs.iter().flatten().copied();
        inputs.filter(|&input| !std::mem::replace(&mut read[input], true)).collect()
    };
    let mut uses: Vec<Vec<usize>> = nodes.rev().map(&mut last).collect();
    uses.reverse();
    (uses, read)
}
